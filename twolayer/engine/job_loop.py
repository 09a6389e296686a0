"""The loop that computes a job on the cluster: some tasks at a time, and each result once."""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from distributed import Client

from twolayer.engine.connection import fetched
from twolayer.engine.job import Job
from twolayer.engine.lock import ReadersWriterLock

TASKS_PER_WORKER = 2
PRIORITY_SINGLE, PRIORITY_MANY, PRIORITY_LATER = 10, 0, -10
"""A single task, which a visitor waits for, takes turns with the chunks of runs. The tasks of larger
jobs come after all of these."""

_numbers = itertools.count()


class JobLoop:
    """Computes one job: calls of `function`, one for each item. Options as in `Engine.map`."""

    def __init__(
        self,
        job: Job,
        function: Callable[..., Any],
        items: Sequence[tuple[Any, ...]],
        lock: ReadersWriterLock,
        *,
        exclusive: bool,
        later: bool,
    ) -> None:
        self.job, self.function, self.items, self.lock = job, function, items, lock
        self.exclusive = exclusive
        self.priority = PRIORITY_LATER if later else PRIORITY_SINGLE if job.total == 1 else PRIORITY_MANY
        self._todo = deque(range(len(items)))

    async def attempt(self, client: Client) -> None:
        """Compute what is left. Raises what is in `LOST`, and what the function raises."""
        workers = len(client.scheduler_info()["workers"])
        most = 1 if self.exclusive else TASKS_PER_WORKER * max(1, workers)
        flight: dict[asyncio.Task[None], int] = {}
        try:
            while self._todo or flight:
                while self._todo and len(flight) < most:
                    index = self._todo.popleft()
                    flight[asyncio.create_task(self._compute(client, index))] = index
                done, _ = await asyncio.wait(flight, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    await task
                    del flight[task]
        finally:
            for task in flight:
                task.cancel()
            await asyncio.gather(*flight, return_exceptions=True)
            self._todo.extend(index for index in flight.values() if not self.job.has(index))

    async def _compute(self, client: Client, index: int) -> None:
        job = self.job
        async with self.lock.exclusive() if self.exclusive else self.lock.shared():
            job.begin()
            future = client.submit(
                self.function,
                *self.items[index],
                key=f"{job.name}-{index}-{next(_numbers)}",
                pure=False,
                priority=self.priority,
            )
            try:
                job.receive(index, await fetched(client, future))
            finally:
                future.release()  # ends the task of a stopped job now, not at the next garbage collection
