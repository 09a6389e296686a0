"""Pause, resume, step, slow motion, and changes on the way."""

import time

import pytest
from numpy.testing import assert_array_equal

import twolayer.engine.run_loop
from tests.engine.conftest import TINY, cluster_of, tasks_on_scheduler
from twolayer import Config, ConfigError, fit
from twolayer.training import methods, pace
from twolayer.training.edits import Edit

LONG = Config(**TINY, steps=120_000)


@pytest.fixture(scope="module")
def losses_of_long():
    """The losses of that run by `fit`."""
    return fit(LONG).losses


def test_a_paused_run_leaves_no_task_and_goes_on_to_the_losses_of_fit(engine, wait_until, losses_of_long):
    run = engine.submit(LONG)
    wait_until(lambda: run.step > 1000)
    engine.pause(run)
    wait_until(lambda: run.state == "paused")
    step = run.step
    assert 1000 < step < LONG.steps
    assert not run.over
    wait_until(lambda: tasks_on_scheduler(engine) == 0 and run.name not in engine.live)
    assert run.step == step
    engine.resume(run)
    wait_until(lambda: run.over)
    assert run.state == "finished"
    assert_array_equal(run.losses, losses_of_long)
    assert run.edits == ()


def test_steps_one_and_some_at_a_time(engine, wait_until):
    config = Config(**TINY, steps=50)
    run = engine.submit(config, pause_at=1)
    wait_until(lambda: run.state == "paused")
    assert run.step == 1
    engine.resume(run, more=7)
    wait_until(lambda: run.state == "paused")
    assert run.step == 8
    engine.resume(run, more=1000)
    wait_until(lambda: run.over)
    assert run.state == "finished"
    assert_array_equal(run.losses, fit(config).losses)


def test_slow_motion_takes_so_many_steps_a_second(engine, wait_until):
    run = engine.submit(Config(**TINY, steps=40), speed=40.0)
    wait_until(lambda: run.step > 0)
    begin, first = time.monotonic(), run.step
    wait_until(lambda: run.step >= 30)
    assert time.monotonic() - begin > 0.7 * (30 - first) / 40
    run.speed = None
    wait_until(lambda: run.over)
    assert_array_equal(run.losses, fit(run.config).losses)


def test_a_pause_in_slow_motion_comes_before_the_next_step(engine, wait_until):
    run = engine.submit(Config(**TINY, steps=40), speed=0.02)
    wait_until(lambda: run.step == 1)
    engine.pause(run)
    wait_until(lambda: run.state == "paused")
    assert run.step == 1
    engine.stop(run)


@pytest.mark.parametrize("kept", [True, False], ids=["from a checkpoint", "from the start"])
def test_a_run_continued_with_another_rate_and_more_steps_is_that_of_fit(engine, wait_until, kernel, kept):
    config = Config(**kernel, N=13, D_in=50, H=11, D_out=2, learning_rate=1e-4, steps=500)
    run = engine.submit(config, pause_at=200)
    wait_until(lambda: run.state == "paused")
    engine.resume(run, learning_rate=3e-5)
    wait_until(lambda: run.over and run.name not in engine._loop.tasks)
    if not kept:
        engine._checkpoints.discard(run.name)
    engine.resume(run, steps=900)
    wait_until(lambda: run.over)
    assert run.edits == (Edit(200, "learning_rate", 3e-5), Edit(500, "steps", 900))
    assert run.config == config
    expected = fit(config, run.edits)
    assert len(expected.losses) == 900
    assert_array_equal(run.losses, expected.losses)
    assert (expected.losses[:201] == fit(config).losses[:201]).all()
    assert (expected.losses[201:500] != fit(config).losses[201:]).any()


def test_the_method_that_auto_picked_stays_when_the_steps_change(engine, wait_until):
    config = Config(N=100, D_in=60, H=20, method="auto", steps=1, learning_rate=1e-5)
    assert methods.used(config) != methods.used(Config(N=100, D_in=60, H=20, method="auto", steps=500))
    run = engine.submit(config)
    wait_until(lambda: run.over)
    engine.resume(run, steps=500)
    wait_until(lambda: run.over)
    assert_array_equal(run.losses, fit(config, run.edits).losses)


