"""Pictures of what a network has learned: what is in them, by a reading of its own."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from twolayer import Config, fit
from twolayer.training import learned
from twolayer.training.data import DATA_SETS
from twolayer.training.learned import Picture
from twolayer.training.problem import make_held_out, make_problem

SETTINGS = {"init": "he", "method": "auto", "H": 30, "learning_rate": 1e-4, "steps": 50, "dtype": "float64"}


def drawn(name: str) -> tuple[Config, Picture, np.ndarray, np.ndarray]:
    """A run's Config, its picture after 50 steps, and its weights."""
    config = Config(data=name, **SETTINGS)
    result = fit(config)
    picture = learned.picture(config, make_held_out(config), result.w1, result.w2, 50)
    assert picture.step == 50
    assert all(array.dtype == np.float32 for array in picture.arrays.values())
    return config, picture, result.w1, result.w2


def network(x: np.ndarray, w1: np.ndarray, w2: np.ndarray) -> np.ndarray:
    return (x @ w1).clip(0) @ w2


@pytest.mark.parametrize("name", ["sine", "step"])
def test_a_curve_goes_through_the_outputs_and_bends_at_its_kinks_alone(name):
    config, picture, w1, w2 = drawn(name)
    x, y = learned.places(config).astype(float), picture.arrays["y"]
    assert_allclose(y, network(np.stack([x, np.ones_like(x)], axis=1), w1, w2)[:, 0], rtol=1e-5, atol=1e-6)
    kinks = picture.arrays["kinks"]
    assert 0 < len(kinks) <= 30
    near = np.abs(x[1:-1, None] - kinks).min(axis=1) <= 1.01 * (x[1] - x[0])
    bends = np.abs(np.diff(y.astype(float), 2))
    assert bends[~near].max() < 1e-4 < bends[near].max()


@pytest.mark.parametrize("name", [name for name, found in DATA_SETS.items() if found.picture == "map"])
def test_a_map_has_the_difference_of_the_outputs_and_lines_where_units_begin(name):
    config, picture, w1, w2 = drawn(name)
    side, z = learned.places(config).astype(float), picture.arrays["z"]
    assert z.shape == (learned.GRID, learned.GRID)
    for row, column in [(0, 0), (3, 40), (63, 20)]:
        outputs = network(np.array([[side[column], side[row], 1]]), w1, w2)[0]
        assert z[row, column] == pytest.approx(outputs[1] - outputs[0], rel=1e-5, abs=1e-6)
    lines = picture.arrays["lines"]
    assert lines.shape == (learned.MOST_UNITS, 3)
    assert all(np.isclose(line, w1.T, rtol=1e-6).all(axis=1).any() for line in lines)


@pytest.mark.parametrize("name", ["sine", "spiral"])
def test_a_picture_of_a_wide_network_takes_little_more_memory_than_its_weights(name):
    config = Config(data=name, H=20_000, N=2)
    problem, held_out = make_problem(config), make_held_out(config)
    tracemalloc.start()
    learned.picture(config, held_out, problem.w1, problem.w2, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * learned.BLOCK_BYTES


def test_a_picture_of_digits_has_the_strongest_units_the_answers_and_the_confusion():
    config, picture, w1, w2 = drawn("digits")
    held_out = make_held_out(config)
    outputs = network(held_out.x, w1, w2)
    confusion = np.zeros((10, 10))
    for true, said in zip(held_out.y.argmax(axis=1), outputs.argmax(axis=1), strict=True):
        confusion[true, said] += 1
    assert_array_equal(picture.arrays["confusion"], confusion)
    assert_allclose(picture.arrays["outputs"], outputs[:10], rtol=1e-4, atol=1e-5)
    strengths = np.sqrt((w1**2).sum(axis=0) * (w2**2).sum(axis=1))
    assert_allclose(picture.arrays["units"][0], w1[:64, strengths.argmax()], rtol=1e-6)
    assert picture.arrays["units"].shape == (24, 64)


@pytest.mark.parametrize("name", ["iris", "teacher"])
def test_a_table_s_picture_has_the_outputs_for_held_out_rows(name):
    config, picture, w1, w2 = drawn(name)
    expected = network(make_held_out(config).x, w1, w2)[: learned.MOST_ROWS]
    assert_allclose(picture.arrays["outputs"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", DATA_SETS)
def test_weights_that_are_not_finite_make_a_picture_too(name):
    config = Config(data=name, **SETTINGS)
    w1, w2 = np.full((config.D_in, 30), np.inf), np.full((30, config.D_out), np.nan)
    assert learned.picture(config, make_held_out(config), w1, w2, 3).step == 3


def test_the_rows_that_are_shown_are_those_of_the_run():
    config = Config(data="digits", seed=4)
    train, held_out = learned.shown_rows(config)
    assert_array_equal(train.x, make_problem(config).x[:300])
    assert_array_equal(held_out.y, make_held_out(config).y)


def test_a_curve_goes_from_minus_2_to_2_and_a_map_a_tenth_beyond_its_data():
    assert_allclose(learned.places(Config(data="sine")), np.linspace(-2, 2, 200), rtol=1e-6)
    assert_allclose(learned.places(Config(data="moons")), np.linspace(-1.1, 1.1, 64), rtol=1e-6)
