"""Advice: a learning rate that works for some sizes, and how far one may go from it, out of a sweep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from twolayer.rates import curvature
from twolayer.rates.grid import Axis, Grid, computed, sweep_grid
from twolayer.rates.outcomes import CONVERGED, DEAD, DIVERGES, OUTCOMES
from twolayer.rates.sweep import train
from twolayer.training.config import FIELDS, Config, Real, Whole
from twolayer.training.messages import Message
from twolayer.training.pace import batched_run_seconds

WIDE = 1.5
"""A band whose ends are less than this factor apart may be an accident."""
MARGIN = 1.6
"""How far below the highest safe rate the recommended one stays: other seeds bear a little less."""
BELOW_THRESHOLD, ABOVE_THRESHOLD = 1000.0, 10.0
"""A sweep goes from this part of 2/λmax, as the sizes let expect it, to so many times it."""

BAND_FACTORS = (0.25, 0.5, 1, 2, 4)
BAND_RATES = 24
BAND_BELOW, BAND_ABOVE = 30, 5

TRIAL_RATES, TRIAL_SEEDS, TRIAL_STEPS = 20, 3, 1000
TRIAL_SECONDS = 2.0
FEWEST_TRIAL_STEPS = 10


@dataclass(frozen=True)
class Advice:
    """What a sweep says of the learning rate."""

    rate: float | None
    """The recommended one; None if every rate diverges or loses units."""
    low: float | None
    high: float | None
    """The safe band: all rates of the sweep from `low` to `high` do for the seeds, as `reason` says."""
    reached: bool
    """Whether the final loss is under a thousandth of the first in the band."""
    reason: Message


def swept_rates(
    config: Config, count: int, low: float | None = None, high: float | None = None
) -> list[float]:
    """`count` learning rates on a logarithmic grid from `low` to `high`, which are by default set
    around 2/λmax as the sizes let expect it, with one digit."""
    threshold = 2 / curvature.expected(config)
    kind = FIELDS["learning_rate"]
    assert isinstance(kind, Real)
    low = low or _one_digit(threshold / BELOW_THRESHOLD)
    high = high or _one_digit(threshold * ABOVE_THRESHOLD)
    low, high = (min(max(rate, kind.low), kind.high) for rate in sorted((low, high)))
    return [min(max(float(rate), low), high) for rate in np.geomspace(low, high, count)]


def band_grid(config: Config, fields: Sequence[str]) -> Grid:
    """The grid that shows how the band moves with one or two sizes: each from a quarter to four times
    that of `config`, and the learning rates from well below the lowest 2/λmax to above the highest."""
    config, axes = computed(config), []
    for field in dict.fromkeys(fields):
        kind, size = FIELDS[field], getattr(config, field)
        assert isinstance(kind, Whole)
        values = [min(max(round(size * factor), kind.low), kind.high) for factor in BAND_FACTORS]
        axes.append(Axis(field, tuple(values)))
    sizes = Grid(config, tuple(axes))
    thresholds = [2 / curvature.expected(sizes.config(index)) for index in range(sizes.size)]
    low, high = _one_digit(min(thresholds) / BAND_BELOW), _one_digit(max(thresholds) * BAND_ABOVE)
    rates = swept_rates(config, BAND_RATES, low, high)
    return Grid(config, (*axes, Axis("learning_rate", tuple(rates))))


def advise(grid: Grid, rows: NDArray[np.void]) -> Advice:
    """Advice from the rows of a grid over learning rates, or over learning rates and seeds.

    Where there is a band of rates at which every seed gets there it is taken; small networks may have
    none, for a seed can be a bad one at any rate, and then that of most seeds, or of some. Trainings
    that are not there yet are as if they had failed.
    """
    axis = grid.position("learning_rate")
    assert axis is not None
    order = np.argsort(grid.axes[axis].values)
    rates = np.array(grid.axes[axis].values, dtype=float)[order]
    places = np.unravel_index(rows["index"], grid.shape)
    bad = np.isin(rows["outcome"], [OUTCOMES.index(DEAD), OUTCOMES.index(DIVERGES)])
    ratios = np.full(grid.shape, np.inf)
    ratios[places] = np.where(bad, np.inf, rows["final"] / rows["first"])
    ratios = np.moveaxis(ratios, axis, -1).reshape(-1, len(rates))[:, order]
    for good in (ratios < CONVERGED, np.isfinite(ratios)):
        counts = good.sum(axis=0)
        found = [(need, _longest(counts >= need)) for need in _needs(len(ratios))]
        bands = [(need, band) for need, band in found if band is not None]
        if bands:
            wide = [(n, band) for n, band in bands if rates[band.stop - 1] >= WIDE * rates[band.start]]
            need, band = (wide or bands)[0]
            usual = np.sort(ratios[:, band], axis=0)[need - 1]  # of the seeds that are needed, the worst
            return _of_band(grid, rates[band], usual, need, len(ratios))
    nothing = Message.of("Each of these rates diverges, or loses hidden units for good: scan smaller ones.")
    if len(rows) < grid.size:
        nothing = Message.of("Too little of the scan is done to recommend a rate.")
    return Advice(None, None, None, False, nothing)


def _needs(seeds: int) -> list[int]:
    """How many seeds must do: all; else most; else one."""
    return list(dict.fromkeys((seeds, seeds // 2 + 1, 1)))


def _of_band(
    grid: Grid, rates: NDArray[np.float64], ratios: NDArray[np.float64], need: int, seeds: int
) -> Advice:
    """Advice for a band of rising rates with these final losses, relative to the first."""
    low, high = float(rates[0]), float(rates[-1])
    values = {"need": need, "seeds": seeds, "steps": f"{grid.base.steps:,}", "high": f"{high:.2g}"}
    if ratios.min() >= CONVERGED:
        best = int(np.argmin(ratios))
        reason = Message.of(
            "No rate brings the loss under a thousandth of the first within {steps} steps. Near this one "
            "{need} of {seeds} seeds bring it to {ratio} of the first, the lowest there is below the rates "
            "that diverge or lose units; more steps may help.",
            **values,
            ratio=f"{ratios[best]:.2g}",
        )
        return Advice(max(low, min(float(rates[best]), high / MARGIN)), low, high, False, reason)
    if high < MARGIN**2 * low:
        reason = Message.of(
            "It is the middle of a narrow band, in which {need} of {seeds} seeds bring the loss under a "
            "thousandth of the first within {steps} steps: smaller rates are too slow, and those above "
            "{high} diverge or lose units.",
            **values,
        )
        return Advice(sqrt(low * high), low, high, True, reason)
    reason = Message.of(
        "Up to {high}, {need} of {seeds} seeds bring the loss under a thousandth of the first within {steps} "
        "steps. This rate stays a factor {margin} below that, for another seed may bear less.",
        **values,
        margin=MARGIN,
    )
    return Advice(high / MARGIN, low, high, True, reason)


def _longest(good: NDArray[np.bool_]) -> slice | None:
    """The longest stretch of true values; of equally long ones the last."""
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
    """Advice for each combination of the axes but learning rate and seed, by its places on these axes.

    `rows` are in the grid's order. Combinations of which a training is missing are left out; those of
    `known` are not judged again.
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
    """A learning rate that works for `config`, by short trainings in the calling process.

    They have the data of `config` and of two more seeds. Where even ten steps of each would take
    seconds, it is half of the 2/λmax that the sizes let expect.
    """
    config = computed(config)
    each = batched_run_seconds(replace(config, steps=1))
    steps = min(config.steps, TRIAL_STEPS, int(TRIAL_SECONDS / (each * TRIAL_RATES * TRIAL_SEEDS)))
    fallback = _digits(1 / curvature.expected(config))
    if steps < min(config.steps, FEWEST_TRIAL_STEPS):
        return fallback
    threshold = 2 / curvature.expected(config)
    rates = np.geomspace(threshold / 100, threshold * 5, TRIAL_RATES)
    grid = sweep_grid(replace(config, steps=steps), [float(rate) for rate in rates], TRIAL_SEEDS)
    rate = advise(grid, train(grid, 0, grid.size)).rate
    return fallback if rate is None else _digits(rate)


def mean_loss_rate(config: Config, rate: float) -> float:
    """The rate that takes the same steps if the loss is the mean over the N·D_out outputs, not the sum."""
    return rate * config.N * config.D_out


def _digits(rate: float) -> float:
    """`rate` with the two digits that a person would type."""
    return float(f"{rate:.1e}")


def _one_digit(rate: float) -> float:
    return float(f"{rate:.0e}")
