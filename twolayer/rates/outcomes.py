"""The outcome of a run: it converges, is slow, settles with dead units, or diverges."""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from twolayer.training.config import Config
from twolayer.training.messages import N_

CONVERGED = 1e-3
"""A run has converged if its final loss is under this share of the first."""
AT_REST = 0.01
"""A loss is at rest if the last tenth of the steps lowered it by less than this share of itself, and of its
whole decrease."""
DEAD_SHARE = 0.1
NEAR_ZERO_OUTPUT = 0.01
"""Dead units count while the loss is over this share of N·D_out."""

CONVERGES, SLOW, DEAD, DIVERGES = OUTCOMES = ("converges", "slow", "dead", "diverges")

OUTCOME_NAMES = {
    CONVERGES: N_("converges"),
    SLOW: N_("still decreasing"),
    DEAD: N_("stuck with dead units"),
    DIVERGES: N_("diverges"),
}


def outcome(config: Config, losses: NDArray[np.float64], diverged_at: int | None, dead: int) -> str:
    """Return the outcome of a run with these losses and `dead` dead units at its end.

    - diverges: a loss is not finite (`diverged_at`), or the last one is not below the first;
    - dead: over a tenth of the units are dead (not counting those that may be dead by chance at the start,
      each with probability 2⁻ᴺ), and the loss is stuck near N·D_out, its value for y_pred = 0;
    - converges: the final loss is under a thousandth of the first, or is at rest;
    - slow: it is still falling after the last step.
    """
    if diverged_at is not None or len(losses) == 0 or (losses[-1] >= losses[0] and len(losses) > 1):
        return DIVERGES
    first, before, last = losses[0], losses[len(losses) - 1 - len(losses) // 10], losses[-1]
    chance = 0.5**config.N
    by_chance = config.H * chance + 3 * sqrt(config.H * chance * (1 - chance))
    if dead - by_chance > DEAD_SHARE * config.H and last > NEAR_ZERO_OUTPUT * config.N * config.D_out:
        return DEAD
    at_rest = len(losses) >= 10 and before - last < AT_REST * min(last, first - last)
    return CONVERGES if last < CONVERGED * first or at_rest else SLOW
