"""Whether a contender is right: its losses and weights against the formulas in float64.

The tolerance is measured. The formulas are computed twice in float64: unchanged, and with a perturbation
of each weight after each step, of the size of a rounding of the race's dtype. The difference of the two
shows how much this run amplifies rounding. A contender may differ by a multiple of it, since it also
rounds each product and sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from twolayer.race.contenders import BASELINE, Contender
from twolayer.training import methods, training
from twolayer.training.config import Config
from twolayer.training.kernels import load
from twolayer.training.messages import N_, Message
from twolayer.training.problem import Array, make_problem
from twolayer.training.reference import iteration

SEEN = {"float32": 1e-4, "float64": 1e-12}
"""Losses are compared while above this share of the first. Below it they consist of rounding errors."""
MOST_STEPS = 1000
LEAST_STEPS = 10
MOST_FLOPS = 30e9
PERTURBATION = 32
"""The perturbation in roundings: large enough to switch hidden units near 0, as float32 does."""
DIRECTIONS = 4
"""Random perturbations, applied in turn so that they do not add up."""
ROUNDINGS = 100
"""The multiple of the effect of one rounding per step that is allowed. Of 280 right contenders on 40 random
shapes all were below 0.65 of the tolerance, half of them below 0.005."""
NOTABLE_RATIO = 1.5
BLOWN_UP = 1e6
"""The run counts as divergent from a loss of this many times the first, and is not compared further."""


@dataclass(frozen=True)
class Drift:
    """The largest relative differences of a run from the float64 reference."""

    loss: float
    """Of the losses above the share of the first in `SEEN`."""
    last_ratio: float
    """The last loss over the reference's. Float32 may end higher, limited by rounding: that is no error."""
    weight: float
    """Of w1 and w2, relative to the largest weight of each."""


@dataclass(frozen=True)
class Agreement:
    """A contender's drift, and what rounding explains of it."""

    drift: Drift
    one_rounding: Drift
    """The drift of the reference with its weights perturbed by one rounding after each step."""
    floor: float
    """The rounding error of one step."""
    fallen: float
    """The reference's last loss over its first."""
    steps: int
    """Steps compared."""

    def allowed(self, one_rounding: float) -> float:
        """Return the largest difference that counts as rounding."""
        return self.floor + ROUNDINGS * one_rounding

    @property
    def right(self) -> bool:
        """Whether the contender computes the formulas, to rounding."""
        drift, one = self.drift, self.one_rounding
        return drift.loss <= self.allowed(one.loss) and drift.weight <= self.allowed(one.weight)


def steps_compared(config: Config) -> int:
    """Return how many steps are compared: at most a thousand, fewer where a step takes long."""
    affordable = max(LEAST_STEPS, int(MOST_FLOPS / methods.flops_per_step(BASELINE.config(config))))
    return min(config.steps, MOST_STEPS, affordable)


def agreement(config: Config, contender: Contender) -> Agreement:
    """Compare a contender with the reference, from the initial weights."""
    reference = _reference(config)
    steps = len(reference.losses)
    its_config, kernel_type = contender.config(config), contender.kernel()
    with kernel_type.threads(config.threads), np.errstate(over="ignore", invalid="ignore"):
        problem = training.prepare(its_config, kernel_type=kernel_type)
        kernel = kernel_type(its_config, problem, kernel_type.start(problem), steps)
        kernel.steps(steps)
        weights = kernel_type.weights(problem, kernel.state())
        drift = reference.drift(kernel.losses(), weights)
    # n roundings for each sum of n terms
    floor = float(np.finfo(config.dtype).eps / 2 * (config.N * config.D_out + config.D_in + config.H))
    return Agreement(drift, reference.one_rounding, floor, reference.fallen, steps)


