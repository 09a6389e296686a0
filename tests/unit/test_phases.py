"""The profile of a step."""

from time import perf_counter

import pytest
from numpy.testing import assert_array_equal

from twolayer import Config, kernels, training
from twolayer.kernels.autograd import Autograd
from twolayer.phases import PHASES, profile, profiled

SMALL = {"N": 64, "D_in": 300, "H": 50, "D_out": 10}


def test_every_step_says_where_its_phases_begin(kernel):
    clocked = profiled(kernels.load(**kernel))
    assert set(clocked.step.__code__.co_consts) >= set(PHASES.values())


def test_a_profiled_step_computes_the_same(kernel, dtype):
    config = Config(**kernel, **SMALL, dtype=dtype, learning_rate=1e-6)
    problem, kernel_type = training.prepare(config), kernels.load(**kernel)
    plain = kernel_type(config, problem, kernel_type.start(problem), 3)
    clocked = profiled(kernel_type)(config, problem, kernel_type.start(problem), 3)
    clocked.spent = dict.fromkeys(PHASES.values(), 0.0)
    for _ in range(3):
        plain.step()
        clocked.step()
    assert_array_equal(clocked.losses(), plain.losses())


def test_phases_add_up_to_the_step(kernel):
    """The time between the marks is nearly all of the time that the same steps took."""
    config = Config(**kernel, N=64, D_in=1000, H=400, learning_rate=1e-9)
    problem, kernel_type = training.prepare(config), kernels.load(**kernel)
    clocked = profiled(kernel_type)(config, problem, kernel_type.start(problem), 40)
    shares = []
    for _ in range(4):
        clocked.spent = dict.fromkeys(PHASES.values(), 0.0)
        begin = perf_counter()
        for _ in range(10):
            clocked.step()
        shares.append(sum(clocked.spent.values()) / (perf_counter() - begin))
    assert 0.9 < max(shares) <= 1


def test_the_peer_has_phases_too():
    spent = profile(Config(backend="torch", **SMALL, learning_rate=1e-9), 5, Autograd)
    assert set(spent) == {*PHASES.values(), "transfer"}
    assert min(spent[phase] for phase in PHASES.values()) > 0


def test_a_step_that_is_not_profiled_has_no_clock(kernel):
    with pytest.raises(AttributeError):
        _ = kernels.load(**kernel).mark
