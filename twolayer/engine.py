"""Runs on Dask: submitted, streamed and stopped, from a web process that must never wait.

One thread of the process has an event loop; every run is a coroutine on it. Whoever watches a run
reads what its coroutine has already received and never asks the scheduler anything.

A run is a chain of pure tasks, `advance(previous chunk) -> chunk`, whose results stay on the
workers; only the losses travel. Every few seconds the chain is rooted anew at a checkpoint, the
state of the run so far, so that neither the scheduler nor a recovery grows with the length of a
run. Whatever breaks (a worker, the scheduler, the connection), the run goes on from its checkpoint.
"""

import asyncio
import contextlib
import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from time import monotonic
from typing import Any

import numpy as np
from distributed import Client, KilledWorker, wait
from distributed.client import FutureCancelledError, FuturesCancelledError
from distributed.comm import CommClosedError

from twolayer import capabilities, training
from twolayer.capabilities import Capabilities
from twolayer.cluster import EmbeddedCluster
from twolayer.config import Config
from twolayer.messages import Message, MessageError
from twolayer.problem import Problem
from twolayer.room import Room
from twolayer.run import Run
from twolayer.settings import MB, Settings
from twolayer.training import Chunk, Pace

LOG = logging.getLogger(__name__)

IN_FLIGHT = 2
CHECKPOINT_SECONDS = 3.0
CHECKPOINT_BYTES_PER_SECOND = 200e6
CHECKPOINT_SHARE = 0.02
SMALL_STATE_BYTES = 1 << 16
GRACE_SECONDS = 30.0
RECOVERIES_WITHOUT_PROGRESS = 2
PROBE_SECONDS = 0.5
SLOW_FLOPS_PER_SECOND = 5e9
"""What a processor does at the least, for refusing steps that would never end."""

LOST = (KilledWorker, FutureCancelledError, FuturesCancelledError, CommClosedError, OSError, TimeoutError)
"""What a run sees when a part of the cluster is gone."""


class LimitError(MessageError, ValueError):
    """A run that is larger than this server allows."""


class OtherVersionError(MessageError, RuntimeError):
    """A cluster whose workers have other code than this process."""


# -- tasks: what workers compute --------------------------------------------------------------


def advance(config: Config, problem: Problem, previous: Chunk | None, steps: int) -> Chunk:
    """`training.advance` where the first chunk has nothing before it."""
    if previous is None:
        previous = training.start(config, problem)
    return training.advance(config, problem, previous, steps)


def report(chunk: Chunk) -> Chunk:
    """What the web process needs of a chunk: all but the state."""
    return replace(chunk, state={})


# -- the engine -------------------------------------------------------------------------------


