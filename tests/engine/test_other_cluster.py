"""A scheduler that was there before, and one that cannot be used."""

import socket
from dataclasses import replace

import pytest
from numpy.testing import assert_array_equal

import twolayer.engine.connection
from tests.engine.conftest import TINY, cluster_elsewhere
from twolayer import Config, fit
from twolayer.training import capabilities


@pytest.fixture(scope="module")
def address():
    """The address of a scheduler that somebody else started."""
    with cluster_elsewhere() as (address, _):
        yield address


def test_runs_go_to_the_cluster_of_the_settings_and_leave_it_running(new_engine, finished, address):
    config = Config(**TINY, steps=2000)
    for _ in range(2):
        engine = new_engine(scheduler=address)
        run = finished(engine, config)
        assert run.state == "finished"
        assert_array_equal(run.losses, fit(config).losses)
        assert engine._connection.cluster is None
        engine.close()


@pytest.fixture
def taking_turns(monkeypatch):
    """The address of a scheduler that was started as `docs/server.md` says."""
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION", "inf")
    with cluster_elsewhere() as (address, _):
        yield address


def test_two_dashboards_on_one_scheduler_share_its_workers(new_engine, wait_until, taking_turns):
    address = taking_turns
    first, second = new_engine(scheduler=address), new_engine(scheduler=address)
    long = Config(**TINY, steps=5_000_000)
    many = [first.submit(replace(long, seed=seed), "many") for seed in range(5)]
    wait_until(lambda: all(run.step for run in many))
    one = second.submit(replace(long, seed=9), "one")
    short = second.submit(Config(steps=100), "short")
    wait_until(lambda: short.over and one.step > 0)
    assert_array_equal(short.losses, fit(short.config).losses)
    before = one.step, [run.step for run in many]
    wait_until(
        lambda: one.step > before[0] and all(run.step > b for run, b in zip(many, before[1], strict=True))
    )
    for engine in (first, second):
        engine.close()


KEYS = "from twolayer.engine.worker import new_key; print(*(new_key('advance-0') for _ in range(3)))"


def test_tasks_of_two_dashboards_never_have_the_same_key(python):
    keys = [key for _ in range(2) for key in python("-c", KEYS).stdout.split()]
    assert len(set(keys)) == 6
    assert all(key.startswith("advance-0-") for key in keys), "Dask groups tasks by the beginning of the key"


def test_a_cluster_with_other_code_is_refused_in_words(
    new_engine, finished, address, monkeypatch, wait_until
):
    monkeypatch.setattr(capabilities, "code_digest", lambda: "another")
    engine = new_engine(scheduler=address, ready=False)
    wait_until(lambda: engine.trouble is not None)
    run = finished(engine, Config(**TINY))
    assert run.state == "failed"
    for message in (run.message, engine.trouble):
        assert "a different version" in str(message)
        assert address in str(message)
    assert run.step == 0
    engine.close()


def test_a_cluster_that_is_not_there_is_said_in_words(new_engine, finished, monkeypatch):
    patient = twolayer.engine.connection.Client
    monkeypatch.setattr(
        twolayer.engine.connection, "Client", lambda *a, **k: patient(*a, **{**k, "timeout": 1})
    )
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        engine = new_engine(scheduler=f"tcp://127.0.0.1:{nobody.getsockname()[1]}", ready=False)
        run = finished(engine, Config(**TINY))
        assert run.state == "failed"
        assert "Cannot reach" in str(run.message)
        assert "Cannot reach" in str(engine.trouble)
        engine.close()
