"""The figures of a training that people read: what each is, its unit, and how it is computed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from twolayer.training.config import Config
from twolayer.training.messages import N_
from twolayer.training.methods import flops_per_step

SHARES = (0.1, 0.5, 0.9)
"""Of the steps: those of a band about a median."""


def quantiles(
    times: NDArray[np.float64], steps: NDArray[np.float64], shares: Sequence[float]
) -> NDArray[np.float64]:
    """Return, for each share, the time that this share of the steps took at most.

    `times` are those of a step in each lap, (…, laps), and `steps` how many the lap has: a lap of many steps
    counts as many times. The result has the shape (shares, …).
    """
    order = np.argsort(times, axis=-1)
    ranked, done = np.take_along_axis(times, order, -1), np.take_along_axis(steps, order, -1).cumsum(-1)
    places = [(done < share * done[..., -1:]).sum(-1, keepdims=True) for share in shares]
    return np.stack([np.take_along_axis(ranked, place, -1)[..., 0] for place in places])


class Trained(Protocol):
    """What a `Result` and a run on a server have in common."""

    @property
    def losses(self) -> NDArray[Any]: ...
    @property
    def seconds(self) -> float: ...
    @property
    def step_seconds(self) -> float: ...
    @property
    def dead(self) -> NDArray[Any]: ...


@dataclass(frozen=True)
class Figure:
    """A figure of a training that has taken at least one step."""

    label: str
    """In English."""
    of: Callable[[Config, Trained], float]
    """Its value, in its unit."""
    unit: str = ""
    """Empty for a loss and for what is counted."""


STEPS, FIRST_LOSS, LOSS = "steps", "first_loss", "loss"
STEP_TIME, SPEED, TOTAL_TIME, DEAD = "step_time", "speed", "seconds", "dead_units"

FIGURES: Mapping[str, Figure] = MappingProxyType(
    {
        STEPS: Figure(N_("Steps done"), lambda _config, run: len(run.losses)),
        FIRST_LOSS: Figure(N_("First loss"), lambda _config, run: float(run.losses[0])),
        LOSS: Figure(N_("Loss"), lambda _config, run: float(run.losses[-1])),
        STEP_TIME: Figure(N_("Median step time"), lambda _config, run: 1e6 * run.step_seconds, "µs"),
        SPEED: Figure(
            N_("Speed"), lambda config, run: flops_per_step(config) / run.step_seconds / 1e9, "GFLOP/s"
        ),
        TOTAL_TIME: Figure(N_("Time in steps"), lambda _config, run: run.seconds, "s"),
        DEAD: Figure(N_("Dead units"), lambda _config, run: float(run.dead[-1, 1])),
    }
)
