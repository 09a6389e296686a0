"""Run: what has been received of one training. Every thread may read it while it grows."""

from dataclasses import asdict
from threading import Event
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.engine.task import State, Task
from twolayer.training import methods
from twolayer.training.config import Config
from twolayer.training.data import own
from twolayer.training.edits import Edit, current
from twolayer.training.figures import SHARES, quantiles
from twolayer.training.learned import Picture
from twolayer.training.messages import Message
from twolayer.training.training import Chunk

MOST_PICTURES = 20


class Series:
    """An array that only grows. One thread appends rows, others read views of the rows so far.

    Memory for the `expected` rows is reserved at once: the system provides it page by page as rows come,
    and nothing has to be copied.
    """

    def __init__(self, *row: int, expected: int = 64) -> None:
        self._rows = np.empty((expected, *row))
        self._count = 0

    def extend(self, rows: NDArray[np.float64]) -> None:
        """Append rows. Earlier views stay valid."""
        end = self._count + len(rows)
        if end > len(self._rows):
            grown = np.empty((max(end, 2 * len(self._rows)), *self._rows.shape[1:]))
            grown[: self._count] = self._rows[: self._count]
            self._rows = grown
        self._rows[self._count : end] = rows
        self._count = end

    @property
    def nbytes(self) -> int:
        """Bytes of the rows so far."""
        return self.view().nbytes

    def view(self) -> NDArray[np.float64]:
        """Return the rows so far, read-only and without a copy."""
        count = self._count  # read before the array: a larger array holds these rows too
        view = self._rows[:count]
        view.flags.writeable = False
        return view


def kept(pictures: tuple[Picture, ...], newest: Picture, steps: int) -> tuple[Picture, ...]:
    """Return the pictures to keep of a run of so many steps: the first of each of `MOST_PICTURES` parts of
    it, and the newest."""
    if len(pictures) > 1:
        part, before = (p.step * MOST_PICTURES // steps for p in (pictures[-1], pictures[-2]))
        if part == before:
            pictures = pictures[:-1]
    return (*pictures, newest)


class Run(Task):
    """One training on the engine."""

    kind = "run"

    def __init__(self, name: str, config: Config, visitor: str | None = None) -> None:
        super().__init__(name, visitor)
        self.config = config
        self.table = own.find(config.table)
        """The table of one's own that it trains on, if it does."""
        self.edits: tuple[Edit, ...] = ()
        """Changes made to the config on the way."""
        self.pause_at: int | None = None
        """The step at which it pauses; 0 pauses it as soon as possible."""
        self.speed: float | None = None
        """Steps per second in slow motion; None for full speed."""
        self.keeps_state = False
        """Whether its last state is kept in `last_state`, however large it is."""
        self.last_state: Chunk | None = None
        self.diverged_at: int | None = None
        self.heard = monotonic()
        """When a worker last sent something, by the monotonic clock."""
        self.seconds = 0.0
        """Time spent in the steps alone."""
        self.zero_loss: float | None = None
        """Σy², the loss of a network whose output is 0."""
        self.began_step = 0
        """Steps that were done when it began or resumed."""
        self._moved = Event()
        self._losses = Series(expected=config.steps)
        self._laps = Series(2)
        self._dead = Series(2)
        self._held_out = Series(3)
        self.pictures: tuple[Picture, ...] = ()
        """What it had learned at some steps, in their order; the last one is the newest."""
        self._spread = (0, np.full(3, np.nan))

    def value(self, field: str) -> Any:
        """Return the value of a field of its config after its edits."""
        return current(self.config, self.edits, field)

    @property
    def steps(self) -> int:
        """Steps of the whole run after its edits."""
        return int(self.value("steps"))

    @property
    def limit(self) -> int:
        """The step up to which it may be computed now."""
        return self.steps if self.pause_at is None else min(self.steps, self.pause_at)

    @property
    def step(self) -> int:
        """Steps whose losses have been received."""
        return len(self.losses)

    progress = step

    @property
    def losses(self) -> NDArray[np.float64]:
        """The loss of each step so far."""
        return self._losses.view()

    @property
    def laps(self) -> NDArray[np.float64]:
        """Rows of (steps done in total, seconds per step in the lap that ended there)."""
        return self._laps.view()

    @property
    def step_seconds(self) -> float:
        """The median time of a step. At least one lap must have been received."""
        return float(self.spread[1])

    @property
    def spread(self) -> NDArray[np.float64]:
        """The times in seconds that a tenth, half and nine tenths of the steps took at most. At least one lap
        must have been received."""
        laps = self.laps
        if self._spread[0] != len(laps):
            steps = np.diff(laps[:, 0], prepend=0)
            self._spread = len(laps), quantiles(laps[:, 1], steps, SHARES)
        return self._spread[1]

    @property
    def dead(self) -> NDArray[np.float64]:
        """Rows of (steps done in total, dead hidden units)."""
        return self._dead.view()

    @property
    def held_out(self) -> NDArray[np.float64]:
        """Rows of (steps done in total, mean loss per entry, share of right classes) on held-out rows."""
        return self._held_out.view()

    @property
    def nbytes(self) -> int:
        """Bytes of its curves and pictures in memory."""
        curves = (self._losses, self._laps, self._dead, self._held_out)
        return sum(series.nbytes for series in curves) + sum(picture.nbytes for picture in self.pictures)

    def wait_for_losses(self, seconds: float) -> bool:
        """Wait at most `seconds` for the first losses, a pause or the end; return whether one has come."""
        return self._moved.wait(seconds)

    # -- for the engine -------------------------------------------------------------------------

    def begin(self) -> None:
        if self.state == "queued":
            self.heard, self.began_step = monotonic(), self.step
            super().begin()

    def receive(self, chunk: Chunk) -> bool:
        """Append the next chunk and return whether more are expected.

        Steps that were received before, and computed again, add nothing.
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
            known = self._held_out.view()[-1, 0] if len(self._held_out.view()) else 0
            self._held_out.extend(chunk.held_out[chunk.held_out[:, 0] > known])
            if chunk.picture is not None:
                self.pictures = kept(self.pictures, chunk.picture, self.steps)
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
        """Pause: all steps up to `pause_at` have been received."""
        if self.live:
            self.state = "paused"
            self._moved.set()
            self._ended.set()

    def reopen(self) -> None:
        """Queue it again, to be continued."""
        self.turn += 1
        self.message = self.began = self.elapsed = None
        self._ended.clear()
        self._settled.clear()
        self.state = "queued"

    def end(self, state: State, message: Message | None = None) -> None:
        super().end(state, message)
        self._moved.set()

    def log_fields(self) -> dict[str, Any]:
        return {
            **super().log_fields(),
            "in_steps": self.seconds,
            "edits": len(self.edits),
            "method_used": methods.used(self.config),
            **{name: value for name, value in asdict(self.config).items() if name != "table"},
        }
