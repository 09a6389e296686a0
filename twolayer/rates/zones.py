"""The zones of the learning rate: neighbouring rates of a sweep with the same outcomes."""

from dataclasses import dataclass

import numpy as np

from twolayer.rates.outcomes import OUTCOMES
from twolayer.rates.sweep import Sweep


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
