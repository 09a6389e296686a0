"""Run and Series: what has been received, read while it grows."""

import tracemalloc
from dataclasses import replace
from threading import Thread

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from twolayer import Config
from twolayer.engine import task
from twolayer.engine.job import Job
from twolayer.engine.run import MOST_PICTURES, Run, Series, kept
from twolayer.training import training
from twolayer.training.learned import Picture
from twolayer.training.messages import Message
from twolayer.training.training import Chunk

CONFIG = Config(N=3, D_in=4, H=5, D_out=2, steps=100, learning_rate=1e-3)


def chunk(first: int, end: int, lap: int = 4, diverged_at: int | None = None) -> Chunk:
    """Steps `first` to `end`, whose losses are their numbers and whose steps took 1 ms each."""
    counts = np.array([min(lap, end - step) for step in range(first, end, lap)], dtype=float)
    laps = np.column_stack((counts, counts * 1e-3)) if len(counts) else np.empty((0, 2))
    return Chunk(end, {}, np.arange(first, end, dtype=float), laps, diverged_at)


def test_views_of_a_series_stay_valid_while_it_grows():
    series, views = Series(2), []
    for count in range(300):
        series.extend(np.full((count % 3, 2), count))
        views.append((series.view(), series.view().copy()))
    for view, copy in views:
        assert_array_equal(view, copy)
    assert series.view().shape == (300, 2)
    assert series.view().dtype == np.float64


def test_a_view_is_read_only_and_the_series_goes_on():
    series = Series()
    series.extend(np.arange(3.0))
    with pytest.raises(ValueError, match="read-only"):
        series.view()[0] = 1
    series.extend(np.arange(1000.0))
    assert_array_equal(series.view(), [*range(3), *range(1000)])


def test_a_reader_in_another_thread_sees_only_whole_prefixes():
    series, wrong = Series(), []

    def read() -> None:
        while len(view := series.view()) < 30_000:
            if not np.array_equal(view, np.arange(len(view))):
                wrong.append(len(view))

    reader = Thread(target=read)
    reader.start()
    for start in range(0, 30_000, 10):
        series.extend(np.arange(start, start + 10, dtype=float))
    reader.join(timeout=60)
    assert not reader.is_alive()
    assert wrong == []


def test_a_run_begins_queued_and_empty():
    run = Run("a", CONFIG)
    assert (run.state, run.step, run.seconds, run.over, run.message) == ("queued", 0, 0.0, False, None)
    assert run.losses.shape == (0,)
    assert run.laps.shape == (0, 2)
    run.begin()
    assert run.state == "running"
    assert not run.over


def test_a_run_takes_in_chunks_until_its_last_step():
    run = Run("a", CONFIG)
    run.begin()
    assert run.receive(chunk(0, 10))
    assert (run.step, run.state) == (10, "running")
    assert not run.receive(chunk(10, 100))
    assert (run.step, run.state, run.over) == (100, "finished", True)
    assert_array_equal(run.losses, np.arange(100))
    assert run.seconds == pytest.approx(0.1)
    assert run.laps[-1, 0] == 100
    np.testing.assert_allclose(run.laps[:, 1], 1e-3)
    assert (np.diff(run.laps[:, 0]) > 0).all()


@pytest.mark.parametrize(
    "cut",
    [
        [(0, 10), (0, 10), (10, 100)],
        [(0, 40), (0, 10), (10, 25), (25, 60), (60, 100)],
        [(0, 37), (36, 38), (38, 100)],
        [(0, 40), (32, 60), (60, 100)],
        [(0, 50), (0, 100)],
        [(0, 99), (4, 8), (8, 100)],
    ],
    ids=str,
)
def test_what_was_received_before_adds_nothing(cut):
    run = Run("a", CONFIG)
    for first, end in cut:
        run.receive(chunk(first, end))
    assert run.state == "finished"
    assert_array_equal(run.losses, np.arange(100))
    assert (np.diff(run.laps[:, 0]) > 0).all()
    assert run.laps[-1, 0] == 100
    assert run.seconds == pytest.approx(0.1, abs=0.0035)  # a lap across the cut counts as a whole


def test_what_was_counted_before_is_not_counted_again():
    run, dead = Run("a", CONFIG), np.array([[2.0, 5.0], [3.0, 4.0]])
    held_out = np.column_stack((dead, [9.0, 8.0]))
    for end in (10, 14):
        run.receive(replace(chunk(0, end), dead=dead, held_out=held_out))
    assert_array_equal(run.dead, dead)
    assert_array_equal(run.held_out, held_out)


