"""Central differences of the loss in float64: what a gradient must agree with, by its definition.

Only what an entry moves is recomputed. An entry of w1 moves one column of h, so it costs O(N·D_out)
instead of a forward pass; the same holds for entries of w2 and of the values inside the network. Terms
of the loss that do not move are equal on both sides and are left out. The others are subtracted term by
term and then summed, which rounds less than subtracting two large sums.

Along a single entry the loss is a parabola as long as no hidden unit changes sign (h is linear in w1,
the residuals are linear in h_relu and in w2, the loss is their square), and for a parabola the central
difference is exact. There is no truncation error, only rounding, which grows as the step shrinks, and
kinks, of which a larger step crosses more. An entry that crosses a kink is marked.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twolayer.backprop.rounding import of_sum
from twolayer.training.program import Values

Float64 = NDArray[np.float64]

BLOCK_NUMBERS = 1 << 18
"""The number of residuals computed at a time."""


@dataclass(frozen=True)
class Differences:
    """Derivatives of the loss, one for each requested entry or direction."""

    values: Float64
    rounding: Float64
    """The largest error that rounding can cause in each."""
    crossed: NDArray[np.bool_]
    """True where a hidden unit changes sign between the two sides, or is too close to 0 to be sure."""
    step: float
    """The step to each side."""


def of_entries(
    gradient: str,
    entries: NDArray[np.intp],
    inputs: Values,
    values: Values,
    step: float,
) -> Differences:
    """Differentiate the loss with respect to single entries of the value whose gradient is `gradient`.

    `entries` are rows (S, 2) of indices and `values` the iteration from `inputs`. For `grad_h` an entry of
    h itself is moved, and likewise for the others.
    """
    N, D_out = inputs["y"].shape
    terms = {"grad_y_pred": 1, "grad_w2": N, "grad_h_relu": D_out, "grad_h": D_out, "grad_w1": N * D_out}
    size = max(1, BLOCK_NUMBERS // terms[gradient])
    blocks = [entries[i : i + size] for i in range(0, len(entries), size)] or [entries]
    found = [_of_block(gradient, block, inputs, values, step) for block in blocks]
    parts = ("values", "rounding", "crossed")
    slopes, rounding, crossed = (np.concatenate([getattr(each, part) for each in found]) for part in parts)
    return Differences(slopes, rounding, crossed, step)


def _of_block(
    gradient: str, entries: NDArray[np.intp], inputs: Values, values: Values, step: float
) -> Differences:
    row, column = entries.T
    x, w2, h, h_relu = inputs["x"], inputs["w2"], values["h"], values["h_relu"]
    residual = values["y_pred"] - inputs["y"]
    if gradient == "grad_y_pred":
        return _quotient(residual[row, column][:, None], np.ones((len(entries), 1)), step)
    if gradient == "grad_w2":
        return _quotient(residual[:, column].T, h_relu[:, row].T, step)
    if gradient == "grad_h_relu":
        return _quotient(residual[row], w2[column], step)
    if gradient == "grad_h":
        before, slope = h[row, column][:, None], np.ones((len(entries), 1))
        residual = residual[row][:, None, :]
    else:
        before, slope = h[:, column].T, x[:, row].T
    return _quotient_over_units(residual, before, slope, w2[column][:, None, :], step)


def _quotient(residual: Float64, slope: Float64, step: float) -> Differences:
    """Return (L⁺ − L⁻) / (2·step) for residuals that move linearly by `slope` (S, terms)."""
    move = step * slope
    return _finish(residual + move, residual - move, np.abs(move), step)


def _quotient_over_units(
    residual: Float64, h: Float64, slope: Float64, w2: Float64, step: float
) -> Differences:
    """Return the same for hidden units h (S, units) that move by `slope`, and the residuals with them."""
    move = step * slope
    above, below = h + move, h - move
    unsure = of_sum(0, h.dtype) * (np.abs(h) + np.abs(move))
    crossed = ((above < 0) != (below < 0)) | (np.minimum(np.abs(above), np.abs(below)) <= unsure)
    h_relu = np.maximum(h, 0)
    plus = residual + (np.maximum(above, 0) - h_relu)[..., None] * w2
    minus = residual + (np.maximum(below, 0) - h_relu)[..., None] * w2
    fresh = (2 * (h_relu + np.abs(move)))[..., None] * np.abs(w2)
    flat = (len(h), -1)
    return _finish(plus.reshape(flat), minus.reshape(flat), fresh.reshape(flat), step, crossed.any(axis=1))


def _finish(
    plus: Float64, minus: Float64, fresh: Float64, step: float, crossed: NDArray[np.bool_] | None = None
) -> Differences:
    """Return the quotient from the residuals (S, terms) on both sides; `fresh` is rounded anew on each."""
    crossed = np.zeros(len(plus), bool) if crossed is None else crossed
    squares, other = np.square(plus), np.square(minus)
    terms = squares - other
    eps = of_sum(0, plus.dtype)
    rounded = eps * (2 * squares + 2 * other + (np.abs(plus) + np.abs(minus)) * fresh)
    errors = rounded.sum(axis=1) + of_sum(plus.shape[1], plus.dtype) * np.abs(terms).sum(axis=1)
    return Differences(terms.sum(axis=1) / (2 * step), errors / (2 * step), crossed, step)


def along(
    gradient: str, direction: Float64, inputs: Values, values: Values, step: float
) -> Differences | None:
    """Differentiate the loss along a direction in w1 or w2, which moves all its entries at once.

    Costs two forward passes. A direction in w1 moves every hidden unit, and some are always close to 0, so
    the step is at most half the distance to the nearest kink. Returns None if a unit lies on its kink.
    """
    residual = (values["y_pred"] - inputs["y"]).reshape(1, -1)
    if gradient == "grad_w2":
        slope = (values["h_relu"] @ direction).reshape(1, -1)
        return _quotient(residual, slope, step)
    h, h_relu, w2, slope = values["h"], values["h_relu"], inputs["w2"], inputs["x"] @ direction
    way = np.abs(h) / np.maximum(np.abs(slope), np.finfo(float).tiny)
    step = min(step, 0.5 * float(way.min()))
    if not step:
        return None
    plus, minus = (
        residual + ((np.maximum(h + move, 0) - h_relu) @ w2).reshape(1, -1)
        for move in (step * slope, -step * slope)
    )
    moved = h_relu + (h.shape[1] + 2) * step * np.abs(slope)
    fresh = 2 * (moved @ np.abs(w2)).reshape(1, -1)
    return _finish(plus, minus, fresh, step)
