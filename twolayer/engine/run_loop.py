"""The loop that computes a run on the cluster: chains of chunks from checkpoint to checkpoint.

A run is a chain of pure tasks, `advance(previous chunk) -> chunk`. Their results stay on the workers;
only the losses travel. Every few seconds a new chain starts at a checkpoint, the state of the run so
far, so that neither the scheduler nor a recovery grows with the length of a run.
"""

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any

from distributed import Client, Future, wait

from twolayer.engine import limits, worker
from twolayer.engine.connection import fetched
from twolayer.engine.lock import ReadersWriterLock
from twolayer.engine.run import Run
from twolayer.training import methods, pace, training
from twolayer.training.config import Config
from twolayer.training.edits import segment
from twolayer.training.pace import Pace
from twolayer.training.training import Chunk

IN_FLIGHT = 2
CHECKPOINT_SECONDS = 3.0
CHECKPOINT_SHARE = 0.02
SMALL_STATE_BYTES = 1 << 16
BEAT_SECONDS = 0.1
"""Length of a chunk in slow motion."""
DEADLINE_SECONDS = 20.0
DEADLINE_FACTOR = 50
"""A chunk may take `DEADLINE_SECONDS` and this many times the time that the last chunk predicts."""
PRIORITY = 10
"""Above that of jobs, whose thousands of tasks must not hold up runs."""

_numbers = itertools.count()


@dataclass
class _Chain:
    """Chunks that each continue the one before, from a checkpoint on."""

    last: Chunk | Future | None
    """What the next chunk continues: the checkpoint, later a future."""
    planned: int
    """Steps done when all submitted chunks are."""
    due: float
    """When to end it with a new checkpoint, by the monotonic clock."""
    flight: deque[tuple[Future, Future]] = field(default_factory=deque)
    """(chunk, its report) of the chunks that are submitted and not received. Each holds the lock."""

    @contextlib.contextmanager
    def holding(self, lock: ReadersWriterLock) -> Iterator[None]:
        """Leave the lock at the end for each chunk that is still in flight."""
        try:
            yield
        finally:
            lock.leave(len(self.flight))


class RunLoop:
    """Computes one run, for one turn: where its next chain starts, and how it is cut into chunks."""

    def __init__(
        self,
        run: Run,
        lock: ReadersWriterLock,
        checkpoint: Chunk | None,
        max_seconds: int,
        *,
        fetch_at_end: bool = True,
    ) -> None:
        self.run, self.lock, self.checkpoint = run, lock, checkpoint
        self.max_seconds = max_seconds
        self.fetch_at_end = fetch_at_end
        """Whether to fetch the final state as a checkpoint."""
        self._turn = run.turn
        self._pace = Pace(run.config)
        self._paced = False
        self._next_beat = 0.0

    @property
    def is_wanted(self) -> bool:
        """Whether the run is live and still in the turn that this loop computes."""
        return self.run.live and self.run.turn == self._turn

    @property
    def _reached(self) -> int:
        return 0 if self.checkpoint is None else self.checkpoint.step

    async def attempt(self, client: Client) -> None:
        """Compute until the run ends or reaches the step at which it pauses. Raises what is in `LOST`."""
        run = self.run
        problem = self._task(client, "problem", worker.within, self.max_seconds, training.prepare, run.config)
        if run.state == "queued":
            with client.as_current():
                await wait([problem])
            run.begin()
        while self.is_wanted and self._reached < run.limit:
            self.checkpoint = await self._next_checkpoint(client, problem)

    async def _next_checkpoint(self, client: Client, problem: Future) -> Chunk | None:
        """Compute one chain from the checkpoint and return the state at its end."""
        due = monotonic() + self._checkpoint_interval(self.run.config)
        chain = _Chain(self.checkpoint, self._reached, due)
        with chain.holding(self.lock):
            while await self._fill(client, problem, chain):
                last, report = chain.flight[0]
                chunk: Chunk = await fetched(client, report)
                chain.flight.popleft()
                self.lock.leave()
                if not self._receive(chunk):
                    chain.last = last
                    break
        if chain.last is self.checkpoint or (self.run.over and not self.fetch_at_end):
            return self.checkpoint
        checkpoint: Chunk = await fetched(client, chain.last)
        return checkpoint.without_losses()

    async def _fill(self, client: Client, problem: Future, chain: _Chain) -> bool:
        """Submit chunks up to the number allowed in flight, and return whether any is in flight."""
        run, flight = self.run, chain.flight
        while len(flight) < (1 if run.speed else IN_FLIGHT) and monotonic() < chain.due and self.is_wanted:
            if flight and self.lock.closed:
                break  # a writer waits for what is in flight
            await self._beat(chain.planned)
            config, end = segment(run.config, run.edits, chain.planned)
            steps = self._steps(chain.planned, end)
            if steps <= 0:
                break
            await self.lock.enter()
            try:
                advance = partial(worker.within, self._deadline(steps), worker.advance)
                chunk = self._task(client, "advance", advance, config, problem, chain.last, steps)
                # A small state travels with its losses; a large one stays on the worker.
                small = methods.state_bytes(config) <= SMALL_STATE_BYTES
                report = chunk if small else self._task(client, "report", worker.report, chunk)
            except BaseException:
                self.lock.leave()
                raise
            flight.append((chunk, report))
            chain.last, chain.planned = chunk, chain.planned + steps
        return bool(flight)

    def _receive(self, chunk: Chunk) -> bool:
        """Add a chunk to the run and return whether more are expected."""
        self._pace.saw(len(chunk.losses), chunk.seconds)
        self._paced = True
        more = self.run.receive(chunk)
        if more and self.run.seconds > self.max_seconds:
            self.run.end("stopped", limits.out_of_time(self.max_seconds))
            return False
        return more

    def _task(self, client: Client, name: str, function: Callable[..., Any], *values: Any) -> Future:
        key = f"{name}-{self.run.name}-{next(_numbers)}"
        return client.submit(function, *values, key=key, pure=False, priority=PRIORITY)

    async def _beat(self, step: int) -> None:
        """In slow motion, wait until the step after `step` is due, or slow motion ends."""
        run = self.run
        self._next_beat = max(self._next_beat, monotonic() - BEAT_SECONDS)
        while run.speed and run.step <= step < run.limit:
            left = self._next_beat - monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(left, BEAT_SECONDS / 2))

    def _steps(self, step: int, end: int) -> int:
        """Return the number of steps of the chunk after `step`, which goes to `end` at most."""
        run = self.run
        steps = self._pace.next(min(run.limit, end) - step)
        speed = run.speed
        if speed and step >= run.step and steps > 0:
            steps = min(steps, max(1, round(speed * BEAT_SECONDS)))
            self._next_beat += steps / speed
        return steps

    def _deadline(self, steps: int) -> float:
        """Return the seconds after which a chunk's worker counts as hung.

        Before the first chunk the speed is not known, and a library may still have to be loaded.
        """
        if not self._paced:
            return self.max_seconds
        return DEADLINE_SECONDS + DEADLINE_FACTOR * steps * self._pace.seconds_per_step

    @staticmethod
    def _checkpoint_interval(config: Config) -> float:
        """Return the seconds between checkpoints: more for a large state, which is slow to transfer."""
        transfer = methods.state_bytes(config) / pace.TRANSFER_BYTES_PER_SECOND
        return max(CHECKPOINT_SECONDS, transfer / CHECKPOINT_SHARE)
