"""The loop that computes a run on the cluster: chains of chunks from checkpoint to checkpoint.

A run is a chain of pure tasks, `advance(previous chunk) -> chunk`. Their results stay on the workers;
only the losses travel. Every few seconds a new chain starts at a checkpoint, the state of the run so
far, so that neither the scheduler nor a recovery grows with the length of a run.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

from distributed import Client, Future, wait

from twolayer.engine import limits, worker
from twolayer.engine.connection import fetched
from twolayer.engine.memory import Lease
from twolayer.engine.run import MOST_PICTURES, Run
from twolayer.engine.shares import PATIENCE_SECONDS, Shares, Turn
from twolayer.training import methods, pace
from twolayer.training.config import RANDOM, Config
from twolayer.training.edits import segment
from twolayer.training.pace import Pace
from twolayer.training.training import Chunk

IN_FLIGHT = 2
CHECKPOINT_SECONDS = 3.0
CHECKPOINT_SHARE = 0.02
SMALL_STATE_BYTES = 1 << 16
PICTURE_SHARE = 0.02
"""A picture may take this share of the time of its chunk."""
BEAT_SECONDS = 0.1
"""Length of a chunk in slow motion."""
DEADLINE_SECONDS = 20.0
DEADLINE_FACTOR = 50
"""A chunk may take `DEADLINE_SECONDS` and this many times the time that the last chunk predicts."""


class _Flight(NamedTuple):
    """A chunk that is submitted, its report, and its turn at the workers."""

    chunk: Future
    report: Future
    turn: Turn


@dataclass
class _Chain:
    """Chunks that each continue the one before, from a checkpoint on."""

    last: Chunk | Future | None
    """What the next chunk continues: the checkpoint, later a future."""
    planned: int
    """Steps done when all submitted chunks are."""
    due: float
    """When to end it with a new checkpoint, by the monotonic clock."""
    flight: deque[_Flight] = field(default_factory=deque)
    """The chunks that are submitted and not received."""


class RunLoop:
    """Computes one run, for one turn: where its next chain starts, and how it is cut into chunks."""

    def __init__(
        self,
        run: Run,
        shares: Shares,
        checkpoint: Chunk | None,
        max_seconds: int,
        *,
        fetch_at_end: bool = True,
    ) -> None:
        self.task, self.shares, self.checkpoint = run, shares, checkpoint
        self.max_seconds = max_seconds
        self.fetch_at_end = fetch_at_end
        """Whether to fetch the final state as a checkpoint."""
        self._turn = run.turn
        self._pace = Pace(run.config)
        self._paced = False
        self._next_beat = 0.0
        self._client: Client
        self._lease: Lease
        self._problem: Future | None
        self._preparing = 0.0
        """Expected seconds of preparing the problem, until its first chunk has come."""
        self._first: int
        """The step at which this attempt began."""

    @property
    def is_wanted(self) -> bool:
        """Whether the run is live and still in the turn that this loop computes."""
        return self.task.live and self.task.turn == self._turn

    @property
    def _reached(self) -> int:
        return 0 if self.checkpoint is None else self.checkpoint.step

    @property
    def is_done(self) -> bool:
        """Whether the run has ended or reached the step at which it pauses."""
        return not self.is_wanted or self._reached >= self.task.limit

    async def attempt(self, lease: Lease, client: Client) -> None:
        """Compute until the run is done, or its memory is wanted back. Raises what is in `LOST`."""
        self._client, self._problem, self._lease = client, None, lease
        self._first = self._reached
        try:
            while not self.is_done and not (lease.wanted and self._reached > self._first):
                self.checkpoint = await self._next_checkpoint()
        finally:
            self._problem = None  # with the future its data are dropped from the worker

    async def _next_checkpoint(self) -> Chunk | None:
        """Compute one chain from the checkpoint and return the state at its end."""
        due = monotonic() + self._checkpoint_interval(self.task.config)
        chain = _Chain(self.checkpoint, self._reached, due)
        try:
            while await self._fill(chain):
                if self.task.state == "queued":
                    with self._client.as_current():
                        await wait([self._problem])
                    self.task.begin()
                chunk: Chunk = await fetched(self._client, chain.flight[0].report)
                last, _, turn = chain.flight.popleft()
                turn.seconds = self._preparing + max(chunk.seconds, chunk.processor_seconds)  # scores count
                self._preparing = 0.0
                self.shares.leave(turn)
                if not self._receive(chunk):
                    chain.last = last
                    break
        finally:
            for _, _, turn in chain.flight:
                self.shares.leave(turn)
        if chain.last is self.checkpoint or (self.task.over and not self.fetch_at_end):
            return self.checkpoint
        checkpoint: Chunk = await fetched(self._client, chain.last)
        return checkpoint.without_losses()

    async def _fill(self, chain: _Chain) -> bool:
        """Submit chunks up to the number allowed in flight, and return whether any is in flight."""
        run, flight = self.task, chain.flight
        while len(flight) < (1 if run.speed else IN_FLIGHT) and monotonic() < chain.due:
            await self._beat(chain.planned)
            config, end = segment(run.config, run.edits, chain.planned)
            steps = self._steps(chain.planned, end)
            if steps <= 0 or not self._goes_on(chain):
                break
            if self._problem is None:
                self._preparing = pace.preparing_seconds(config)
            seconds = self._preparing + steps * self._pace.seconds_per_step
            is_long = run.visitor is not None and seconds > PATIENCE_SECONDS
            turn = Turn(run.owner, seconds, width=config.threads, is_long=is_long)
            if flight and self.shares.would_wait(turn):
                break  # others wait for what is in flight
            await self.shares.enter(turn)
            try:
                flight.append(self._submit(chain, config, steps, turn))
            except BaseException:
                self.shares.leave(turn)
                raise
            chain.last, chain.planned = flight[-1].chunk, chain.planned + steps
        return bool(flight)

    def _goes_on(self, chain: _Chain) -> bool:
        """Return whether another chunk may follow. Memory is not given back before there is progress."""
        return self.is_wanted and not (self._lease.wanted and chain.planned > self._first)

    def _submit(self, chain: _Chain, config: Config, steps: int, turn: Turn) -> _Flight:
        if self._problem is None:
            prepare = partial(worker.within, self.max_seconds, worker.prepare)
            self._problem = self._task(turn, "problem", prepare, self.task.config, self.task.table)
        advance = partial(worker.within, self._deadline(steps), worker.advance)
        chunk = self._task(turn, "advance", advance, config, self._problem, chain.last, steps)
        # A small state travels with its losses; a large one stays on the worker.
        small = methods.state_bytes(config) <= SMALL_STATE_BYTES
        return _Flight(chunk, chunk if small else self._task(turn, "report", worker.report, chunk), turn)

    def _receive(self, chunk: Chunk) -> bool:
        """Add a chunk to the run and return whether more are expected."""
        self._pace.saw(len(chunk.losses), chunk.processor_seconds)
        self._paced = True
        more = self.task.receive(chunk)
        if more and self.task.seconds > self.max_seconds:
            self.task.end("stopped", limits.out_of_time(self.max_seconds))
            return False
        return more

    def _task(self, turn: Turn, name: str, function: Callable[..., Any], *values: Any) -> Future:
        key = worker.new_key(f"{name}-{self.task.name}")
        return self._client.submit(function, *values, key=key, pure=False, priority=turn.priority)

    async def _beat(self, step: int) -> None:
        """In slow motion, wait until the step after `step` is due, or slow motion ends."""
        run = self.task
        self._next_beat = max(self._next_beat, monotonic() - BEAT_SECONDS)
        while run.speed and run.step <= step < run.limit and not self._lease.wanted:
            left = self._next_beat - monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(left, BEAT_SECONDS / 2))

    def _steps(self, step: int, end: int) -> int:
        """Return the number of steps of the chunk after `step`, which goes to `end` at most."""
        run = self.task
        steps = self._pace.next(min(run.limit, end) - step)
        if run.config.data != RANDOM:  # each chunk ends with a picture
            least = pace.picture_seconds(run.config) / PICTURE_SHARE / self._pace.seconds_per_step
            steps = min(steps, max(-(-run.steps // MOST_PICTURES), round(least)))
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
