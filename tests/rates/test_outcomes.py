"""What a training is said to have come to."""

import numpy as np
import pytest

from twolayer import Config, fit
from twolayer.rates.outcomes import outcome


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(1e-9, "slow"), (3e-8, "slow"), (1e-6, "converges"), (2e-6, "dead"), (5e-6, "diverges")],
)
def test_the_zones_of_the_tutorials_sizes(rate, expected):
    config = Config(learning_rate=rate, method="gram")
    result = fit(config)
    dead = int(result.dead[-1, 1]) if len(result.dead) else 0
    assert outcome(config, result.losses, result.diverged_at, dead) == expected


def test_a_loss_that_has_come_to_rest_converges_and_one_that_falls_as_before_is_slow():
    steps = np.arange(500)
    assert outcome(Config(), 5 + 100 * np.exp(-steps / 20), None, 0) == "converges"
    assert outcome(Config(), 105 - steps * 1e-6, None, 0) == "slow"
    assert outcome(Config(), 100 / np.sqrt(1 + steps), None, 0) == "slow"


def test_a_loss_that_ends_above_the_first_diverges():
    assert outcome(Config(steps=3), np.array([5.0, 4.0, 6.0]), None, 0) == "diverges"
    assert outcome(Config(), np.empty(0), 0, 0) == "diverges"


def test_units_that_are_dead_by_chance_do_not_count_and_nor_does_a_loss_of_nothing():
    losses = 5 + 1000 * np.exp(-np.arange(500) / 20)
    assert outcome(Config(N=1, D_out=1), losses, None, 60) == "converges"
    assert outcome(Config(N=64, D_out=1), losses, None, 60) == "dead"
    assert outcome(Config(N=64, D_out=1), losses - 5, None, 60) == "converges"


def test_one_step_is_no_divergence():
    assert outcome(Config(steps=1), np.array([5.0]), None, 0) == "slow"