def test_the_time_of_a_step_is_the_median_of_all_steps_so_far():
    run, steps = Run("a", CONFIG), 0
    for times, median in (([4.0], 4.0), ([1.0, 2.0, 30.0], 2.0), ([3.0, 4.0], 3.0), ([90.0], 4.0)):
        steps += len(times)
        laps = np.column_stack((np.ones(len(times)), times))
        run.receive(Chunk(steps, {}, np.ones(len(times)), laps))
        assert run.step_seconds == median


def test_the_bytes_of_a_run_are_those_of_its_curves_and_pictures():
    run, dead = Run("a", CONFIG), np.array([[4.0, 1.0], [10.0, 2.0]])
    held_out = np.column_stack((dead, [0.5, 0.25]))
    picture = Picture(10, {"y": np.zeros(7, np.float32)})
    run.receive(replace(chunk(0, 10), dead=dead, held_out=held_out, picture=picture))
    assert run.laps.shape == (3, 2)
    assert run.nbytes == 8 * (10 + 6 + 4 + 6) + 4 * 7


def test_of_the_pictures_the_first_of_each_part_is_kept_and_the_newest():
    pictures, steps = (), 10 * MOST_PICTURES
    for step in range(3, steps + 1, 3):
        newest = Picture(step, {})
        pictures = kept(pictures, newest, steps)
        assert pictures[-1] is newest
    parts = [picture.step * MOST_PICTURES // steps for picture in pictures[:-1]]
    assert parts == sorted(set(parts)) == list(range(MOST_PICTURES))
    assert [picture.step for picture in pictures[:3]] == [3, 12, 21]


def test_divergence_ends_a_run_with_its_step():
    run = Run("a", CONFIG)
    run.receive(chunk(0, 10))
    assert not run.receive(chunk(10, 17, diverged_at=17))
    assert (run.state, run.diverged_at, run.step, run.over) == ("diverged", 17, 17, True)


def test_divergence_at_the_first_step_leaves_no_losses():
    run = Run("a", CONFIG)
    assert not run.receive(chunk(0, 0, diverged_at=0))
    assert (run.state, run.diverged_at, run.step) == ("diverged", 0, 0)


@pytest.mark.parametrize("state", ["finished", "diverged", "stopped", "failed"])
def test_an_end_is_final(state):
    run, message = Run("a", CONFIG), Message.of("the first")
    run.receive(chunk(0, 10))
    run.end(state, message)
    run.begin()
    run.end("failed", Message.of("the second"))
    assert not run.receive(chunk(10, 20))
    assert (run.state, run.message, run.step) == (state, message, 10)
    assert not run.live


@pytest.mark.parametrize("one", [Run("a", CONFIG), Job("a", 3)], ids=["run", "job"])
def test_what_begins_begins_once_until_it_is_queued_again(monkeypatch, one):
    clock = iter([10.0, 14.5, 20.0, 26.0])
    monkeypatch.setattr(task, "monotonic", lambda: next(clock))
    one.begin()
    one.begin()
    assert one.began == 10.0
    one.requeue()
    one.requeue()
    assert (one.state, one.began) == ("queued", 10.0)
    one.begin()
    assert (one.state, one.began) == ("running", 14.5)
    one.end("stopped")
    one.begin()
    one.requeue()
    assert (one.state, one.elapsed) == ("stopped", 5.5)


def test_real_chunks_give_the_losses_of_the_training(kernel):
    config = Config(**kernel, N=3, D_in=4, H=5, D_out=2, steps=100, learning_rate=1e-3)
    run, problem = Run("a", config), training.prepare(config)
    last = training.start(config, problem)
    while run.receive(last):
        last = training.advance(config, problem, last, min(33, 100 - last.step))
    assert_array_equal(run.losses, training.fit(config).losses)
    assert run.laps[-1, 0] == 100


def test_the_losses_of_a_long_run_are_kept_once_and_never_copied():
    steps = 2_000_000
    run = Run("a", Config(N=3, D_in=4, H=5, D_out=2, steps=steps))
    chunks = [chunk(first, first + 100_000, lap=10_000) for first in range(0, steps, 100_000)]
    tracemalloc.start()
    try:
        for one in chunks:
            run.receive(one)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert run.state == "finished"
    assert run.nbytes - run.losses.nbytes < 50_000
    assert run.losses.nbytes == 8 * steps
    assert peak < 2_000_000, "beside what was reserved at its start"
