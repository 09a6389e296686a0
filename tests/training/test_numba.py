"""The Numba kernels: panels, what is compiled and kept, and the same bits from each process."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from twolayer import Config, fit
from twolayer.training import kernels, training
from twolayer.training.kernels import numba, numba_loops

SIZES = [(1, 1, 1, 1), (3, 5, 2, 7), (63, 64, 65, 66), (130, 4, 3, 129)]


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape)


@pytest.mark.parametrize("height", [1, 4, 63, 65])
@pytest.mark.parametrize("width", [1, 64, 65, 130])
@pytest.mark.parametrize("columns", [64, 16])
def test_a_matrix_comes_back_from_its_panels(height, width, columns):
    matrix = random(height, width)
    panels = numba.in_panels(matrix, columns)
    assert panels.shape == (-(-width // columns), -(-height // 4) * 4 * columns)
    assert_array_equal(numba.from_panels(panels, height, width, columns), matrix)
    assert panels.sum() == pytest.approx(matrix.sum())  # the padding is 0


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_product_of_panels_is_that_of_the_matrices(sizes):
    height, inner, width, _ = sizes
    a, b, out = random(height, inner), random(inner, width), random(height, width)
    panels, factors = numba.in_panels(out), numba.in_panels(b)
    for p in range(len(panels)):
        numba_loops.add_product(numba.in_panels(a), factors[p], panels[p])
    assert_allclose(numba.from_panels(panels, height, width), out + a @ b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("inner", [1, 4, 15, 16])
@pytest.mark.parametrize("height", [1, 4, 7])
def test_the_factor_of_a_panel_may_be_transposed(height, inner):
    a, b, out = random(height, inner), random(inner, 64), random(height, 64)
    panel = numba.in_panels(out)[0]
    numba_loops.multiply_add_64(numba.in_panels(a.T, 16)[0], 1, 16, numba.in_panels(b)[0], panel)
    assert_allclose(numba.from_panels(panel[None], height, 64), out + a @ b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_panels_are_transposed_as_the_matrix_is(sizes):
    height, width = sizes[:2]
    matrix = random(height, width)
    by_samples = numba.in_panels(matrix)
    transposed = numba.in_panels(np.ones((64 * len(by_samples), height)), 16)
    numba_loops.transpose(by_samples, transposed)
    assert_array_equal(numba.from_panels(transposed, width, height, 16), matrix.T)


@pytest.mark.parametrize("method", ["fused", "gram"])
def test_all_arrays_of_a_step_begin_with_a_cache_line(method, dtype):
    config = Config(backend="numba", method=method, N=5, D_in=70, H=9, D_out=3, dtype=dtype)
    problem = training.prepare(config)
    kernel_type = kernels.load("numba", method)
    kernel = kernel_type(config, problem, kernel_type.start(problem), 1)
    places = {name: array.ctypes.data % numba.LINE_BYTES for name, array in kernel.arrays._asdict().items()}
    assert places == dict.fromkeys(places, 0)


@pytest.mark.parametrize("method", ["fused", "gram"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_padding_stays_0(sizes, method):
    N, D_in, H, D_out = sizes
    config = Config(backend="numba", method=method, N=N, D_in=D_in, H=H, D_out=D_out, learning_rate=1e-5)
    problem = training.prepare(config)
    kernel_type = kernels.load("numba", method)
    kernel = kernel_type(config, problem, kernel_type.start(problem), 3)
    kernel.steps(3)
    shapes = {"h": (H, N, 64), "difference": (D_out, N, 64), "w2": (H, D_out, 16)}
    for name, (height, width, columns) in shapes.items():
        panels = getattr(kernel.arrays, name)
        matrix = numba.from_panels(panels, height, width, columns)
        assert_array_equal(numba.in_panels(matrix, columns), panels)


BITS = """
import json
from twolayer import Config, fit
sizes = {"N": 70, "D_in": 90, "H": 30, "D_out": 5, "learning_rate": 1e-5, "steps": 40}
results = [fit(Config(backend="numba", method=m, dtype=d, **sizes))
    for m in ("fused", "gram") for d in ("float32", "float64")]
print(json.dumps([[r.losses.tolist(), r.w2.tolist(), r.compile_seconds] for r in results]))
"""


def test_what_is_read_from_the_cache_computes_the_bits_of_what_is_compiled(python, tmp_path):
    runs = [json.loads(python("-c", BITS, NUMBA_CACHE_DIR=str(tmp_path)).stdout) for _ in range(2)]
    assert list(tmp_path.rglob("*.nbi"))
    assert [run[:2] for run in runs[0]] == [run[:2] for run in runs[1]]
    assert sum(run[2] for run in runs[1]) < sum(run[2] for run in runs[0])


UNWRITABLE = """
import numba.core.caching
numba.core.caching.CacheImpl._locator_classes = []
from twolayer import Config, fit
print(len(fit(Config(backend="numba", method="gram", N=2, D_in=3, H=2, steps=4)).losses))
"""


def test_where_no_cache_can_be_written_it_is_compiled_without(python):
    ran = python("-c", UNWRITABLE)
    assert (ran.stdout, ran.stderr) == ("4\n", "")


def test_compiling_is_told_and_not_in_the_time_of_the_steps(python):
    code = (
        "from time import perf_counter; from twolayer import Config, fit;"
        "c = Config(backend='numba', method='gram', N=2, D_in=3, H=2, steps=4); r = fit(c);"
        "print(r.seconds < r.compile_seconds, fit(Config(steps=1)).compile_seconds)"
    )
    assert python("-c", code).stdout == "True 0.0\n"


def test_a_second_run_in_a_process_says_the_same_seconds_of_compiling():
    config = Config(backend="numba", method="gram", steps=3)
    assert fit(config).compile_seconds == fit(config).compile_seconds > 0
