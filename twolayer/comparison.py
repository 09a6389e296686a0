"""One gradient by hand against one reference: how far apart they are, and where.

The relative error |a − b| / max(|a|, |b|) is read by the thresholds that the course CS231n gives. Whether
an entry is *wrong* is decided by the bounds of `rounding`, which the caller gives.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.differences import Differences, Float64
from twolayer.messages import N_
from twolayer.pooling import pooled

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
    rows, columns = np.indices(ours.shape).reshape(2, -1)
    entries = np.stack([rows, columns], axis=1)
    return _compared(gradient, "autograd", entries, ours, theirs.ravel(), errors.ravel(), wrong.ravel(), 0)


def against_differences(
    gradient: str,
    ours: NDArray[Any],
    limit: NDArray[Any],
    entries: NDArray[np.intp],
    found: Differences,
) -> Comparison:
    """Compare some entries with central differences; those that cross a kink are left out."""
    kept = ~found.crossed
    entries, theirs, rounding = entries[kept], found.values[kept], found.rounding[kept]
    at = tuple(entries.T)
    errors = relative_error(ours[at], theirs)
    wrong = ~(np.abs(ours[at] - theirs) <= limit[at] + rounding)
    return _compared(gradient, "differences", entries, ours, theirs, errors, wrong, int((~kept).sum()))


def _compared(
    gradient: str,
    against: str,
    entries: NDArray[np.intp],
    all_ours: NDArray[Any],
    theirs: NDArray[Any],
    errors: Float64,
    wrong: NDArray[np.bool_],
    kinks: int,
) -> Comparison:
    ours = all_ours[tuple(entries.T)]
    order = np.lexsort((-errors, ~wrong))
    drawn = np.union1d(order[:WORST], np.linspace(0, len(ours) - 1, min(POINTS, len(ours))).astype(np.intp))
    picture, block = pooled(all_ours.shape, entries, errors, PICTURE)
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
                (int(entries[i, 0]), int(entries[i, 1])),
                float(ours[i]),
                float(theirs[i]),
                float(errors[i]),
                bool(wrong[i]),
            )
            for i in order[:WORST]
        ),
        points=np.column_stack([entries[drawn], ours[drawn], theirs[drawn]]).astype(np.float64),
        errors=picture,
        block=block,
    )


def _cosine(a: NDArray[Any], b: NDArray[Any]) -> float:
    a, b = (v / np.abs(v).max(initial=np.finfo(v.dtype).tiny) for v in (a, b))  # so that no square overflows
    lengths = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return float(np.sum(a * b)) / lengths if lengths else float("nan")
