"""Sweeps: the runs of a grid, computed as independent tasks, and the zones of the learning rate in them."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.rates.batched import Outcome, block_size, fit_many
from twolayer.rates.grid import Grid
from twolayer.rates.outcomes import OUTCOMES, outcome
from twolayer.training import methods
from twolayer.training.config import Config
from twolayer.training.pace import batched_run_seconds

TASK_SECONDS = 0.2
"""Estimated computing time of a task: short, so that little is lost with one."""
TASK_BYTES = 1 << 25
"""Bytes that are allowed for the losses of a task, which has far fewer in so short a time."""

ROW = np.dtype(
    [
        ("index", "i4"),  # of the run in its grid
        ("first", "f8"),
        ("final", "f8"),  # the last finite loss
        ("highest", "f8"),
        ("diverged_at", "i4"),  # -1: it did not
        ("dead", "i4"),  # hidden units
        ("outcome", "i1"),  # index in OUTCOMES
        ("zero", "f8"),  # Σy², the loss of a network that always outputs 0
    ]
)
"""What a sweep keeps of a run."""


def _shapes(grid: Grid) -> list[Config]:
    """Return a Config for each combination of the axes except seed and learning rate."""
    return [grid.config(index) for index in range(0, grid.size, grid.together)]


def seconds(grid: Grid) -> float:
    """Estimate the seconds of the whole grid on one core."""
    return grid.together * sum(map(batched_run_seconds, _shapes(grid)))


def blocks(grid: Grid) -> list[tuple[Grid, int, int]]:
    """Divide a grid into tasks of about `TASK_SECONDS`: arguments of `train`."""
    costs = [batched_run_seconds(config) / TASK_SECONDS for config in _shapes(grid)]
    reached = np.cumsum(np.repeat(costs, grid.together))
    starts = [0, *(np.flatnonzero(np.diff(np.floor(reached))) + 1)]
    return [(grid, int(a), int(b)) for a, b in zip(starts, [*starts[1:], grid.size], strict=True)]


def memory_bytes(grid: Grid, workers: int) -> int:
    """Estimate the peak memory of the tasks of `workers` workers."""
    axis = grid.position("seed")
    seeds = 1 if axis is None else len(grid.axes[axis].values)

    def of_task(config: Config) -> int:
        runs = min(grid.together, block_size(config))
        of_run = 8 * config.N * config.H + 4 * (config.N + config.H) * config.D_out
        constants = config.N * (config.N + config.H)
        copies = min(runs, seeds) + (1 if seeds == 1 else runs)  # with one seed, one serves all runs
        batched = methods.item_bytes(config) * (runs * of_run + copies * constants)
        return methods.run_bytes(config) + 2 * TASK_BYTES + (batched if methods.used(config) == "gram" else 0)

    return workers * max(map(of_task, _shapes(grid)))


def train(grid: Grid, start: int, stop: int) -> NDArray[np.void]:
    """Train the runs `start` to `stop` (excluded) of a grid. Return rows of `ROW`."""
    rows = []
    for _, alike in groupby(range(start, stop), key=lambda index: index // grid.together):
        indices = list(alike)
        outcomes = fit_many([grid.config(index) for index in indices])
        rows += [_row(index, one) for index, one in zip(indices, outcomes, strict=True)]
    return np.array(rows, dtype=ROW)


def _row(index: int, one: Outcome) -> tuple[Any, ...]:
    losses = one.losses
    figures = (losses[0], losses[-1], losses.max()) if len(losses) else (np.nan,) * 3
    kind = OUTCOMES.index(outcome(one.config, losses, one.diverged_at, one.dead, one.zero_loss))
    return index, *figures, -1 if one.diverged_at is None else one.diverged_at, one.dead, kind, one.zero_loss


class Sweep:
    """A grid and the rows of its runs; those not done yet have the index -1."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.rows = np.zeros(grid.size, dtype=ROW)
        self.rows["index"] = -1
        self.done = 0
        self.taken = 0
        """The number of results added."""

    def take(self, results: Iterable[tuple[int, NDArray[np.void]]]) -> None:
        """Add results of `train`."""
        for _, rows in results:
            self.taken += 1
            self.done += int((self.rows["index"][rows["index"]] < 0).sum())
            self.rows[rows["index"]] = rows

    @property
    def there(self) -> NDArray[np.void]:
        """The rows of the finished runs, in the grid's order."""
        return self.rows[self.rows["index"] >= 0]


@dataclass(frozen=True)
class Zone:
    """Neighbouring learning rates of a sweep with the same outcomes over the seeds."""

    low: float
    high: float
    outcomes: tuple[str, ...]


def zones(sweep: Sweep) -> list[Zone]:
    """Return the zones of a sweep over learning rates, or over learning rates and seeds, from low to high."""
    grid, rows = sweep.grid, sweep.there
    axis = grid.position("learning_rate")
    assert axis is not None
    places = np.unravel_index(rows["index"], grid.shape)[axis]
    found: list[Zone] = []
    for place, rate in sorted(enumerate(grid.axes[axis].values), key=lambda pair: pair[1]):
        kinds = tuple(OUTCOMES[kind] for kind in np.unique(rows["outcome"][places == place]))
        if found and found[-1].outcomes == kinds:
            found[-1] = Zone(found[-1].low, rate, kinds)
        elif kinds:
            found.append(Zone(rate, rate, kinds))
    return found
