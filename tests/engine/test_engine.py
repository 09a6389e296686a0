"""What pages do with an engine, without a cluster: each task is computed in this process."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from numpy.testing import assert_array_equal

from tests.engine.conftest import TINY, settings
from tests.engine.inline import Client
from twolayer import Config, ConfigError, fit
from twolayer.engine import engine as engine_module
from twolayer.engine import limits
from twolayer.engine.connection import Connection
from twolayer.engine.engine import CHECKPOINTS_SHARE, Engine, LimitError
from twolayer.engine.settings import MB
from twolayer.engine.task import Task
from twolayer.training import capabilities, methods
from twolayer.training.edits import Edit
from twolayer.training.messages import Message, MessageError

CONFIG = Config(**TINY, steps=300)
LARGE = Config(N=2, D_in=1500, H=700, D_out=1, steps=2, learning_rate=1e-9, method="fused")
"""Its state takes 4.2 MB."""


@pytest.fixture
def engine(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine of 64 MB that needs no cluster."""

    async def no_cluster(_connection: Connection) -> None:
        pass

    async def connected(_connection: Connection) -> Client:
        return client

    monkeypatch.setattr(Connection, "warm", no_cluster)
    monkeypatch.setattr(Connection, "client", connected)
    one = Engine(settings(memory_mb=64))
    one._connection.capabilities = capabilities.probe()
    yield one
    one.close()


def settled(task: Task) -> Task:
    """A run or job of which nothing more is computed."""
    assert task.wait_until_settled(30)
    return task


def on_the_loop(engine: Engine) -> None:
    """Wait until what was asked of the engine's thread before is done."""
    done = threading.Event()
    engine._loop.soon(done.set)
    assert done.wait(30)


class Gate:
    """A function for a job whose tasks do not come to an end before a test says so."""

    def __init__(self) -> None:
        self.inside, self.open = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.inside.set()
        assert self.open.wait(30)


def test_a_run_is_paused_continued_and_complete(engine):
    run = settled(engine.submit(CONFIG, pause_at=1))
    assert (run.state, run.step, engine.checkpoint(run).step) == ("paused", 1, 1)
    assert run.name not in engine.live
    engine.resume(run, more=7)
    assert (settled(run).state, run.step) == ("paused", 8)
    engine.resume(run, more=len(run.losses) * 10**6)
    assert (settled(run).state, run.step) == ("finished", 300)
    assert_array_equal(run.losses, fit(CONFIG).losses)
    engine.resume(run)
    assert (run.state, run.live) == ("finished", False), "it is complete"


def test_a_run_that_is_paused_before_it_begins_takes_no_step(engine):
    gate = Gate()
    engine.map(gate, [()])
    assert gate.inside.wait(30)
    run = engine.submit(CONFIG)
    engine.pause(run)
    gate.open.set()
    assert (settled(run).state, run.step) == ("paused", 0)


def test_a_run_has_another_total_and_rate_from_where_it_is(engine):
    run = settled(engine.submit(CONFIG, pause_at=100))
    engine.resume(run, more=50, steps=400, learning_rate=5e-4)
    assert settled(run).edits == (Edit(100, "steps", 400), Edit(100, "learning_rate", 5e-4))
    assert run.step == 150
    engine.resume(run)
    assert (settled(run).step, run.state) == (400, "finished")
    assert_array_equal(run.losses, fit(CONFIG, run.edits).losses)
    engine.resume(run, steps=420)
    assert settled(run).step == 420


def test_what_is_not_allowed_leaves_a_run_as_it_is(engine):
    run = settled(engine.submit(CONFIG, pause_at=100))
    engine.settings = replace(engine.settings, memory_mb=30)
    for changes, error in (({"learning_rate": -1.0}, ConfigError), ({"steps": 5_000_000}, LimitError)):
        with pytest.raises(error):
            engine.resume(run, **changes)
        assert (run.state, run.edits, run.step) == ("paused", (), 100)
    diverged = settled(engine.submit(replace(CONFIG, learning_rate=10.0)))
    engine.resume(diverged, more=1)
    assert diverged.state == "diverged"


