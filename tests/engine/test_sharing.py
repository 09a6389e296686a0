"""Visitors share a real cluster: nobody shuts others out, each turn comes, and what waits says for what."""

import asyncio
import itertools
import time
from dataclasses import replace
from typing import Any

import pytest
from numpy.testing import assert_array_equal

from tests.engine.conftest import TINY
from twolayer import Config, fit
from twolayer.engine import memory
from twolayer.engine.limits import engine_bytes
from twolayer.rates.grid import Axis, Grid, computed
from twolayer.rates.sweep import blocks, train
from twolayer.training import pace

WIDE = Config(N=1, D_in=25_000, H=20, D_out=1, dtype="float64", learning_rate=1e-12, steps=1_000_000)
"""A run of some 25 MB that never ends by itself."""
LONG = Config(steps=500_000)
SHORT = Config(steps=200)


def span(seconds=0.1):
    begin = time.time()
    time.sleep(seconds)
    return begin, time.time()


@pytest.fixture(scope="module")
def narrow(new_engine):
    """An engine with the memory of one wide run but not of two."""
    return new_engine(memory_mb=engine_bytes(WIDE) * 3 // 2 >> 20)


@pytest.fixture
def server(narrow, wait_until):
    """That engine, on which all is stopped at the end."""
    yield narrow
    for task in list(narrow.live.values()):
        narrow.stop(task)
    wait_until(lambda: not narrow.live)


def hostile_runs(engine, visitor):
    return [engine.submit(replace(WIDE, seed=seed), visitor) for seed in range(6)]


def hostile_slow_runs(engine, visitor):
    return [engine.submit(replace(WIDE, seed=seed), visitor, speed=0.01) for seed in range(6)]


def hostile_sweeps(engine, visitor):
    grid = Grid(computed(Config()), (Axis("learning_rate", tuple(1e-8 * 1.01**n for n in range(500))),))
    return [engine.map(train, blocks(grid), visitor, memory_bytes=engine_bytes(WIDE)) for _ in range(6)]


def hostile_races(engine, visitor):
    return [
        engine.map(span, [(0.3,)] * 1000, visitor, memory_bytes=engine_bytes(WIDE), manner="exclusive")
        for _ in range(6)
    ]


HOSTILE = [hostile_runs, hostile_slow_runs, hostile_sweeps, hostile_races]


@pytest.mark.parametrize("visitors", [1, 4])
@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.__name__)
def test_a_bystanders_run_begins_and_ends_while_others_wait_and_go_on(server, wait_until, hostile, visitors):
    tasks = [task for number in range(visitors) for task in hostile(server, f"hostile {number}")]
    wait_until(lambda: any(task.state == "running" for task in tasks))
    queued = [task for task in tasks if task.state == "queued"]
    assert queued
    run = server.submit(SHORT, "bystander")
    wait_until(lambda: run.over, timeout=60)
    assert run.state == "finished"
    assert_array_equal(run.losses, fit(SHORT).losses)
    assert all(task.live for task in tasks)


def test_a_large_runs_turn_comes_while_small_ones_keep_coming(server, wait_until, monkeypatch):
    monkeypatch.setattr(memory, "DUE_SECONDS", 1.0)
    small = Config(N=8, D_in=1000, H=400, steps=300)
    visitors = itertools.count()
    at_once = (server.settings.memory_mb << 20) // engine_bytes(small)
    assert 2 < at_once < 15
    runs = []

    def started(run=None):
        runs[:] = [run for run in runs if not run.over]
        while len(runs) < 2 * at_once:
            runs.append(server.submit(small, f"small {next(visitors)}"))
        return run is not None and run.step > 0

    started()
    wait_until(lambda: any(server.wait_of(run) and server.wait_of(run).reason == "memory" for run in runs))
    large = server.submit(WIDE, "large")
    assert not large.step
    wait_until(lambda: started(large), timeout=120)


def test_two_visitors_whose_runs_do_not_fit_together_take_turns(server, wait_until, monkeypatch):
    monkeypatch.setattr(memory, "MOST_TENURE_SECONDS", 0.3)
    monkeypatch.setattr(memory, "DUE_SECONDS", 1.0)
    runs = [server.submit(replace(WIDE, seed=seed), visitor) for seed, visitor in enumerate("ab")]
    for _ in range(2):
        for run in runs:
            step = run.step
            wait_until(lambda run=run, step=step: run.step > step)
    for run in runs:
        server.stop(run)
    for run in runs:
        step = run.step
        assert_array_equal(run.losses[:step], fit(replace(run.config, steps=step)).losses)


