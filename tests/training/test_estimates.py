"""What a run takes, told before anything is allocated, against what it takes."""

import json
from functools import cache
from math import prod

import numpy as np
import pytest

from twolayer import Config
from twolayer.training import methods, training
from twolayer.training.config import FIELDS
from twolayer.training.methods import flops_per_step, run_bytes

# The peak is read in a grandchild: a child begins with the peak of the process that starts it.
MEASURE = """
import resource, subprocess, sys
if sys.argv[-1] != "grandchild":
    sys.exit(subprocess.run([sys.executable, *sys.orig_argv[1:], "grandchild"]).returncode)
import json
from twolayer import Config, fit
fit(Config(**json.loads(sys.argv[2])))
unit = 1 if sys.platform == "darwin" else 1024
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""

SIZE = {"N": 500, "D_in": 5000, "H": 800, "D_out": 10, "steps": 3, "dtype": "float64", "learning_rate": 1e-12}


@pytest.fixture(scope="module")
def peak(python):
    """A function that measures the peak memory of a process that does nothing but one `fit`."""

    @cache
    def measure(text: str) -> int:
        ran = python("-c", MEASURE, "measure", text, OPENBLAS_NUM_THREADS="1")
        assert ran.returncode == 0, ran.stderr
        return int(ran.stdout)

    return lambda **values: measure(json.dumps(values))


def test_the_estimated_memory_is_near_the_measured_peak(peak, kernel):
    baseline = peak(backend=kernel["backend"], N=1, D_in=1, H=1, D_out=1, steps=1)
    measured = peak(**kernel, **SIZE) - baseline
    assert 0.7 * measured < run_bytes(Config(**kernel, **SIZE)) < 2.5 * measured


def test_memory_grows_with_every_dimension_and_with_the_dtype(kernel):
    config = Config(**kernel)
    for name in ("N", "D_in", "H", "D_out", "steps"):
        assert run_bytes(Config(**kernel, **{name: getattr(config, name) * 10})) > run_bytes(config)
    assert run_bytes(Config(**kernel, dtype="float64")) > run_bytes(config)


@pytest.mark.parametrize("method", list(methods.METHODS))
def test_the_bytes_of_a_state_are_those_of_its_arrays(method, dtype):
    config = Config(N=7, D_in=5, H=11, D_out=3, method=method, dtype=dtype)
    state = training.start(config, training.prepare(config)).state
    assert methods.state_bytes(config) == sum(array.nbytes for array in state.values())


def test_estimates_of_the_largest_config_are_plain_numbers():
    largest = {name: FIELDS[name].high for name in ("N", "D_in", "H", "D_out", "steps")}
    assert run_bytes(Config(**largest)) > 10**11
    assert flops_per_step(Config(**largest)) == 10**16


def test_the_cost_of_the_dual_form_holds_what_it_computes_once():
    config = Config(N=90, D_in=30, H=20, D_out=5, steps=7, method="gram")
    once = 2 * 90 * 90 * 30 + 2 * 90 * 30 * 20  # x·xᵀ and x·w1
    assert methods.flops_once(config) == once
    assert methods.run_flops(config, "gram") - 7 * flops_per_step(config) == once + 7 * 3 * 90 * 20
    for other in ("tutorial", "fused"):
        assert methods.flops_once(Config(method=other)) == 0


@pytest.mark.parametrize("steps", [1, 10, 500])
def test_auto_is_said_to_be_faster_just_where_it_picks_another_method(steps):
    g = np.random.default_rng(steps)
    gains = []
    for _ in range(300):
        sizes = {name: int(g.integers(1, 400)) for name in ("N", "D_in", "H", "D_out")}
        other = methods.used(Config(**sizes, steps=steps, method="auto")) != "gram"
        gains.append(methods.gain_of_auto(Config(**sizes, steps=steps, method="gram")))
        assert other or gains[-1] == 1
        assert not other or gains[-1] >= 1
        assert other or sizes["N"] <= 2 * sizes["D_in"]
        for method in ("tutorial", "fused", "auto"):
            assert methods.gain_of_auto(Config(**sizes, steps=steps, method=method)) == 1
    assert max(gains) > 1.5


def test_the_bytes_of_held_out_rows_are_those_of_their_arrays():
    # x, three arrays like y, h and h_relu; the dual form also has their products with x and with w1
    sizes = {"N": 64, "D_in": 1000, "H": 100, "D_out": 10}
    assert methods.held_out_bytes(Config(**sizes)) == 64 * (1000 + 3 * 10 + 2 * 100) * 4
    gram = Config(**sizes, method="gram", dtype="float64")
    assert methods.held_out_bytes(gram) == 64 * (1000 + 3 * 10 + 2 * 100 + 64 + 100) * 8


def test_a_step_moves_what_outlives_it():
    sizes = {"N": 64, "D_in": 1000, "H": 100, "D_out": 10}
    weights = 1000 * 100 + 100 * 10
    assert methods.bytes_per_step(Config(**sizes)) == (64 * 1000 + 64 * 10 + 2 * weights) * 4
    dual = 64 * 64 + 64 * 100 + 64 * 10 + 2 * (64 * 100 + 100 * 10)  # K, x·w1 and y; S and w2
    assert methods.bytes_per_step(Config(**sizes, method="gram", dtype="float64")) == dual * 8


def numbers(*shapes: tuple[int, ...]) -> int:
    """How many numbers arrays of these shapes have."""
    return sum(map(prod, shapes))


@pytest.mark.parametrize("sizes", [(7, 5, 11, 3), (3, 20, 30, 2), (50, 40, 3, 2), (100, 9, 5, 40)])
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_the_memory_of_a_run_is_that_of_its_arrays(kernel, dtype, sizes, backend):
    N, D_in, H, D_out = sizes
    x, y, hidden, w1, w2, size = (N, D_in), (N, D_out), (N, H), (D_in, H), (H, D_out), int(dtype[5:]) // 8
    gram, weights = kernel["method"] == "gram", (w1, w2)
    constants = ((N, N), hidden) if gram else ()
    state = (hidden, w2) if gram else weights
    step = {
        "tutorial": 4 * (hidden, y) + 2 * weights,
        "fused": (x, *5 * (hidden,), y, y),
        "gram": max((*5 * (hidden,), y, y), 2 * weights, key=lambda arrays: numbers(*arrays)),
    }[kernel["method"]]
    copies = () if backend == "numpy" else constants or (x, y)
    cast = () if dtype == "float64" else (max(x, w1, key=prod), *((x,) if gram else ()))
    working = max(8 * numbers(*constants, *cast), size * numbers(*step, *copies, *state, *state) + N * H)
    rows = min(N, 64)
    held_out = numbers((rows, D_in), *3 * ((rows, D_out),), *2 * ((rows, H),), *((rows, N), (rows, H)) * gram)
    config = Config(N=N, D_in=D_in, H=H, D_out=D_out, **{**kernel, "backend": backend}, dtype=dtype, steps=9)
    expected = size * numbers(x, y, *weights, *constants, *state, *[(held_out,)]) + working
    assert methods.working_bytes(config) == expected
    assert run_bytes(config) == expected + 2 * 8 * 9


def test_the_operations_of_a_step_are_those_of_its_products(kernel):
    N, D_in, H, D_out = 7, 5, 11, 3
    config = Config(N=N, D_in=D_in, H=H, D_out=D_out, method=kernel["method"])
    of_outputs = 3 * (2 * N * H * D_out)  # y_pred, grad_w2, grad_h_relu
    of_inputs = (
        2 * N * N * H if kernel["method"] == "gram" else 2 * (2 * N * D_in * H)
    )  # K·S, or h and grad_w1
    assert flops_per_step(config) == of_outputs + of_inputs
