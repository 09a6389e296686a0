"""How many runs and jobs a visitor, and a server, may have at work."""

import pytest
from numpy.testing import assert_array_equal

from tests.engine.conftest import TINY
from tests.engine.test_jobs import square
from twolayer import Config, fit
from twolayer.engine.engine import LimitError

LONG = Config(**TINY, steps=1_500_000)


@pytest.fixture(scope="module")
def narrow(new_engine):
    """An engine that allows three live runs and jobs, two of them of one visitor."""
    return new_engine(live_per_visitor=2, live=3)


@pytest.fixture
def busy(narrow):
    """That engine with two runs of one visitor, which end with the test."""
    runs = [narrow.submit(LONG, "a") for _ in range(2)]
    yield narrow, runs
    for run in list(narrow.live.values()):
        narrow.stop(run)


def test_one_run_too_many_of_a_visitor_is_refused_and_nobody_else_notices(busy, wait_until):
    engine, runs = busy
    for one_more in (lambda: engine.submit(LONG, "a"), lambda: engine.map(square, [(1,)], "a")):
        with pytest.raises(LimitError, match=r"2 active runs.*Stop one"):
            one_more()
    wait_until(lambda: all(run.step > 0 for run in runs))
    config = Config(**TINY, steps=200)
    other = engine.submit(config, "b")
    assert other.wait(600)
    assert_array_equal(other.losses, fit(config).losses)


def test_one_run_too_many_on_the_server_is_refused_for_everybody(busy):
    engine, _ = busy
    engine.submit(LONG, "b")
    for visitor in ("b", "c", None):
        with pytest.raises(LimitError, match=r"3 active runs.*again in a moment"):
            engine.submit(LONG, visitor)


def test_a_run_that_was_stopped_makes_room_at_once(busy):
    engine, runs = busy
    engine.stop(runs[0])
    replaced = engine.submit(LONG, "a")
    assert replaced.live


def test_a_paused_run_takes_no_place_and_its_continuation_does(busy, wait_until):
    engine, runs = busy
    engine.pause(runs[0])
    wait_until(lambda: runs[0].state == "paused")
    third = engine.submit(LONG, "a")
    with pytest.raises(LimitError):
        engine.resume(runs[0])
    assert runs[0].state == "paused"
    engine.stop(third)
    engine.resume(runs[0])
    wait_until(lambda: runs[0].state == "running")


def test_jobs_take_places_too(narrow):
    jobs = [narrow.map(square, [(n, 0.2) for n in range(20)], "a") for _ in range(2)]
    with pytest.raises(LimitError):
        narrow.submit(Config(**TINY), "a")
    for job in jobs:
        narrow.stop(job)
    assert narrow.submit(Config(**TINY, steps=3), "a").wait(600)
