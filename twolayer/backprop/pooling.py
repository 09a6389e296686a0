"""Shrink large matrices to pictures."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def block_of(shape: tuple[int, ...], most: tuple[int, int]) -> tuple[int, int]:
    """Return the rows and columns of a block such that at most `most` blocks cover the matrix each way."""
    return -(-shape[0] // most[0]), -(-shape[1] // most[1])


def largest(matrix: NDArray[Any], most: tuple[int, int]) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Return the largest value of each block of a matrix, and the block's size."""
    rows, columns = block = block_of(matrix.shape, most)
    down = np.maximum.reduceat(matrix, np.arange(0, matrix.shape[0], rows), axis=0)
    return np.maximum.reduceat(down, np.arange(0, matrix.shape[1], columns), axis=1).astype(np.float32), block


def largest_of(
    shape: tuple[int, ...], entries: NDArray[np.intp], values: NDArray[Any], most: tuple[int, int]
) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Return the same for some non-negative entries, rows of indices; NaN for a block without any."""
    rows, columns = block = block_of(shape, most)
    picture = np.full((-(-shape[0] // rows), -(-shape[1] // columns)), -1.0, np.float32)
    np.maximum.at(picture, (entries[:, 0] // rows, entries[:, 1] // columns), values.astype(np.float32))
    picture[picture < 0] = np.nan
    return picture, block


def means(matrix: NDArray[Any], most: tuple[int, int]) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Return the mean of each block of a matrix, and the block's size."""
    block = block_of(matrix.shape, most)
    first_rows, first_columns = (
        np.arange(0, size, step) for size, step in zip(matrix.shape, block, strict=True)
    )
    down = np.add.reduceat(matrix, first_rows, axis=0, dtype=np.float64)
    sums = np.add.reduceat(down, first_columns, axis=1)
    high = np.diff(first_rows, append=matrix.shape[0])
    wide = np.diff(first_columns, append=matrix.shape[1])
    return (sums / np.outer(high, wide)).astype(np.float32), block
