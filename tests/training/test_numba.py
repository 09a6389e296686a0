"""The Numba kernels: what is compiled and kept, and the same bits from each process."""

import json

import numpy as np
import pytest

from twolayer import Config, fit
from twolayer.training import kernels, training
from twolayer.training.kernels import numba, numba_loops


@pytest.mark.parametrize("size", [1, 15, 16, 17, 100])
def test_a_loss_is_the_sum_of_all_squares(size, dtype):
    numbers = np.random.default_rng(size).standard_normal((1, size)).astype(dtype)
    loss = numba_loops.sum_of_squares(numbers)
    assert loss == pytest.approx(np.square(numbers.astype(float)).sum(), rel=1e-6)


@pytest.mark.parametrize("method", ["fused", "gram"])
def test_all_arrays_of_a_step_begin_with_a_cache_line(method, dtype):
    config = Config(backend="numba", method=method, N=5, D_in=70, H=9, D_out=3, dtype=dtype)
    problem = training.prepare(config)
    kernel_type = kernels.load("numba", method)
    kernel = kernel_type(config, problem, kernel_type.start(problem), 1)
    places = {name: array.ctypes.data % numba.LINE_BYTES for name, array in kernel.arrays._asdict().items()}
    assert places == dict.fromkeys(places, 0)


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
