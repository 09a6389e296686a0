"""Check what the pages say of runs against an independent computation: `python -m tests.tools.facts`.

Random networks are trained by the loop below, their curvature is that of a dense eigensolver, and every
sentence about their zones, outcome, verdict and advice is read as text: each must be known here, and true.
Nothing here comes from the code that makes the sentences; the definitions are written out again.

`--advice 40` checks the recommended learning rate on shapes that no other test has.
"""

import argparse
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import scipy.linalg

from twolayer import Config, fit
from twolayer.rates import advice, curvature, outcomes, story
from twolayer.rates.grid import computed, sweep_grid
from twolayer.rates.sweep import Sweep, zones
from twolayer.rates.sweep import train as sweep_rows

DENSE_WORK = 4e9
"""Operations for the eigenvalues of one network: of a large one, only some of its points are checked."""


@dataclass
class Truth:
    """A run, computed from the definitions, in float64."""

    x: np.ndarray
    y: np.ndarray
    rate: float
    losses: np.ndarray = field(default_factory=lambda: np.empty(0))
    weights: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    """The weights after so many steps."""
    diverged_at: int | None = None
    measured: list[int] = field(default_factory=list)
    """The steps at which λmax was measured for the page."""
    known: dict[int, float] = field(default_factory=dict)

    @property
    def zero(self) -> float:
        return float((self.y * self.y).sum())

    @property
    def H(self) -> int:
        return self.weights[0][0].shape[1]

    def dead(self, step: int) -> int:
        h = self.x.dot(self.weights[step][0])
        return sum(not (h[:, j] > 0).any() for j in range(h.shape[1]))

    def sharpness(self, step: int) -> float:
        if step not in self.known:
            matrix = hessian(self.x, self.y, *self.weights[step])
            size = len(matrix)
            top = scipy.linalg.eigh(matrix, eigvals_only=True, subset_by_index=[size - 1, size - 1])
            self.known[step] = float(top[0])
        return self.known[step]

    def loss_after(self, step: int) -> float:
        w1, w2 = self.weights[step]
        return float(np.square(np.maximum(self.x.dot(w1), 0).dot(w2) - self.y).sum())

    def checked_steps(self) -> list[int]:
        """Return the measured steps, or some of them if the network is large."""
        w1, w2 = self.weights[0]
        most = max(4, int(DENSE_WORK / (2 * (w1.size + w2.size) ** 3 + 1e6)))
        places = np.unique(np.linspace(0, len(self.measured) - 1, min(most, len(self.measured))).astype(int))
        return [self.measured[place] for place in places]


def hessian(x: np.ndarray, y: np.ndarray, w1: np.ndarray, w2: np.ndarray) -> np.ndarray:
    """Return the dense Hessian of Σ (max(x·w1, 0)·w2 − y)² for the weights w1, w2, flattened in that order.

    With the residuals r and outputs f it is 2·Σ (∂f ∂fᵀ + r ∂²f). Here f[n, o] = Σ_j m[n, j] h[n, j] w2[j, o]
    with the mask m, so ∂f/∂w1[i, j] = x[n, i] m[n, j] w2[j, o], ∂f/∂w2[j, o] = m[n, j] h[n, j], and the only
    second derivatives are those of f[n, o] for w1[i, j] and w2[j, o]: x[n, i] m[n, j].
    """
    h = x.dot(w1)
    mask = (h > 0).astype(float)
    relu, residual = mask * h, (mask * h).dot(w2) - y
    N, D_in = x.shape
    H, D_out = w2.shape
    first = np.einsum("ni,nj,jo->noij", x, mask, w2).reshape(N * D_out, D_in * H)
    second = np.einsum("nj,op->nojp", relu, np.eye(D_out)).reshape(N * D_out, H * D_out)
    jacobian = np.concatenate([first, second], axis=1)
    matrix = 2 * jacobian.T.dot(jacobian)
    mixed = 2 * np.einsum("no,ni,nj->ijo", residual, x, mask)
    for j in range(H):
        for o in range(D_out):
            rows, column = np.arange(D_in) * H + j, D_in * H + j * D_out + o
            matrix[rows, column] += mixed[:, j, o]
            matrix[column, rows] += mixed[:, j, o]
    return matrix