class _Reference:
    """Losses and weights by the formulas in float64, until the run diverges."""

    def __init__(self, config: Config) -> None:
        self.dtype = config.dtype
        self.losses, self.weights = _by_formulas(config, steps_compared(config), perturbation=0)
        drift = self.drift(*_by_formulas(config, len(self.losses), perturbation=PERTURBATION))
        self.one_rounding = Drift(drift.loss / PERTURBATION, drift.last_ratio, drift.weight / PERTURBATION)
        self.fallen = float(self.losses[-1] / self.losses[0]) if any(self.losses[:1]) else 1.0

    def drift(self, losses: NDArray[np.float64], weights: tuple[Array, Array]) -> Drift:
        """Return the drift of these losses and weights: infinite where they are not finite."""
        if not len(self.losses) or len(losses) < len(self.losses):
            return Drift(float("inf"), float("inf"), float("inf"))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            seen = self.losses >= SEEN[self.dtype] * self.losses[0]
            of_losses = np.max(np.abs(losses - self.losses)[seen] / self.losses[seen])
            last = losses[-1] / self.losses[-1]
            of_weights = [
                np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs))
                for ours, theirs in zip(weights, self.weights, strict=True)
            ]
        found = np.nan_to_num([of_losses, last, np.max(of_weights)], nan=np.inf, posinf=np.inf)
        return Drift(*map(float, found))


_reference = lru_cache(maxsize=1)(_Reference)


def _by_formulas(
    config: Config, steps: int, *, perturbation: int
) -> tuple[NDArray[np.float64], tuple[Array, Array]]:
    """Return the losses of at most `steps` steps and the weights after them.

    After each step the weights are perturbed by so many roundings.
    """
    problem = make_problem(config)
    x, y, w1, w2 = (a.astype(np.float64) for a in (problem.x, problem.y, problem.w1, problem.w2))
    rounding = np.finfo(config.dtype).eps / 2
    g = np.random.default_rng(0)
    factors = [
        [1 + perturbation * rounding * g.choice([-1, 1], w.shape) for w in (w1, w2)]
        for _ in range(DIRECTIONS)
    ]
    losses: list[float] = []
    with load("numpy", "tutorial").threads(config.threads), np.errstate(over="ignore", invalid="ignore"):
        for step in range(steps):
            loss, new_w1, new_w2 = iteration(x, y, w1, w2, config.learning_rate)
            if not (np.isfinite(loss) and loss <= BLOWN_UP * (losses[0] if losses else loss)):
                break
            losses.append(float(loss))
            w1, w2 = new_w1, new_w2
            if perturbation:
                factor1, factor2 = factors[step % DIRECTIONS]
                w1, w2 = w1 * factor1, w2 * factor2
    return np.array(losses), (w1, w2)


def sentences(config: Config, agreements: Sequence[Agreement]) -> list[Message]:
    """Explain the differences with the figures of this race."""
    if not agreements:
        return []
    one = agreements[0]
    said = [
        N_(
            "Maximum relative differences from the same formulas in float64, over {compared} of {steps} "
            "steps."
        ),
        N_(
            "If each weight is perturbed by one {dtype} rounding error after each step, the losses change by "
            "{loss:.1e} and the weights by {weight:.1e}. Since an implementation rounds every product and "
            "sum, up to {roundings} times that is accepted, plus {floor:.1e} for rounding within one step."
        ),
    ]
    ratio = max((a.drift.last_ratio for a in agreements if a.right), default=0.0)
    if ratio > NOTABLE_RATIO:
        said.append(
            N_(
                "The final {dtype} loss is up to {ratio:.3g} times the float64 loss. This is expected: the "
                "loss has fallen to {fallen:.1e} of its initial value, and below {seen:.0e} of it, {dtype} "
                "losses consist mostly of rounding error."
            )
        )
    steps = {"compared": one.steps, "steps": config.steps, "dtype": config.dtype, "seen": SEEN[config.dtype]}
    figures = {"loss": one.one_rounding.loss, "weight": one.one_rounding.weight, "floor": one.floor}
    values = {**steps, **figures, "roundings": ROUNDINGS, "ratio": ratio, "fallen": one.fallen}
    return [Message(text, tuple(values.items())) for text in said]
