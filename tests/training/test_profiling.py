"""The profile of a step."""

import inspect
import itertools

import pytest
from numpy.testing import assert_array_equal

from twolayer import Config
from twolayer.race.contenders import METHODS_IN_A_RACE, Contender
from twolayer.training import kernels, profiling, training
from twolayer.training.config import FIELDS
from twolayer.training.kernels.autograd import Autograd
from twolayer.training.profiling import ALL, IN_A_STEP, clocked, profile
from twolayer.training.program import PHASES

SMALL = {"N": 64, "D_in": 300, "H": 50, "D_out": 10, "learning_rate": 1e-6}
EVERYONE = tuple(
    Contender(backend, "cpu", method)
    for backend in FIELDS["backend"].options
    for method in METHODS_IN_A_RACE
    if method != "autograd" or backend == "torch"
)


def prepared(config: Config, kernel_type):
    problem = training.prepare(config, kernel_type=kernel_type)
    return problem, kernel_type.start(problem)


@pytest.mark.parametrize("contender", EVERYONE, ids=lambda c: c.name)
def test_every_step_says_once_and_in_order_where_its_phases_begin(contender):
    lines = map(str.strip, inspect.getsource(contender.kernel().step).splitlines())
    marks = [mark for line in lines for mark in PHASES if line.startswith(mark)]
    assert marks == list(PHASES)


@pytest.mark.parametrize("waits", [False, True])
def test_a_profiled_step_computes_the_same(kernel, dtype, waits):
    config = Config(**kernel, **SMALL, dtype=dtype)
    kernel_type = kernels.load(**kernel)
    problem, state = prepared(config, kernel_type)
    plain, profiled = (kernel_type(config, problem, state, 3) for _ in range(2))
    ticks = iter(range(1000))
    noted = []
    for _ in range(3):
        plain.step()
        clocked(kernel_type, waits=waits)(profiled, noted.append, lambda: next(ticks))
    assert_array_equal(profiled.losses(), plain.losses())
    assert noted == list(range(3 * (1 + len(IN_A_STEP))))


def test_the_time_of_each_phase_goes_to_its_name(monkeypatch):
    """A step that takes 1, 2, 3 and 4 units in its phases, by a clock that only it moves."""
    now = [0.0]

    class Known(kernels.load("numpy", "tutorial")):
        def step(self) -> None:
            # Forward pass
            now[0] += 1
            # Loss
            now[0] += 2
            # Backward pass
            now[0] += 3
            # Weight update
            now[0] += 4

    monkeypatch.setattr("twolayer.training.profiling.perf_counter", lambda: now[0])
    monkeypatch.setitem(Known.step.__globals__, "now", now)
    config = Config(**SMALL)
    spent = profile(Known, config, *prepared(config, Known), 5)
    assert spent == {"forward": 1, "loss": 2, "backward": 3, "update": 4, "transfer": 0}


def test_the_peer_has_phases_too():
    config = Config(backend="torch", **SMALL)
    spent = profile(Autograd, config, *prepared(config, Autograd), 5)
    assert set(spent) == set(ALL)
    assert min(spent[phase] for phase in IN_A_STEP) > 0


def test_a_step_that_is_not_profiled_has_no_clock(kernel):
    kernel_type = kernels.load(**kernel)
    before = kernel_type.step
    clocked(kernel_type, waits=False)
    assert kernel_type.step is before
    assert "clock" not in inspect.getsource(before)


def test_the_time_of_a_clock_reading_is_that_between_two(monkeypatch):
    monkeypatch.setattr(profiling, "perf_counter", itertools.count(5.0, 0.25).__next__)
    assert profiling._seconds_of_a_read(None) == 0.25
