"""Every kernel against the reference, step by step."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from twolayer import Config, fit
from twolayer.training import training
from twolayer.training.kernels.numpy import BLOCK, FEWEST_UNITS, blocks
from twolayer.training.problem import Problem, make_problem
from twolayer.training.reference import iteration

SHAPES = [
    *[(1, 7, 5, 3), (13, 1, 11, 2), (7, 5, 1, 3), (5, 3, 17, 1), (1, 1, 1, 1), (1, 1, 13, 1)],
    *[(31, 17, 13, 7), (2, 97, 3, 1), (64, 100, 20, 10)],
]
TOLERANCE = {"float64": (1e-9, 1e-12), "float32": (1e-2, 1e-4)}
"""Relative error allowed, while the loss is above this share of the first."""


def sized(shape: tuple[int, int, int, int], speed: float, **values: object) -> Config:
    """A Config whose learning rate is `speed` times what its sizes roughly bear."""
    N, D_in, H, D_out = shape
    rate = speed / (H * np.sqrt(D_in * D_out) * max(N, D_in))
    return Config(N=N, D_in=D_in, H=H, D_out=D_out, learning_rate=float(rate), **values)


def reference_losses(config: Config) -> np.ndarray:
    """The losses by the formulas in float64, from the very numbers that the run starts with."""
    return _reference_losses(replace(config, backend="numpy", method="tutorial"))


@cache
def _reference_losses(config: Config) -> np.ndarray:
    problem = make_problem(config)
    x, y, w1, w2 = (a.astype(np.float64) for a in (problem.x, problem.y, problem.w1, problem.w2))
    losses = []
    for _ in range(config.steps):
        loss, w1, w2 = iteration(x, y, w1, w2, config.learning_rate)
        losses.append(loss)
    return np.array(losses)


def reference_divergence(config: Config) -> int | None:
    """The first step whose loss is not finite, by the formulas in the config's own dtype."""
    problem = make_problem(config)
    w1, w2 = problem.w1, problem.w2
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(config.steps):
            loss, w1, w2 = iteration(problem.x, problem.y, w1, w2, config.learning_rate)
            if not np.isfinite(loss):
                return step
    return None


def assert_agrees(config: Config) -> None:
    expected, result = reference_losses(config), fit(config)
    assert result.losses.shape == (config.steps,)
    assert result.losses.dtype == np.float64
    relative, share = TOLERANCE[config.dtype]
    seen = expected > share * expected[0]
    # A loss is the square of y_pred − y, whose terms are rounded as in the first step however small it
    # has become: two right BLAS libraries differ by this, 9e-10 of the loss where it is 1e-12 of the first.
    rounding = 4 * np.finfo(np.float64).eps * np.sqrt(expected[0] / expected[seen])
    error = np.abs(result.losses[seen] / expected[seen] - 1)
    assert (error <= relative + rounding).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_500_steps_agree_with_the_reference(kernel, dtype, shape):
    assert_agrees(sized(shape, 0.1, **kernel, dtype=dtype, seed=3))


def test_the_default_sizes_agree_with_the_reference(kernel, dtype):
    assert_agrees(Config(**kernel, dtype=dtype, learning_rate=2e-7))


def test_random_configs_agree_with_the_reference(kernel):
    g = np.random.default_rng(40)
    for seed in range(40):
        shape = tuple(int(n) for n in np.exp(g.uniform(0, np.log(40), 4)))
        dtype = ("float32", "float64")[g.integers(2)]
        assert_agrees(sized(shape, float(g.uniform(0.01, 0.3)), **kernel, dtype=dtype, seed=seed))


@pytest.mark.parametrize("shape", [(13, 1, 11, 2), (5, 3, 17, 1), (31, 17, 13, 7), (2, 97, 3, 1)], ids=str)
def test_a_run_diverges_where_the_reference_does(kernel, dtype, shape):
    config = sized(shape, 1e5, **kernel, dtype=dtype, seed=5)
    expected, result = reference_divergence(config), fit(config)
    assert expected is not None
    assert abs(result.diverged_at - expected) <= 1
    assert result.losses.shape == (result.diverged_at,)
    assert np.isfinite(result.losses).all()


@pytest.mark.parametrize("shape", [(1, 7, 5, 3), (7, 5, 1, 3), (1, 1, 13, 1)], ids=str)
def test_a_network_that_a_large_rate_kills_rests_at_the_sum_of_y_squared(kernel, dtype, shape):
    config = sized(shape, 1e5, **kernel, dtype=dtype, seed=5)
    result, y = fit(config), make_problem(config).y.astype(np.float64)
    assert result.diverged_at is None
    assert_allclose(result.losses[-1], np.sum(y**2), rtol=1e-6)


def test_weights_agree_with_the_reference(kernel, dtype):
    config = sized((7, 11, 5, 3), 0.1, **kernel, dtype=dtype, steps=20)
    problem = make_problem(config)
    w1, w2 = (w.astype(np.float64) for w in (problem.w1, problem.w2))
    for _ in range(config.steps):
        _, w1, w2 = iteration(problem.x, problem.y, w1, w2, config.learning_rate)
    result = fit(config)
    for weight, expected in ((result.w1, w1), (result.w2, w2)):
        assert isinstance(weight, np.ndarray)
        assert weight.dtype == dtype
        assert weight.shape == expected.shape
        assert_allclose(weight, expected, rtol=1e-3, atol=1e-5)


