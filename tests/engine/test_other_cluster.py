"""A scheduler that was there before, and one that cannot be used."""

import socket

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