def test_a_run_in_slow_motion_gives_its_memory_back_and_goes_on_from_its_checkpoint(server, wait_until):
    slow = server.submit(replace(WIDE, seed=1), "slow", speed=0.5)
    wait_until(lambda: slow.step > 0)
    step = slow.step
    other = server.submit(replace(WIDE, steps=20), "other")
    wait_until(lambda: other.over)
    assert other.state == "finished"
    assert slow.live
    wait_until(lambda: slow.step > step)
    assert_array_equal(slow.losses[: step + 1], fit(replace(slow.config, steps=step + 1)).losses)


def test_six_runs_of_a_visitor_get_as_much_as_one_of_another(server, wait_until):
    many = [server.submit(replace(LONG, seed=seed), "many") for seed in range(5)]
    one = server.submit(replace(LONG, seed=9), "one")
    wait_until(lambda: one.step and all(run.step for run in many))

    def seconds():
        return sum(run.seconds for run in many), one.seconds

    before = seconds()
    wait_until(lambda: sum(seconds()) > sum(before) + 4)
    theirs, its = (after - start for after, start in zip(seconds(), before, strict=True))
    assert 0.5 < its / theirs < 2.0


def test_what_waits_says_for_what_with_its_place_and_an_estimate(server, wait_until):
    first = server.submit(WIDE, "a")
    wait_until(lambda: first.step > 0)
    assert server.wait_of(first) is None
    waiting = [server.submit(replace(WIDE, seed=seed), "a") for seed in (1, 2)]
    wait_until(lambda: all(server.wait_of(run).reason == "memory" for run in waiting))
    waits = [server.wait_of(run) for run in waiting]
    assert [wait.ahead for wait in waits] == [0, 1]
    assert 0 < waits[0].seconds <= waits[1].seconds < 90
    assert f"{waits[0].needed_mb} MB" in str(waits[0].message)
    assert "Ahead in the queue: 1" in str(waits[1].message)
    assert 0 < waits[0].free_mb < waits[0].needed_mb
    server.stop(first)
    wait_until(lambda: waiting[0].step > 0)
    assert server.wait_of(waiting[0]) is None


def test_what_waits_for_a_race_says_so(server, wait_until):
    race = server.map(span, [(3.0,)] * 3, "racer", manner="exclusive")
    wait_until(lambda: race.state == "running")
    run = server.submit(SHORT, "other")
    wait_until(lambda: run.over or (server.wait_of(run) and server.wait_of(run).reason == "race"))
    assert not run.over
    assert "race" in str(server.wait_of(run).message)


def test_a_run_that_is_live_for_too_long_is_stopped_with_the_limit(new_engine, wait_until):
    engine = new_engine(max_wall_seconds=2)
    run = engine.submit(LONG, speed=1.0)
    wait_until(lambda: run.over)
    assert run.state == "stopped"
    assert "2 s from start to end" in str(run.message)
    assert run.step > 0
    engine.close()


def test_an_embedded_cluster_that_has_lost_its_workers_is_rebuilt(new_engine, finished, wait_until):
    engine = new_engine()
    before = engine._connection.cluster

    async def end_workers() -> dict[str, Any]:
        client = await engine._connection.client()
        info = await client.scheduler.identity(n_workers=-1)
        return await client.retire_workers(list(info["workers"]), close_workers=True)

    # Dask does not end a worker that has the only copy of a result, as that of a probe until it is fetched
    wait_until(lambda: asyncio.run_coroutine_threadsafe(end_workers(), engine._loop.loop).result(30))
    assert finished(engine, Config(**TINY, steps=300)).state == "finished"
    assert engine._connection.cluster is not before
    engine.close()


def test_a_run_is_estimated_with_its_losses_once():
    longer, shorter = (engine_bytes(replace(LONG, steps=steps)) for steps in (5_000_000, 1))
    assert longer - shorter == 8 * 4_999_999
    assert pace.preparing_seconds(LONG) > 0
