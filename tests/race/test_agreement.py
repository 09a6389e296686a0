"""Who is found wrong, and who is not."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from twolayer import Config, fit
from twolayer.race.agreement import (
    MOST_STEPS,
    Agreement,
    Drift,
    _Reference,
    agreement,
    sentences,
    steps_compared,
)
from twolayer.race.contenders import METHODS_IN_A_RACE, Contender
from twolayer.training.config import BACKENDS
from twolayer.training.data import DATA_SETS
from twolayer.training.kernels.numpy import Gram, Tutorial
from twolayer.training.problem import make_problem

EVERYONE = [
    Contender(backend, "cpu", method)
    for backend in BACKENDS
    for method in METHODS_IN_A_RACE
    if method != "autograd" or backend == "torch"
]
SMALL = {"N": 7, "D_in": 30, "H": 5, "D_out": 3, "learning_rate": 1e-4, "steps": 60}


class TooFast(Tutorial):
    """Its learning rate is one percent off."""

    def step(self) -> None:
        self.learning_rate *= 1.01
        Tutorial.step(self)
        self.learning_rate /= 1.01


class NoMask(Tutorial):
    """Forgets the derivative of ReLU."""

    def step(self) -> None:
        h_relu = np.maximum(self.x.dot(self.w1), 0)
        grad_y_pred = 2.0 * (h_relu.dot(self.w2) - self.y)
        self._keep(np.square(grad_y_pred / 2).sum())
        grad_h = grad_y_pred.dot(self.w2.T)
        self.w2 -= self.learning_rate * h_relu.T.dot(grad_y_pred)
        self.w1 -= self.learning_rate * self.x.T.dot(grad_h)


class HalfPrecision(Tutorial):
    """Fast and rough: its weights are rounded as a GPU's short formats would."""

    def step(self) -> None:
        Tutorial.step(self)
        self.w1[:] = self.w1.astype(np.float16)
        self.w2[:] = self.w2.astype(np.float16)


class RightLossesWrongWeights(Gram):
    """Reports the losses of the right run and hands out other weights."""

    @staticmethod
    def weights(problem, state):
        w1, w2 = Gram.weights(problem, state)
        return 1.01 * w1, w2


class Lazy(Tutorial):
    """Takes no steps at all."""

    def step(self) -> None:
        self._keep(1.0)


def cheat(kernel_type: type) -> Contender:
    class Cheat(Contender):
        def kernel(self) -> type:
            return kernel_type

    return Cheat("numpy", "cpu", "gram" if issubclass(kernel_type, Gram) else "tutorial")


@pytest.mark.parametrize("mistake", [TooFast, NoMask, HalfPrecision, RightLossesWrongWeights, Lazy])
@pytest.mark.parametrize("sizes", [SMALL, {"steps": 100}], ids=["small", "default sizes"])
def test_a_contender_made_wrong_is_found(mistake, sizes, dtype):
    assert not agreement(Config(**sizes, dtype=dtype), cheat(mistake)).right


def random_shapes(count: int) -> list[Config]:
    g = np.random.default_rng(2)
    found = []
    for _ in range(count):
        N, D_in, H, D_out = (int(np.exp(g.uniform(0, np.log(150)))) for _ in range(4))
        rate = float(10 ** g.uniform(-2, 0.3)) / (D_in * H * N) ** 0.5 / (N * D_out) ** 0.5
        found.append(
            Config(N=N, D_in=D_in, H=H, D_out=D_out, learning_rate=rate, steps=300, seed=int(g.integers(99)))
        )
    return found


@pytest.mark.parametrize("config", random_shapes(12), ids=lambda c: f"{c.N}-{c.D_in}-{c.H}-{c.D_out}")
def test_no_contender_of_ours_is_found_wrong(config, dtype):
    for contender in EVERYONE:
        found = agreement(Config(**{**vars(config), "dtype": dtype}), contender)
        assert found.right, (contender.name, found)


@pytest.mark.parametrize("name", DATA_SETS)
def test_on_no_data_set_is_a_contender_of_ours_found_wrong(name, dtype):
    config = Config(data=name, init="he", N=50, H=9, learning_rate=1e-4, steps=100, dtype=dtype)
    for contender in EVERYONE:
        found = agreement(config, contender)
        assert found.right, (contender.name, found)


@pytest.mark.parametrize("rate", [1e-6, 2e-6, 5e-6])
def test_at_the_tutorials_sizes_nobody_is_found_wrong_even_if_the_run_diverges(rate, dtype):
    for contender in EVERYONE:
        found = agreement(Config(learning_rate=rate, dtype=dtype, steps=150), contender)
        assert found.right, (contender.name, found)


def test_at_the_defaults_float32_ends_far_higher_and_that_is_no_error():
    found = agreement(Config(), EVERYONE[0])
    assert 20 < found.drift.last_ratio < 500
    assert found.drift.loss < 1e-4
    assert found.right
    assert found.steps == 500


def test_one_rounding_explains_the_size_of_the_drift(dtype):
    found = agreement(Config(dtype=dtype, steps=200), EVERYONE[0])
    assert found.drift.weight < found.allowed(found.one_rounding.weight)
    assert found.one_rounding.weight > np.finfo(dtype).eps / 8


def test_fewer_steps_are_compared_where_a_step_takes_long():
    assert steps_compared(Config()) == 500
    assert steps_compared(Config(steps=5_000_000)) == MOST_STEPS
    assert steps_compared(Config(N=4000, D_in=4000, H=4000)) < 20
    assert steps_compared(Config(N=4000, D_in=4000, H=4000, steps=3)) == 3


