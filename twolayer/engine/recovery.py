"""Recovery: attempts at a run or job, over the loss of workers, the scheduler or the connection."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic
from typing import Protocol

from distributed import Client

from twolayer.engine import limits
from twolayer.engine.connection import LOST, UnreachableError
from twolayer.engine.memory import Lease, Memory
from twolayer.engine.task import Task
from twolayer.training.messages import MessageError

RECOVERIES_WITHOUT_PROGRESS = 2
PATIENCE_SECONDS = 60.0
"""How long a task that had begun waits for an unreachable cluster to come back."""
RETRY_SECONDS = 1.0


Attempt = Callable[[Lease, Client], Awaitable[None]]
"""Computes as much as there is time for; it ends early when its memory is wanted back."""


class Loop(Protocol):
    """The loop of a run or a job."""

    @property
    def task(self) -> Task: ...

    @property
    def is_done(self) -> bool: ...


async def complete_with_memory(
    loop: Loop,
    memory: Memory,
    lease: Callable[[], Lease],
    connect: Callable[[], Awaitable[Client]],
    attempt: Attempt,
    seconds: int,
) -> None:
    """Complete a run or job, with as many leases as it takes: another visitor may want the memory back.

    It is stopped after so many `seconds`. Raises what `complete` raises.
    """
    try:
        async with asyncio.timeout(seconds):
            while not loop.is_done:
                loop.task.lease = held = lease()
                try:
                    async with memory.held(held):
                        await complete(loop.task, connect, partial(attempt, held))
                finally:
                    loop.task.lease = None  # a lease refers to its task, which must not wait for a collection
                if not loop.is_done:
                    loop.task.requeue()
    except TimeoutError:
        loop.task.end("stopped", limits.out_of_wall_time(seconds))


async def complete(
    task: Task,
    connect: Callable[[], Awaitable[Client]],
    attempt: Callable[[Client], Awaitable[None]],
) -> None:
    """Attempt a task until it is complete. Each attempt continues where the last one ended.

    Raises `UnreachableError` if the cluster stays away, and `MessageError` if the workers are lost
    repeatedly without progress.
    """
    losses, progress_then = 0, -1
    unreachable_since: float | None = None
    while not task.over:
        try:
            client = await connect()
            unreachable_since = None
            await attempt(client)
            return
        except UnreachableError:
            unreachable_since = unreachable_since or monotonic()
            if not task.progress or monotonic() - unreachable_since > PATIENCE_SECONDS:
                raise
            await asyncio.sleep(RETRY_SECONDS)
        except LOST:
            losses = losses + 1 if task.progress == progress_then else 1
            progress_then = task.progress
            if losses > RECOVERIES_WITHOUT_PROGRESS:
                raise MessageError.of(
                    "The worker process for this run crashed repeatedly. Use smaller dimensions, or "
                    "try again later."
                ) from None
