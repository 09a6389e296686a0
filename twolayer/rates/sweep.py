"""Sweeps: the trainings of a grid, computed as tasks that anyone may run, in any order."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.rates.batched import Outcome, block_size, fit_many
from twolayer.rates.grid import Grid
from twolayer.rates.outcomes import OUTCOMES, outcome
from twolayer.training.config import Config
from twolayer.training.pace import batched_run_seconds

TASK_SECONDS = 0.3
"""Computing time of a task, as it is estimated: short enough that a lost one is nothing."""
TASK_BYTES = 1 << 25
"""Losses that a task may hold."""

ROW = np.dtype(
    [
        ("index", "i4"),  # of the training in its grid
        ("first", "f8"),
        ("final", "f8"),  # the last finite loss
        ("highest", "f8"),
        ("diverged_at", "i4"),  # -1: it did not
        ("dead", "i4"),  # hidden units
        ("outcome", "i1"),  # its place in OUTCOMES
    ]
)
"""What a sweep keeps of a training."""


def _shapes(grid: Grid) -> tuple[list[Config], int]:
    """A Config for each combination of the axes but seed and learning rate, and how many share it."""
    together = int(np.prod([len(a.values) for a in grid.axes if a.field in ("seed", "learning_rate")]))
    return [grid.config(index) for index in range(0, grid.size, together)], together


def seconds(grid: Grid) -> float:
    """Computing time of the whole grid on one core, roughly."""
    shapes, together = _shapes(grid)
    return together * sum(map(batched_run_seconds, shapes))


def blocks(grid: Grid) -> list[tuple[Grid, int, int]]:
    """The tasks of a grid: arguments of `train`, each of some `TASK_SECONDS`."""
    shapes, together = _shapes(grid)
    costs = [max(batched_run_seconds(c) / TASK_SECONDS, 8 * c.steps / TASK_BYTES) for c in shapes]
    reached = np.cumsum(np.repeat(costs, together))
    starts = [0, *(np.flatnonzero(np.diff(np.floor(reached))) + 1)]
    return [(grid, int(a), int(b)) for a, b in zip(starts, [*starts[1:], grid.size], strict=True)]


def memory_bytes(grid: Grid, workers: int) -> int:
    """Estimated peak of what the tasks of so many workers take."""
    shapes, together = _shapes(grid)

    def of_task(config: Config) -> int:
        runs = min(together, block_size(config))
        item = 4 if config.dtype == "float32" else 8
        of_run = 8 * config.N * config.H + config.N**2 + 4 * (config.N + config.H) * config.D_out
        batched = runs * item * of_run if config.method_used == "gram" else 0
        return config.run_bytes + batched + 2 * TASK_BYTES

    return workers * max(map(of_task, shapes))


def train(grid: Grid, start: int, stop: int) -> NDArray[np.void]:
    """Train the configs `start` to `stop` (not included) of a grid: rows of `ROW`."""
    configs = [(index, grid.config(index)) for index in range(start, stop)]
    rows = []
    for _, alike in groupby(configs, key=lambda pair: replace(pair[1], seed=0, learning_rate=1.0)):
        indices, these = zip(*alike, strict=True)
        rows += [_row(i, one) for i, one in zip(indices, fit_many(these), strict=True)]
    return np.array(rows, dtype=ROW)


def _row(index: int, one: Outcome) -> tuple[Any, ...]:
    losses = one.losses
    first, final, highest = (losses[0], losses[-1], losses.max()) if len(losses) else (np.nan,) * 3
    kind = OUTCOMES.index(outcome(one.config, losses, one.diverged_at, one.dead))
    diverged_at = -1 if one.diverged_at is None else one.diverged_at
    return index, first, final, highest, diverged_at, one.dead, kind


class Sweep:
    """A grid and the rows of the trainings that are done; the others have the index -1."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.rows = np.zeros(grid.size, dtype=ROW)
        self.rows["index"] = -1
        self.done = 0
        self._taken = 0

    def take(self, results: Iterable[tuple[int, NDArray[np.void]]]) -> None:
        """Take in results of `train`, each row in its place."""
        for _, rows in results:
            self._taken += 1
            self.done += int((self.rows["index"][rows["index"]] < 0).sum())
            self.rows[rows["index"]] = rows

    @property
    def taken(self) -> int:
        """How many results were taken in."""
        return self._taken

    @property
    def there(self) -> NDArray[np.void]:
        """The rows of the trainings that are done, in the grid's order."""
        return self.rows[self.rows["index"] >= 0]
