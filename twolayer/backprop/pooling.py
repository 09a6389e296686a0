"""Shrink large matrices to pictures."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

PICTURE = (64, 64)
"""The most rows and columns of a picture."""
Picture = tuple[NDArray[np.float32], tuple[int, int]]
"""A value for each block of a matrix, and the rows and columns of a block."""


def _block_starts(shape: tuple[int, ...], most: tuple[int, int]) -> tuple[tuple[int, int], Any, Any]:
    """Return the smallest block of which `most` cover a matrix each way, and its first rows and columns."""
    rows, columns = -(-shape[0] // most[0]), -(-shape[1] // most[1])
    return (rows, columns), np.arange(0, shape[0], rows), np.arange(0, shape[1], columns)


def largest(matrix: NDArray[Any], most: tuple[int, int] = PICTURE) -> Picture:
    """Return the largest value of each block; NaN where all are negative, which stands for no value."""
    block, rows, columns = _block_starts(matrix.shape, most)
    picture = np.maximum.reduceat(np.maximum.reduceat(matrix, rows, axis=0), columns, axis=1)
    return np.where(picture < 0, np.nan, picture).astype(np.float32), block


def means(matrix: NDArray[Any], most: tuple[int, int] = PICTURE) -> Picture:
    """Return the mean of each block."""
    block, rows, columns = _block_starts(matrix.shape, most)
    down = np.add.reduceat(matrix, rows, axis=0, dtype=np.float64)
    sums = np.add.reduceat(down, columns, axis=1)
    high, wide = np.diff(rows, append=matrix.shape[0]), np.diff(columns, append=matrix.shape[1])
    return (sums / np.outer(high, wide)).astype(np.float32), block
