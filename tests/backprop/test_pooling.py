"""Large matrices made small."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from twolayer.backprop.pooling import largest, means


@pytest.mark.parametrize("shape", [(1, 1), (4, 3), (7, 10), (130, 65)], ids=str)
def test_a_picture_has_the_mean_and_the_largest_of_each_block(shape):
    matrix = np.random.default_rng(1).random(shape)
    mean, block = means(matrix, (4, 5))
    top, same = largest(matrix, (4, 5))
    assert block == same
    for side, length, most in zip(block, shape, (4, 5), strict=True):
        assert side * most >= length > (side - 1) * most, "the smallest block that covers it"
    assert mean.shape == top.shape
    assert mean.shape[0] <= 4
    assert mean.shape[1] <= 5
    for i in range(mean.shape[0]):
        for j in range(mean.shape[1]):
            cells = matrix[i * block[0] : (i + 1) * block[0], j * block[1] : (j + 1) * block[1]]
            assert_allclose(mean[i, j], cells.mean(), rtol=1e-6)
            assert_allclose(top[i, j], cells.max(), rtol=1e-6)


def test_a_picture_of_some_entries_is_empty_where_there_are_none():
    matrix = np.full((10, 10), -1.0)
    matrix[[0, 1, 9], [0, 1, 9]] = 1.0, 3.0, 0.0
    picture, block = largest(matrix, (5, 5))
    assert block == (2, 2)
    assert picture[0, 0] == 3
    assert picture[4, 4] == 0
    assert np.isnan(picture).sum() == 23
