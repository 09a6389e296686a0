"""Runs on a real cluster: the same losses as `fit`, streamed, stopped, limited, queued."""

import gc
import time
import weakref

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import twolayer.engine.run_loop
from tests.conftest import BACKENDS
from tests.engine.conftest import TINY, cluster_of, settings, tasks_on_scheduler, workers_of
from twolayer import Config, ConfigError, fit
from twolayer.engine.connection import Connection
from twolayer.engine.engine import Engine, LimitError
from twolayer.training import kernels, methods, pace
from twolayer.training.laps import LAPS_PER_CHUNK

LONG = Config(**TINY, steps=3_000_000)
WIDE = {"N": 1, "D_in": 100_000, "H": 20, "D_out": 1, "dtype": "float64", "learning_rate": 1e-12}
"""A run of some 100 MB."""


def test_losses_are_those_of_fit_to_the_bit(engine, finished, kernel, dtype):
    config = Config(**kernel, dtype=dtype, N=13, D_in=50, H=11, D_out=2, learning_rate=1e-4, steps=2000)
    run, expected = finished(engine, config), fit(config)
    assert (run.state, run.message) == ("finished", None)
    assert_array_equal(run.losses, expected.losses)
    assert run.losses.dtype == np.float64
    assert run.laps[-1, 0] == config.steps
    assert run.seconds > 0


def test_the_default_run_ends_with_the_losses_of_fit(engine, finished):
    assert_array_equal(finished(engine, Config()).losses, fit(Config()).losses)


def test_a_default_run_is_at_most_six_tasks(engine, finished, monkeypatch):
    submit, names = twolayer.engine.run_loop.RunLoop._task, []

    def counted(loop, turn, name, *values):
        names.append(name)
        return submit(loop, turn, name, *values)

    monkeypatch.setattr(twolayer.engine.run_loop.RunLoop, "_task", counted)
    assert finished(engine, Config()).state == "finished"
    assert names.count("problem") == 1
    assert len(names) <= 6


def test_a_run_of_several_threads_ends_with_the_losses_of_fit(engine, finished, backend):
    if backend == "numba":
        pytest.skip("its Config refuses more than one thread")
    config = Config(backend=backend, threads=min(2, engine.capabilities.machine.cores), steps=50)
    assert_array_equal(finished(engine, config).losses, fit(config).losses)


@pytest.mark.parametrize(
    ("backend", "threads"),
    [(backend, threads) for backend in BACKENDS for threads in (1, 2) if (backend, threads) != ("numba", 2)],
)
def test_a_run_computes_in_as_many_threads_as_it_asked_for(engine, wait_until, backend, threads):
    if threads > engine.capabilities.machine.cores:
        pytest.skip("one core")
    loaded = engine.map(kernels.load_all, [()])  # a new worker does so by itself, in another thread
    wait_until(lambda: loaded.over)
    (worker,) = workers_of(cluster_of(engine))

    def seconds() -> dict[int, float]:
        threads = [thread for thread in worker.threads() if thread.id != worker.pid]  # that is its event loop
        return {thread.id: thread.user_time + thread.system_time for thread in threads}

    def since(before: dict[int, float]) -> list[float]:
        return [now - before.get(thread, 0) for thread, now in seconds().items()]

    large = {"N": 512, "D_in": 1024, "H": 512, "D_out": 64, "learning_rate": 1e-9, "steps": 1_000_000}
    run = engine.submit(Config(backend=backend, threads=threads, **large))
    wait_until(lambda: run.step > 0)
    before = seconds()
    wait_until(lambda: sum(since(before)) > 0.8)
    engine.stop(run)
    used = since(before)
    assert sum(one > sum(used) / 8 for one in used) == threads
    wait_until(lambda: run.name not in engine.live)


def test_losses_are_seen_before_the_end_and_stop_keeps_them(engine, wait_until):
    run = engine.submit(LONG)
    wait_until(lambda: run.step > 1000)
    early, kept = run.losses, run.losses.copy()
    assert run.state == "running"
    wait_until(lambda: run.step > len(early))
    assert_array_equal(early, kept)
    engine.stop(run)
    assert (run.state, run.over, run.message) == ("stopped", True, None)
    step = run.step
    wait_until(lambda: run.name not in engine.live)
    wait_until(lambda: tasks_on_scheduler(engine) == 0)
    assert run.step == step < LONG.steps
    assert_array_equal(run.losses[:2000], fit(Config(**TINY, steps=step)).losses[:2000])


