"""The largest eigenvalue of the Hessian, against Hessians that are formed without our products."""

import tracemalloc
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from twolayer import Config, fit
from twolayer.rates import curvature
from twolayer.rates.curvature import (
    along,
    expected,
    hessian_product,
    largest_eigenvalue,
    memory_bytes,
    milestones,
    tasks,
)
from twolayer.training.data import DATA_SETS, table
from twolayer.training.methods import run_bytes
from twolayer.training.problem import make_problem
from twolayer.training.reference import backward, forward


def small(seed: int) -> Config:
    """A random small network."""
    g = np.random.default_rng(seed)
    N, D_in, H, D_out = (int(g.integers(1, most)) for most in (12, 14, 10, 6))
    return Config(N=N, D_in=D_in, H=H, D_out=D_out, seed=seed, dtype="float64", steps=40)


def dense(x, y, w1, w2):
    """The whole Hessian, by PyTorch's autograd."""
    x, y = torch.tensor(x), torch.tensor(y)
    shapes = [w1.shape, w2.shape]

    def loss(flat):
        w1, w2 = (
            part.view(s) for part, s in zip(flat.split([np.prod(s) for s in shapes]), shapes, strict=True)
        )
        return (x.mm(w1).clamp(min=0).mm(w2) - y).pow(2).sum()

    flat = torch.tensor(np.concatenate([w1.ravel(), w2.ravel()]))
    return torch.autograd.functional.hessian(loss, flat).numpy()


@pytest.mark.parametrize("seed", range(20))
def test_lambda_max_is_that_of_a_dense_eigensolver(seed):
    config = small(seed)
    p = make_problem(config)
    values = np.linalg.eigvalsh(dense(p.x, p.y, p.w1, p.w2))
    found = largest_eigenvalue(config)
    assert_allclose(found.value, values[-1], rtol=1e-3)
    assert found.residual <= 1e-2 * found.value
    assert_allclose(found.loss, fit(config).losses[0], rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_a_product_is_the_change_of_the_gradient_along_the_direction(seed):
    config = small(seed)
    p = make_problem(config)
    g = np.random.default_rng(seed)
    v1, v2 = g.standard_normal(p.w1.shape), g.standard_normal(p.w2.shape)

    def gradient(t):
        w1, w2 = p.w1 + t * v1, p.w2 + t * v2
        return backward(p.x, p.y, w2, *forward(p.x, w1, w2))

    step = 1e-6
    differences = [(a - b) / (2 * step) for a, b in zip(gradient(step), gradient(-step), strict=True)]
    for ours, theirs in zip(hessian_product(p.x, p.y, p.w1, p.w2, v1, v2), differences, strict=True):
        assert ours.shape == theirs.shape
        assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6 * np.abs(theirs).max())


def test_at_the_tutorials_size_the_rate_lies_above_2_over_lambda_max_and_the_residual_is_small():
    found = largest_eigenvalue(Config())
    assert found.residual < 1e-2 * found.value
    assert 1.1 < Config().learning_rate / found.threshold < 1.3


def test_along_a_training_lambda_max_is_that_of_the_weights_there():
    config = replace(small(3), learning_rate=1e-4)
    rows = along(config, [0, 7, 40])
    assert list(rows["step"]) == [0, 7, 40]
    assert rows["value"][0] == pytest.approx(largest_eigenvalue(config).value, rel=1e-6)
    for row in rows[1:]:
        trained = fit(replace(config, steps=int(row["step"])))
        p = make_problem(config)
        assert_allclose(
            row["value"], np.linalg.eigvalsh(dense(p.x, p.y, trained.w1, trained.w2))[-1], rtol=1e-3
        )


def test_along_a_training_that_diverges_ends_before_that():
    config = replace(small(3), learning_rate=10.0)
    rows = along(config, range(41))
    assert 0 < len(rows) <= fit(config).diverged_at + 1
    assert np.isfinite(rows["value"]).all()


def test_a_flat_loss_has_no_curvature_and_no_threshold():
    config = Config(N=1, D_in=1, H=1, D_out=1, seed=2, dtype="float64")
    p = make_problem(config)
    assert p.x[0, 0] * p.w1[0, 0] < 0, "the one unit is dead"
    found = largest_eigenvalue(config)
    assert (found.value, found.threshold) == (0, np.inf)


def test_the_expectation_from_the_sizes_is_near():
    shapes = [
        (64, 1000, 100, 10),
        (20, 10, 30, 3),
        (200, 20, 30, 10),
        (50, 2, 300, 40),
        (8, 3, 4, 30),
        (4, 500, 10, 2),
    ]
    for N, D_in, H, D_out in shapes:
        config = Config(N=N, D_in=D_in, H=H, D_out=D_out)
        assert 0.6 < expected(config) / largest_eigenvalue(config).value < 1.7, (N, D_in, H, D_out)


@pytest.mark.parametrize("init", ["tutorial", "he"])
@pytest.mark.parametrize("name", ["random", *DATA_SETS])
def test_the_expectation_from_the_data_is_near(name, init):
    for H in (10, 100):
        config = Config(data=name, init=init, H=H)
        assert 0.5 < expected(config) / largest_eigenvalue(config).value < 2.5, H


@pytest.mark.parametrize(("steps", "count"), [(1, 40), (20, 40), (500, 40), (5_000_000, 40)])
def test_milestones_rise_from_0_to_the_end(steps, count):
    at = milestones(steps, count)
    assert at[0] == 0
    assert at[-1] == steps
    assert at == sorted(set(at))
    assert len(at) <= count


