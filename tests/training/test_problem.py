"""The data and the initial weights: the contract's draws, to the bit."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from twolayer import Config
from twolayer.training.problem import make_problem

SHAPES = [(64, 1000, 100, 10), (1, 1, 1, 1), (2, 3, 5, 7), (7, 1, 4, 1)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_x_y_w1_w2_are_drawn_in_this_order_in_float64_and_cast_once(shape, seed, dtype):
    N, D_in, H, D_out = shape
    problem = make_problem(Config(N=N, D_in=D_in, H=H, D_out=D_out, seed=seed, dtype=dtype))
    g = np.random.default_rng(seed)
    for name, size in [("x", (N, D_in)), ("y", (N, D_out)), ("w1", (D_in, H)), ("w2", (H, D_out))]:
        expected = g.standard_normal(size).astype(dtype)
        array = getattr(problem, name)
        assert array.dtype == dtype
        assert array.shape == size
        assert_array_equal(array, expected)


def test_backend_and_method_do_not_change_the_bytes(kernel, dtype):
    shape = {"N": 3, "D_in": 4, "H": 5, "D_out": 2, "seed": 11, "dtype": dtype}
    first, second = make_problem(Config(**shape)), make_problem(Config(**shape, **kernel))
    for name in ("x", "y", "w1", "w2"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()


def test_the_arrays_are_read_only_and_in_row_order(dtype):
    problem = make_problem(Config(N=3, D_in=4, H=5, D_out=2, dtype=dtype))
    for array in (problem.x, problem.y, problem.w1, problem.w2):
        assert array.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


def test_the_global_generator_is_neither_used_nor_changed():
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    first = make_problem(Config(seed=3)).x
    np.random.seed(6)
    assert_array_equal(make_problem(Config(seed=3)).x, first)
    np.random.seed(5)
    make_problem(Config(seed=3))
    assert_array_equal(np.random.get_state()[1], before)
