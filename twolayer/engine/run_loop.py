"""The course of a run over the cluster: chains of chunks from checkpoint to checkpoint.

A run is a chain of pure tasks, `advance(previous chunk) -> chunk`, whose results stay on the workers;
only the losses travel. Every few seconds the chain is rooted anew at a checkpoint, the state of the
run so far, so that neither the scheduler nor a recovery grows with the length of a run.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Any

from distributed import Client, wait

from twolayer.engine import worker
from twolayer.engine.connection import fetched
from twolayer.engine.lock import Gate
from twolayer.engine.run import Run
from twolayer.training import training
from twolayer.training.config import Config
from twolayer.training.edits import segment
from twolayer.training.messages import Message
from twolayer.training.pace import Pace
from twolayer.training.problem import Problem
from twolayer.training.training import Chunk

IN_FLIGHT = 2
CHECKPOINT_SECONDS = 3.0
CHECKPOINT_BYTES_PER_SECOND = 200e6
CHECKPOINT_SHARE = 0.02
SMALL_STATE_BYTES = 1 << 16
BEAT_SECONDS = 0.1
"""Length of a chunk in slow motion, where the steps of a second are set."""
DEADLINE_SECONDS = 20.0
DEADLINE_FACTOR = 50
"""A chunk may take so long, and so many times as long as those before let expect."""
PRIORITY = 10
"""A worker takes the chunks of runs first: a job of thousands of tasks must not hold them up."""

_numbers = itertools.count()


def advance(config: Config, problem: Problem, previous: Chunk | None, steps: int) -> Chunk:
    """`training.advance` where the first chunk has nothing before it."""
    if previous is None:
        previous = training.start(config, problem)
    return training.advance(config, problem, previous, steps)


def report(chunk: Chunk) -> Chunk:
    """What the web process needs of a chunk: all but the state."""
    return replace(chunk, state={})


class Course:
    """A run while it is computed: where its next chain begins, and how its chunks are cut."""

    def __init__(self, run: Run, gate: Gate, checkpoint: Chunk | None, max_seconds: int) -> None:
        self.run, self.gate, self.checkpoint = run, gate, checkpoint
        self._turn = run.turn
        self.max_seconds = max_seconds
        self.fetch_at_end = True
        """Whether the state that the run ends with is wanted as a checkpoint."""
        self._pace = Pace(run.config)
        self._paced = False
        self._next_beat = 0.0

    @property
    def is_wanted(self) -> bool:
        """Whether the run is live, and not by having been continued in another course meanwhile."""
        return self.run.live and self.run.turn == self._turn

    @property
    def _reached(self) -> int:
        return 0 if self.checkpoint is None else self.checkpoint.step

    async def go_on(self, client: Client) -> None:
        """Compute until the run ends, or has come to where it pauses. Raises what is in `LOST`."""
        run = self.run
        problem = self._watched(client, "problem", self.max_seconds, training.prepare, run.config)
        if run.state == "queued":
            with client.as_current():
                await wait([problem])
            run.begin()
        while self.is_wanted and self._reached < run.limit:
            self.checkpoint = await self._chain(client, problem)

    def _task(self, client: Client, name: str, function: Callable[..., Any], *values: Any) -> Any:
        key = f"{name}-{self.run.name}-{next(_numbers)}"
        return client.submit(function, *values, key=key, pure=False, priority=PRIORITY)

    def _watched(
        self, client: Client, name: str, seconds: float, function: Callable[..., Any], *values: Any
    ) -> Any:
        return self._task(client, name, worker.within, seconds, function, *values)

    async def _chain(self, client: Client, problem: Any) -> Chunk | None:
        """One chain of tasks from the checkpoint; returns the next checkpoint."""
        run = self.run
        last: Any = self.checkpoint  # what the next chunk goes on from: a value, later a future
        planned = self._reached
        flight: deque[tuple[Any, Any]] = deque()
        inside = 0
        due = monotonic() + self._checkpoint_interval(run.config)
        try:
            while True:
                while len(flight) < (1 if run.speed else IN_FLIGHT) and monotonic() < due and self.is_wanted:
                    if flight and self.gate.closed:
                        break  # whoever wants to be alone waits for what is in flight
                    await self._beat(planned)
                    config, end = segment(run.config, run.edits, planned)
                    steps = self._steps(planned, end)
                    if steps <= 0:
                        break
                    await self.gate.enter()
                    inside += 1
                    last = self._watched(
                        client, "advance", self._deadline(steps), advance, config, problem, last, steps
                    )
                    # A small state travels with its losses; a large one stays where it is
                    small = config.state_bytes <= SMALL_STATE_BYTES
                    flight.append((last, last if small else self._task(client, "report", report, last)))
                    planned += steps
                if not flight:
                    break
                reached, arriving = flight[0]
                chunk: Chunk = await fetched(client, arriving)
                flight.popleft()
                self.gate.leave()
                inside -= 1
                self._pace.saw(len(chunk.losses), chunk.seconds)
                self._paced = True
                more = run.receive(chunk)
                if more and run.seconds > self.max_seconds:
                    run.end("stopped", self._too_long())
                    more = False
                if not more:
                    last = reached
                    break
        finally:
            self.gate.leave(inside)
        if last is self.checkpoint or (run.over and not self.fetch_at_end):
            return self.checkpoint
        next_checkpoint: Chunk = await fetched(client, last)
        return next_checkpoint.without_losses()

    async def _beat(self, step: int) -> None:
        """In slow motion, wait until the step after `step` is due; no longer than that lasts."""
        run = self.run
        self._next_beat = max(self._next_beat, monotonic() - BEAT_SECONDS)
        while run.speed and run.step <= step < run.limit:
            left = self._next_beat - monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(left, BEAT_SECONDS / 2))

    def _steps(self, step: int, end: int) -> int:
        """Steps of the chunk that begins after `step`, at most to `end`."""
        run = self.run
        steps = self._pace.next(min(run.limit, end) - step)
        speed = run.speed
        if speed and step >= run.step and steps > 0:
            steps = min(steps, max(1, round(speed * BEAT_SECONDS)))
            self._next_beat += steps / speed
        return steps

    def _deadline(self, steps: int) -> float:
        """Seconds that a chunk may take before its worker counts as hung. Before the first one the speed
        is not known, and a library may still have to be loaded."""
        if not self._paced:
            return self.max_seconds
        return DEADLINE_SECONDS + DEADLINE_FACTOR * steps * self._pace.seconds_per_step

    def _too_long(self) -> Message:
        return Message.of(
            "Stopped: a run may compute for {limit} s on this server. "
            "Choose fewer steps or smaller dimensions.",
            limit=self.max_seconds,
        )

    @staticmethod
    def _checkpoint_interval(config: Config) -> float:
        """Seconds between checkpoints: rarer for a large state, whose transfer costs time."""
        transfer = config.state_bytes / CHECKPOINT_BYTES_PER_SECOND
        return max(CHECKPOINT_SECONDS, transfer / CHECKPOINT_SHARE)