def test_losses_that_end_before_those_of_the_formulas_are_infinitely_far_off():
    reference = _Reference(Config(**SMALL))
    assert reference.drift(reference.losses, reference.weights).loss == 0
    found = reference.drift(reference.losses[:-1], reference.weights)
    assert (found.loss, found.last_ratio, found.weight) == (np.inf,) * 3


@pytest.mark.parametrize(("N", "steps"), [(7, 1000), (8, 937), (80, 93), (800, 10)])
def test_as_many_steps_are_compared_as_thirty_billion_operations_compute(N, steps):
    # A step takes (4·N·D_in + 6·N·D_out)·H operations
    assert steps_compared(Config(N=N, D_in=4, H=100_000, D_out=4, steps=5000, method="gram")) == steps


def test_the_drift_is_the_largest_relative_difference_of_what_is_still_seen(dtype):
    reference = _Reference(Config(**SMALL, dtype=dtype))
    least = {"float32": 1e-4, "float64": 1e-12}[dtype]
    reference.losses = np.array([8.0, 4.0, 8 * least, 4 * least])
    reference.weights = (np.array([[1.0, -4.0]]), np.array([[2.0], [0.5]]))
    losses = reference.losses * [1.0, 1.125, 0.75, 3.0]  # the last is below what is seen
    weights = (np.array([[1.5, -4.0]]), np.array([[2.0], [0.25]]))
    found = reference.drift(losses, weights)
    assert_allclose((found.loss, found.last_ratio, found.weight), (0.25, 3.0, 0.125), rtol=1e-12)
    weights = (np.array([[1.0, -4.0]]), np.array([[2.0], [1.0]]))
    assert reference.drift(losses, weights).weight == 0.25
    losses[1] = np.nan
    assert reference.drift(losses, weights).loss == np.inf


def test_what_is_allowed_is_a_hundred_roundings_and_those_of_one_step():
    at_most = Agreement(Drift(1.03125, 9.0, 0.4375), Drift(2**-7, 1.0, 2**-9 * 0.96), 0.25, 0.5, 10)
    assert at_most.allowed(2**-7) == 1.03125
    assert at_most.right
    for name in ("loss", "weight"):
        drift = replace(at_most.drift, **{name: np.nextafter(getattr(at_most.drift, name), np.inf)})
        assert not replace(at_most, drift=drift).right


def test_the_floor_the_fall_and_one_rounding(dtype):
    config = Config(**SMALL, dtype=dtype)
    found = agreement(config, EVERYONE[0])
    eps = float(np.finfo(dtype).eps)
    assert found.floor == eps / 2 * (7 * 3 + 30 + 5)
    p = make_problem(config)
    x, y, *start = (array.astype(float) for array in (p.x, p.y, p.w1, p.w2))
    g = np.random.default_rng(0)
    signs = [[g.choice([-1, 1], w.shape) for w in start] for _ in range(4)]
    ends = []
    for roundings in (0, 32):
        (w1, w2), losses = start, []
        for step in range(60):
            h = x @ w1
            error = np.maximum(h, 0) @ w2 - y
            losses.append((error**2).sum())
            grad_w2 = np.maximum(h, 0).T @ (2 * error)
            grad_w1 = x.T @ np.where(h < 0, 0, 2 * error @ w2.T)
            w1, w2 = (
                (w - 1e-4 * gradient) * (1 + roundings * eps / 2 * sign)
                for w, gradient, sign in zip((w1, w2), (grad_w1, grad_w2), signs[step % 4], strict=True)
            )
        ends.append((np.array(losses), w1, w2))
    (losses, *weights), (moved, *moved_weights) = ends
    assert_allclose(found.fallen, losses[-1] / losses[0], rtol=1e-9)
    of_losses = np.abs(moved / losses - 1)[
        losses >= losses[0] * {"float32": 1e-4, "float64": 1e-12}[dtype]
    ].max()
    of_weights = max(
        np.abs(ours - theirs).max() / np.abs(theirs).max()
        for ours, theirs in zip(moved_weights, weights, strict=True)
    )
    assert_allclose(found.one_rounding.loss, of_losses / 32, rtol=1e-3)
    assert_allclose(found.one_rounding.weight, of_weights / 32, rtol=1e-3)


def test_a_run_is_compared_until_its_loss_has_grown_a_million_times():
    config = Config(**{**SMALL, "learning_rate": 0.02}, dtype="float64")
    losses = fit(config).losses
    grown = int(np.argmax(losses > 1e6 * losses[0]))
    assert 0 < grown < len(losses) - 1
    assert agreement(config, EVERYONE[0]).steps == grown


@pytest.mark.parametrize(("ratio", "right", "count"), [(1.5, True, 2), (1.6, True, 3), (1.6, False, 2)])
def test_a_float32_end_that_is_much_higher_is_explained(ratio, right, count):
    found = Agreement(Drift(0.0 if right else 1.0, ratio, 0.0), Drift(1e-5, 1.0, 2e-5), 3e-7, 4e-6, 60)
    said = [str(message) for message in sentences(Config(steps=500), [found])]
    assert len(said) == count
    assert "over 60 of 500 steps" in said[0]
    assert "losses change by 1.0e-05 and the weights by 2.0e-05" in said[1]
    assert "up to 100 times that is accepted, plus 3.0e-07" in said[1]
    if count == 3:
        assert "up to 1.6 times" in said[2]
        assert "fallen to 4.0e-06 of its initial value, and below 1e-04 of it" in said[2]
