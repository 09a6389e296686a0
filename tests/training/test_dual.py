"""What the dual form promises beyond the losses."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from twolayer import Config, fit
from twolayer.training import methods
from twolayer.training.problem import make_problem


def loss_of(config: Config, w1: np.ndarray, w2: np.ndarray) -> float:
    """The loss of these weights, in float64."""
    problem = make_problem(config)
    x, y, w1, w2 = (array.astype(np.float64) for array in (problem.x, problem.y, w1, w2))
    return float(np.sum((np.maximum(x @ w1, 0) @ w2 - y) ** 2))


def test_20_random_shapes_keep_the_losses_and_weights_of_the_tutorial():
    g = np.random.default_rng(20)
    for seed in range(20):
        N, D_in, H, D_out = (int(n) for n in np.exp(g.uniform(0, np.log(60), 4)))
        rate = 0.1 / (H * np.sqrt(D_in * D_out) * max(N, D_in))
        values = {"N": N, "D_in": D_in, "H": H, "D_out": D_out, "learning_rate": rate, "seed": seed}
        plain, dual = (fit(Config(**values, dtype="float64", method=m)) for m in ("tutorial", "gram"))
        seen = plain.losses > 1e-12 * plain.losses[0]
        assert_allclose(dual.losses[seen], plain.losses[seen], rtol=1e-9)
        for ours, theirs in ((dual.w1, plain.w1), (dual.w2, plain.w2)):
            assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9 * np.abs(theirs).max())


@pytest.mark.parametrize("backend", ["numpy", "torch", "numba"])
def test_the_losses_of_a_long_float32_run_are_those_of_its_weights(backend):
    """Sums that round apart would report 1e-6 for weights whose loss is above 1e-2."""
    config = Config(backend=backend, method="gram", steps=6000)
    result = fit(config)
    assert loss_of(config, result.w1, result.w2) < 1e-4
    assert result.losses[-1] < 1e-4


def test_auto_takes_the_method_with_fewer_operations():
    assert methods.used(Config(method="auto")) == "gram"
    assert methods.used(Config(method="auto", N=1024, D_in=256)) == "fused"
    assert methods.used(Config(method="auto", N=500, D_in=300, H=10, steps=1)) == "fused"
    assert fit(Config(method="auto", N=8, D_in=100, H=5, steps=300)).method == "gram"
