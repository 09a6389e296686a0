"""The loop that computes a job on the cluster: some tasks at a time, and each result once."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal

from distributed import Client, Future

from twolayer.engine import worker
from twolayer.engine.connection import fetched
from twolayer.engine.job import Job
from twolayer.engine.memory import Lease
from twolayer.engine.shares import PATIENCE_SECONDS, Rank, Shares, Turn
from twolayer.training.data import own

TASKS_PER_WORKER = 2

Manner = Literal["shared", "later", "exclusive"]
"""How the tasks of a job share the workers, as in `Engine.map`."""


class JobLoop:
    """Computes one job: calls of `function`, one for each item. Options as in `Engine.map`."""

    def __init__(
        self,
        job: Job,
        function: Callable[..., Any],
        items: Sequence[tuple[Any, ...]],
        shares: Shares,
        *,
        manner: Manner,
        seconds: float,
    ) -> None:
        self.task, self.function, self.items, self.shares = job, function, items, shares
        self.is_exclusive = manner == "exclusive"
        self.rank: Rank = 2 if manner == "later" else 0 if job.total == 1 else 1
        self._brought = own.current()
        """A table of one's own, which travels to the workers once, and not with each task."""
        self._table: Future | None = None
        self._todo = deque(range(len(items)))
        self._seconds = seconds
        """Expected of the next task."""
        self._place: Future | None = None
        """What keeps the tasks of an exclusive job on one worker: timings of two machines are not comparable.
        If that worker is lost, Dask makes it again on another."""

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to compute."""
        return self.task.over or not self._todo

    async def attempt(self, lease: Lease, client: Client) -> None:
        """Compute what is left, or until the memory is wanted back.

        Raises what is in `LOST`, and what the function raises.
        """
        workers = self.shares.workers()
        most = 1 if self.is_exclusive else TASKS_PER_WORKER * workers
        flight: dict[asyncio.Task[None], int] = {}
        try:
            while flight or not (self.is_done or lease.wanted):
                while self._todo and len(flight) < most and not lease.wanted:
                    index = self._todo.popleft()
                    flight[asyncio.create_task(self._compute(client, index, workers))] = index
                done, _ = await asyncio.wait(flight, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    await task
                    del flight[task]
        finally:
            for task in flight:
                task.cancel()
            await asyncio.gather(*flight, return_exceptions=True)
            self._place = self._table = None
            self._todo.extend(index for index in flight.values() if not self.task.has(index))

    async def _compute(self, client: Client, index: int, workers: int) -> None:
        job, width = self.task, workers if self.is_exclusive else 1
        is_long = job.visitor is not None and self._seconds > PATIENCE_SECONDS
        turn = Turn(job.owner, self._seconds, self.rank, width, self.is_exclusive, is_long)
        await self.shares.enter(turn)
        try:
            job.begin()
            if self.is_exclusive and self._place is None:
                key = worker.new_key(f"place-{job.name}")
                self._place = client.submit(worker.here, key=key, pure=False, priority=turn.priority)
            if self._brought is not None and self._table is None:
                key, brought = worker.new_key(f"table-{job.name}"), self._brought
                self._table = client.submit(worker.kept, brought, key=key, pure=False, priority=turn.priority)
            future = client.submit(
                worker.timed,
                self._place,
                self._table,
                self.function,
                *self.items[index],
                key=worker.new_key(f"{job.name}-{index}"),
                pure=False,
                priority=turn.priority,
            )
            try:
                turn.seconds, result = await fetched(client, future)
                self._seconds = turn.seconds
                job.receive(index, result)
            finally:
                future.release()  # ends the task of a stopped job now, not at the next garbage collection
        finally:
            self.shares.leave(turn)
