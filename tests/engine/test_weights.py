"""The weights of a run can be had in each of its states, at once and long after, with a full store too."""

from types import SimpleNamespace

import pytest
from numpy.testing import assert_array_equal

from tests.engine.conftest import TINY
from twolayer import Config, fit
from twolayer.engine.engine import CHECKPOINTS_SHARE, Engine
from twolayer.engine.settings import MB
from twolayer.export import weights
from twolayer.training import methods

LARGE = Config(N=2, D_in=1500, H=900, D_out=1, steps=4, learning_rate=1e-9, method="fused", dtype="float64")
"""Its state takes more than an eighth of the memory of `small`."""


@pytest.fixture(scope="module")
def small(new_engine) -> Engine:
    return new_engine(memory_mb=64)


def check(engine, run):
    """The weights of a run are those of `fit`."""
    expected = fit(Config(**{**vars(run.config), "steps": run.step or 1}), run.edits)
    arrays = weights.of_run(engine, run, None)
    if run.step:
        assert_array_equal(arrays["w1"], expected.w1)
        assert_array_equal(arrays["w2"], expected.w2)
    return arrays


@pytest.mark.parametrize("method", ["tutorial", "gram"])
def test_directly_after_the_end(engine, method):
    for seed in range(5):
        run = engine.submit(Config(steps=3, method=method, seed=seed))
        assert run.wait(600)
        check(engine, run)


def test_of_a_state_that_is_too_large_to_be_kept(small, finished):
    assert methods.state_bytes(LARGE) > small.settings.memory_mb * MB / CHECKPOINTS_SHARE
    run = finished(small, LARGE)
    for _ in range(2):
        check(small, run)
    assert small.checkpoint(run) is None


def test_of_a_checkpoint_that_is_gone(engine, finished):
    run = finished(engine, Config(**TINY, steps=30))
    assert run.wait_until_settled(600)
    engine._checkpoints.clear()
    check(engine, run)


def test_of_a_store_that_is_full(small, finished):
    states = [Config(N=2, D_in=800, H=700, D_out=1, steps=2, method="fused", seed=seed) for seed in range(8)]
    runs = [finished(small, config) for config in states]
    assert small.checkpoint(runs[0]) is None
    for run in runs:
        check(small, run)


def test_of_a_paused_a_stopped_and_a_changed_run(engine, wait_until):
    run = engine.submit(Config(**TINY, steps=900), pause_at=7)
    assert run.wait(600)
    check(engine, run)
    engine.resume(run, more=5, learning_rate=1e-4)
    assert run.wait(600)
    engine._checkpoints.clear()
    assert run.step == 12
    check(engine, run)
    run = engine.submit(Config(**TINY, steps=5_000_000))
    wait_until(lambda: run.step > 0)
    engine.stop(run)
    check(engine, run)


def test_of_a_diverged_run(engine, finished):
    run = finished(engine, Config(**TINY | {"learning_rate": 10.0}, steps=30))
    assert run.state == "diverged"
    check(engine, run)
    engine._checkpoints.clear()
    check(engine, run)


def test_of_a_run_that_has_not_taken_a_step_they_are_the_initial_ones(engine):
    run = engine.submit(Config(**TINY, steps=900), pause_at=0)
    assert run.wait(600)
    assert run.step == 0
    first = fit(Config(**TINY | {"steps": 1, "learning_rate": 1e-30}))
    assert_array_equal(check(engine, run)["w1"], first.w1)


def test_of_a_run_that_took_all_the_time_there_is(new_engine, wait_until):
    engine = new_engine(max_seconds=1)
    run = engine.submit(Config(**TINY, steps=5_000_000))
    wait_until(lambda: run.over)
    assert run.state == "stopped"
    engine._checkpoints.clear()
    check(engine, run)


def test_they_are_waited_for_as_long_as_a_repetition_may_take():
    """At most 120 s for a worker, and twice the limit of a run for its steps."""
    waited: list[float] = []
    task = SimpleNamespace(state="finished", wait_until_settled=lambda seconds: not waited.append(seconds))
    weights._wait(SimpleNamespace(settings=SimpleNamespace(max_seconds=600)), task)
    assert waited == [120 + 2 * 600]
