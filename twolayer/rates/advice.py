"""Advice from a sweep: a learning rate that works, and the band of safe rates around it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.rates import curvature
from twolayer.rates.grid import Axis, Grid, computed, sweep_grid
from twolayer.rates.outcomes import CONVERGES, MISSING, OUTCOMES, SLOW
from twolayer.rates.sweep import train
from twolayer.training.config import RATE, Config, field_of
from twolayer.training.fields import Whole
from twolayer.training.messages import Message
from twolayer.training.pace import batched_run_seconds

WIDE = 1.5
"""A band narrower than this factor may be an accident."""
MARGIN = 1.6
"""The factor by which the recommended rate stays below the highest safe one, since other seeds differ."""
BELOW_THRESHOLD, ABOVE_THRESHOLD = 1000.0, 10.0
"""A sweep goes from the expected 2/λmax divided by the first to it times the second. λmax: the sharpness."""

BAND_FACTORS = (0.25, 0.5, 1, 2, 4)
BAND_RATES = 24
BAND_BELOW, BAND_ABOVE = 30, 5

TRIAL_RATES, TRIAL_SEEDS, TRIAL_STEPS = 20, 3, 1000
TRIAL_SECONDS = 2.0
FEWEST_TRIAL_STEPS = 10


@dataclass(frozen=True)
class Advice:
    """The learning rate that a sweep recommends."""

    rate: float | None
    """None if every run diverges, rises or is stuck with dead units."""
    reason: Message
    low: float | None = None
    high: float | None = None
    """Lowest and highest learning rate of the range that `reason` describes. None without one."""
    safe: bool = False
    """Whether they do for every seed."""


def swept_rates(
    config: Config, count: int, low: float | None = None, high: float | None = None
) -> list[float]:
    """Return `count` learning rates, evenly spaced on a log scale from `low` to `high`.

    The defaults are around the expected 2/λmax, rounded to one digit.
    """
    threshold = 2 / curvature.expected(config)
    low = low or _rounded(threshold / BELOW_THRESHOLD, 1)
    high = high or _rounded(threshold * ABOVE_THRESHOLD, 1)
    low, high = np.clip(sorted((low, high)), RATE.low, RATE.high)
    rates: list[float] = np.clip(np.geomspace(low, high, count), low, high).tolist()
    return rates


def band_grid(config: Config, fields: Sequence[str]) -> Grid:
    """Return a grid that shows how the band depends on one or two sizes.

    Each size goes from a quarter of that of `config` to four times it, the learning rates from well below
    the lowest 2/λmax to above the highest.
    """
    config, axes = computed(config), []
    for field in dict.fromkeys(fields):
        kind, size = field_of(config.data, field, config.table), getattr(config, field)
        assert isinstance(kind, Whole)
        values = [min(max(round(size * factor), kind.low), kind.high) for factor in BAND_FACTORS]
        axes.append(Axis(field, tuple(values)))
    sizes = Grid(config, tuple(axes))
    thresholds = [2 / curvature.expected(sizes.config(index)) for index in range(sizes.size)]
    low, high = min(thresholds) / BAND_BELOW, max(thresholds) * BAND_ABOVE
    rates = swept_rates(config, BAND_RATES, _rounded(low, 1), _rounded(high, 1))
    return Grid(config, (*axes, Axis("learning_rate", tuple(rates))))


def advise(grid: Grid, rows: NDArray[np.void]) -> Advice:
    """Return advice from the rows of a grid over learning rates, or over learning rates and seeds.

    A run is safe if it converges and misses at most a tenth of the way from Σy², the loss of a network that
    always outputs 0, to the lowest loss that its seed converges to in the sweep. Preferred is a band of
    rates at which every seed is safe. Small networks may have none, since a seed can fail at any rate: then
    one of most seeds, then of any. Runs that are not done count as failed.
    """
    axis = grid.position("learning_rate")
    assert axis is not None
    order = np.argsort(grid.axes[axis].values)
    rates = np.array(grid.axes[axis].values, dtype=float)[order]
    places = np.unravel_index(rows["index"], grid.shape)

    def shares(*kinds: str) -> NDArray[np.float64]:
        """Return the final losses as shares of Σy², (seeds, rates); infinite for other outcomes."""
        kept = np.isin(rows["outcome"], [OUTCOMES.index(kind) for kind in kinds])
        found = np.full(grid.shape, np.inf)
        found[places] = np.where(kept, rows["final"] / rows["zero"], np.inf)
        return np.moveaxis(found, axis, -1).reshape(-1, len(rates))[:, order]

    converged, stable = shares(CONVERGES), shares(CONVERGES, SLOW)
    reach = converged.min(axis=1, keepdims=True)
    most = np.where(reach < MISSING, MISSING, reach + MISSING * (1 - np.minimum(reach, 1)))
    safe = np.isfinite(converged) & (converged <= most)
    seeds = len(stable)
    for good in (safe, np.isfinite(stable)):
        counts = good.sum(axis=0)
        # All seeds, most, one
        found = {need: _longest(counts >= need) for need in (seeds, seeds // 2 + 1, 1)}
        bands = [(need, band) for need, band in found.items() if band is not None]
        if bands:
            wide = [(n, band) for n, band in bands if rates[band.stop - 1] >= WIDE * rates[band.start]]
            need, band = (wide or bands)[0]
            values = {"need": need, "seeds": seeds, "steps": f"{grid.base.steps:,}"}
            if good is safe:
                return _converging(rates[band], values)
            return _lowest(rates[band], np.sort(stable[:, band], axis=0)[need - 1], values)
    nothing = Message.of(
        "Every learning rate in this sweep diverges, ends at a higher loss or leaves dead units. Sweep lower "
        "rates."
    )
    if len(rows) < grid.size:
        nothing = Message.of("Too few runs have finished to recommend a learning rate.")
    return Advice(None, nothing)


def _lowest(rates: NDArray[np.float64], shares: NDArray[np.float64], values: Mapping[str, Any]) -> Advice:
    """Return advice where no run converges: the rate of the lowest final loss, off the end of the band."""
    best, low, high = int(np.argmin(shares)), float(rates[0]), float(rates[-1])
    reason = Message.of(
        "No run of this sweep converges within {steps} steps. The best rate, {best}, takes {need} of {seeds} "
        "seeds to {share} times Σy² or below (Σy²: the loss of a network that always outputs 0). More steps "
        "may help.",
        **values,
        share=f"{shares[best]:.2g}",
        best=f"{rates[best]:.2g}",
    )
    return Advice(max(low, min(float(rates[best]), high / MARGIN)), reason)


def _converging(rates: NDArray[np.float64], values: Mapping[str, Any]) -> Advice:
    """Return advice for a band of rising safe rates."""
    low, high = float(rates[0]), float(rates[-1])
    narrow = high < MARGIN**2 * low
    choice = Message.of(
        "The recommended rate is {margin} times lower than the highest of them, because other seeds may "
        "tolerate less.",
        margin=MARGIN,
    )
    if narrow:
        choice = Message.of("The range is narrow, and the recommended rate is its middle.")
    reason = Message.of(
        "At these rates {need} of {seeds} seeds converge within {steps} steps and cover at least 90 % of the "
        "way from Σy², the loss of a network that always outputs 0, to the lowest loss in this sweep. "
        "{choice}",
        **values,
        choice=choice,
    )
    rate = sqrt(low * high) if narrow else high / MARGIN
    return Advice(rate, reason, low, high, safe=values["need"] == values["seeds"])


def _longest(good: NDArray[np.bool_]) -> slice | None:
    """Return the longest stretch of true values; of equally long ones the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(int)))
    stretches = edges.reshape(-1, 2)
    if not len(stretches):
        return None
    lengths = stretches[:, 1] - stretches[:, 0]
    start, stop = stretches[len(lengths) - 1 - int(np.argmax(lengths[::-1]))]
    return slice(int(start), int(stop))