def test_where_h_is_exactly_zero_the_gradient_passes(kernel, dtype):
    config = Config(**kernel, dtype=dtype, N=2, D_in=2, H=2, D_out=1, learning_rate=0.5, steps=1)
    arrays = {"x": [[1, 0], [0, 1]], "y": [[1], [5]], "w1": [[1, -1], [0, 2]], "w2": [[3], [1]]}
    arrays = {name: np.array(rows, dtype) for name, rows in arrays.items()}
    problem = training.prepare(config, problem=Problem(**arrays))
    chunk = training.advance(config, problem, training.start(config, problem), 1)
    assert_array_equal(chunk.losses, [13])
    w1, w2 = training.weights(config, problem, chunk)
    assert_array_equal(w1, [[-5, -1], [9, 5]])
    assert_array_equal(w2, [[1], [7]])


def test_the_mask_is_below_zero_to_the_smallest_number(kernel, dtype):
    least = np.finfo(dtype).smallest_subnormal
    h = np.array([[0.0, -0.0, least, -least, -np.finfo(dtype).smallest_normal, 1.0, -1.0]], dtype)
    config = Config(**kernel, dtype=dtype, N=1, D_in=1, H=7, D_out=1, learning_rate=0.5, steps=1)
    one = np.ones((1, 1), dtype)
    problem = Problem(x=one, y=-2 * one, w1=h, w2=np.ones((7, 1), dtype))
    problem = training.prepare(config, problem=problem)
    chunk = training.advance(config, problem, training.start(config, problem), 1)
    assert_array_equal(chunk.losses, [9])
    w1, _ = training.weights(config, problem, chunk)
    assert_array_equal(w1, np.where(h < 0, h, h - np.array(3, dtype)))


def test_losses_are_summed_in_the_dtype_of_the_config(kernel):
    losses = fit(Config(**kernel, steps=5, dtype="float32")).losses
    assert_array_equal(losses, losses.astype(np.float32))


def test_advancing_changes_nothing_that_it_is_given(kernel, dtype):
    config = sized((7, 11, 5, 3), 0.1, **kernel, dtype=dtype)
    problem = training.prepare(config)
    first = training.advance(config, problem, training.start(config, problem), 3)
    inputs = [
        problem.x,
        problem.y,
        problem.w1,
        problem.w2,
        *problem.constants.values(),
        *first.state.values(),
        first.losses,
        first.laps,
    ]
    before = [array.copy() for array in inputs]
    second = training.advance(config, problem, first, 5)
    training.advance(config, problem, second, 5)
    for array, kept in zip(inputs, before, strict=True):
        assert_array_equal(array, kept)


@pytest.mark.parametrize(
    "shape", [(7, 11, 5, 3), (1, 1, 1, 1), (64, 1000, 100, 10), (300, 40, 500, 3)], ids=str
)
def test_losses_and_weights_are_the_same_bits_however_a_run_is_cut(kernel, dtype, shape):
    config = sized(shape, 0.3, **kernel, dtype=dtype, steps=40, seed=7)
    problem, whole = training.prepare(config), fit(config)
    for cut in ([40], [1] * 40, [7, 20, 13], [39, 1]):
        chunk, losses = training.start(config, problem), []
        for steps in cut:
            chunk = training.advance(config, problem, chunk, steps)
            losses.extend(chunk.losses)
        assert chunk.step == 40
        assert_array_equal(losses, whole.losses)
        w1, w2 = training.weights(config, problem, chunk)
        assert_array_equal(w1, whole.w1)
        assert_array_equal(w2, whole.w2)


@pytest.mark.parametrize("most", [1, 13, 26, 40, 1000])
@pytest.mark.parametrize("method", ["fused", "gram"])
def test_blocks_of_hidden_units_of_any_size_give_the_iterates(method, most, dtype, monkeypatch):
    config = sized((13, 20, 11, 3), 0.2, method=method, dtype=dtype, steps=40, seed=5)
    monkeypatch.setattr("twolayer.training.kernels.numpy.BLOCK", most)
    monkeypatch.setattr("twolayer.training.kernels.numpy.FEWEST_UNITS", 1)
    assert_agrees(config)
    assert_array_equal(fit(config).dead, fit(replace(config, method="tutorial")).dead)


@pytest.mark.parametrize(
    ("N", "H"), [(1, 1), (64, 100), (4096, 1024), (4096, 1025), (4096, 20), (100_000, 256), (1, 65537)]
)
def test_blocks_cover_the_hidden_units_once_evenly_and_fit_in_the_cache_unless_they_would_be_narrow(N, H):
    parts = blocks(N, H)
    assert [j for part in parts for j in range(H)[part]] == list(range(H))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) * N <= max(BLOCK, FEWEST_UNITS * N)
    assert max(sizes) - min(sizes) < len(parts)
    assert len(parts) == 1 or (N * H > BLOCK and min(sizes) >= FEWEST_UNITS // 2)


def test_dead_units_are_those_that_are_active_for_no_row(kernel, dtype):
    config = Config(N=6, D_in=5, H=40, D_out=3, learning_rate=5e-3, steps=4, seed=2, **kernel, dtype=dtype)
    result, x = fit(config), make_problem(config).x
    dead = [unit for unit in range(40) if all(row @ result.w1[:, unit] <= 0 for row in x)]
    assert result.diverged_at is None
    assert 5 < len(dead) < 40
    assert result.dead[-1].tolist() == [4, len(dead)]
