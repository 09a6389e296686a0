"""Runs and jobs on Dask: submitted, streamed, paused and stopped, from a web process that must never wait.

One thread of the process has an event loop; every run and every job is a coroutine on it while it is
live. Whoever watches one reads what its coroutine has already received and never asks the scheduler
anything. Whatever breaks (a worker, the scheduler, the connection), a run goes on from its checkpoint
and a job with the tasks that are left; so does a run that was paused or has ended and is continued.
Where no checkpoint was kept it goes on from its beginning: what was received before is computed again
and is the same.
"""

import asyncio
import itertools
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any

from distributed import Client
from zict import LRU

from twolayer.engine import logs
from twolayer.engine.connection import LOST, Connection, UnreachableError
from twolayer.engine.job import Job
from twolayer.engine.job_loop import Work
from twolayer.engine.limits import LimitError as LimitError
from twolayer.engine.limits import admit, is_live
from twolayer.engine.lock import ReadersWriterLock
from twolayer.engine.memory import MemorySemaphore
from twolayer.engine.run import CONTINUABLE, Run
from twolayer.engine.run_loop import Course
from twolayer.engine.settings import MB, Settings
from twolayer.training import capabilities
from twolayer.training.capabilities import Capabilities
from twolayer.training.config import Config
from twolayer.training.edits import Edit, changes, current
from twolayer.training.messages import Message, MessageError
from twolayer.training.training import Chunk

LOG = logging.getLogger(__name__)

CHECKPOINTS_SHARE = 8
"""The part of the memory of all runs that the checkpoints of paused and ended ones may take."""
GRACE_SECONDS = 30.0
RECOVERIES_WITHOUT_PROGRESS = 2
PATIENCE_SECONDS = 60.0
RETRY_SECONDS = 1.0
"""A run that had begun waits so long for a cluster that is gone to come back, and tries it so often."""
SLOW_FLOPS_PER_SECOND = 5e9
"""What a processor does at the least, for refusing steps that would never end."""


