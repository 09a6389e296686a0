"""How a job is computed: some tasks at a time, each with its turn, and each result once."""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.engine.inline import Client, Watched
from twolayer import own_table
from twolayer.engine import worker
from twolayer.engine.job import Job
from twolayer.engine.job_loop import JobLoop
from twolayer.engine.memory import Lease
from twolayer.engine.shares import PATIENCE_SECONDS
from twolayer.training.data import own

WORKERS = 3


def square(n: int) -> int:
    return n * n


def loop_of(
    count: int, function: Callable[..., Any] = square, visitor: str | None = None, **options: Any
) -> JobLoop:
    """The loop of a job of so many items: the numbers."""
    job = Job("a", count, visitor)
    options = {"manner": "shared", "seconds": 0.3, **options}
    return JobLoop(job, function, [(n,) for n in range(count)], Watched(WORKERS), **options)


def attempt(loop: JobLoop, client: Client, lease: Lease | None = None) -> None:
    """Compute a job as far as it goes. Nothing is left of it at the workers."""
    try:
        asyncio.run(asyncio.wait_for(loop.attempt(lease or Lease("a", 1), client), 30))
    finally:
        assert loop.shares._shared == loop.shares._waiting == loop.shares._waiting_exclusive == []
        assert not loop.shares._at_work
        assert all(task.released for task in client.named("a"))
        assert (loop._place, loop._table) == (None, None)


@pytest.mark.parametrize("manner", ["shared", "later", "exclusive"])
def test_each_result_comes_once_with_its_index(client, manner):
    loop = loop_of(20, manner=manner)
    assert not loop.is_done
    attempt(loop, client)
    assert loop.is_done
    assert loop.task.state == "running"
    assert sorted(loop.task.results()) == [(n, n * n) for n in range(20)]
    assert len(client.named("a")) == 20


def test_a_job_without_items_is_done():
    assert loop_of(0).is_done


@pytest.mark.parametrize(("manner", "most"), [("shared", 2 * WORKERS), ("exclusive", 1)])
def test_each_worker_has_a_task_and_the_next_one_and_an_exclusive_job_a_single_one(client, manner, most):
    loop, seen = loop_of(20, manner=manner), []
    enter = loop.shares.enter

    async def counted(turn):
        seen.append(len(loop.shares.turns) + 1 - loop.task.done)
        await enter(turn)

    loop.shares.enter = counted
    attempt(loop, client)
    assert max(seen) == most


@pytest.mark.parametrize(
    ("count", "manner", "rank"),
    [
        (1, "shared", 0),
        (2, "shared", 1),
        (1, "later", 2),
        (2, "later", 2),
        (1, "exclusive", 0),
        (2, "exclusive", 1),
    ],
)
def test_a_single_task_comes_before_those_of_a_larger_job_and_what_may_wait_comes_last(
    client, count, manner, rank
):
    loop = loop_of(count, manner=manner)
    attempt(loop, client)
    assert {turn.rank for turn, _ in loop.shares.turns} == {rank}
    alone = manner == "exclusive"
    assert {turn.is_exclusive for turn, _ in loop.shares.turns} == {alone}
    assert {turn.width for turn, _ in loop.shares.turns} == {WORKERS if alone else 1}
    assert [task.priority for task in client.named("a")] == [turn.priority for turn, _ in loop.shares.turns]


def test_the_tasks_of_an_exclusive_job_have_one_place_and_others_none(client):
    attempt(loop_of(5, manner="exclusive"), client)
    (place,) = client.named("place")
    assert place.result is True
    assert all(task.values[0] is place for task in client.named("a"))
    client.tasks.clear()
    attempt(loop_of(5), client)
    assert not client.named("place")
    assert all(task.values[0] is None for task in client.named("a"))


def test_a_task_is_expected_to_take_as_long_as_the_last_one(client, monkeypatch):
    monkeypatch.setattr(worker, "perf_counter", client.clock)

    def lasts(n: int) -> None:
        client.clock.now += n + 1

    loop = loop_of(4, lasts, manner="exclusive", seconds=0.25)
    attempt(loop, client)
    assert [seconds for _, seconds in loop.shares.turns] == [0.25, 1, 2, 3]
    assert [turn.seconds for turn, _ in loop.shares.turns] == [1, 2, 3, 4]


@pytest.mark.parametrize("visitor", [None, "somebody"])
@pytest.mark.parametrize(("seconds", "is_long"), [(PATIENCE_SECONDS, False), (PATIENCE_SECONDS + 0.01, True)])
def test_a_task_of_a_visitor_that_takes_longer_than_others_are_patient_is_long(
    client, visitor, seconds, is_long
):
    loop = loop_of(1, visitor=visitor, seconds=seconds)
    attempt(loop, client)
    ((turn, _),) = loop.shares.turns
    assert turn.is_long == (is_long and visitor is not None)
    assert turn.visitor == (visitor or "a")


def test_a_table_of_ones_own_travels_once(client):
    table, found = own_table((np.eye(4), np.arange(4.0))), []
    with own.in_use(table):
        loop = loop_of(6, lambda _n: found.append(own.current()))
    attempt(loop, client)
    (sent,) = client.named("table")
    assert all(task.values[1] is sent for task in client.named("a"))
    assert found == [table] * 6
    client.tasks.clear()
    attempt(loop_of(2), client)
    assert not client.named("table")


def test_what_is_left_is_computed_later_when_the_memory_is_wanted_back(client):
    lease = Lease("a", 1)

    def wanted(n: int) -> int:
        lease.wanted = lease.wanted or n == 7
        return n

    loop = loop_of(20, wanted)
    attempt(loop, client, lease)
    assert 8 <= loop.task.done < 20
    assert not loop.is_done
    lease.wanted = False
    attempt(loop, client, lease)
    assert loop.is_done
    assert sorted(loop.task.results()) == [(n, n) for n in range(20)]


def test_memory_that_is_wanted_back_at_once_is_given_at_once(client):
    loop = loop_of(20)
    attempt(loop, client, Lease("a", 1, wanted=True))
    assert not client.tasks
    assert not loop.is_done


def test_what_was_in_flight_when_a_task_failed_is_computed_again(client):
    once = [OSError("lost")]

    def breaks(n: int) -> int:
        if n == 5 and once:
            raise once.pop()
        return n

    loop = loop_of(20, breaks)
    with pytest.raises(OSError, match="lost"):
        attempt(loop, client)
    done = loop.task.done
    assert done < 20
    attempt(loop, client)
    assert sorted(loop.task.results()) == [(n, n) for n in range(20)]
    assert done > 0
