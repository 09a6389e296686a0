"""A run at one of its iterations."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from twolayer import Config, fit
from twolayer.backprop import check, snapshot
from twolayer.training import methods
from twolayer.training.problem import make_problem
from twolayer.training.program import INPUTS

SMALL = {"N": 8, "D_in": 12, "H": 6, "D_out": 3, "learning_rate": 1e-3}


def test_the_weights_are_those_of_the_run(kernel, dtype):
    config = Config(**SMALL, **kernel, dtype=dtype, steps=20)
    taken = snapshot.take(config, 20)
    result = fit(config)
    assert (taken.at, taken.diverged_at) == (20, None)
    assert_array_equal(taken.inputs["w1"], result.w1)
    assert_array_equal(taken.inputs["w2"], result.w2)
    assert {array.dtype.name for array in taken.inputs.values()} == {dtype}


def test_before_the_first_step_they_are_the_initial_weights():
    config = Config(**SMALL)
    taken, problem = snapshot.take(config, 0), make_problem(config)
    for name in INPUTS:
        assert_array_equal(taken.inputs[name], getattr(problem, name))


@pytest.mark.parametrize("at", [0, 2, 3, 4, 5, 400])
def test_of_a_run_that_diverges_the_last_iteration_with_a_finite_loss(at):
    config = Config(learning_rate=1e-5)
    diverged_at = fit(config).diverged_at
    assert diverged_at == 4
    taken = snapshot.take(config, at)
    assert taken.at == min(at, diverged_at - 1)
    assert taken.diverged_at == (None if at < diverged_at else diverged_at)
    with np.errstate(over="ignore"):
        h = np.maximum(taken.inputs["x"] @ taken.inputs["w1"], 0)
        loss = float(np.square(h @ taken.inputs["w2"] - taken.inputs["y"]).sum())
    assert_allclose(loss, fit(config).losses[taken.at], rtol=1e-5)


def test_a_long_run_is_looked_at_as_far_as_some_seconds_reach():
    assert snapshot.last_step(Config()) == 500
    long = Config(steps=5_000_000)
    assert 500 < snapshot.last_step(long) < long.steps
    assert snapshot.last_step(Config(N=20_000, D_in=20_000, H=20_000)) == 1


@pytest.mark.parametrize(
    "large", [{"D_in": 600, "H": 500}, {"N": 500, "H": 600}, {"N": 600, "D_out": 300}], ids=str
)
def test_the_estimated_memory_of_an_examination_is_near_what_it_allocates(large):
    config = Config(**{**SMALL, "learning_rate": 1e-9, **large}, steps=5)
    check.check(Config(**SMALL), 0)  # what is loaded once is not of the examination
    tracemalloc.start()
    try:
        check.check(config, 2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < snapshot.memory_bytes(config) < 2 * peak


def test_the_memory_of_an_examination_is_that_of_its_arrays():
    config = Config(N=2, D_in=3, H=5, D_out=7)  # x has 6 numbers, y 14, h 10, and the weights 50
    numbers = 4 * 6 + 24 * 14 + 20 * 10 + 16 * 50 + 12 * 262_144
    assert snapshot.memory_bytes(config) == methods.run_bytes(config) + 8 * numbers