def bands(
    grid: Grid, rows: NDArray[np.void], known: Mapping[tuple[int, ...], Advice] | None = None
) -> dict[tuple[int, ...], Advice]:
    """Return advice for each combination of the axes except learning rate and seed, by its indices there.

    `rows` are in the grid's order. Incomplete combinations are left out; those in `known` are copied.
    """
    outer = [n for n, axis in enumerate(grid.axes) if axis.field not in ("learning_rate", "seed")]
    shape = tuple(grid.shape[n] for n in outer)
    inner = tuple(axis for n, axis in enumerate(grid.axes) if n not in outer)
    size = grid.size // int(np.prod(shape))
    edges = np.searchsorted(rows["index"], np.arange(0, grid.size + 1, size))
    found = dict(known or {})
    for number in np.flatnonzero(np.diff(edges) == size):
        places = tuple(int(i) for i in np.unravel_index(number, shape)) if shape else ()
        if places not in found:
            part = rows[edges[number] : edges[number + 1]].copy()
            part["index"] -= number * size
            found[places] = advise(Grid(grid.config(int(number) * size), inner), part)
    return found


def working_rate(config: Config) -> float:
    """Find a learning rate that works for `config`, by short runs in the calling process.

    They use the seed of `config` and two more. Where even ten steps of each would take seconds, the
    result is half of the expected 2/λmax.
    """
    config = computed(replace(config, backend="numpy"))  # which compiles nothing
    each = batched_run_seconds(replace(config, steps=1))
    steps = min(config.steps, TRIAL_STEPS, int(TRIAL_SECONDS / (each * TRIAL_RATES * TRIAL_SEEDS)))
    threshold = 2 / curvature.expected(config)
    if steps < min(config.steps, FEWEST_TRIAL_STEPS):
        return _rounded(threshold / 2, 2)
    rates = np.geomspace(threshold / 100, threshold * 5, TRIAL_RATES).tolist()
    grid = sweep_grid(replace(config, steps=steps), rates, TRIAL_SEEDS)
    rate = advise(grid, train(grid, 0, grid.size)).rate
    return _rounded(threshold / 2 if rate is None else rate, 2)


def mean_loss_rate(config: Config, rate: float) -> float:
    """Return the rate of the same steps for a loss that is the mean over the N·D_out outputs, not the sum."""
    return rate * config.N * config.D_out


def _rounded(rate: float, digits: int) -> float:
    return float(f"{rate:.{digits - 1}e}")