def test_a_finished_run_leaves_nothing_behind(engine, finished, wait_until):
    run = finished(engine, Config(**TINY, steps=3000))
    engine.stop(run)
    assert run.state == "finished"
    wait_until(lambda: tasks_on_scheduler(engine) == 0)
    wait_until(lambda: run.name not in engine.live and run.name not in engine._loop.tasks)


def test_a_run_stopped_before_it_began_leaves_nothing_behind(engine, wait_until):
    runs = [engine.submit(Config(**TINY, seed=seed)) for seed in range(20)]
    for run in runs:
        engine.stop(run)
    assert {run.state for run in runs} == {"stopped"}
    names = {run.name for run in runs}
    wait_until(lambda: not names & (engine.live.keys() | engine._loop.tasks.keys()))


def test_many_runs_at_once_all_end_with_their_own_losses(engine, wait_until):
    configs = [Config(**TINY, steps=300 + 10 * seed, seed=seed) for seed in range(20)]
    runs = [engine.submit(config) for config in configs]
    wait_until(lambda: all(run.over for run in runs))
    for run, config in zip(runs, configs, strict=True):
        assert run.state == "finished"
        assert_array_equal(run.losses, fit(config).losses)


def test_a_diverged_run_ends_where_fit_does(engine, finished, kernel):
    config = Config(**kernel, N=13, D_in=5, H=11, D_out=2, seed=5, learning_rate=0.02)
    run, expected = finished(engine, config), fit(config)
    assert run.state == "diverged"
    assert run.diverged_at == expected.diverged_at is not None
    assert_array_equal(run.losses, expected.losses)


def test_the_scheduler_holds_few_tasks_however_long_a_run_is(engine, monkeypatch):
    monkeypatch.setattr(pace, "CHUNK_SECONDS", 0.01)
    monkeypatch.setattr(twolayer.engine.run_loop, "CHECKPOINT_SECONDS", 0.1)
    run, most = engine.submit(LONG), 0
    while len(run.laps) < 200 * LAPS_PER_CHUNK:
        most = max(most, tasks_on_scheduler(engine))
        assert not run.over, run.message
        time.sleep(0.02)
    engine.stop(run)
    assert 1 < most < 100  # of more than 400 tasks that there were


def test_data_that_take_longer_than_a_checkpoint_interval_do_not_end_a_run(engine, finished, monkeypatch):
    monkeypatch.setattr(twolayer.engine.run_loop, "CHECKPOINT_SECONDS", 0.001)
    config = Config(**WIDE, steps=10)
    run = finished(engine, config)
    assert (run.state, run.message) == ("finished", None)
    assert_array_equal(run.losses, fit(config).losses)


def test_a_device_that_the_workers_lack_is_refused(engine):
    live = set(engine.live)
    with pytest.raises(ConfigError) as caught:
        engine.submit(Config(backend="torch", device="cuda:99"))
    assert caught.value.field == "device"
    assert set(engine.live) == live


def test_a_device_is_refused_too_while_the_cluster_is_still_starting(new_engine, finished):
    engine = new_engine(ready=False, preload=True)
    run = finished(engine, Config(backend="torch", device="cuda:99"))
    assert run.state == "failed"
    assert str(run.message).startswith("device: invalid value 'cuda:99'")
    engine.close()


def test_more_memory_than_the_limit_is_refused_with_the_limit(engine):
    live = set(engine.live)
    with pytest.raises(LimitError, match="256 MB") as caught:
        engine.submit(Config(N=20_000, D_in=20_000))
    assert "smaller" in str(caught.value)
    assert set(engine.live) == live


def test_a_step_longer_than_a_run_may_take_is_refused_with_the_limit(monkeypatch):
    monkeypatch.setattr(Connection, "warm", lambda _: _nothing())
    engine = Engine(settings(max_seconds=7, memory_mb=10**7))
    with pytest.raises(LimitError, match="7 s"):
        engine.submit(Config(N=100_000, D_in=100_000, H=100_000))
    engine.close()


