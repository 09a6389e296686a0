"""Compare one gradient by hand with one reference: how far apart they are, and where.

The relative error |a − b| / max(|a|, |b|) is read by the thresholds of the course CS231n. Whether an entry
is *wrong* depends on the bounds of `rounding`, which the caller passes in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.backprop.finite_differences import Differences, Float64
from twolayer.backprop.pooling import largest, largest_of
from twolayer.backprop.rounding import of_sum
from twolayer.training.messages import N_

WORST = 8
POINTS = 500
PICTURE = (64, 64)

BANDS: Sequence[tuple[float, str]] = (
    (1e-2, N_("the gradient is probably wrong")),
    (1e-4, N_("suspicious, even with kinks")),
    (1e-7, N_("usually fine if the loss has kinks; too high if it is smooth")),
    (0.0, N_("the gradients agree")),
)
"""The thresholds of CS231n: what a relative error above each number means."""


def band(error: float) -> str:
    """Return what a relative error means, in English."""
    return next(words for threshold, words in BANDS if not error <= threshold or threshold == 0)


def relative_error(a: Any, b: Any) -> Float64:
    """Return |a − b| / max(|a|, |b|) for each entry, and 0 for two zeros."""
    size = np.maximum(np.abs(a), np.abs(b)).astype(np.float64)
    apart = np.abs(np.subtract(a, b, dtype=np.float64))
    errors: Float64 = np.divide(apart, size, out=np.zeros_like(size), where=size > 0)
    return errors


@dataclass(frozen=True)
class Entry:
    """One entry of a gradient, by hand and by the reference."""

    index: tuple[int, int]
    ours: float
    theirs: float
    error: float
    wrong: bool


@dataclass(frozen=True)
class Comparison:
    """One gradient by hand against one reference."""

    gradient: str
    against: str
    """`autograd` or `differences`."""
    shape: tuple[int, ...]
    compared: int
    """The number of entries compared."""
    kinks: int
    """The number of entries left out because the step crosses a kink of the loss."""
    wrong: int
    """The number of entries that differ by more than rounding can explain."""
    largest: float
    """The largest relative error."""
    median: float
    cosine: float
    """The cosine of the angle between the two, over all compared entries; NaN if one of them is 0."""
    worst: tuple[Entry, ...]
    points: NDArray[np.float64]
    """Rows of row, column, ours, theirs: a sample to plot that includes the worst entries."""
    errors: NDArray[np.float32]
    """A picture of the relative errors: the largest of each block, NaN where nothing was compared."""
    block: tuple[int, int]
    """Rows and columns of a block."""


def against_autograd(
    gradient: str, ours: NDArray[Any], theirs: NDArray[Any], limit: NDArray[Any]
) -> Comparison:
    """Compare every entry with PyTorch's."""
    every = np.arange(ours.size)
    return _compare((gradient, "autograd"), ours, theirs.ravel(), limit.ravel(), every)


def against_differences(
    gradient: str, ours: NDArray[Any], limit: NDArray[Any], entries: NDArray[np.intp], found: Differences
) -> Comparison:
    """Compare the entries, rows of indices (S, 2), with central differences, except those at kinks."""
    kept = ~found.crossed
    at = tuple(entries[kept].T)
    limits = limit[at] + found.rounding[kept]
    flat = np.ravel_multi_index(at, ours.shape)
    compared = _compare((gradient, "differences"), ours, found.values[kept], limits, flat)
    return replace(compared, kinks=int(found.crossed.sum()))


def _compare(
    names: tuple[str, str],
    gradient: NDArray[Any],
    theirs: NDArray[Any],
    limit: NDArray[Any],
    flat: NDArray[np.intp],
) -> Comparison:
    """Compare the entries `flat` of a gradient, flat indices in increasing order, with `theirs`."""
    ours = gradient.ravel()[flat]
    errors = relative_error(ours, theirs)
    # Written so that a number that is not finite is wrong too
    wrong = ~(np.abs(ours - theirs) <= limit)
    rank = errors + 10 * wrong  # an error is at most 2: what is wrong comes first
    most = min(WORST, len(rank))
    worst = np.argpartition(rank, len(rank) - most)[len(rank) - most :] if most else np.arange(0)
    worst = worst[np.argsort(-rank[worst], kind="stable")]
    drawn = np.union1d(worst, np.linspace(0, len(ours) - 1, min(POINTS, len(ours))).astype(np.intp))
    rows, columns = np.unravel_index(flat, gradient.shape)
    if len(flat) == gradient.size:
        picture, block = largest(errors.reshape(gradient.shape), PICTURE)
    else:
        picture, block = largest_of(gradient.shape, np.column_stack([rows, columns]), errors, PICTURE)
    of_worst = (each[worst].tolist() for each in (rows, columns, ours, theirs, errors, wrong))
    return Comparison(
        *names,
        shape=gradient.shape,
        compared=len(ours),
        kinks=0,
        wrong=int(wrong.sum()),
        largest=float(errors.max(initial=0.0)),
        median=float(np.median(errors)) if len(errors) else 0.0,
        cosine=_cosine(ours, theirs),
        worst=tuple(Entry((i, j), *numbers) for i, j, *numbers in zip(*of_worst, strict=True)),
        points=np.column_stack([rows[drawn], columns[drawn], ours[drawn], theirs[drawn]]).astype(np.float64),
        errors=picture,
        block=block,
    )


def _cosine(a: NDArray[Any], b: NDArray[Any]) -> float:
    a, b = (v / np.abs(v).max(initial=np.finfo(v.dtype).tiny) for v in (a, b))  # so that no square overflows
    lengths = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return float(np.sum(a * b)) / lengths if lengths else float("nan")


@dataclass(frozen=True)
class Direction:
    """The derivative of the loss along one random direction of length 1 in all entries of a tensor."""

    ours: float
    """The derivative by the gradient: the dot product of the two."""
    theirs: float
    """The derivative by the central difference."""
    step: float
    """The step used: small enough that no hidden unit changes sign."""
    rounding: float
    """The largest difference between the two that rounding can explain."""

    @property
    def wrong(self) -> bool:
        """Whether they differ by more than rounding can explain."""
        return not abs(self.ours - self.theirs) <= self.rounding


def against_direction(
    ours: NDArray[Any], limit: NDArray[Any], direction: Float64, found: Differences
) -> Direction:
    """Compare a whole gradient, rounded by at most `limit`, with the difference `found` along a direction."""
    of_product = of_sum(ours.size, ours.dtype) * float(np.sum(np.abs(ours) * np.abs(direction)))
    rounding = float(np.sum(limit * np.abs(direction))) + of_product + float(found.rounding[0])
    return Direction(float(np.sum(ours * direction)), float(found.values[0]), found.step, rounding)