def test_an_edited_run_and_one_in_slow_motion_are_as_asked_for(engine):
    edits = (Edit(100, "learning_rate", 5e-4),)
    run = settled(engine.submit(CONFIG, edits=edits))
    assert_array_equal(run.losses, fit(CONFIG, edits).losses)
    slow = settled(engine.submit(replace(CONFIG, steps=7), speed=10.0))
    assert [slow.speed, slow.step] == [10.0, 7]


def test_no_two_runs_or_jobs_have_a_name(engine):
    tasks = [engine.submit(CONFIG), engine.map(abs, [(1,)]), engine.submit(CONFIG), engine.map(abs, [(1,)])]
    assert len({settled(task).name for task in tasks}) == 4


def test_the_checkpoints_take_an_eighth_of_the_memory_and_the_oldest_goes_first(engine):
    assert 1 < 8 * MB / methods.state_bytes(LARGE) < 2
    assert engine.settings.memory_mb * MB // CHECKPOINTS_SHARE == 8 * MB
    first = settled(engine.submit(LARGE))
    assert engine.checkpoint(first).step == 2
    second = settled(engine.submit(LARGE))
    assert engine.checkpoint(first) is None
    assert engine.checkpoint(second).step == 2
    small = [settled(engine.submit(replace(CONFIG, seed=seed))) for seed in range(20)]
    assert all(engine.checkpoint(run) for run in [second, *small])


@pytest.mark.parametrize(("room", "kept"), [(0, True), (-1, False)])
def test_a_state_that_would_not_be_kept_is_not_fetched(engine, room, kept):
    engine._checkpoints.n = methods.state_bytes(CONFIG) + room
    run = settled(engine.submit(CONFIG))
    assert (engine.checkpoint(run) is not None) == kept
    assert run.state == "finished"


def test_a_run_that_keeps_its_state_has_it_and_may_take_twice_as_long(engine, client):
    client.step_seconds = 1.0
    config = replace(CONFIG, steps=1300)

    def edits(seconds: int) -> tuple[Edit, ...]:
        """A change after so many seconds, where a chunk ends and the time is looked at."""
        return (Edit(seconds, "learning_rate", 1e-4),)

    for seconds, state in ((600, "finished"), (601, "stopped")):
        run = settled(engine.submit(replace(config, steps=700), edits=edits(seconds)))
        assert (run.state, run.last_state) == (state, None)
    for seconds, state in ((1200, "finished"), (1201, "stopped")):
        again = settled(engine.submit(config, edits=edits(seconds), keep_state=True))
        assert again.state == state
        assert again.last_state.step == again.step
        assert engine.checkpoint(again) is None


def test_a_forgotten_run_is_stopped_and_its_checkpoint_dropped(engine):
    run = settled(engine.submit(CONFIG, pause_at=10))
    assert engine.checkpoint(run)
    engine.forget(run)
    on_the_loop(engine)
    assert (run.state, engine.checkpoint(run)) == ("stopped", None)


def test_a_config_that_the_workers_cannot_compute_is_refused(engine):
    here = engine._connection.capabilities
    lacking = Config(backend="torch", device="cuda:99")
    engine._connection.capabilities = replace(here, complete=True)
    with pytest.raises(ConfigError):
        engine.submit(lacking)
    engine._connection.capabilities = replace(here, complete=False)
    run = engine.submit(lacking)  # it may turn out that they can
    assert run.live
    engine.stop(run)
    assert settled(run).state == "stopped"
    assert not engine.live


def test_a_limit_is_held_before_anything_is_computed(engine, client):
    for refused in (
        lambda: engine.submit(Config(N=20_000, D_in=20_000)),
        lambda: engine.map(abs, [(1,)], memory_bytes=65 * MB),
    ):
        with pytest.raises(LimitError, match="64 MB"):
            refused()
    assert not engine.live
    assert not client.tasks