class Engine:
    """All runs and jobs of one process, and the cluster that they are computed on.

    Safe to use from any thread; no method but `close` waits for the cluster.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.live: dict[str, Run] = {}
        self._names = itertools.count()
        self._memory = MemorySemaphore(settings.memory_mb * MB)
        self._checkpoints: LRU[str, Chunk] = LRU(
            settings.memory_mb * MB // CHECKPOINTS_SHARE,
            {},
            weight=lambda _, chunk: sum(array.nbytes for array in chunk.state.values()),
        )
        self._lock = ReadersWriterLock()
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._viewers: dict[str, asyncio.TimerHandle | None] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="engine", daemon=True)
        self._thread.start()
        self._connection = Connection(settings, self._in_background)
        self._soon(lambda: self._in_background(self._connection.warm()))

    def _in_background(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _soon(self, function: Callable[..., Any], *arguments: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    # -- for the pages ------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities | None:
        """What the workers can do, once they have been asked."""
        return self._connection.capabilities

    @property
    def trouble(self) -> Message | None:
        """Why the cluster cannot be used right now, if it cannot."""
        return self._connection.trouble

    def submit(
        self,
        config: Config,
        viewer: str | None = None,
        *,
        edits: tuple[Edit, ...] = (),
        pause_at: int | None = None,
        speed: float | None = None,
    ) -> Run:
        """Start a run. It stops by itself when `viewer` has been gone for a while.

        It pauses at the step `pause_at`, if there is one, and takes `speed` steps a second. Raises
        `LimitError` for a run that this server does not allow, or not now, and what
        `Capabilities.require` raises for one that its workers cannot do.
        """
        self._check_limits(config)
        admit(self.settings, self._all(), viewer)
        if self.capabilities is not None and (self.capabilities.complete or config.device == "cpu"):
            self.capabilities.require(config)
        run = Run(f"{next(self._names)}-{capabilities.code_digest()[:4]}", config, viewer)
        run.edits, run.pause_at, run.speed = edits, pause_at, speed
        self._start(run)
        return run

    def map(
        self,
        function: Callable[..., Any],
        items: Sequence[tuple[Any, ...]],
        viewer: str | None = None,
        *,
        memory_bytes: int = 0,
        exclusive: bool = False,
        later: bool = False,
    ) -> Job:
        """Compute `function(*item)` for each item on the workers, as tasks of their own.

        `function` is a pure one of a module; what it raises as a `MessageError` fails the job with that
        message. `memory_bytes` is what its tasks take at the same time. The tasks of an `exclusive` job
        run one after the other, and nothing else on the cluster while one of them runs. Those of one for
        `later` let all others go first. Raises `LimitError` for more memory than this server allows.
        """
        self._check_memory(memory_bytes)
        admit(self.settings, self._all(), viewer)
        job = Job(f"job-{next(self._names)}", len(items), viewer)
        self._jobs[job.name] = job
        work = Work(
            job,
            function,
            list(items),
            self._lock,
            exclusive=exclusive,
            later=later,
            task_seconds=self.settings.max_seconds,
        )
        self._soon(self._begin, job, partial(self._work, work, memory_bytes))
        return job

    def pause(self, run: Run) -> None:
        """Submit no more of a run: it is paused when what is under way has arrived."""
        run.pause_at = 0

    def resume(
        self,
        run: Run,
        *,
        more: int | None = None,
        steps: int | None = None,
        learning_rate: float | None = None,
    ) -> None:
        """Go on with a run that is paused, stopped or finished: to its end, or for `more` steps.

        From its present step on it may have another number of `steps` in all, and another
        `learning_rate`; it is then a changed run, and says so in `edits`. Raises `ConfigError` for a
        value that cannot be, and `LimitError`. A run that diverged, failed or is live stays as it is.
        """
        if run.state not in CONTINUABLE:
            return
        edits = (
            *run.edits,
            *changes(run.config, run.edits, run.step, steps=steps, learning_rate=learning_rate),
        )
        if current(run.config, edits, "steps") == run.step:
            return  # it is complete
        self._check_limits(replace(run.config, steps=current(run.config, edits, "steps")))
        admit(self.settings, self._all(), run.viewer)
        run.edits = edits
        run.pause_at = None if more is None else run.step + more
        run.reopen()
        self._start(run)

    def stop(self, run: Run | Job) -> None:
        """End a run or a job where it is; what has been received of it is kept."""
        run.end("stopped")
        self._soon(self._cancel, run.name)

    def checkpoint(self, run: Run) -> Chunk | None:
        """The state that a run would go on from, if it is still kept."""
        return self._checkpoints.get(run.name)

    def ahead(self, run: Run) -> int:
        """How many live runs were there before a live run: they share the workers, chunk by chunk."""
        names = list(self.live)
        return names.index(run.name) if run.name in names else 0

    def forget(self, run: Run) -> None:
        """Nobody will continue this run: let go of its checkpoint."""
        self.stop(run)
        self._soon(self._checkpoints.discard, run.name)

    def arrived(self, viewer: str) -> None:
        """A viewer is connected (again)."""
        self._soon(self._arrive, viewer)

    def left(self, viewer: str) -> None:
        """A viewer's last connection is gone: its runs stop unless it arrives again in time."""
        self._soon(self._leave, viewer)

    def close(self) -> None:
        """Stop all runs, the connection and the embedded cluster, and wait for their end."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._shut_down(), self._loop).result(timeout=30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    def _all(self) -> list[Run | Job]:
        return [*self.live.values(), *self._jobs.values()]

    def _check_memory(self, needed_bytes: int) -> None:
        limit, needed = self.settings.memory_mb, -(-needed_bytes // MB)
        if needed > limit:
            raise LimitError(
                Message.of(
                    "This run would take {needed} MB of memory, and this server allows {limit} MB. "
                    "Choose smaller dimensions, or float32.",
                    needed=needed,
                    limit=limit,
                )
            )

    def _check_limits(self, config: Config) -> None:
        self._check_memory(config.run_bytes)
        seconds = config.flops_per_step / SLOW_FLOPS_PER_SECOND
        if seconds > self.settings.max_seconds:
            raise LimitError(
                Message.of(
                    "One step of this run would take about {seconds:.0f} s, and this server allows "
                    "{limit} s for a whole run. Choose smaller dimensions.",
                    seconds=seconds,
                    limit=self.settings.max_seconds,
                )
            )

    # -- on the loop: viewers and the life of a run ---------------------------------------------

    def _arrive(self, viewer: str) -> None:
        timer = self._viewers.get(viewer)
        if timer is not None:
            timer.cancel()
        self._viewers[viewer] = None

    def _leave(self, viewer: str) -> None:
        if viewer in self._viewers and self._viewers[viewer] is None:
            self._viewers[viewer] = self._loop.call_later(GRACE_SECONDS, self._forget, viewer)

    def _forget(self, viewer: str) -> None:
        self._viewers.pop(viewer, None)
        away = Message.of(
            "Stopped: its page was closed, or asleep, for more than {seconds} s. What was computed is kept.",
            seconds=f"{GRACE_SECONDS:.0f}",
        )
        for one in self._all():
            if one.viewer == viewer:
                one.end("stopped", away)
                self._cancel(one.name)

    def _start(self, run: Run) -> None:
        self.live[run.name] = run
        self._soon(self._begin, run, partial(self._complete, run))

    def _begin(self, one: Run | Job, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Give a run or a job a coroutine; if it still has one that is ending, then after that."""
        if one.viewer is not None and one.viewer not in self._viewers:
            self._viewers[one.viewer] = None
        before = self._tasks.get(one.name)
        task = self._tasks[one.name] = self._loop.create_task(self._live(one, work, before))
        turn = one.turn if isinstance(one, Run) else 0
        task.add_done_callback(partial(self._ended, one, turn))

    def _ended(self, one: Run | Job, turn: int, task: asyncio.Task[None]) -> None:
        """Forget a run or a job. It may have been cancelled before its coroutine began."""
        if self._tasks.get(one.name) is not task or (isinstance(one, Run) and one.turn != turn):
            return  # it was continued while this coroutine ended
        if is_live(one):
            one.end("stopped")
        if isinstance(one, Job):
            LOG.info("job", logs.of_job(one))
        elif one.over:
            LOG.info("run", logs.of_run(one))
        self.live.pop(one.name, None)
        self._jobs.pop(one.name, None)
        self._tasks.pop(one.name, None)

    def _cancel(self, name: str) -> None:
        task = self._tasks.get(name)
        if task is not None:
            task.cancel()

    async def _live(
        self,
        one: Run | Job,
        work: Callable[[], Coroutine[Any, Any, None]],
        before: asyncio.Task[None] | None,
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            await work()
        except MessageError as error:
            one.end("failed", error.message)
        except Exception as error:  # a failure is shown to its owner; the engine goes on
            LOG.exception("%s failed", one.name)
            one.end("failed", Message.of("The run failed: {error}", error=type(error).__name__))

    async def _over_losses(
        self, one: Run | Job, attempt: Callable[[Client], Coroutine[Any, Any, None]]
    ) -> None:
        """Make attempts, each going on where the last one was, over whatever is lost on the way."""
        recoveries, done, gone_since = 0, -1, 0.0
        while not one.over:
            progress = one.step if isinstance(one, Run) else one.done
            try:
                client = await self._connection.client()
                gone_since = 0.0
                await attempt(client)
                return
            except UnreachableError:
                gone_since = gone_since or monotonic()
                if not progress or monotonic() - gone_since > PATIENCE_SECONDS:
                    raise
                await asyncio.sleep(RETRY_SECONDS)
            except LOST:
                progress = one.step if isinstance(one, Run) else one.done
                recoveries = recoveries + 1 if progress == done else 1
                done = progress
                if recoveries > RECOVERIES_WITHOUT_PROGRESS:
                    raise MessageError(
                        Message.of(
                            "The process that computed this run was lost again and again. "
                            "Choose smaller dimensions, or try again later."
                        )
                    ) from None

    # -- on the loop: a run ------------------------------------------------------------------------

    async def _complete(self, run: Run) -> None:
        """Take a run to its end, or to where it pauses."""
        async with self._memory.acquired(run.config.run_bytes):
            course = Course(run, self._lock, self._checkpoints.get(run.name), self.settings.max_seconds)
            course.fetch_at_end = run.config.state_bytes <= self._checkpoints.n

            async def go_on(client: Client) -> None:
                await self._connection.require(run.config)
                await course.go_on(client)

            try:
                await self._over_losses(run, go_on)
            finally:
                if course.checkpoint is not None:
                    self._checkpoints[run.name] = course.checkpoint
        if course.is_wanted:
            run.pause()

    # -- on the loop: a job ------------------------------------------------------------------------

    async def _work(self, work: Work, memory_bytes: int) -> None:
        async with self._memory.acquired(memory_bytes):
            await self._over_losses(work.job, work.go_on)
        work.job.end("finished")

    async def _shut_down(self) -> None:
        tasks = [*self._background, *self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._connection.close()
