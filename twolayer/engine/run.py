"""Run: what has been received of one training, readable from any thread while it grows."""

from threading import Event
from time import monotonic
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from twolayer.training.config import Config
from twolayer.training.edits import Edit, current
from twolayer.training.messages import Message
from twolayer.training.training import Chunk

RunState = Literal["queued", "running", "paused", "finished", "diverged", "stopped", "failed"]
LIVE: tuple[RunState, ...] = ("queued", "running")
CONTINUABLE: tuple[RunState, ...] = ("paused", "stopped", "finished")


class Series:
    """Rows that are only ever appended. One thread writes, others read views of what is there."""

    def __init__(self, *row: int) -> None:
        self._rows = np.empty((64, *row))
        self._count = 0

    def extend(self, rows: NDArray[np.float64]) -> None:
        """Append rows; earlier views stay valid."""
        end = self._count + len(rows)
        if end > len(self._rows):
            grown = np.empty((max(end, 2 * len(self._rows)), *self._rows.shape[1:]))
            grown[: self._count] = self._rows[: self._count]
            self._rows = grown
        self._rows[self._count : end] = rows
        self._count = end

    @property
    def nbytes(self) -> int:
        """The memory that is set aside for it."""
        return self._rows.nbytes

    def view(self) -> NDArray[np.float64]:
        """The rows so far, without a copy."""
        count = self._count  # before the array: a larger array holds these rows too
        view = self._rows[:count]
        view.flags.writeable = False
        return view


class Run:
    """One training on the engine. The engine writes, everyone reads."""

    def __init__(self, name: str, config: Config, viewer: str | None = None) -> None:
        self.name, self.config, self.viewer = name, config, viewer
        self.edits: tuple[Edit, ...] = ()
        """What was changed on the way."""
        self.pause_at: int | None = None
        """The step at which it pauses; 0 pauses it as soon as may be."""
        self.speed: float | None = None
        """Steps a second, for slow motion; None is as fast as it goes."""
        self.state: RunState = "queued"
        self.message: Message | None = None
        """Why it failed, or was stopped by the server."""
        self.diverged_at: int | None = None
        self.heard = monotonic()
        """When something last came from a worker, by the monotonic clock."""
        self.seconds = 0.0
        """Time in the steps alone."""
        self.zero_loss: float | None = None
        """Σy², the loss of a network that answers 0."""
        self.began: float | None = None
        """When a worker took it up, or up again, by the monotonic clock."""
        self.began_step = 0
        """Steps that were done then."""
        self.turn = 0
        """How often it was continued: what computes for an earlier turn has no say in this one."""
        self._ended, self._moved = Event(), Event()
        self._losses = Series()
        self._laps = Series(2)
        self._dead = Series(2)
        self._median = (0, np.nan)

    @property
    def live(self) -> bool:
        """Whether it is being computed, or waits for that."""
        return self.state in LIVE

    @property
    def over(self) -> bool:
        """Whether nothing more will come by itself or by going on from a pause."""
        return not self.live and self.state != "paused"

    def value(self, field: str) -> Any:
        """The value of a field of its Config, after its edits."""
        return current(self.config, self.edits, field)

    @property
    def steps(self) -> int:
        """Steps of the whole run, after its edits."""
        return int(self.value("steps"))

    @property
    def limit(self) -> int:
        """The step up to which it may be computed now."""
        return self.steps if self.pause_at is None else min(self.steps, self.pause_at)

    @property
    def step(self) -> int:
        """Steps done, as far as they have been received."""
        return len(self.losses)

    @property
    def losses(self) -> NDArray[np.float64]:
        """The loss of each step so far."""
        return self._losses.view()

    @property
    def laps(self) -> NDArray[np.float64]:
        """Rows of (steps done in all, seconds a step took in the lap that ended there)."""
        return self._laps.view()

    @property
    def step_seconds(self) -> float:
        """The median time of a step. There must be one."""
        count = len(self.laps)
        if self._median[0] != count:
            self._median = count, float(np.median(self.laps[:count, 1]))
        return self._median[1]

    @property
    def dead(self) -> NDArray[np.float64]:
        """Rows of (steps done in all, hidden units then active for no row of the batch)."""
        return self._dead.view()

    @property
    def nbytes(self) -> int:
        """What its curves take in memory."""
        return self._losses.nbytes + self._laps.nbytes + self._dead.nbytes

    def wait(self, seconds: float) -> bool:
        """Wait for the end or a pause, at most so long; whether it has come."""
        return self._ended.wait(seconds)

    def wait_for_losses(self, seconds: float) -> bool:
        """Wait for the first losses or the end, at most so long; whether there is something to see."""
        return self._moved.wait(seconds)

    # -- for the engine -------------------------------------------------------------------------

    def begin(self) -> None:
        """A worker has taken the run up."""
        if self.state == "queued":
            self.heard = self.began = monotonic()
            self.began_step = self.step
            self.state = "running"

    def receive(self, chunk: Chunk) -> bool:
        """Take in the next chunk, and say whether more should come.

        What was received before, and computed again, adds nothing.
        """
        if self.over:
            return False
        self.heard = monotonic()
        new = chunk.step - self.step
        if new > 0:
            ends = chunk.step - len(chunk.losses) + np.cumsum(chunk.laps[:, 0])
            laps = np.column_stack((ends, chunk.laps[:, 1] / chunk.laps[:, 0]))[ends > self.step]
            self.seconds += float(chunk.laps[:, 1][ends > self.step].sum())
            self._laps.extend(laps)
            known = self._dead.view()[-1, 0] if len(self._dead.view()) else 0
            self._dead.extend(chunk.dead[chunk.dead[:, 0] > known])
            self._losses.extend(chunk.losses[-new:])
            self._moved.set()
        self.zero_loss = chunk.zero_loss
        if chunk.diverged_at is not None:
            self.diverged_at = chunk.diverged_at
            self.end("diverged")
        elif self.step == self.steps:
            self.end("finished")
        return not self.over

    def pause(self) -> None:
        """All that was asked for has come; more may be."""
        if self.live:
            self.state = "paused"
            self._moved.set()
            self._ended.set()

    def reopen(self) -> None:
        """It is to be continued."""
        self.turn += 1
        self.message = None
        self.began = None
        self._ended.clear()
        self.state = "queued"

    def end(self, state: RunState, message: Message | None = None) -> None:
        """Nothing more will come. The first end counts."""
        if not self.over:
            self.message = message
            self.state = state
            self._ended.set()
            self._moved.set()
