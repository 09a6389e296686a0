"""Where a run that diverged broke, and a rate that works instead."""

from dataclasses import replace

import numpy as np
import pytest

from twolayer import Config, fit
from twolayer.rates.divergence import diagnose, first_not_finite
from twolayer.training.edits import Edit
from twolayer.training.reference import backward, forward

NAMES = ("h", "h_relu", "y_pred", "loss", "grad_y_pred", "grad_w2", "grad_h_relu", "grad_h", "grad_w1")


@pytest.mark.parametrize("learning_rate", [1e-5, 1e-3, 1e6])
def test_the_first_bad_tensor_is_the_one_of_the_formulas(kernel, dtype, learning_rate):
    config = Config(**kernel, dtype=dtype, learning_rate=learning_rate)
    step, name = first_not_finite(config, (), fit(config).diverged_at)
    before = fit(replace(config, steps=max(step, 1)))
    if step:
        assert np.isfinite(before.losses).all()
    with np.errstate(all="ignore"):
        x, y, w1, w2 = arrays_before(config, step)
        h, h_relu, y_pred = forward(x, w1, w2)
        loss = np.sum((y_pred - y) ** 2)
        grad_w1, grad_w2 = backward(x, y, w2, h, h_relu, y_pred)
    finite = {
        "h": np.isfinite(h).all(),
        "y_pred": np.isfinite(y_pred).all(),
        "loss": np.isfinite(loss),
        "grad_w2": np.isfinite(grad_w2).all(),
        "grad_w1": np.isfinite(grad_w1).all(),
    }
    for other in finite:
        if name in NAMES and NAMES.index(other) < NAMES.index(name):
            assert finite[other], (step, name, other)
    if name in finite:
        assert not finite[name]


def arrays_before(config, step):
    """The data, and the weights after `step` steps of the tutorial's formulas in the config's dtype."""
    from twolayer.training.problem import make_problem
    from twolayer.training.reference import iteration

    problem = make_problem(config)
    w1, w2 = problem.w1, problem.w2
    for _ in range(step):
        _, w1, w2 = iteration(problem.x, problem.y, w1, w2, config.learning_rate)
    return problem.x, problem.y, w1, w2


def test_a_rate_changed_on_the_way_counts():
    config, edits = Config(method="auto", steps=50), (Edit(20, "learning_rate", 1e-2),)
    diverged_at = fit(config, edits).diverged_at
    assert 20 < diverged_at < 30
    step, _ = first_not_finite(config, edits, diverged_at)
    assert 20 <= step <= diverged_at


def test_the_rate_that_is_offered_works_and_the_curvature_is_that_of_the_start():
    config = Config(learning_rate=1e-5)
    found = diagnose(config, (), fit(config).diverged_at)
    assert found.curvature.value == pytest.approx(2.36e6, rel=0.01)
    losses = fit(replace(config, learning_rate=found.rate)).losses
    assert losses[-1] < 1e-3 * losses[0]


def test_what_would_take_too_long_is_left_out():
    config = Config(N=2000, D_in=2000, H=1000, D_out=10, learning_rate=1e-3, method="gram")
    found = diagnose(config, (), 50)
    assert (found.place, found.curvature) == (None, None)
    assert found.rate is not None
