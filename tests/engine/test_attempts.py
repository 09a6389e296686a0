"""Attempts at a run or job: how often it is tried again, and for how long, when the cluster is lost."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from distributed import KilledWorker

from twolayer.engine import recovery
from twolayer.engine.connection import UnreachableError
from twolayer.engine.job import Job
from twolayer.engine.memory import Lease
from twolayer.engine.recovery import complete, complete_with_memory
from twolayer.training.messages import Message, MessageError

MINUTE = 60.0
"""So long a run that had begun waits, as docs/server.md says."""


def run(main: Awaitable[None]) -> None:
    asyncio.run(asyncio.wait_for(main, 30))


async def connect() -> str:
    return "a client"


def job(done: int = 0) -> Job:
    """A job of which some results have been received."""
    one = Job("a", 100)
    for index in range(done):
        one.receive(index, None)
    return one


@pytest.fixture
def clock(monkeypatch):
    """A clock that only waiting moves."""
    one = SimpleNamespace(now=50.0)

    async def sleep(seconds: float) -> None:
        assert seconds > 0
        one.now += seconds

    monkeypatch.setattr(recovery, "monotonic", lambda: one.now)
    monkeypatch.setattr(recovery, "asyncio", SimpleNamespace(sleep=sleep))
    return one


def losing(
    task: Job, gains: list[int], error: Exception
) -> tuple[Callable[[str], Awaitable[None]], list[int]]:
    """An attempt that is lost as often as there are `gains`, the results that come before each loss."""
    tried: list[int] = []

    async def attempt(client: str) -> None:
        assert client == "a client"
        tried.append(task.done)
        if len(tried) <= len(gains):
            for _ in range(gains[len(tried) - 1]):
                task.receive(task.done, None)
            raise error

    return attempt, tried


@pytest.mark.parametrize("error", [KilledWorker("a", None, 2), OSError(), TimeoutError()], ids=repr)
@pytest.mark.parametrize(
    ("gains", "tried"),
    [([], 1), ([0, 0], 3), ([5, 0, 1, 0], 5), ([1] * 20, 21)],
    ids=["nothing is lost", "twice", "twice without progress, twice", "with progress"],
)
def test_what_is_lost_is_tried_again_where_it_was(gains, tried, error):
    task = job()
    attempt, seen = losing(task, gains, error)
    run(complete(task, connect, attempt))
    assert len(seen) == tried
    assert seen == [sum(gains[:number]) for number in range(tried)]


@pytest.mark.parametrize("gains", [[0, 0, 0], [3, 0, 0], [1, 0, 2, 0, 0], [1000, 0, 0]])
def test_the_third_loss_without_progress_is_the_last(gains):
    task = Job("a", 1100)
    attempt, seen = losing(task, [*gains, 0, 0, 0], OSError())
    with pytest.raises(MessageError, match="crashed repeatedly"):
        run(complete(task, connect, attempt))
    assert len(seen) == len(gains)


def test_other_errors_are_not_tried_again():
    task = job()
    attempt, seen = losing(task, [0], ValueError())
    with pytest.raises(ValueError):  # noqa: PT011
        run(complete(task, connect, attempt))
    assert len(seen) == 1


def test_a_task_that_has_ended_is_not_tried_again():
    task = job()

    async def attempt(_client: str) -> None:
        task.end("stopped")
        raise OSError

    run(complete(task, connect, attempt))
    assert task.state == "stopped"


def unreachable(clock: SimpleNamespace, until: float) -> Callable[[], Awaitable[str]]:
    """A cluster that does not answer before a time."""

    async def connect() -> str:
        if clock.now < until:
            raise UnreachableError(Message.of("Cannot reach the compute cluster."))
        return "a client"

    return connect


def test_a_task_that_had_begun_waits_for_the_cluster_and_another_does_not(clock):
    for done, waits in ((0, False), (1, True)):
        task, began = job(done), clock.now
        attempt, tried = losing(task, [], OSError())
        work = complete(task, unreachable(clock, clock.now + MINUTE), attempt)
        if waits:
            run(work)
        else:
            with pytest.raises(UnreachableError):
                run(work)
        assert clock.now - began == (MINUTE if waits else 0)
        assert len(tried) == waits


def test_a_cluster_that_stays_away_is_given_up(clock):
    began = clock.now
    with pytest.raises(UnreachableError):
        run(complete(job(1), unreachable(clock, 1e9), losing(job(), [], OSError())[0]))
    assert MINUTE < clock.now - began <= MINUTE + recovery.RETRY_SECONDS


def test_each_time_that_a_cluster_stays_away_counts_by_itself(clock):
    task, left = job(1), iter(range(3))

    async def connect() -> str:
        return await unreachable(clock, away[0])()

    away = [clock.now + MINUTE - 1]

    async def attempt(_client: str) -> None:
        if next(left, None) is not None:
            task.receive(task.done, None)
            away[0] = clock.now + MINUTE - 1
            raise OSError

    began = clock.now
    run(complete(task, connect, attempt))
    assert clock.now - began == 4 * (MINUTE - 1)


class Leases:
    """A memory that grants everything, and remembers what it has granted."""

    def __init__(self) -> None:
        self.held_now: list[Lease] = []
        self.granted = 0

    @asynccontextmanager
    async def held(self, lease: Lease):
        self.held_now.append(lease)
        self.granted += 1
        yield
        self.held_now.remove(lease)


def test_a_task_takes_as_many_leases_as_it_has_to_give_back():
    task, memory, states = job(), Leases(), []
    task.begin()

    async def attempt(lease: Lease, _client: str) -> None:
        assert memory.held_now == [task.lease] == [lease]
        states.append(task.state)
        task.begin()
        task.receive(task.done, None)

    class Loop:
        @property
        def task(self) -> Job:
            return task

        @property
        def is_done(self) -> bool:
            return task.done == 3

    run(complete_with_memory(Loop(), memory, lambda: Lease("a", 1), connect, attempt, 600))
    assert memory.granted == 3
    assert states == ["running", "queued", "queued"]
    assert (task.state, task.lease, memory.held_now) == ("running", None, [])


def test_a_task_that_is_live_for_too_long_is_stopped_with_the_limit():
    task = job()

    async def attempt(_lease: Lease, _client: str) -> None:
        await asyncio.sleep(60)

    loop = SimpleNamespace(task=task, is_done=False)
    run(complete_with_memory(loop, Leases(), lambda: Lease("a", 1), connect, attempt, 0))
    assert (task.state, task.lease) == ("stopped", None)
    assert " 0 s from start to end" in str(task.message)