def test_what_cannot_be_changed_is_refused_and_nothing_is_changed(engine, wait_until):
    run = engine.submit(Config(**TINY, steps=10))
    wait_until(lambda: run.over)
    for values in ({"steps": 5}, {"steps": 0}, {"learning_rate": float("nan")}, {"learning_rate": -1.0}):
        with pytest.raises(ConfigError):
            engine.resume(run, **values)
    engine.resume(run)
    engine.resume(run, learning_rate=1e-5)  # no step is left for it
    assert (run.state, run.edits, run.step) == ("finished", (), 10)


def test_a_stopped_run_can_be_continued(engine, wait_until, losses_of_long):
    run = engine.submit(LONG)
    wait_until(lambda: run.step > 1000)
    engine.stop(run)
    engine.resume(run)  # at once, while its coroutine is still ending
    wait_until(lambda: run.over)
    assert run.state == "finished"
    assert_array_equal(run.losses, losses_of_long)


def test_dead_units_are_counted_on_the_way(engine, wait_until, kernel):
    config = Config(**kernel, learning_rate=2e-6, steps=300, dtype="float64")
    run = engine.submit(config)
    wait_until(lambda: run.over)
    steps, dead = run.dead.T
    assert steps[-1] == 300
    assert (steps[1:] > steps[:-1]).all()
    result = fit(config)
    x, *_ = (problem_of(config).x,)
    assert dead[-1] == ((x @ result.w1 > 0).sum(axis=0) == 0).sum() > 0


def problem_of(config):
    from twolayer.training.problem import make_problem

    return make_problem(config)


def test_going_on_right_after_a_pause_or_an_end_never_stops_or_stalls(engine, wait_until):
    config = Config(**TINY, steps=200)
    run = engine.submit(config, pause_at=1)
    for step in range(2, 100):
        assert run.wait(600)
        assert (run.state, run.step) == ("paused", step - 1)
        engine.resume(run, more=1)  # while the coroutine of the step before may still be ending
    assert run.wait(600)
    engine.resume(run)
    wait_until(lambda: run.over)
    assert_array_equal(run.losses, fit(config).losses)


def test_a_finished_run_with_a_large_state_is_continued_at_once(engine, wait_until):
    config = Config(N=2, D_in=20_000, H=20, D_out=1, steps=20, learning_rate=1e-9, dtype="float64")
    run = engine.submit(config)
    assert run.wait(600)
    engine.resume(run, steps=40)  # while its last state is still on the way
    wait_until(lambda: run.state == "running" or run.over)
    wait_until(lambda: run.over)
    assert (run.state, run.step) == ("finished", 40)
    assert_array_equal(run.losses, fit(config, run.edits).losses)


def test_a_stopped_run_goes_on_from_its_last_checkpoint(engine, wait_until, monkeypatch):
    monkeypatch.setattr(twolayer.engine.run_loop, "CHECKPOINT_SECONDS", 0.2)
    monkeypatch.setattr(pace, "CHUNK_SECONDS", 0.01)  # a chain ends when its chunks have come
    run = engine.submit(Config(**TINY, steps=5_000_000))
    wait_until(lambda: run.seconds > 1)
    engine.stop(run)
    wait_until(lambda: run.name not in engine._loop.tasks)
    assert engine.checkpoint(run).step > 0
    engine.forget(run)
    wait_until(lambda: engine.checkpoint(run) is None)


def test_a_lost_connection_leaves_no_reader_in_the_lock(new_engine, wait_until):
    engine = new_engine()
    slow = engine.submit(Config(**TINY, steps=30), speed=5.0)
    wait_until(lambda: slow.step > 0)
    cluster_of(engine).kill()
    other = engine.submit(Config(**TINY, steps=100))
    wait_until(lambda: other.over)
    slow.speed = None
    wait_until(lambda: slow.over)
    assert (slow.state, other.state) == ("finished", "finished")
    assert_array_equal(slow.losses, fit(slow.config).losses)
    wait_until(lambda: not engine._shares._shared and not engine._shares._at_work)
    engine.close()


def test_the_left_time_counts_from_where_a_run_went_on(engine, wait_until):
    run = engine.submit(Config(**TINY, steps=300_000))
    wait_until(lambda: run.step > 1000)
    engine.pause(run)
    wait_until(lambda: run.state == "paused")
    step = run.step
    engine.resume(run)
    wait_until(lambda: run.state != "queued")
    assert run.began_step == step
    engine.stop(run)
