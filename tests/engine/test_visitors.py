"""A run ends some time after its last visitor has gone."""

from types import SimpleNamespace

import pytest

import twolayer.engine.visitors
from tests.engine.conftest import TINY
from twolayer import Config
from twolayer.engine.visitors import GRACE_SECONDS, Visitors
from twolayer.training import methods

LONG = Config(**TINY, steps=1_500_000)


class Timers:
    """The timers of an event loop, whose time comes when a test says so."""

    def __init__(self) -> None:
        self.running: list[SimpleNamespace] = []

    def call_later(self, seconds: float, function, *values) -> SimpleNamespace:
        timer = SimpleNamespace(seconds=seconds, fire=lambda: function(*values))
        timer.cancel = lambda: self.running.remove(timer)
        self.running.append(timer)
        return timer


def test_only_who_was_there_leaves_and_only_who_does_not_come_back_is_gone():
    timers, gone = Timers(), []
    visitors = Visitors(timers, lambda visitor, why: gone.append((visitor, str(why))))
    visitors.leave("stranger")
    assert not timers.running
    visitors.add("a")
    visitors.arrive("b")
    for visitor in ("a", "b", "b"):
        visitors.leave(visitor)
    assert [timer.seconds for timer in timers.running] == [GRACE_SECONDS] * 2
    visitors.add("b")  # a run that is submitted meanwhile brings nobody back
    assert len(timers.running) == 2
    visitors.arrive("a")
    (timer,) = timers.running
    timer.fire()
    timers.running.clear()
    assert [visitor for visitor, _ in gone] == ["b"]
    assert "for more than 30 s" in gone[0][1]
    visitors.leave("b")
    assert not timers.running
    visitors.leave("a")
    assert len(timers.running) == 1


@pytest.fixture
def grace(monkeypatch) -> None:
    monkeypatch.setattr(twolayer.engine.visitors, "GRACE_SECONDS", 0.3)


@pytest.mark.usefixtures("grace")
def test_the_runs_of_a_visitor_who_left_stop_and_others_go_on(engine, wait_until):
    engine.arrived("a")
    gone, other, nobodys = (engine.submit(LONG, visitor) for visitor in ("a", "b", None))
    wait_until(lambda: gone.step and other.step and nobodys.step)
    engine.left("a")
    wait_until(lambda: gone.over)
    step = other.step
    wait_until(lambda: other.step > step)
    assert (gone.state, other.state, nobodys.state) == ("stopped", "running", "running")
    assert gone.step > 0
    assert "closed or inactive" in str(gone.message)
    for run in (other, nobodys):
        engine.stop(run)
    wait_until(lambda: all(run.name not in engine.live for run in (gone, other, nobodys)))


@pytest.mark.usefixtures("grace")
def test_a_visitor_who_comes_back_in_time_keeps_the_run(engine, wait_until):
    engine.arrived("back")
    engine.arrived("gone")
    kept, stopped = engine.submit(LONG, "back"), engine.submit(LONG, "gone")
    engine.left("back")
    engine.left("gone")  # later than the other: when this one's time is up, the other's is too
    engine.arrived("back")
    wait_until(lambda: stopped.over)
    step = kept.step
    wait_until(lambda: kept.step > step)
    assert kept.state == "running"
    engine.left("back")
    wait_until(lambda: kept.over)
    assert kept.state == "stopped"


@pytest.mark.usefixtures("grace")
def test_both_runs_of_a_visitor_stop_even_one_that_waits_for_memory(new_engine, wait_until):
    wide = {"N": 1, "D_in": 100_000, "H": 20, "D_out": 1, "dtype": "float64", "learning_rate": 1e-12}
    engine = new_engine(memory_mb=methods.run_bytes(Config(**wide)) * 3 // 2 >> 20)
    runs = [engine.submit(Config(**wide, steps=5000, seed=seed), "a") for seed in range(2)]
    wait_until(lambda: runs[0].state == "running")
    engine.left("a")
    wait_until(lambda: all(run.over for run in runs))
    after = engine.submit(Config(**wide, steps=3))
    wait_until(lambda: after.over)
    assert after.state == "finished"
    engine.close()


def test_the_tabs_of_a_browser_take_one_share(engine):
    browser, tabs = "a" * 32, ("b" * 32, "c" * 32)
    runs = [engine.submit(Config(**TINY, steps=1), f"{browser}{tab}") for tab in tabs]
    assert {run.owner for run in runs} == {browser}
    assert engine.submit(Config(**TINY, steps=1), "b" * 64).owner != browser
