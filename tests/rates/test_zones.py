"""The zones of the learning rate."""

from twolayer import Config
from twolayer.rates.grid import Grid, computed, parse_axes
from twolayer.rates.sweep import Sweep, train, zones


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
