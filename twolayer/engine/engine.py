"""The engine: runs and jobs on Dask, submitted, streamed, paused and stopped by a web process.

One thread of the process has an event loop. Each live run or job is a coroutine on it. Pages read what
the coroutine has already received and never wait for the scheduler. Whatever is lost (a worker, the
scheduler, the connection), a run continues from its checkpoint and a job with the tasks that are left.
Without a checkpoint a run continues from its start: what was received before is computed again and is
the same.
"""

import itertools
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from distributed import Client
from zict import LRU

from twolayer.engine import limits, recovery, worker
from twolayer.engine.connection import Connection
from twolayer.engine.event_loop import EventLoop
from twolayer.engine.job import Job
from twolayer.engine.job_loop import JobLoop, Manner
from twolayer.engine.limits import LimitError as LimitError
from twolayer.engine.memory import Lease, Memory
from twolayer.engine.recovery import Attempt, Loop
from twolayer.engine.run import Run
from twolayer.engine.run_loop import RunLoop
from twolayer.engine.settings import MB, Settings
from twolayer.engine.shares import Shares
from twolayer.engine.task import Task
from twolayer.engine.visitors import Visitors
from twolayer.engine.waiting import Wait
from twolayer.training import capabilities, methods
from twolayer.training.capabilities import Capabilities
from twolayer.training.config import Config
from twolayer.training.edits import Edit, changes, current
from twolayer.training.messages import Message
from twolayer.training.training import Chunk

LOG = logging.getLogger(__name__)

CHECKPOINTS_SHARE = 8
"""The checkpoints of paused and ended runs may take this fraction of the memory of all runs."""