def train(config: Config, kept: list[int]) -> Truth:
    """Train by the tutorial's lines; keep the weights after the steps `kept`."""
    draw = np.random.default_rng(config.seed)
    N, D_in, H, D_out = config.N, config.D_in, config.H, config.D_out
    x, y, w1, w2 = (draw.standard_normal(shape) for shape in ((N, D_in), (N, D_out), (D_in, H), (H, D_out)))
    truth, losses = Truth(x, y, config.learning_rate, weights={0: (w1.copy(), w2.copy())}), []
    with np.errstate(all="ignore"):
        for step in range(config.steps):
            h = x.dot(w1)
            h_relu = np.maximum(h, 0)
            y_pred = h_relu.dot(w2)
            loss = np.square(y_pred - y).sum()
            if not np.isfinite(loss):
                truth.diverged_at = step
                break
            losses.append(loss)
            grad_y_pred = 2.0 * (y_pred - y)
            grad_w2 = h_relu.T.dot(grad_y_pred)
            grad_h = grad_y_pred.dot(w2.T)
            grad_h[h < 0] = 0
            w1 = w1 - config.learning_rate * x.T.dot(grad_h)
            w2 = w2 - config.learning_rate * grad_w2
            if step + 1 in kept:
                truth.weights[step + 1] = w1, w2
    truth.losses = np.array(losses)
    return truth


def fits(text: str, value: float, digits: int = 4, error: float = 1e-4) -> bool:
    """Whether a printed number is `value` to so many digits."""
    printed = float(text.replace(",", ""))
    unit = 10.0 ** (np.floor(np.log10(abs(value))) - digits + 1) if value else 0.0
    return abs(printed - value) <= 0.51 * unit + error * abs(value)