def test_what_waits_says_for_what(engine):
    gate = Gate()
    first = engine.map(gate, [()], "a", memory_bytes=40 * MB)
    assert gate.inside.wait(30)
    assert engine.wait_of(first) is None
    second = engine.map(abs, [(1,)], "b", memory_bytes=40 * MB)
    engine._connection.capabilities, known = None, engine.capabilities
    assert engine.wait_of(second).reason == "cluster"
    engine._connection.capabilities = known
    gate.open.set()
    assert settled(second).state == "finished"
    assert engine.wait_of(second) is None


def test_the_runs_and_jobs_of_a_visitor_who_has_gone_are_stopped_and_no_others(engine):
    gate = Gate()
    blocking = engine.map(gate, [()], "other")
    assert gate.inside.wait(30)
    theirs = [engine.submit(CONFIG, "gone"), engine.map(abs, [(1,)], "gone")]
    others = [engine.submit(CONFIG, "here"), engine.submit(CONFIG)]
    engine._loop.soon(engine._stop_all_of, "gone", Message.of("gone for good"))
    gate.open.set()
    assert [(settled(task).state, str(task.message)) for task in theirs] == [("stopped", "gone for good")] * 2
    assert {settled(task).state for task in [blocking, *others]} == {"finished"}


def test_who_leaves_loses_what_was_submitted_and_who_comes_back_does_not(engine, monkeypatch):
    monkeypatch.setattr("twolayer.engine.visitors.GRACE_SECONDS", 0.0)
    slow = [engine.submit(replace(CONFIG, steps=10**4), visitor, speed=1e-3) for visitor in ("a", "b", None)]
    engine._loop.soon(lambda: (engine.left("b"), engine.arrived("b")))  # both before any timer
    engine.left("a")
    assert settled(slow[0]).state == "stopped"
    assert "closed or inactive" in str(slow[0].message)
    on_the_loop(engine)
    assert [run.live for run in slow[1:]] == [True, True]


def test_each_run_or_job_that_is_over_is_one_line_in_the_log(engine, caplog):
    caplog.set_level("INFO", logger=engine_module.__name__)
    run, job = engine.submit(CONFIG, pause_at=5), engine.map(abs, [(1,)], "somebody")
    settled(run)
    settled(job)
    on_the_loop(engine)
    lines = [record.msg for record in caplog.records if record.thread == engine._loop._thread.ident]
    assert lines == ["job"], "a paused run is not over"
    engine.stop(run)
    on_the_loop(engine)
    assert run.state == "stopped"


def test_a_job_is_watched_for_as_long_as_a_run_may_take(engine, client):
    job = engine.map(divmod, [(7, 2), (9, 4)])
    assert sorted(settled(job).results()) == [(0, (3, 1)), (1, (2, 1))]
    assert job.state == "finished"
    watched = [task.values[2] for task in client.tasks if task.name == "job"]
    assert [function.args for function in watched] == [(600, divmod)] * 2


def fails() -> None:
    raise MessageError(Message.of("not this"))


def test_a_job_that_fails_does_not_finish(engine):
    job = settled(engine.map(fails, [()]))
    assert (job.state, str(job.message)) == ("failed", "not this")


def test_a_run_is_granted_what_it_is_estimated_to_take_and_an_idle_one_is_in_slow_motion(engine, monkeypatch):
    leases = []
    held = engine._memory.held
    monkeypatch.setattr(engine._memory, "held", lambda lease: leases.append(lease) or held(lease))
    run = settled(engine.submit(replace(CONFIG, steps=3), "a" * 40, speed=10.0))
    settled(engine.map(abs, [(1,)], memory_bytes=123))
    settled(engine.map(abs, [(1,)]))
    slow, job, smallest = leases
    assert (slow.visitor, slow.size, slow.is_idle()) == ("a" * 32, limits.engine_bytes(run.config), True)
    run.speed = None
    assert not slow.is_idle()
    assert (job.size, job.is_idle(), smallest.size) == (123, False, 0)
    assert engine._memory.free == 56 * MB  # but for the eighth that is for small ones
