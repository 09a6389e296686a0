"""The checker of what the pages say, and what it says of some networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from tests.tools import facts
from twolayer import Config, fit


@pytest.mark.parametrize("number", range(12))
def test_nothing_that_is_said_of_a_random_network_is_false(number):
    found = facts.check(number)
    assert not found.wrong
    assert found.sentences > 0 or found.apart


@pytest.mark.parametrize("number", range(4))
def test_the_recommended_rate_reaches_a_tenth_of_the_zero_network_and_nothing_safe_ends_above_it(number):
    possible, reached, unsafe = facts.check_advice(number)
    assert reached or not possible
    assert not unsafe


@pytest.mark.parametrize("seed", range(5))
def test_the_checkers_hessian_and_losses_are_those_of_autograd_and_fit(seed):
    g = np.random.default_rng(seed)
    N, D_in, H, D_out = (int(size) for size in g.integers(1, 6, 4))
    config = Config(N=N, D_in=D_in, H=H, D_out=D_out, seed=seed, steps=9, dtype="float64", learning_rate=1e-3)
    truth = facts.train(config, [9])
    assert_allclose(truth.losses, fit(config).losses, rtol=1e-12)
    w1, w2 = truth.weights[9]

    def loss(flat):
        parts = flat.split([w1.size, w2.size])
        v1, v2 = (part.view(w.shape) for part, w in zip(parts, (w1, w2), strict=True))
        return (torch.tensor(truth.x).mm(v1).clamp(min=0).mm(v2) - torch.tensor(truth.y)).pow(2).sum()

    flat = torch.tensor(np.concatenate([w1.ravel(), w2.ravel()]))
    expected = torch.autograd.functional.hessian(loss, flat).numpy()
    assert_allclose(facts.hessian(truth.x, truth.y, w1, w2), expected, atol=1e-9 * np.abs(expected).max())


def test_the_checker_finds_what_is_false_and_what_it_does_not_know():
    config = Config(N=5, D_in=4, H=3, D_out=2, dtype="float64", learning_rate=1e-3, steps=20)
    truth = facts.train(config, [20])
    truth.measured = [0, 20]
    zero = f"{truth.zero:.4g}"
    said = "A network that always outputs 0 would have a loss of Σy² = {}."
    assert facts.contradiction(said.format(zero), truth) is None
    assert facts.contradiction(said.format("1.5"), truth) == "false"
    assert facts.contradiction("All is well.", truth) == "unknown"
    over = facts.train(replace(config, learning_rate=10.0), [])
    assert facts.wrong_outcome("rises", over, 0)
    assert not facts.wrong_outcome("diverges", over, 0)
