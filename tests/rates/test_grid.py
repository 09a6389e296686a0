"""Grids: what is read, what is refused, and the order of the trainings."""

from dataclasses import replace

import pytest

from twolayer import Config, ConfigError
from twolayer.rates.grid import RATES, SEEDS, Axis, Grid, computed, parse_axes, sweep_grid


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("H=3,5,9", (3, 5, 9)),
        ("learning_rate=1e-6:1e-4:3", (1e-6, 1e-5, 1e-4)),
        ("N=1:100:3", (1, 10, 100)),
        ("N=1:3:9", (1, 2, 3)),
        ("seed=0:4:5", (0, 1, 2, 3, 4)),
        ("dtype=float32,float64", ("float32", "float64")),
        ("seed=7,7", (7,)),
    ],
)
def test_values_are_read_from_lists_and_ranges(text, values):
    read = Axis.parse(text).values
    assert read == values or read == pytest.approx(values, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        *("", "H", "H=", "H=0,1", "H=a", "foo=1", "threads=1,2", "H=1:5", "H=1:5:x", "H=1:5:0"),
        *("H=5:1:9999", "dtype=a:b:2", "learning_rate=nan", "H=" + ",".join(map(str, range(1, 1002)))),
    ],
    ids=lambda text: text[:20],
)
def test_what_cannot_be_is_refused(text):
    with pytest.raises(ConfigError):
        Axis.parse(text)


@pytest.mark.parametrize("text", ["H=1,2;H=3", "H=1;N=1;D_in=1;seed=1", "N=1:999:999;H=1:999:999"])
def test_a_grid_has_up_to_three_fields_and_an_end(text):
    with pytest.raises(ConfigError):
        Grid(Config(), parse_axes(text))


def test_every_combination_is_there_once_and_rates_of_one_seed_are_neighbours():
    grid = Grid(Config(), parse_axes("learning_rate=1e-7,1e-6; seed=1,2; H=5,6,7"))
    assert [axis.field for axis in grid.axes] == ["H", "seed", "learning_rate"]
    configs = [grid.config(index) for index in range(grid.size)]
    assert len(set(configs)) == grid.size == 12
    assert configs[:3] == [
        Config(H=5, seed=1, learning_rate=1e-7),
        Config(H=5, seed=1, learning_rate=1e-6),
        Config(H=5, seed=2, learning_rate=1e-7),
    ]


def test_the_scan_of_a_config_has_its_iterates_by_the_cheapest_method():
    config = Config(backend="torch", method="fused", threads=2, seed=9)
    grid = sweep_grid(config, [1e-7, 1e-6], 3)
    assert [grid.config(i).seed for i in range(0, 6, 2)] == [9, 10, 11]
    assert grid.base == computed(config) == replace(config, backend="numpy", method="auto", threads=1)
    assert computed(replace(config, backend="numba", threads=1)).backend == "numba"
    assert sweep_grid(replace(config, seed=2**32 - 1), [1e-6], 3).axes[0].values[-1] == 2**32 - 1


def test_a_grid_has_only_sizes_that_the_data_have():
    base = Config(data="iris")
    assert Grid(base, (Axis("N", (10, 149)),)).config(1).N == 149
    for axis in (Axis("N", (10, 150)), Axis("D_in", (5, 6))):
        with pytest.raises(ConfigError) as caught:
            Grid(base, (axis,))
        assert caught.value.field == axis.field


def test_a_sweep_has_a_hundred_rates_and_three_seeds_unless_others_are_chosen():
    assert (RATES.default, SEEDS.default) == (100, 3)
