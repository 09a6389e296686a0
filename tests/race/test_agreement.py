"""Who is found wrong, and who is not."""

import numpy as np
import pytest

from twolayer import Config
from twolayer.race.agreement import MOST_STEPS, _Reference, agreement, steps_compared
from twolayer.race.contenders import METHODS_IN_A_RACE, Contender
from twolayer.training.config import BACKENDS
from twolayer.training.data import DATA_SETS
from twolayer.training.kernels.numpy import Gram, Tutorial

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
