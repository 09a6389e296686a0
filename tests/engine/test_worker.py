"""What workers execute, in this process."""

import faulthandler
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from twolayer import Config, own_table
from twolayer.engine import worker
from twolayer.training import capabilities, kernels, training
from twolayer.training.data import own
from twolayer.training.laps import FREE_SECONDS, LOOKING_SHARE

CONFIG = Config(data="iris", init="he", H=5, learning_rate=1e-4, steps=1000)


@pytest.fixture
def looks(monkeypatch):
    """How long each picture takes, by a clock that only pictures move."""
    one, picture = SimpleNamespace(now=5.0, seconds=0.0), worker.learned.picture

    def drawn(*values):
        one.now += one.seconds
        return picture(*values)

    monkeypatch.setattr(worker, "thread_time", lambda: one.now)
    monkeypatch.setattr(worker, "learned", SimpleNamespace(picture=drawn))
    return one


@pytest.fixture
def steps_of(monkeypatch):
    """A function that says how long the steps of each chunk take."""
    advance = training.advance

    def lasting(seconds: float) -> None:
        def timed(*values):
            chunk = advance(*values)
            return replace(chunk, laps=np.array([[len(chunk.losses), seconds]]))

        monkeypatch.setattr(worker.training, "advance", timed)

    return lasting


def test_a_task_has_so_many_seconds_and_no_timer_is_left(monkeypatch):
    calls = []
    monkeypatch.setattr(
        faulthandler, "dump_traceback_later", lambda seconds, exit: calls.append((seconds, exit))
    )
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: calls.append("cancelled"))
    assert worker.within(7.0, divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        worker.within(7.0, divmod, 7, 0)
    assert calls == [(7.0, True), "cancelled"] * 2


def test_a_task_is_timed_with_its_table(monkeypatch):
    readings = iter([3.0, 8.5])
    monkeypatch.setattr(worker, "perf_counter", lambda: next(readings))
    table = own_table((np.eye(4), np.arange(4.0)))
    assert worker.timed(None, table, lambda n: (own.current(), n), 7) == (5.5, (table, 7))
    assert own.current() is None


def test_a_chunk_has_a_picture_of_what_was_learned_and_one_of_random_data_has_none():
    problem = worker.prepare(CONFIG, None)
    chunk = worker.advance(CONFIG, problem, None, 100)
    assert (chunk.step, chunk.picture.step, len(chunk.losses)) == (100, 100, 100)
    following = worker.advance(CONFIG, problem, chunk, 50)
    assert (following.step, following.picture.step) == (150, 150)
    random = replace(CONFIG, data="random", init="tutorial")
    assert worker.advance(random, worker.prepare(random, None), None, 10).picture is None
    untested = training.prepare(CONFIG)
    assert worker.advance(CONFIG, untested, None, 10).picture is None


def test_pictures_that_take_long_come_rarely_and_always_at_the_end(looks, steps_of):
    problem = worker.prepare(CONFIG, None)
    looks.seconds = 2 * FREE_SECONDS
    steps_of(FREE_SECONDS / 4 / LOOKING_SHARE)  # each chunk pays a quarter of what is free
    chunk, drawn = None, []
    for _ in range(10):
        chunk = worker.advance(CONFIG, problem, chunk, 100)
        drawn.append(chunk.picture is not None)
    assert chunk.step == CONFIG.steps
    # The debt is 2 at once, then 1.75, 1.5, 1.25 and 1, which is free again: 3 with the next picture
    assert drawn == [True, False, False, False, True, False, False, False, False, True]


def test_a_chunk_without_steps_has_no_picture():
    problem = worker.prepare(CONFIG, None)
    diverged = replace(worker.advance(CONFIG, problem, None, 10), diverged_at=10)
    assert worker.advance(CONFIG, problem, diverged, 10).picture is None


def test_what_is_reported_of_a_chunk_is_all_but_its_state():
    problem = worker.prepare(CONFIG, None)
    chunk = worker.advance(CONFIG, problem, None, 10)
    report = worker.report(chunk)
    assert report.state == {}
    assert replace(report, state=chunk.state) == chunk


@pytest.mark.parametrize("preload", [False, True])
def test_a_new_worker_loads_the_kernels_if_it_is_to(monkeypatch, preload):
    started, prepared, found = [], [], {}

    class Thread:
        def __init__(self, target, daemon) -> None:
            assert daemon, "it must not keep a worker from ending"
            self.start = lambda: started.append(target())

    monkeypatch.setattr(worker, "Thread", Thread)
    monkeypatch.setattr(worker, "keep_freed_memory", lambda: prepared.append(True))
    monkeypatch.setattr(kernels, "load_all", lambda: {"torch": "why not"})
    monkeypatch.setattr(capabilities, "failures", found)
    worker.WarmUp(preload=preload).setup(None)
    assert (prepared, len(started)) == ([True], preload)
    assert found == ({"torch": "why not"} if preload else {})
