"""Where a value differs from the right one by more than rounding can explain."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_CELLS = 5


@dataclass(frozen=True)
class Where:
    """Where a value differs from the right one."""

    count: int
    total: int
    rows: tuple[int, ...] = ()
    """The first rows that differ, if whole rows do."""
    columns: tuple[int, ...] = ()
    cells: tuple[tuple[tuple[int, ...], float, float], ...] = ()
    """The first entries that differ: index, what was computed, what is right."""


def differs(ours: NDArray[Any], right: NDArray[Any], limit: NDArray[Any]) -> NDArray[np.bool_]:
    """Return the entries that differ by more than rounding can explain. One that is not finite does."""
    return np.asarray(~(np.abs(ours - right) <= limit))


def where(apart: NDArray[np.bool_], ours: NDArray[Any], right: NDArray[Any]) -> Where:
    """Say where a value differs: in whole rows, in whole columns, or in single entries, the worst first."""
    with np.errstate(invalid="ignore"):
        far = np.where(apart, np.nan_to_num(np.abs(ours - right), nan=np.inf), -1)
    worst = np.argsort(-far, axis=None, kind="stable")[: min(MOST_CELLS, apart.sum())]
    indices = (tuple(map(int, np.unravel_index(i, apart.shape))) for i in worst)
    cells = tuple((i, float(ours[i]), float(right[i])) for i in indices)
    rows: tuple[int, ...] = ()
    columns: tuple[int, ...] = ()
    if apart.ndim == 2 and not apart.all():
        if (apart.all(axis=1) == apart.any(axis=1)).all():
            rows = tuple(map(int, np.flatnonzero(apart.any(axis=1))[:MOST_CELLS]))
        elif (apart.all(axis=0) == apart.any(axis=0)).all():
            columns = tuple(map(int, np.flatnonzero(apart.any(axis=0))[:MOST_CELLS]))
    return Where(int(apart.sum()), apart.size, rows, columns, cells)
