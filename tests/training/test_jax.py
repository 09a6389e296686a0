"""The JAX kernels of the race: the same iteration, on one thread, and what is compiled and kept."""

import json
from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from twolayer import Config, fit
from twolayer.training import profiling, training
from twolayer.training.kernels import jax as by_jax
from twolayer.training.kernels import load

SMALL = {"N": 9, "D_in": 20, "H": 6, "D_out": 3, "learning_rate": 1e-4, "steps": 30}


@pytest.fixture(params=["tutorial", "gram"])
def method(request):
    return request.param


def made(method, steps, **fields):
    """A kernel of a run, ready for so many steps, and the problem."""
    config = Config(method=method, **{**SMALL, **fields})
    kernel_type = load("jax", method)
    problem = training.prepare(config, kernel_type=kernel_type)
    return kernel_type(config, problem, kernel_type.start(problem), steps), problem


@pytest.fixture(autouse=True)
def in_its_context():
    with by_jax.Tutorial.threads(1):
        yield


def test_losses_and_weights_are_those_of_numpy_in_the_dtype_of_the_run(method, dtype):
    kernel, problem = made(method, 30, dtype=dtype)
    kernel.steps(30)
    expected = fit(Config(**SMALL, dtype=dtype))
    rounding = 1e-12 if dtype == "float64" else 1e-4
    assert_allclose(kernel.losses(), expected.losses, rtol=rounding)
    assert kernel.losses().dtype == np.float64
    for ours, theirs in zip(kernel.weights(problem, kernel.state()), (expected.w1, expected.w2), strict=True):
        assert ours.dtype == dtype
        assert_allclose(ours, theirs, rtol=rounding, atol=rounding)


def test_steps_one_by_one_by_their_phases_are_those_of_the_loop(method):
    loop, _ = made(method, 4, dtype="float64")
    single, _ = made(method, 4, dtype="float64")
    loop.steps(4)
    for _ in range(4):
        single.step()
    assert_allclose(single.losses(), loop.losses(), rtol=1e-12)
    for name, array in loop.state().items():
        assert_allclose(single.state()[name], array, rtol=1e-12, atol=1e-14)


def test_the_problem_is_not_changed(method):
    kernel, problem = made(method, 5)
    kernel.steps(5)
    assert_array_equal(problem.w2, training.make_problem(Config(**SMALL)).w2)
    assert not np.array_equal(kernel.state()["w2"], problem.w2)


def test_the_gradient_passes_where_h_is_exactly_0(method):
    config = Config(method=method, **SMALL, dtype="float64")
    kernel_type = load("jax", method)
    drawn = training.make_problem(config)
    drawn = replace(drawn, w1=np.zeros_like(drawn.w1))  # and h is 0 with it
    problem = training.prepare(config, problem=drawn, kernel_type=kernel_type)
    kernel = kernel_type(config, problem, kernel_type.start(problem), 1)
    kernel.steps(1)
    w1, _ = kernel_type.weights(problem, kernel.state())
    expected = -config.learning_rate * problem.x.T @ (-2 * problem.y @ problem.w2.T)
    assert_allclose(w1, expected, rtol=1e-12)


def test_dead_units_are_counted(method):
    kernel, problem = made(method, 3)
    kernel.steps(3)
    w1, _ = kernel.weights(problem, kernel.state())
    assert kernel.dead() == np.count_nonzero(~(problem.x @ w1 > 0).any(axis=0))
    kernel, problem = made(method, 1, N=1, H=30)
    assert kernel.dead() == np.count_nonzero(problem.x @ problem.w1 <= 0) > 0


def test_the_clock_waits_for_each_phase(monkeypatch, method):
    waited = []
    monkeypatch.setattr(by_jax.Tutorial, "synchronize", lambda _: waited.append(True))
    monkeypatch.setattr(profiling, "READS_TRIED", 2)
    kernel_type, config = load("jax", method), Config(method=method, **SMALL)
    problem = training.prepare(config, kernel_type=kernel_type)
    profiling.profile(kernel_type, config, problem, kernel_type.start(problem), 3)
    phases = len(profiling.IN_A_STEP)
    assert len(waited) == 1 + 3 * (phases + 1) + 2


THREADS = """
import jax, json, os, psutil
from twolayer import Config
from twolayer.training import profiling, training
from twolayer.training.kernels import load
def processor_times():
    return {thread.id: thread.user_time for thread in psutil.Process().threads()}
config = Config(N=600, D_in=600, H=600, learning_rate=1e-12)
kernel_type = load("jax", "tutorial")
with kernel_type.threads(1):
    problem = training.prepare(config, kernel_type=kernel_type)
    kernel = kernel_type(config, problem, kernel_type.start(problem), 100)
    kernel.synchronize()
    before = processor_times()
    kernel.steps(100)
    kernel.synchronize()
spent = [seconds - before.get(thread, 0.0) for thread, seconds in processor_times().items()]
as_before = "NPROC" not in os.environ and jax.numpy.ones(1).dtype == "float32"
print(json.dumps([max(spent) / sum(spent), as_before]))
"""


def test_jax_computes_on_one_thread_unless_it_is_told_otherwise_and_is_left_as_it_was(python):
    share, as_before = json.loads(python("-c", THREADS).stdout)
    assert share > 0.9
    assert as_before
    share, _ = json.loads(python("-c", THREADS, NPROC="2").stdout)
    assert share < 0.9


def test_compiling_is_told_and_done_once_for_each_length(method):
    by_jax.loop.cache_clear()
    began = perf_counter()
    seconds = [made(method, steps)[0].compile_seconds for steps in (5, 5, 6)]
    assert sum(seconds[1:]) < perf_counter() - began
    assert seconds[0] == seconds[1] > 0
    assert seconds[0] != seconds[2]
    assert by_jax.loop.cache_info().misses == 2


MANY = """
import gc, json, jax, numpy as np, psutil
from twolayer.training.kernels.jax import compiled
def memory():
    gc.collect()
    return psutil.Process().memory_info().rss
def product(x):
    return jax.lax.scan(lambda x, _: (x @ x, x.sum()), x, None, length=9)
sizes = []
for n in range(1, 41):
    compiled(product, jax.ShapeDtypeStruct((n, n), np.float32))
    sizes.append(memory())
print(json.dumps([sizes[9], sizes[-1]]))
"""


def test_what_was_compiled_is_not_kept_for_ever(python):
    early, late = json.loads(python("-c", MANY).stdout)
    assert late - early < 15e6  # 30 programs of about 2 MB