def moved(losses: np.ndarray, share: float) -> bool:
    """Whether the last tenth of the losses varied by more than a share of the last loss."""
    end = losses[len(losses) - 1 - len(losses) // 10 :]
    return bool(end.max() - end.min() > share * losses[-1])


CLAIMS: list[tuple[re.Pattern[str], Callable[..., bool]]] = []
"""Each sentence that may be said: its form, and whether its numbers hold."""


def claim(form: str) -> Callable[[Callable[..., bool]], Callable[..., bool]]:
    """Register what a sentence claims. `#` stands for a number."""
    pattern = re.escape(form).replace(r"\#", r"([-+\d.,e]*\d)")

    def register(holds: Callable[..., bool]) -> Callable[..., bool]:
        CLAIMS.append((re.compile(pattern), holds))
        return holds

    return register


def at_all(truth: Truth, holds: Callable[[float], bool]) -> bool:
    return all(holds(truth.sharpness(step)) for step in truth.checked_steps())


@claim("The loss is flat at the initial weights (λmax = 0): every hidden unit is dead.")
def _(t: Truth) -> bool:
    return t.dead(0) == t.H and abs(t.sharpness(0)) < 1e-12


@claim(
    "At initialization λmax = #. On a quadratic with that curvature, gradient descent would diverge for any "
    "learning rate above 2/λmax = #. Here η = #, which is # times that."
)
def _(t: Truth, value: str, threshold: str, rate: str, ratio: str) -> bool:
    top = t.sharpness(0)
    return (
        fits(value, top)
        and fits(threshold, 2 / top, 3)
        and fits(rate, t.rate, 3)
        and fits(ratio, t.rate * top / 2, 3)
    )


@claim(
    "The loss grows and λmax grows with it, to # at step #. It does not fall below 2/η = #, so training "
    "diverges: the loss is not finite from step # on."
)
def _(t: Truth, value: str, step: str, limit: str, diverged: str) -> bool:
    at, bound = int(step), 2 / t.rate
    return (
        t.diverged_at == int(diverged)
        and fits(value, t.sharpness(at))
        and fits(limit, bound)
        and t.sharpness(at) > t.sharpness(0)
        and t.losses[min(at, len(t.losses) - 1)] > t.losses[0]
        and at_all(t, lambda top: top >= bound * (1 - 1e-4))
    )


@claim(
    "Training diverges: the loss is not finite from step # on. The last λmax before that is #, at step # "
    "(2/η = #)."
)
def _(t: Truth, diverged: str, value: str, step: str, limit: str) -> bool:
    return t.diverged_at == int(diverged) and fits(value, t.sharpness(int(step))) and fits(limit, 2 / t.rate)


@claim("The loss rises to # times its initial value at step #.")
def _(t: Truth, peak: str, step: str) -> bool:
    at = int(step)
    return (
        at > 0
        and fits(peak, t.losses[at] / t.losses[0])
        and t.losses[at] >= t.losses.max() * (1 - 1e-9)
        and t.losses[at] > t.losses[0]
    )


@claim(
    "Hidden units die: # of # are dead at initialization, # by step #, # by step #. Dead units contribute no "
    "curvature and get no gradient."
)
def _(t: Truth, start: str, H: str, half: str, middle: str, dead: str, step: str) -> bool:
    return (int(start), int(H), int(half), int(dead)) == (
        t.dead(0),
        t.H,
        t.dead(int(middle)),
        t.dead(int(step)),
    ) and t.dead(t.measured[-1]) == int(dead) > int(start)


@claim("The loss has come to rest at #; a network that always outputs 0 has a loss of Σy² = #.")
def _(t: Truth, loss: str, zero: str) -> bool:
    return fits(loss, t.losses[-1]) and fits(zero, t.zero) and not moved(t.losses, 0.01)


@claim("The last loss is #; a network that always outputs 0 has a loss of Σy² = #.")
def _(t: Truth, loss: str, zero: str) -> bool:
    return fits(loss, t.losses[-1]) and fits(zero, t.zero)


@claim(
    "λmax is not below 2/η = # at any measured step, and is # at the end. A quadratic with this curvature "
    "would diverge; this loss is not quadratic."
)
def _(t: Truth, limit: str, value: str) -> bool:
    bound = 2 / t.rate
    return (
        fits(limit, bound)
        and fits(value, t.sharpness(t.measured[-1]))
        and at_all(t, lambda top: top >= bound * (1 - 1e-4))
        and t.losses[-1] <= t.losses[0] * (1 + 1e-5)
    )


@claim("The loss is not quadratic: λmax falls below 2/η = # by step #.")
def _(t: Truth, limit: str, step: str) -> bool:
    bound = 2 / t.rate
    before = [s for s in t.checked_steps() if s < int(step)]
    return (
        fits(limit, bound)
        and t.sharpness(int(step)) < bound * (1 + 1e-4)
        and all(t.sharpness(s) >= bound * (1 - 1e-4) for s in before)
    )


@claim("At the end λmax = #: 2/λmax = # exceeds η, and a quadratic with this curvature would be stable.")
def _(t: Truth, value: str, later: str) -> bool:
    top = t.sharpness(t.measured[-1])
    return fits(value, top) and fits(later, 2 / top) and 2 / top > t.rate * (1 - 1e-4)


@claim("At the end λmax = 0: the loss is flat there.")
def _(t: Truth) -> bool:
    return abs(t.sharpness(t.measured[-1])) < 1e-9


@claim(
    "λmax is # at the end and below 1/η = # at every measured step: on a quadratic no step would overshoot. "
    "How fast the loss falls is set by η and the smaller eigenvalues."
)
def _(t: Truth, value: str, half: str) -> bool:
    return (
        fits(value, t.sharpness(t.measured[-1]))
        and fits(half, 1 / t.rate)
        and at_all(t, lambda top: top < 1 / t.rate * (1 + 1e-4))
    )


@claim(
    "λmax is # at the end and below 2/η = # at every measured step, but not always below 1/η = #: on a "
    "quadratic steps would overshoot, and the oscillation would die out."
)
def _(t: Truth, value: str, limit: str, half: str) -> bool:
    most = len(t.checked_steps()) < len(t.measured)
    return (
        fits(value, t.sharpness(t.measured[-1]))
        and fits(limit, 2 / t.rate)
        and fits(half, 1 / t.rate)
        and at_all(t, lambda top: top < 2 / t.rate * (1 + 1e-4))
        and (most or not at_all(t, lambda top: top < 1 / t.rate * (1 - 1e-4)))
    )


@claim("From step # to step # the loss falls while λmax grows from # to # (progressive sharpening).")
def _(t: Truth, low: str, high: str, least: str, most: str) -> bool:
    start, end = t.sharpness(int(low)), t.sharpness(int(high))
    return (
        fits(least, start)
        and fits(most, end)
        and end > start
        and t.loss_after(int(high)) < t.loss_after(int(low))
    )


@claim(
    "λmax reaches 2/η = # by step # and stays within # % of it at every later measured step. This is the "
    "edge of stability, where the loss need not decrease at every step."
)
def _(t: Truth, limit: str, step: str, percent: str) -> bool:
    bound, share = 2 / t.rate, float(percent) / 100
    later = [s for s in t.checked_steps() if s >= int(step)]
    return (
        fits(limit, bound)
        and t.sharpness(int(step)) > bound * (1 - 1e-4)
        and all(abs(t.sharpness(s) / bound - 1) <= share + 1e-4 for s in later)
    )


@claim("λmax rises to 2/η = # or above by step #.")
def _(t: Truth, limit: str, step: str) -> bool:
    before = t.measured[t.measured.index(int(step)) - 1]
    return (
        fits(limit, 2 / t.rate)
        and t.sharpness(int(step)) > 2 / t.rate * (1 - 1e-4)
        and t.sharpness(before) < 2 / t.rate * (1 + 1e-4)
    )


@claim("The last loss is # times the first, and finite: more steps would show whether it falls or diverges.")
def _(t: Truth, ratio: str) -> bool:
    return t.diverged_at is None and fits(ratio, t.losses[-1] / t.losses[0]) and t.losses[-1] > t.losses[0]


@claim("A single step computes the loss only once, before the update: use more steps.")
def _(t: Truth) -> bool:
    return len(t.losses) == 1


@claim("The loss has hardly changed: use more steps or a higher learning rate.")
def _(t: Truth) -> bool:
    return bool(np.ptp(t.losses) <= 1.1e-5 * t.losses[0]) and t.dead(0) < t.H


@claim("The loss is still decreasing at the end: train for more steps.")
def _(t: Truth) -> bool:
    return t.losses[-1] < t.losses[-1 - max(1, len(t.losses) // 10)]


@claim(
    "Finished, but every hidden unit is dead, and the output is 0 for every sample: the loss is Σy² = # from "
    "the first step to the last. Try another seed or more hidden units."
)
def _(t: Truth, zero: str) -> bool:
    return t.dead(0) == t.H and fits(zero, t.zero) and np.allclose(t.losses, t.zero)


@claim(
    "Finished, but # of # hidden units are dead: they output 0 for every sample and cannot recover. The loss "
    "is stuck at #; a network that always outputs 0 would have a loss of Σy² = #. Try a lower learning rate."
)
def _(t: Truth, dead: str, H: str, last: str, zero: str) -> bool:
    return (
        int(dead) == t.dead(t.measured[-1])
        and int(H) == t.H
        and t.dead(t.measured[-1]) > t.dead(0)  # a lower rate would spare them
        and fits(last, t.losses[-1])
        and fits(zero, t.zero)
        and not (moved(t.losses, 0.01) and int(dead) < t.H)
    )


@claim("Finished, but the loss rose: # → #. Try a lower learning rate.")
def _(t: Truth, first: str, last: str) -> bool:
    return fits(first, t.losses[0]) and fits(last, t.losses[-1]) and t.losses[-1] > t.losses[0]


@claim("Finished: the loss decreased from # to # in # s of compute time.")
def _(t: Truth, first: str, last: str, _seconds: str) -> bool:
    return fits(first, t.losses[0]) and fits(last, t.losses[-1]) and t.losses[-1] < t.losses[0]


@claim("Finished: the loss is # after # s of compute time.")
def _(t: Truth, last: str, _seconds: str) -> bool:
    return fits(last, t.losses[-1])


@claim("A network that always outputs 0 would have a loss of Σy² = #.")
def _(t: Truth, zero: str) -> bool:
    return fits(zero, t.zero)


def contradiction(text: str, truth: Truth) -> str | None:
    """Return what is wrong with a sentence, or None."""
    for pattern, holds in CLAIMS:
        if (match := pattern.fullmatch(text)) is not None:
            return None if holds(truth, *match.groups()) else "false"
    return "unknown"


def wrong_outcome(kind: str, truth: Truth, dead: int) -> bool:
    """Whether a run is called something that it is not."""
    losses = truth.losses
    if (kind == "diverges") != (truth.diverged_at is not None):
        return True
    if kind == "diverges":
        return False
    last = losses[-1]
    return {
        "converges": last >= truth.zero or (last > 0.1 * truth.zero and moved(losses, 0.01)),
        "slow": last < 0.1 * truth.zero or last > losses[0] * (1 + 1e-4),
        "dead": dead == 0 or (moved(losses, 0.01) if dead < truth.H else not np.isclose(last, truth.zero)),
        "rises": last <= losses[0],
    }[kind]


@dataclass
class Found:
    """What was checked, and what was wrong."""

    sentences: int = 0
    outcomes: int = 0
    apart: int = 0
    """Runs so chaotic that rounding alone changes their losses: not judged."""
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "Found") -> None:
        for name in ("sentences", "outcomes", "apart"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.wrong += other.wrong


def network(number: int) -> Config:
    """Return a random network: sizes from 1 to 40, a rate of six decades, often near the edge."""
    g = np.random.default_rng((7, number))
    sizes = g.integers(1, 41, 4) if number % 2 else np.exp(g.uniform(0, np.log(40.99), 4))
    N, D_in, H, D_out = map(int, sizes)
    around = g.uniform(-4.5, 1.5) if g.random() < 0.4 else g.uniform(-1, 0.6)
    rate = float(f"{2 / curvature.expected(Config(N=N, D_in=D_in, H=H, D_out=D_out)) * 10**around:.3g}")
    steps = int(g.choice([1, 2, 3, 9, 30, 100, 300, 1000]))
    return Config(
        N=N, D_in=D_in, H=H, D_out=D_out, learning_rate=rate, steps=steps, dtype="float64", seed=number
    )


def same(theirs: np.ndarray, ours: np.ndarray) -> bool:
    """Whether two runs have the same losses, but for rounding."""
    return len(theirs) == len(ours) and np.allclose(theirs, ours, rtol=1e-5, atol=1e-12 * ours[:1].sum())


def check_run(config: Config) -> Found:
    """Check every sentence about one run."""
    found, result = Found(), fit(config)
    curve = curvature.along(config, curvature.milestones(config.steps, 40))
    truth = train(config, curve["step"].tolist())
    if not same(result.losses, truth.losses) or set(curve["step"].tolist()) - set(truth.weights):
        return Found(apart=1)
    truth.measured = curve["step"].tolist()
    dead = int(result.dead[-1, 1]) if result.diverged_at is None else 0
    zero = result.zero_loss
    texts = story.story(config, result.losses, result.diverged_at, dead, zero, curve)
    if result.diverged_at is None:
        texts += outcomes.verdict(config, result.losses, dead, zero, 1.0)[1]
    for text in map(str, texts):
        found.sentences += 1
        if (what := contradiction(text, truth)) is not None:
            found.wrong.append(f"{what}: {text!r} {config}")
    found.outcomes += 1
    kind = outcomes.outcome(config, result.losses, result.diverged_at, dead, zero)
    if wrong_outcome(kind, truth, dead):
        found.wrong.append(f"not {kind}: {config}")
    return found


RATES, SEEDS = 12, 2


def check_sweep(config: Config) -> Found:
    """Check the zones and the advice of a sweep around one network."""
    found = Found()
    threshold = 2 / curvature.expected(config)
    rates = [float(f"{rate:.3g}") for rate in np.geomspace(threshold / 300, threshold * 8, RATES)]
    grid = sweep_grid(computed(config), rates, SEEDS)
    sweep = Sweep(grid)
    sweep.take([(0, sweep_rows(grid, 0, grid.size))])
    finals: dict[tuple[float, int], float] = {}
    kinds: dict[float, set[str]] = {}
    for row in sweep.there:
        one = grid.config(int(row["index"]))
        truth = train(one, [one.steps])
        last = truth.losses[-1] if truth.diverged_at is None else np.inf
        agree = np.isclose(row["final"], last, rtol=1e-3) or (truth.diverged_at is not None) == (
            row["diverged_at"] >= 0
        ) == (not np.isfinite(last))
        if not agree:
            return Found(apart=1)
        kind = outcomes.OUTCOMES[row["outcome"]]
        found.outcomes += 1
        if wrong_outcome(kind, truth, int(row["dead"])):
            found.wrong.append(f"not {kind}: {one}")
        finals[one.learning_rate, one.seed] = last / truth.zero if kind == "converges" else np.inf
        kinds.setdefault(one.learning_rate, set()).add(kind)
    for zone in zones(sweep):
        found.sentences += 1
        if any(kinds[rate] != set(zone.outcomes) for rate in rates if zone.low <= rate <= zone.high):
            found.wrong.append(f"false zone {zone}: {config}")
    said = advice.advise(grid, sweep.there)
    found.sentences += 1
    if not advice_holds(said, rates, grid.base.seed, finals):
        found.wrong.append(f"false advice {said}: {config}")
    return found


def advice_holds(
    said: advice.Advice, rates: list[float], seed: int, finals: dict[tuple[float, int], float]
) -> bool:
    """Whether what is recommended holds. `finals` are shares of Σy², infinite where it did not converge."""
    text, seeds = str(said.reason), range(seed, seed + SEEDS)
    if said.low is None:
        return not np.isfinite(list(finals.values())).any() and ("No run" in text) == (said.rate is not None)
    need = int(re.search(rf"(\d) of {SEEDS} seeds converge", text)[1])
    if said.safe != (need == SEEDS) or not said.low <= said.rate <= said.high:
        return False
    for rate in rates:
        if said.low <= rate <= said.high:
            good = 0
            for each in seeds:
                best = min(finals[other, each] for other in rates)
                share = finals[rate, each]
                good += share < 1 and (share < 0.1 or 1 - share >= 0.9 * (1 - best) - 1e-3)
            if good < need:
                return False
    return True


def check(number: int) -> Found:
    """Check all that is said of one network."""
    config, found = network(number), Found()
    found.add(check_run(config))
    found.add(check_sweep(config if config.steps > 9 else Config(**vars(config) | {"steps": 100})))
    return found


def held_out(number: int) -> Config:
    """Return a shape that no other test has."""
    g = np.random.default_rng((41, number))
    sizes = [int(2 ** g.uniform(*ends)) for ends in ((1, 6), (3, 9), (3, 7.5), (0, 4.5))]
    return Config(**dict(zip(("N", "D_in", "H", "D_out"), sizes, strict=True)), seed=int(g.integers(1000)))


def check_advice(number: int) -> tuple[bool, bool, list[str]]:
    """Whether any rate of the grid reaches a tenth of the zero network's loss, whether the recommended one
    does, and what is called safe without being so."""
    config = computed(held_out(number))
    grid = sweep_grid(config, advice.swept_rates(config, 40), 3)
    rows = sweep_rows(grid, 0, grid.size)
    said = advice.advise(grid, rows)
    own, unsafe = [], []
    for row in rows:
        one = grid.config(int(row["index"]))
        zero = train(Config(**vars(one) | {"steps": 1}), []).zero
        final = row["final"] if row["diverged_at"] < 0 else np.inf
        if one.seed == config.seed:
            own.append(final / zero)
        if said.safe and said.low <= one.learning_rate <= said.high and not final < zero:
            unsafe.append(f"{one.learning_rate} is called safe and ends at {final / zero} Σy²: {one}")
    if said.rate is None:
        return min(own) < 0.1, False, unsafe
    truth = train(Config(**vars(config) | {"learning_rate": said.rate}), [])
    return min(own) < 0.1, truth.diverged_at is None and truth.losses[-1] < 0.1 * truth.zero, unsafe


def spread(function: Callable[[int], object], count: int) -> Iterator[object]:
    """Map a function over 0 to `count`, on all cores."""
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        yield from pool.map(function, range(count), chunksize=4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=0, metavar="COUNT")
    parser.add_argument("--advice", type=int, default=0, metavar="SHAPES")
    options = parser.parse_args()
    if options.networks:
        found = Found()
        for one in spread(check, options.networks):
            found.add(one)
        print(*found.wrong, sep="\n")
        print(
            f"{options.networks} networks: {found.sentences} sentences, {found.outcomes} outcomes checked, "
            f"{len(found.wrong)} contradictions; {found.apart} chaotic runs not judged"
        )
        if found.wrong:
            raise SystemExit(1)
    if options.advice:
        results = list(spread(check_advice, options.advice))
        missed = [number for number, (possible, reached, _) in enumerate(results) if possible and not reached]
        unsafe = [text for *_, texts in results for text in texts]
        print(*unsafe, sep="\n")
        print(
            f"{options.advice} shapes, {sum(possible for possible, *_ in results)} where a rate reaches a "
            f"tenth of Σy²: missed {missed}; {len(unsafe)} called safe above Σy²"
        )
        if unsafe or len(missed) > options.advice / 20:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
