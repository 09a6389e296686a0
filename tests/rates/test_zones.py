"""The zones of the learning rate, and what is said of a training in each."""

import numpy as np
import pytest

from twolayer import Config, fit
from twolayer.rates.curvature import ROW, along, milestones
from twolayer.rates.grid import Grid, computed, parse_axes
from twolayer.rates.sweep import Sweep, train
from twolayer.rates.zones import story, zones


def said(config: Config) -> str:
    result = fit(config)
    dead = int(result.dead[-1, 1]) if result.diverged_at is None else 0
    curve = along(config, milestones(config.steps, 40))
    return " ".join(str(message) for message in story(config, result.losses, result.diverged_at, dead, curve))


def test_the_zones_of_the_tutorials_sizes_come_in_their_order():
    grid = Grid(computed(Config()), parse_axes("learning_rate=1e-5,2e-8,2e-6,1e-6,5e-7; seed=0,1"))
    sweep = Sweep(grid)
    sweep.take([(0, train(grid, 0, grid.size))])
    found = [(zone.low, zone.high, zone.outcomes) for zone in zones(sweep)]
    assert found == [
        (2e-8, 2e-8, ("slow",)),
        (5e-7, 1e-6, ("converges",)),
        (2e-6, 2e-6, ("dead",)),
        (1e-5, 1e-5, ("diverges",)),
    ]


def test_rates_that_are_not_there_yet_are_in_no_zone():
    grid = Grid(computed(Config(N=5, D_in=6, H=4, steps=5)), parse_axes("learning_rate=1e-5,1e-4,1e-3"))
    sweep = Sweep(grid)
    assert zones(sweep) == []
    sweep.take([(0, train(grid, 0, 1))])
    assert [(zone.low, zone.high) for zone in zones(sweep)] == [(1e-5, 1e-5)]


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (1e-7, ["0.118 times", "was below 2/η"]),
        (1e-6, ["1.18 times", "not quadratic", "by step 4", "1.01 times its initial value", "flatter"]),
        (2e-6, ["2.36 times", "77 of 100 hidden units are dead", "N·D_out = 640"]),
        (1e-5, ["11.8 times", "diverges"]),
        (1e-9, ["was below 2/η", "more steps"]),
    ],
)
def test_the_story_of_each_zone_has_its_own_numbers(rate, words):
    text = said(Config(learning_rate=rate, method="gram", dtype="float64"))
    assert "At initialization λmax = 2.36e+06" in text
    assert "2/λmax = 8.48e-07" in text
    for word in words:
        assert word in text


def test_sharpening_up_to_the_edge_of_stability_is_named():
    config = Config(learning_rate=1e-3, steps=3)
    curve = np.array([(0, 9.0, 1000.0, 0.1), (1, 8.0, 1900.0, 0.1), (3, 7.0, 2010.0, 0.1)], dtype=ROW)
    text = " ".join(map(str, story(config, np.array([9.0, 8.0, 7.0]), None, 0, curve)))
    assert "edge of stability" in text
    assert "reaches 2/η = 2e+03 by step 3" in text


def test_a_flat_start_is_said():
    assert "flat" in said(Config(N=1, D_in=1, H=1, D_out=1, seed=2, dtype="float64", steps=12))
