"""Central differences of the loss, in float64: what a gradient has to agree with, by its definition.

Only what an entry moves is computed again. An entry of w1 moves one column of h, so that it costs
O(N·D_out) and not a forward pass; of an entry of w2 and of the values inside the network the like is
true. Terms of the loss that do not move are the same on both sides and are left out; the others are
subtracted one by one and then summed, which rounds less than to subtract two large sums.

Along a single entry the loss is a parabola as long as no hidden unit changes sign (h is linear in w1,
the residuals are linear in h_relu and in w2, the loss is their square), and for a parabola the central
difference is exact. So there is no truncation: what is left is rounding, which grows as the step
shrinks, and kinks, of which a larger step crosses more. An entry that crosses one is marked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.backprop.rounding import of_sum

Float64 = NDArray[np.float64]
Values = Mapping[str, NDArray[Any]]

BLOCK_NUMBERS = 1 << 18
"""Residuals that are computed at a time."""


@dataclass(frozen=True)
class Differences:
    """Derivatives of the loss, one for each entry or direction that was asked for."""

    values: Float64
    rounding: Float64
    """By how much rounding can have moved each."""
    crossed: NDArray[np.bool_]
    """Where a hidden unit changes sign between the two sides, or is too near to 0 to be sure."""


def of_entries(
    gradient: str,
    entries: NDArray[np.intp],
    inputs: Values,
    values: Values,
    step: float,
) -> Differences:
    """The derivative of the loss with respect to some entries of what `gradient` is the gradient of.

    `entries` are rows (S, 2) of indices, `values` the iteration from `inputs`. `grad_h` is differentiated by
    moving an entry of h itself, and so on.
    """
    N, D_out = inputs["y"].shape
    terms = {"grad_y_pred": 1, "grad_w2": N, "grad_h_relu": D_out, "grad_h": D_out, "grad_w1": N * D_out}
    size = max(1, BLOCK_NUMBERS // terms[gradient])
    blocks = [entries[i : i + size] for i in range(0, len(entries), size)] or [entries]
    found = [_of_block(gradient, block, inputs, values, step) for block in blocks]
    return Differences(
        *(np.concatenate([getattr(d, name) for d in found]) for name in ("values", "rounding", "crossed"))
    )


def _of_block(
    gradient: str, entries: NDArray[np.intp], inputs: Values, values: Values, step: float
) -> Differences:
    row, column = entries.T
    x, w2, h, h_relu = inputs["x"], inputs["w2"], values["h"], values["h_relu"]
    residual = values["y_pred"] - inputs["y"]
    none = np.zeros(len(entries), bool)
    if gradient == "grad_y_pred":
        return _quotient(residual[row, column][:, None], np.ones((len(entries), 1)), step, none)
    if gradient == "grad_w2":
        return _quotient(residual[:, column].T, h_relu[:, row].T, step, none)
    if gradient == "grad_h_relu":
        return _quotient(residual[row], w2[column], step, none)
    if gradient == "grad_h":
        before, slope = h[row, column][:, None], np.ones((len(entries), 1))
        residual = residual[row][:, None, :]
    else:
        before, slope = h[:, column].T, x[:, row].T
    return _quotient_over_units(residual, before, slope, w2[column][:, None, :], step)


def _quotient(residual: Float64, slope: Float64, step: float, crossed: NDArray[np.bool_]) -> Differences:
    """(L⁺ − L⁻) / (2·step), where `slope` (S, terms) is what the residuals move by, linearly."""
    move = step * slope
    return _finish(residual + move, residual - move, np.abs(move), step, crossed)


def _quotient_over_units(
    residual: Float64, h: Float64, slope: Float64, w2: Float64, step: float
) -> Differences:
    """The same where hidden units move, h (S, units) by `slope`, and with them the residuals."""
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
    plus: Float64, minus: Float64, fresh: Float64, step: float, crossed: NDArray[np.bool_]
) -> Differences:
    """The quotient from the residuals (S, terms) on both sides; `fresh` is what is rounded anew on each."""
    squares, other = np.square(plus), np.square(minus)
    terms = squares - other
    eps = of_sum(0, plus.dtype)
    rounded = eps * (2 * squares + 2 * other + (np.abs(plus) + np.abs(minus)) * fresh)
    errors = rounded.sum(axis=1) + of_sum(plus.shape[1], plus.dtype) * np.abs(terms).sum(axis=1)
    return Differences(terms.sum(axis=1) / (2 * step), errors / (2 * step), crossed)


@dataclass(frozen=True)
class Direction:
    """The derivative of the loss along one random direction of length 1 in all entries of a tensor."""

    ours: float
    """What the gradient says: the sum of its entries, each times the direction's."""
    theirs: float
    """What the loss does: the central difference."""
    step: float
    """The step that was taken: so small that no hidden unit changes sign."""
    rounding: float
    """By how much rounding can have moved the two apart."""

    @property
    def wrong(self) -> bool:
        """Whether they differ by more than rounding can do."""
        return not abs(self.ours - self.theirs) <= self.rounding


def along(
    gradient: str,
    ours: Float64,
    direction: Float64,
    inputs: Values,
    values: Values,
    bound: Float64,
    step: float,
) -> Direction | None:
    """Compare all of a gradient with respect to w1 or w2 at once, at the price of two forward passes.

    `bound` is how far rounding moves the gradient. A direction in w1 moves every hidden unit, and some of
    them are always near 0: the step is at most half of the way to the nearest kink. None if a unit is on it.
    """
    residual = (values["y_pred"] - inputs["y"]).reshape(1, -1)
    not_crossed = np.zeros(1, bool)
    if gradient == "grad_w2":
        slope = (values["h_relu"] @ direction).reshape(1, -1)
        found = _quotient(residual, slope, step, not_crossed)
    else:
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
        found = _finish(plus, minus, fresh, step, not_crossed)
    of_product = of_sum(ours.size, ours.dtype) * float(np.sum(np.abs(ours) * np.abs(direction)))
    rounding = float(np.sum(bound * np.abs(direction))) + of_product + float(found.rounding[0])
    return Direction(float(np.sum(ours * direction)), float(found.values[0]), step, rounding)
