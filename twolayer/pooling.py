"""Large matrices made small enough to be looked at."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def block_of(shape: tuple[int, ...], most: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the blocks that divide a matrix into at most `most` by `most`."""
    return -(-shape[0] // most[0]), -(-shape[1] // most[1])


def pooled(
    shape: tuple[int, ...], entries: NDArray[np.intp], values: NDArray[Any], most: tuple[int, int]
) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """A picture of some entries of a matrix: the largest value of each block, and the block's size.

    NaN where a block has none of the entries. The values are not negative.
    """
    rows, columns = block = block_of(shape, most)
    picture = np.full((-(-shape[0] // rows), -(-shape[1] // columns)), -1.0, np.float32)
    np.maximum.at(picture, (entries[:, 0] // rows, entries[:, 1] // columns), values.astype(np.float32))
    picture[picture < 0] = np.nan
    return picture, block


def means(matrix: NDArray[Any], most: tuple[int, int]) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """A picture of a matrix: the mean of each block, and the block's size."""
    rows, columns = block = block_of(matrix.shape, most)
    down = np.add.reduceat(matrix.astype(np.float64), np.arange(0, matrix.shape[0], rows), axis=0)
    sums = np.add.reduceat(down, np.arange(0, matrix.shape[1], columns), axis=1)
    counts = np.add.reduceat(
        np.add.reduceat(np.ones(matrix.shape), np.arange(0, matrix.shape[0], rows), axis=0),
        np.arange(0, matrix.shape[1], columns),
        axis=1,
    )
    return (sums / counts).astype(np.float32), block
