"""What kind of mistake a wrong line is: one table, which the planted bugs belong to as well."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.backprop.bugs import BUGS
from twolayer.backprop.letters import VALUES, Typed
from twolayer.training.messages import N_
from twolayer.training.program import Values, run


@dataclass(frozen=True)
class Kind:
    """A kind of mistake."""

    label: str
    """What is wrong, as the end of a sentence, in English."""
    says: str
    """How it shows, in English."""
    bugs: tuple[str, ...] = ()
    """The planted bugs of this kind, by their names in `bugs.BUGS`."""


KINDS: Mapping[str, Kind] = {
    "factor": Kind(
        N_("there is a missing or extra factor"),
        N_("Every entry is the right one times the same number."),
        ("no_factor",),
    ),
    "sign": Kind(N_("the sign is reversed"), N_("Every entry is right except for its sign.")),
    "mean": Kind(
        N_("it is a mean instead of a sum"),
        N_("Every entry is divided by a size of the data. The loss here is a sum, not a mean."),
    ),
    "missing_mask": Kind(
        N_("the mask of ReLU is missing"),
        N_("What belongs to h < 0, where ReLU is flat, counts here too."),
        ("no_mask",),
    ),
    "inverted_mask": Kind(
        N_("the mask is inverted"), N_("It is 0 where h > 0, and not 0 where h < 0."), ("wrong_side",)
    ),
    "other_mask": Kind(
        N_("the mask has the wrong condition"),
        N_("Some entries are 0 that must not be, or the other way round."),
    ),
    "transpose": Kind(
        N_("there is a missing or extra transpose"),
        N_("A matrix is used where its transpose is needed, or the other way round."),
        ("not_transposed",),
    ),
    "wrong_index": Kind(
        N_("it sums over the wrong index"),
        N_("It sums over another index than the chain rule, or not at all."),
        ("off_by_one",),
    ),
    "grad_w2_for_w2": Kind(
        N_("grad_w2 is used in place of w2"),
        N_("It is what comes out if grad_w2 stands in the place of w2."),
        ("grad_w2_for_w2",),
    ),
    "updated_early": Kind(
        N_("w2 is updated before it is used"),
        N_("It is what comes out if w2 has been updated before it is used here."),
        ("updated_early",),
    ),
}
"""By name. A wrong line of another kind has none."""

_OTHERS = (
    ("missing_mask", "h_relu", "h_relu = h"),
    ("missing_mask", "y_pred", "y_pred = h @ w2"),
    ("missing_mask", "grad_w2", "grad_w2 = h.T @ grad_y_pred"),
    ("missing_mask", "grad_w1", "grad_w1 = x.T @ grad_h_relu"),
    ("inverted_mask", "h_relu", "h_relu = np.minimum(h, 0)"),
    ("inverted_mask", "grad_w1", "grad_w1 = x.T @ np.where(h > 0, 0, grad_h_relu)"),
    ("transpose", "grad_w2", "grad_w2 = (h_relu.T @ grad_y_pred).T"),
    ("transpose", "grad_h_relu", "grad_h_relu = (grad_y_pred @ w2.T).T"),
)
WRONG_LINES = (
    *((kind, BUGS[bug].value, BUGS[bug].line) for kind, row in KINDS.items() for bug in row.bugs),
    *_OTHERS,
)
"""Wrong lines whose result tells the kind: the kind, the value, and the line."""

EXPLAINED = 1e-2
"""A wrong line is of a kind if that explains all of its deviation but this part."""


def of_shape(value: str, found: Typed) -> str | None:
    """Return the kind of a line whose value has the wrong shape."""
    right = VALUES[value].shape
    if found.shape == right[::-1]:
        return "transpose"
    lost = [dimension for dimension in found.shape if dimension]
    return "wrong_index" if not right or len(lost) < len(right) else None


def of_values(
    value: str, ours: NDArray[Any], right: NDArray[Any], names: Values, learning_rate: float
) -> tuple[str | None, float | None]:
    """Return the kind of a line whose value is wrong, and by which factor if it is one.

    `names` are the right values that the line had at hand.
    """
    if not np.isfinite(ours).all():
        return None, None
    base = names[value] if value in ("w1", "w2") else np.zeros_like(right)
    ratio = _ratio(ours - base, right - base)
    if ratio is not None:
        return _of_ratio(ratio, names), ratio
    apart = float(np.linalg.norm(ours - right))
    for kind, of, line in WRONG_LINES:
        if of == value:
            candidate = _result(of, line, names, learning_rate)
            if (
                candidate is not None
                and candidate.shape == ours.shape
                and float(np.linalg.norm(ours - candidate)) <= EXPLAINED * apart
            ):
                return kind, None
    return _mask(value, ours, names), None


def _result(value: str, line: str, names: Values, learning_rate: float) -> NDArray[Any] | None:
    try:
        return run({value: line}, names, learning_rate)[value]
    except ValueError:  # shapes at which it cannot be
        return None


def _ratio(ours: NDArray[Any], right: NDArray[Any]) -> float | None:
    """Return the number that `right` is multiplied by, if it is one number for all entries."""
    size = float(np.vdot(right, right))
    ratio = float(np.vdot(right, ours)) / size if size else 0.0
    apart = float(np.linalg.norm(ours - right))
    within = 1e-3 * min(apart, float(np.linalg.norm(ours)))
    exact = size > 0 and float(np.linalg.norm(ours - ratio * right)) <= within
    return float(f"{ratio:.4g}") if exact else None


def _of_ratio(ratio: float, names: Values) -> str:
    size = abs(ratio)  # a reversed sign may come on top of it
    if ratio == -1:
        return "sign"
    if size in (0.25, 0.5, 2.0, 4.0):
        return "factor"
    sizes = (*names["x"].shape, *names["w2"].shape)
    means = {prod(chosen) for count in (1, 2) for chosen in combinations(sizes, count)} - {1}
    if any(abs(size * mean / times - 1) < 1e-3 for mean in means for times in (1, 2, 0.5)):
        return "mean"
    return "factor"


def _mask(value: str, ours: NDArray[Any], names: Values) -> str | None:
    """Return `other_mask` if the value is the unmasked one with other entries set to 0."""
    unmasked = {"h_relu": "h", "grad_h": "grad_h_relu"}.get(value)
    if unmasked is None or ours.shape != names[unmasked].shape:
        return None
    whole = names[unmasked]
    return "other_mask" if bool(np.all((ours == 0) | (ours == whole))) else None