class Engine:
    """All runs of one process, and the cluster that they are computed on.

    Safe to use from any thread; no method but `close` waits for the cluster.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.capabilities: Capabilities | None = None
        self.trouble: Message | None = None
        """Why the cluster cannot be used right now, if it cannot."""
        self.live: dict[str, Run] = {}
        self._names = itertools.count()
        self._room = Room(settings.memory_mb * MB)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._viewers: dict[str, asyncio.TimerHandle | None] = {}
        self._cluster: EmbeddedCluster | None = None
        self._client: Client | None = None
        self._connecting = asyncio.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="engine", daemon=True)
        self._thread.start()
        self._background: set[asyncio.Task[None]] = set()
        self._soon(self._in_background, self._warm())

    def _in_background(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _soon(self, function: Callable[..., Any], *arguments: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    # -- for the pages ------------------------------------------------------------------------

    def submit(self, config: Config, viewer: str | None = None) -> Run:
        """Start a run. It stops by itself when `viewer` has been gone for a while.

        Raises `LimitError` for a run that this server does not allow, and what
        `Capabilities.require` raises for one that its workers cannot do.
        """
        self._check_limits(config)
        if self.capabilities is not None and (self.capabilities.complete or config.device == "cpu"):
            self.capabilities.require(config)
        run = Run(f"{next(self._names)}-{capabilities.code_digest()[:4]}", config, viewer)
        self.live[run.name] = run
        self._soon(self._begin, run)
        return run

    def stop(self, run: Run) -> None:
        """End a run where it is; what has been received of it is kept."""
        run.end("stopped")
        self._soon(self._cancel, run.name)

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

    def _check_limits(self, config: Config) -> None:
        limit = self.settings.memory_mb
        needed = -(-config.run_bytes // MB)
        if needed > limit:
            raise LimitError(
                Message.of(
                    "This run would take {needed} MB of memory, and this server allows {limit} MB. "
                    "Choose smaller dimensions, or float32.",
                    needed=needed,
                    limit=limit,
                )
            )
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
        for run in list(self.live.values()):
            if run.viewer == viewer:
                self.stop(run)

    def _begin(self, run: Run) -> None:
        if run.viewer is not None and run.viewer not in self._viewers:
            self._viewers[run.viewer] = None
        task = self._tasks[run.name] = self._loop.create_task(self._live(run))
        task.add_done_callback(lambda _: self._ended(run))

    def _ended(self, run: Run) -> None:
        """Forget a run. It may have been cancelled before its coroutine began."""
        run.end("stopped")
        self.live.pop(run.name, None)
        self._tasks.pop(run.name, None)

    def _cancel(self, name: str) -> None:
        task = self._tasks.get(name)
        if task is not None:
            task.cancel()

    async def _live(self, run: Run) -> None:
        try:
            async with self._room.held(run.config.run_bytes):
                await self._complete(run)
        except MessageError as error:
            run.end("failed", error.message)
        except Exception as error:  # a run's failure is shown to its owner; the engine goes on
            LOG.exception("run %s failed", run.name)
            run.end("failed", Message.of("The run failed: {error}", error=type(error).__name__))

    async def _complete(self, run: Run) -> None:
        """Go on from checkpoint to checkpoint, and over whatever is lost, until the run has ended."""
        checkpoint: Chunk | None = None
        problem: Any = None
        recoveries = 0
        pace = Pace(run.config)
        while not run.over:
            before = run.step
            try:
                client = await self._connected()
                if problem is None:
                    await self._require(run.config)
                    problem = client.submit(
                        training.prepare, run.config, key=self._key("problem", run), pure=False
                    )
                checkpoint = await self._chain(client, run, problem, checkpoint, pace)
                recoveries = 0
            except LOST:
                problem = None
                recoveries = recoveries + 1 if run.step == before else 1
                if recoveries > RECOVERIES_WITHOUT_PROGRESS:
                    raise MessageError(
                        Message.of(
                            "The process that computed this run was lost again and again. "
                            "Choose smaller dimensions, or try again later."
                        )
                    ) from None

    def _key(self, task: str, run: Run) -> str:
        return f"{task}-{run.name}-{next(self._names)}"

    async def _chain(
        self, client: Client, run: Run, problem: Any, checkpoint: Chunk | None, pace: Pace
    ) -> Chunk | None:
        """One chain of tasks from `checkpoint`: returns the next one, or None if the run has ended."""
        config = run.config
        last: Any = checkpoint  # what the next chunk goes on from: a value, later a future
        begun = planned = 0 if checkpoint is None else checkpoint.step
        flight: deque[tuple[Any, Any]] = deque()
        if run.state == "queued":
            with client.as_current():
                await wait([problem])
            run.begin()
        due = monotonic() + self._checkpoint_interval(config)
        while True:
            while len(flight) < IN_FLIGHT and planned < config.steps and monotonic() < due:
                steps = pace.next(config.steps - planned)
                last = client.submit(
                    advance, config, problem, last, steps, key=self._key("advance", run), pure=False
                )
                # A small state travels with its losses; a large one stays where it is
                arriving = last
                if config.state_bytes > SMALL_STATE_BYTES:
                    arriving = client.submit(report, last, key=self._key("report", run), pure=False)
                flight.append((last, arriving))
                planned += steps
            if not flight:
                break
            chunk: Chunk = await flight[0][1]
            flight.popleft()
            pace.saw(len(chunk.losses), chunk.seconds)
            if not run.receive(chunk):
                return None
            if run.seconds > self.settings.max_seconds:
                run.end("stopped", self._too_long())
                return None
        if planned == begun:
            return checkpoint  # nothing was submitted in time
        reached: Chunk = await last
        return replace(reached, losses=np.empty(0), laps=np.empty((0, 2)))

    def _too_long(self) -> Message:
        return Message.of(
            "Stopped: a run may compute for {limit} s on this server. "
            "Choose fewer steps or smaller dimensions.",
            limit=self.settings.max_seconds,
        )

    @staticmethod
    def _checkpoint_interval(config: Config) -> float:
        """Seconds between checkpoints: rarer for a large state, whose transfer costs time."""
        transfer = config.state_bytes / CHECKPOINT_BYTES_PER_SECOND
        return max(CHECKPOINT_SECONDS, transfer / CHECKPOINT_SHARE)

    # -- on the loop: the cluster ----------------------------------------------------------------

    async def _connected(self) -> Client:
        """The connection to the cluster: the one there is, or a new one."""
        async with self._connecting:
            if self._client is not None and self._client.status == "running":
                return self._client
            try:
                self._client = await self._connect()
                self.trouble = None
                self._in_background(self._ask(self._client))
            except MessageError as error:
                self.trouble = error.message
                raise
            except (OSError, TimeoutError) as error:
                self.trouble = Message.of("The computing cluster cannot be reached.")
                raise MessageError(self.trouble) from error
            return self._client

    async def _connect(self) -> Client:
        if self._client is not None:
            with contextlib.suppress(*LOST):
                await self._client.close()
            self._client = None
        address = self.settings.scheduler
        if address is None:
            if self._cluster is not None:
                await self._cluster.stop()
            self._cluster = await EmbeddedCluster.start(
                self.settings.workers, self.settings.worker_limit_bytes
            )
            address = self._cluster.address
        client = await Client(address, asynchronous=True, set_as_default=False, timeout=10)
        try:
            await client.wait_for_workers(1, timeout=20)
            await self._check_version(client)
            await client.register_plugin(_warm_up_plugin())
        except BaseException:
            await client.close()
            raise
        return client

    async def _check_version(self, client: Client) -> None:
        other = Message.of(
            "The workers of the cluster at {address} have another version of this program. "
            "Run them from the same checkout.",
            address=client.scheduler.address if client.scheduler else "",
        )
        try:
            there: Capabilities = await client.submit(capabilities.probe, pure=False)
        except (ImportError, AttributeError) as error:
            raise OtherVersionError(other) from error
        if there.code != capabilities.code_digest():
            raise OtherVersionError(other)
        self.capabilities = there

    async def _warm(self) -> None:
        """Start the cluster before the first run asks for it."""
        with contextlib.suppress(MessageError):
            await self._connected()

    async def _ask(self, client: Client) -> None:
        """Ask a new cluster until it is known what its workers can do."""
        while not (self.capabilities and self.capabilities.complete):
            await asyncio.sleep(PROBE_SECONDS)
            if self._client is not client:
                return  # another one has taken its place, and is asked
            with contextlib.suppress(*LOST):
                self.capabilities = await self._client.submit(capabilities.probe, pure=False)

    async def _require(self, config: Config) -> None:
        """Raise if the workers cannot do this; wait until their devices are known if it wants one."""
        while self.capabilities is None or (config.device != "cpu" and not self.capabilities.complete):
            await asyncio.sleep(PROBE_SECONDS / 5)
        self.capabilities.require(config)

    async def _shut_down(self) -> None:
        tasks = [*self._background, *self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            with contextlib.suppress(*LOST):
                await self._client.close()
        if self._cluster is not None:
            await self._cluster.stop()


def _warm_up_plugin() -> Any:
    from distributed import WorkerPlugin

    class WarmUp(WorkerPlugin):  # type: ignore[misc]  # distributed has no types
        """Prepare a worker: its allocator, and all kernels, in the background, so that nobody waits."""

        name = "twolayer-warm-up"

        def setup(self, worker: Any) -> None:
            from threading import Thread

            from twolayer.allocator import keep_freed_memory
            from twolayer.kernels import load_all

            keep_freed_memory()
            Thread(target=load_all, daemon=True).start()

    return WarmUp()
