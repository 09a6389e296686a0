"""The tasks of a job over the cluster: some at a time, each result once, whatever is lost on the way."""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

from distributed import Client

from twolayer.engine import worker
from twolayer.engine.connection import fetched
from twolayer.engine.job import Job
from twolayer.engine.lock import ReadersWriterLock

TASKS_PER_WORKER = 2
PRIORITY_SINGLE, PRIORITY_MANY, PRIORITY_LATER = 10, 0, -10
"""A single task, which somebody waits for, takes turns with the chunks of runs; of all that wait for a
worker a job's thousands come last."""

_numbers = itertools.count()


class Work:
    """A job while it is computed: what is left of it."""

    def __init__(
        self,
        job: Job,
        function: Callable[..., Any],
        items: list[tuple[Any, ...]],
        lock: ReadersWriterLock,
        *,
        exclusive: bool,
        later: bool,
        task_seconds: float,
    ) -> None:
        self.job, self.function, self.items, self.lock = job, function, items, lock
        self.exclusive = exclusive
        self.priority = PRIORITY_LATER if later else PRIORITY_SINGLE if job.total == 1 else PRIORITY_MANY
        self.task_seconds = task_seconds
        """What one task may take; then its worker counts as hung."""
        self._todo = deque(range(len(items)))

    async def go_on(self, client: Client) -> None:
        """Compute what is left. Raises what is in `LOST`, and what the function raises."""
        workers = len(client.scheduler_info()["workers"])
        most = 1 if self.exclusive else TASKS_PER_WORKER * max(1, workers)
        under_way: dict[asyncio.Task[None], int] = {}
        try:
            while self._todo or under_way:
                while self._todo and len(under_way) < most:
                    index = self._todo.popleft()
                    under_way[asyncio.create_task(self._compute(client, index))] = index
                done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    await task
                    del under_way[task]
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
            self._todo.extend(index for index in under_way.values() if not self.job.has(index))

    async def _compute(self, client: Client, index: int) -> None:
        job = self.job
        key = f"{job.name}-{index}-{next(_numbers)}"
        async with self.lock.exclusive() if self.exclusive else self.lock.shared():
            job.begin()
            future = client.submit(
                worker.within,
                self.task_seconds,
                self.function,
                *self.items[index],
                key=key,
                pure=False,
                priority=self.priority,
            )
            try:
                job.receive(index, await fetched(client, future))
            finally:
                future.release()  # a stopped job's task ends now, not when the collector comes by
