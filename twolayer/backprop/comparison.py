"""One gradient by hand against one reference: how far apart they are, and where.

The relative error |a − b| / max(|a|, |b|) is read by the thresholds that the course CS231n gives. Whether
an entry is *wrong* is decided by the bounds of `rounding`, which the caller gives.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.backprop.finite_differences import Differences, Float64
from twolayer.backprop.pooling import largest, largest_of
from twolayer.training.messages import N_

WORST = 8
POINTS = 500
PICTURE = (64, 64)

BANDS: Sequence[tuple[float, str]] = (
    (1e-2, N_("a gradient that far off is usually wrong")),
    (1e-4, N_("too far off for comfort; only kinks could excuse it")),
    (1e-7, N_("fine where the loss has kinks, too much where it has none")),
    (0.0, N_("agreement")),
)
"""The thresholds of CS231n: a relative error above the number, and what it means."""


def band(error: float) -> str:
    """What a relative error means, in English."""
    return next(words for threshold, words in BANDS if not error <= threshold or threshold == 0)


def relative_error(a: Any, b: Any) -> Float64:
    """|a − b| / max(|a|, |b|), entry by entry; two zeros agree."""
    size = np.maximum(np.abs(a), np.abs(b)).astype(np.float64)
    apart = np.abs(np.subtract(a, b, dtype=np.float64))
    errors: Float64 = np.divide(apart, size, out=np.zeros_like(size), where=size > 0)
    return errors


@dataclass(frozen=True)
class Entry:
    """One entry of a gradient, by hand and by the reference that it is compared with."""

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
    """Entries that were compared."""
    kinks: int
    """Entries that were left out, because the step crosses a kink of the loss."""
    wrong: int
    """Entries that differ by more than rounding can do."""
    largest: float
    """The largest relative error."""
    median: float
    cosine: float
    """Of the angle between the two, over all that was compared; NaN where one of them is 0."""
    worst: tuple[Entry, ...]
    points: NDArray[np.float64]
    """Rows of row, column, ours, theirs: a sample to be drawn, the worst entries among them."""
    errors: NDArray[np.float32]
    """The relative errors as a picture: the largest of each block, NaN where nothing was compared."""
    block: tuple[int, int]
    """Rows and columns of a block."""


def against_autograd(
    gradient: str, ours: NDArray[Any], theirs: NDArray[Any], limit: NDArray[Any]
) -> Comparison:
    """Compare every entry with PyTorch's."""
    errors = relative_error(ours, theirs)
    # Written so that a number that is not finite is wrong too
    wrong = ~(np.abs(ours - theirs) <= limit)
    every = np.arange(ours.size)
    picture = largest(errors, PICTURE)
    return _compared(
        gradient, "autograd", ours, every, theirs.ravel(), errors.ravel(), wrong.ravel(), 0, picture
    )


def against_differences(
    gradient: str,
    ours: NDArray[Any],
    limit: NDArray[Any],
    entries: NDArray[np.intp],
    found: Differences,
) -> Comparison:
    """Compare some entries, rows of indices (S, 2), with central differences; those that cross a kink are
    left out."""
    kept = ~found.crossed
    entries, theirs, rounding = entries[kept], found.values[kept], found.rounding[kept]
    at = tuple(entries.T)
    errors = relative_error(ours[at], theirs)
    wrong = ~(np.abs(ours[at] - theirs) <= limit[at] + rounding)
    picture = largest_of(ours.shape, entries, errors, PICTURE)
    flat = np.ravel_multi_index(at, ours.shape)
    kinks = int((~kept).sum())
    return _compared(gradient, "differences", ours, flat, theirs, errors, wrong, kinks, picture)


def _compared(
    gradient: str,
    against: str,
    all_ours: NDArray[Any],
    flat: NDArray[np.intp],
    theirs: NDArray[Any],
    errors: Float64,
    wrong: NDArray[np.bool_],
    kinks: int,
    picture: tuple[NDArray[np.float32], tuple[int, int]],
) -> Comparison:
    """The comparison of the entries `flat`, places in the gradient row by row, with `theirs`."""
    ours = all_ours.ravel()[flat]
    rank = errors + 10 * wrong  # an error is at most 2: what is wrong comes first
    most = min(WORST, len(rank))
    worst = np.argpartition(rank, len(rank) - most)[len(rank) - most :] if most else np.arange(0)
    worst = worst[np.argsort(-rank[worst], kind="stable")]
    drawn = np.union1d(worst, np.linspace(0, len(ours) - 1, min(POINTS, len(ours))).astype(np.intp))
    rows, columns = np.unravel_index(flat, all_ours.shape)
    return Comparison(
        gradient=gradient,
        against=against,
        shape=all_ours.shape,
        compared=len(ours),
        kinks=kinks,
        wrong=int(wrong.sum()),
        largest=float(errors.max(initial=0.0)),
        median=float(np.median(errors)) if len(errors) else 0.0,
        cosine=_cosine(ours, theirs),
        worst=tuple(
            Entry(
                (int(rows[i]), int(columns[i])),
                float(ours[i]),
                float(theirs[i]),
                float(errors[i]),
                bool(wrong[i]),
            )
            for i in worst
        ),
        points=np.column_stack([rows[drawn], columns[drawn], ours[drawn], theirs[drawn]]).astype(np.float64),
        errors=picture[0],
        block=picture[1],
    )


def _cosine(a: NDArray[Any], b: NDArray[Any]) -> float:
    a, b = (v / np.abs(v).max(initial=np.finfo(v.dtype).tiny) for v in (a, b))  # so that no square overflows
    lengths = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return float(np.sum(a * b)) / lengths if lengths else float("nan")