async def _nothing() -> None:
    pass


@pytest.fixture(scope="module")
def limited(new_engine):
    """An engine that allows 2 s, and the memory of one wide run but not of two."""
    return new_engine(max_seconds=2, memory_mb=methods.run_bytes(Config(**WIDE)) * 3 // 2 >> 20)


def test_a_run_past_the_time_limit_is_stopped_with_the_limit(limited, finished):
    run = finished(limited, Config(**TINY, steps=2_000_000))
    assert run.state == "stopped"
    assert " 2 s " in str(run.message)
    assert 2 < run.seconds < 20
    assert 0 < run.step < 2_000_000


def test_runs_that_do_not_fit_together_run_one_after_the_other(limited, wait_until):
    runs = [limited.submit(Config(**WIDE, steps=20, seed=seed)) for seed in range(3)]
    seen = set()

    def all_over() -> bool:
        seen.add(tuple(run.state for run in runs))
        return all(run.over for run in runs)

    wait_until(all_over)
    assert [run.state for run in runs] == ["finished"] * 3
    assert max(states.count("running") for states in seen) == 1
    assert ("running", "queued", "queued") in seen


def test_a_queued_run_that_is_stopped_leaves_the_queue_at_once(limited, wait_until):
    runs = [limited.submit(Config(**WIDE, steps=5000, seed=seed)) for seed in range(2)]
    wait_until(lambda: runs[0].state == "running")
    assert runs[1].state == "queued"
    limited.stop(runs[1])
    wait_until(lambda: runs[1].name not in limited.live)
    assert runs[0].state == "running"
    limited.stop(runs[0])
    wait_until(lambda: runs[0].name not in limited.live)


def test_stopping_a_running_and_a_queued_run_together_frees_their_memory(limited, wait_until, finished):
    runs = [limited.submit(Config(**WIDE, steps=5000, seed=seed)) for seed in range(2)]
    wait_until(lambda: runs[0].state == "running")
    cancel = limited._loop.cancel
    limited._loop.soon(lambda: [cancel(run.name) for run in runs])  # as when their visitor has gone
    wait_until(lambda: not {run.name for run in runs} & limited.live.keys())
    assert [run.state for run in runs] == ["stopped"] * 2
    assert finished(limited, Config(**WIDE, steps=3)).state == "finished"


def test_each_run_that_is_over_is_one_line_in_the_log(engine, finished, wait_until, caplog):
    caplog.set_level("INFO", logger="twolayer")
    run = finished(engine, Config(**TINY, steps=30), visitor="somebody")
    wait_until(lambda: run.name not in engine.live)  # after the line was written
    lines = [record for record in caplog.records if record.args and record.args["name"] == run.name]
    assert [(record.msg, record.args["state"], record.args["done"]) for record in lines] == [
        ("run", "finished", 30)
    ]
    assert "somebody" not in caplog.text


def test_a_run_that_is_stopped_while_its_result_is_fetched_stops_no_other(new_engine):
    engine = new_engine(workers=2)
    for number in range(60):
        seeds = range(4 * number, 4 * number + 4)
        for run in [engine.submit(Config(method="gram", steps=300, seed=seed)) for seed in seeds]:
            assert run.wait(600)
            assert run.state == "finished", f"round {number}"
            engine.forget(run)
    engine.close()


@pytest.mark.parametrize("end", ["finished", "stopped", "paused"])
def test_a_run_that_nobody_refers_to_is_gone_at_once_with_its_losses(engine, wait_until, end):
    """Without a garbage collection: in a web process that is rare, and a long run has 40 MB of losses."""
    run = engine.submit(Config(**TINY, steps=2000 if end == "finished" else 5_000_000))
    wait_until(lambda: run.step > 0)
    if end != "finished":
        (engine.stop if end == "stopped" else engine.pause)(run)
    assert run.wait(600)
    assert run.wait_until_settled(600)
    assert run.state == end
    wait_until(lambda: run.name not in engine.live)
    losses = weakref.ref(run._losses)
    gc.disable()
    try:
        engine.forget(run)
        run = None
        wait_until(lambda: losses() is None)
    finally:
        gc.enable()
