"""Pictures and held-out scores of a run on the engine: live, few, and without a change of the run."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from twolayer import Config, fit
from twolayer.engine import worker
from twolayer.engine.run import MOST_PICTURES, kept
from twolayer.training import learned
from twolayer.training.learned import Picture
from twolayer.training.problem import make_held_out


@pytest.mark.parametrize(("name", "steps"), [("sine", 400), ("spiral", 8000), ("iris", 400), ("digits", 400)])
def test_a_run_has_pictures_of_its_whole_course_and_the_losses_of_fit(engine, name, steps):
    config = Config(data=name, init="he", method="auto", H=10, learning_rate=1e-5, steps=steps)
    run = engine.submit(config)
    assert run.wait(600)
    result = fit(config)
    assert run.state == "finished"
    assert_array_equal(run.losses, result.losses)
    at = [picture.step for picture in run.pictures]
    assert at == sorted(set(at))
    assert MOST_PICTURES // 2 <= len(at) <= MOST_PICTURES + 1
    assert at[-1] == steps
    last = learned.picture(config, make_held_out(config), result.w1, result.w2, steps)
    for part, array in last.arrays.items():
        assert_array_equal(run.pictures[-1].arrays[part], array)
    assert_array_equal(run.held_out[-1], result.held_out[-1])
    assert (np.diff(run.held_out[:, 0]) > 0).all()


def test_a_run_on_random_numbers_has_scores_but_no_pictures(engine):
    run = engine.submit(Config(method="auto"))
    assert run.wait(600)
    assert run.pictures == ()
    assert run.held_out[-1, 0] == 500
    assert np.isnan(run.held_out[:, 2]).all()


@pytest.mark.parametrize("every", [1, 7, 50, 1000])
def test_of_many_pictures_the_first_of_each_part_and_the_newest_are_kept(every):
    pictures: tuple[Picture, ...] = ()
    for step in range(every, 1001, every):
        pictures = kept(pictures, Picture(step, {}), 1000)
        assert pictures[-1].step == step
    parts = [picture.step * MOST_PICTURES // 1000 for picture in pictures[:-1]]
    assert parts == sorted(set(parts))
    assert len(pictures) <= MOST_PICTURES + 1
    assert len(pictures) >= min(MOST_PICTURES, 1000 // every) - 1


def test_a_picture_that_takes_longer_than_many_chunks_is_drawn_at_the_first_and_at_the_end(monkeypatch):
    config = Config(data="sine", steps=60)
    problem, chunk, drawn = worker.prepare(config, None), None, []
    clock = iter(range(0, 10_000, 50))
    monkeypatch.setattr(worker, "thread_time", lambda: next(clock))
    for _ in range(6):
        chunk = worker.advance(config, problem, chunk, 10)
        drawn += [chunk.picture.step] if chunk.picture else []
    assert drawn == [10, 60]