class Engine:
    """All runs and jobs of one process, and the cluster that computes them. Safe to use from any thread.

    No method but `close` waits for the cluster. With `preload` new workers load PyTorch at once, in seconds.
    """

    def __init__(self, settings: Settings, *, preload: bool = True) -> None:
        self.settings = settings
        self.live: dict[str, Task] = {}
        """The live runs and jobs by name, in the order of their submission."""
        self._names = itertools.count()
        self._shares = Shares(lambda: self._connection.workers, has_peers=settings.scheduler is not None)
        self._memory = Memory(settings.memory_mb * MB, self._shares)
        self._checkpoints: LRU[str, Chunk] = LRU(
            settings.memory_mb * MB // CHECKPOINTS_SHARE,
            {},
            weight=lambda _, chunk: sum(array.nbytes for array in chunk.state.values()),
        )
        self._loop = EventLoop(self._ended)
        self._visitors = Visitors(self._loop.loop, self._stop_all_of)
        self._connection = Connection(settings, self._loop.in_background, preload)
        self._loop.soon(lambda: self._loop.in_background(self._connection.warm()))

    # -- for the pages, from any thread ---------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities | None:
        """What the workers can do; None until they have been probed."""
        return self._connection.capabilities

    @property
    def trouble(self) -> Message | None:
        """Why the cluster cannot be used at the moment, or None."""
        return self._connection.trouble

    def submit(
        self,
        config: Config,
        visitor: str | None = None,
        *,
        edits: tuple[Edit, ...] = (),
        pause_at: int | None = None,
        speed: float | None = None,
        keep_state: bool = False,
    ) -> Run:
        """Start a run. It stops by itself when `visitor` has been away for a while.

        It pauses at the step `pause_at`, if given, and takes `speed` steps per second. With `keep_state`
        it has its `last_state` once it is settled, and may compute longer. Raises `LimitError`, `DataError`,
        and what `Capabilities.require` raises for a config that the workers cannot compute.
        """
        limits.check_data(config)
        limits.check_run(self.settings, config)
        limits.admit(self.settings, list(self.live.values()), visitor)
        if self.capabilities is not None and (self.capabilities.complete or config.device == "cpu"):
            self.capabilities.require(config)
        run = Run(f"{next(self._names)}-{capabilities.code_digest()[:4]}", config, visitor)
        run.edits, run.pause_at, run.speed, run.keeps_state = edits, pause_at, speed, keep_state
        self._start(run, partial(self._complete_run, run))
        return run

    def map(
        self,
        function: Callable[..., Any],
        items: Sequence[tuple[Any, ...]],
        visitor: str | None = None,
        *,
        memory_bytes: int = 0,
        task_seconds: float = 0.3,
        manner: Manner = "shared",
    ) -> Job:
        """Compute `function(*item)` for each item on the workers, as one task each.

        `function` is a pure function of a module. A `MessageError` that it raises fails the job with its
        message. `memory_bytes` is the memory of all tasks that run at the same time, `task_seconds` the
        expected time of one. `manner` is as in `shares`; "exclusive" is on one worker. Raises `LimitError`.
        """
        limits.check_memory(self.settings, memory_bytes)
        limits.admit(self.settings, list(self.live.values()), visitor)
        job = Job(f"job-{next(self._names)}", len(items), visitor)
        watched = partial(worker.within, self.settings.max_seconds, function)
        loop = JobLoop(job, watched, list(items), self._shares, manner=manner, seconds=task_seconds)
        self._start(job, partial(self._complete_job, loop, memory_bytes))
        return job

    def pause(self, run: Run) -> None:
        """Pause a run once the chunks in flight have arrived."""
        run.pause_at = 0

    def resume(
        self,
        run: Run,
        *,
        more: int | None = None,
        steps: int | None = None,
        learning_rate: float | None = None,
    ) -> None:
        """Continue a paused, stopped or finished run: to its end, or for `more` steps.

        From its current step on, it may have another total of `steps` and another `learning_rate`, which
        are recorded in `edits`. A run in any other state stays as it is. Raises `ConfigError` for an
        invalid value, and `LimitError`.
        """
        if not run.continuable:
            return
        changed = changes(run.config, run.edits, run.step, steps=steps, learning_rate=learning_rate)
        edits = (*run.edits, *changed)
        steps = current(run.config, edits, "steps")
        if steps == run.step:
            return  # it is complete
        limits.check_run(self.settings, replace(run.config, steps=steps))
        limits.admit(self.settings, list(self.live.values()), run.visitor)
        run.edits = edits
        run.pause_at = None if more is None else run.step + more
        run.reopen()
        self._start(run, partial(self._complete_run, run))

    def stop(self, task: Task) -> None:
        """End a run or job where it is. What has been received of it is kept."""
        task.end("stopped")
        self._loop.soon(self._loop.cancel, task.name)

    def checkpoint(self, run: Run) -> Chunk | None:
        """Return the state that a run would continue from, if it is still kept."""
        return self._checkpoints.get(run.name)

    def wait_of(self, task: Task) -> Wait | None:
        """Return why a run or job is not computed at the moment; None if it is, or is not queued."""
        if task.state != "queued":
            return None
        if self.capabilities is None:
            return Wait("cluster")
        for_memory = self._memory.wait(task.lease) if task.lease else None
        return for_memory or self._shares.wait(task.owner)

    def forget(self, run: Run) -> None:
        """Stop a run that will not be continued, and drop its checkpoint."""
        self.stop(run)
        self._loop.soon(self._checkpoints.discard, run.name)

    def arrived(self, visitor: str) -> None:
        """Record that a visitor has connected, perhaps again."""
        self._loop.soon(self._visitors.arrive, visitor)

    def left(self, visitor: str) -> None:
        """Record that a visitor's last connection has closed. Its runs stop unless it returns in time."""
        self._loop.soon(self._visitors.leave, visitor)

    def close(self) -> None:
        """Stop all runs, the connection and the embedded cluster, and wait for their end."""
        self._loop.close(self._connection.close)

    def _start(self, task: Task, work: Callable[[], Awaitable[None]]) -> None:
        self.live[task.name] = task
        if task.visitor is not None:
            self._loop.soon(self._visitors.add, task.visitor)
        self._loop.soon(self._loop.begin, task, work)

    # -- on the event loop ------------------------------------------------------------------------

    def _ended(self, task: Task) -> None:
        if task.over:
            LOG.info(task.kind, task.log_fields())
        self.live.pop(task.name, None)

    def _stop_all_of(self, visitor: str, why: Message) -> None:
        for task in list(self.live.values()):
            if task.visitor == visitor:
                task.end("stopped", why)
                self._loop.cancel(task.name)

    async def _complete_run(self, run: Run) -> None:
        """Compute a run to its end, or to the step at which it pauses."""
        loop = RunLoop(
            run,
            self._shares,
            self.checkpoint(run),
            self.settings.max_seconds * (limits.REPETITION_FACTOR if run.keeps_state else 1),
            fetch_at_end=run.keeps_state or methods.state_bytes(run.config) <= self._checkpoints.n,
        )

        async def attempt(lease: Lease, client: Client) -> None:
            await self._connection.require(run.config)
            await loop.attempt(lease, client)

        try:
            size = limits.engine_bytes(run.config)
            await self._complete(loop, attempt, lambda: Lease(run.owner, size, lambda: bool(run.speed)))
        finally:
            if run.keeps_state:
                run.last_state = loop.checkpoint
            elif loop.checkpoint is not None:
                self._checkpoints[run.name] = loop.checkpoint
        if loop.is_wanted:
            run.pause()

    async def _complete_job(self, loop: JobLoop, memory_bytes: int) -> None:
        await self._complete(loop, loop.attempt, lambda: Lease(loop.task.owner, memory_bytes))
        loop.task.end("finished")

    async def _complete(self, loop: Loop, attempt: Attempt, lease: Callable[[], Lease]) -> None:
        connect, seconds = self._connection.client, self.settings.max_wall_seconds
        await recovery.complete_with_memory(loop, self._memory, lease, connect, attempt, seconds)