def test_the_tasks_of_a_training_follow_all_of_it_and_fewer_points_of_a_costly_one():
    for config, fewest, most in ((Config(), 20, 40), (Config(N=2000, D_in=2000, H=2000), 2, 5)):
        steps = [step for _, part in tasks(config) for step in part]
        assert (steps[0], steps[-1]) == (0, config.steps)
        assert steps == sorted(set(steps))
        assert fewest <= len(steps) <= most
    assert len(tasks(Config())) > 2


@pytest.mark.parametrize("sizes", [{"N": 60, "D_in": 400}, {"N": 400, "D_in": 60}], ids=str)
def test_the_estimated_memory_is_near_what_is_allocated(sizes):
    config = Config(H=300, D_out=50, learning_rate=1e-9, **sizes)
    largest_eigenvalue(config)  # what is loaded once does not count
    tracemalloc.start()
    try:
        largest_eigenvalue(config)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < memory_bytes(config) < 3 * peak


def test_at_its_kink_a_unit_counts_as_active():
    g = np.random.default_rng(4)
    x, y = np.array([[1.0, -1.0], [0.5, 2.0]]), g.standard_normal((2, 3))
    w1, w2 = np.array([[0.75], [0.75]]), g.standard_normal((1, 3))
    v1, v2 = g.standard_normal(w1.shape), g.standard_normal(w2.shape)
    assert (x @ w1)[0, 0] == 0
    above = w1 + np.array([[1e-9], [0]])
    found, near = (hessian_product(x, y, weights, w2, v1, v2) for weights in (w1, above))
    for ours, theirs in zip(found, near, strict=True):
        assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("init", ["tutorial", "he"])
@pytest.mark.parametrize(("N", "D_in", "H", "D_out"), [(64, 1000, 100, 10), (7, 5, 11, 3)])
def test_the_expectation_from_the_sizes_is_the_sum_of_both_parts(N, D_in, H, D_out, init):
    of_w2 = np.full((N, N), H * D_in / (2 * np.pi))  # h_relu·h_reluᵀ
    np.fill_diagonal(of_w2, H * D_in / 2)
    largest = (np.sqrt(N) + np.sqrt(D_in)) ** 2
    of_w1 = (largest / 4 + D_in / 4) * (np.sqrt(H) + np.sqrt(2 * D_out)) ** 2
    scales = (2 / H, 2 / D_in) if init == "he" else (1, 1)  # the variances of w2 and of w1
    total = 2 * of_w1 * scales[0] + 2 * np.linalg.eigvalsh(of_w2)[-1] * scales[1]
    assert_allclose(expected(Config(N=N, D_in=D_in, H=H, D_out=D_out, init=init)), total, rtol=1e-9)


@pytest.mark.parametrize("init", ["tutorial", "he"])
@pytest.mark.parametrize(("name", "every"), [("spiral", 3), ("digits", 9)])
def test_the_expectation_from_the_data_is_the_sum_of_both_parts(name, every, init):
    config = Config(data=name, init=init, N=50, H=12)
    x = table(name, "")[0]
    assert -(-len(x) // 200) == every, "at most 200 rows"
    x = x[::every]
    both, outputs = np.empty((2, len(x), len(x)))
    for (i, a), (j, b) in product(enumerate(x), repeat=2):
        lengths = np.sqrt((a @ a) * (b @ b))
        angle = np.arccos(min(1.0, max(-1.0, a @ b / lengths)))
        both[i, j] = a @ b * (np.pi - angle) / (2 * np.pi)
        outputs[i, j] = both[i, j] + lengths * np.sin(angle) / (2 * np.pi)
    of_w1, of_w2 = (2 * 12 * 50 / len(x) * np.linalg.eigvalsh(each)[-1] for each in (both, outputs))
    of_w1 *= (1 + np.sqrt(2 * config.D_out / 12)) ** 2
    scales = (2 / 12, 2 / config.D_in) if init == "he" else (1, 1)
    assert_allclose(expected(config), of_w1 * scales[0] + of_w2 * scales[1], rtol=1e-6)


@pytest.mark.parametrize(
    ("seconds", "points", "together"), [(0.001, 40, 9), (0.2, 40, 5), (1, 40, 1), (3, 20, 1), (100, 3, 1)]
)
def test_a_minute_is_followed_in_tasks_of_a_second(monkeypatch, seconds, points, together):
    monkeypatch.setattr(curvature, "hessian_product_seconds", lambda _config: seconds / 40)
    found = tasks(Config(steps=5_000_000))
    assert [step for _config, steps in found for step in steps] == milestones(5_000_000, points)
    assert {len(steps) for _config, steps in found[:-1]} == {together}


@pytest.mark.parametrize(("N", "D_in", "rank"), [(3, 7, 3), (7, 3, 3)])
def test_the_memory_is_that_of_its_arrays(N, D_in, rank):
    config = Config(N=N, D_in=D_in, H=5, D_out=2)
    arrays = 26 * (rank * 5 + 5 * 2)  # the vectors of the method
    arrays += N * (8 * 5 + 4 * 2) + 2 * N * D_in + D_in * 5
    run = replace(config, method="auto", dtype="float64")
    assert memory_bytes(config) == run_bytes(run) + 8 * arrays
