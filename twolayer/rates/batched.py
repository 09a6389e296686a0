"""Many runs at once: runs that differ only in learning rate or seed, as one batched computation.

The steps of a small run cost more in calls than in arithmetic. Here a step of a block of R runs is a few
calls: stacked products (R, N, N)·(R, N, H), in blocks small enough for the cache. The form is the dual
one of `kernels.dual`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from twolayer.rates.grid import INNERMOST
from twolayer.training import capabilities, methods, training
from twolayer.training.config import FIELDS, Config
from twolayer.training.fields import ConfigError
from twolayer.training.kernels.dual import Dual
from twolayer.training.kernels.numpy import Tutorial
from twolayer.training.messages import Message
from twolayer.training.problem import Array, Problem, make_problem

BLOCK_BYTES = 1 << 21
CHECK_EVERY = 16
FIRST_STEPS = 32
"""Steps after which a run that is trained alone is looked at, and ended if it has diverged."""


@dataclass(frozen=True)
class Outcome:
    """The losses of one run, up to the first that is not finite (excluded)."""

    config: Config
    losses: NDArray[np.float64]
    diverged_at: int | None
    dead: int
    """Dead units after the last step: active for no row of the batch. 0 if the run diverged."""
    zero_loss: float
    """Σy²: the loss of a network that always outputs 0."""


def fit_many(configs: Sequence[Config]) -> list[Outcome]:
    """Train runs that differ only in learning rate and seed. Their losses are those of `fit`, to rounding.

    Raises `ConfigError` for any other difference. Runs on another backend than NumPy, or by another method
    than the dual form, are trained one after the other: compiled steps are as fast as those of a batch.
    """
    if not configs:
        return []
    first = configs[0]
    for field in (field for field in FIELDS if field not in INNERMOST):
        for value in (getattr(config, field) for config in configs):
            if value != getattr(first, field):
                takes = Message.of(
                    "the same in all runs of a batch: {value}", value=str(getattr(first, field))
                )
                raise ConfigError(field, value, takes)
    if first.backend != "numpy" or methods.used(first) != "gram":
        return _one_after_the_other(configs)
    outcomes: dict[int, Outcome] = {}
    order = _by_seed(configs)
    with Tutorial.threads(first.threads), np.errstate(over="ignore", invalid="ignore"):
        for block in np.array_split(order, -(-len(order) // block_size(first))):
            outcomes.update(_fit_block(configs, block.tolist()))
    return [outcomes[i] for i in range(len(configs))]


def _by_seed(configs: Sequence[Config]) -> list[int]:
    """Return the indices of `configs` with equal seeds side by side."""
    return sorted(range(len(configs)), key=lambda i: configs[i].seed)


def _one_after_the_other(configs: Sequence[Config]) -> list[Outcome]:
    """Train each run by itself. The runs of a seed share its data and what the method computes once."""
    capabilities.require(configs[0])
    outcomes: dict[int, Outcome] = {}
    for _, indices in groupby(_by_seed(configs), key=lambda i: configs[i].seed):
        problem = None
        for i in indices:
            problem = problem or training.prepare(configs[i])
            outcomes[i] = _fit_one(configs[i], problem)
    return [outcomes[i] for i in range(len(configs))]


def _fit_one(config: Config, problem: Problem) -> Outcome:
    """Train one run in two chunks: most rates that are too large have diverged after the first."""
    chunk = training.start(config, problem)
    losses = []
    for end in (min(FIRST_STEPS, config.steps), config.steps):
        chunk = training.advance(config, problem, chunk, end - chunk.step, laps=1)
        losses.append(chunk.losses)
        if chunk.diverged_at is not None or chunk.step == config.steps:
            break
    dead = 0 if chunk.diverged_at is not None else int(chunk.dead[-1, 1])
    return Outcome(config, np.concatenate(losses), chunk.diverged_at, dead, chunk.zero_loss)


def block_size(config: Config) -> int:
    """Return how many runs of this shape are stepped together: as many as fit in the cache."""
    return max(1, BLOCK_BYTES // (5 * config.N * config.H * np.dtype(config.dtype).itemsize))


@dataclass
class _Block:
    """The runs that have not ended, and the arrays of one step of them all; the first axis is the run."""

    runs: NDArray[np.intp]
    K: Array
    h_start: Array
    y: Array
    S: Array
    w2: Array
    rates: Array

    def __post_init__(self) -> None:
        shape, dtype = self.S.shape, self.S.dtype
        integer = np.dtype(dtype.name.replace("float", "int"))
        self.sign_bit = integer.type(8 * integer.itemsize - 1)
        self.h, self.grad_h = np.empty(shape, dtype), np.empty(shape, dtype)
        self.h_relu, self.zeros = np.empty(shape, dtype), np.zeros(shape, dtype)
        self.active = np.empty(shape, integer)
        self.h_bits, self.grad_h_bits = self.h.view(integer), self.grad_h.view(integer)
        self.difference = np.empty((shape[0], *self.y.shape[1:]), dtype)
        self.grad_w2 = np.empty_like(self.w2)
        self.h_relu_T, self.w2_T = self.h_relu.transpose(0, 2, 1), self.w2.transpose(0, 2, 1)

    def only(self, kept: NDArray[np.bool_]) -> "_Block":
        """Return the block of the runs marked in `kept`."""
        arrays = (getattr(self, field.name) for field in fields(self))
        return _Block(*(array[kept] if len(array) == len(kept) else array for array in arrays))

    def hidden(self) -> Array:
        """Compute h = h_start − K·S of each run."""
        np.matmul(self.K, self.S, out=self.h)
        np.subtract(self.h_start, self.h, out=self.h)
        return self.h

    def step(self) -> Array:
        """Advance all runs by one iteration. Return their losses before the update."""
        h, difference = self.hidden(), self.difference
        np.maximum(h, self.zeros, out=self.h_relu)
        np.matmul(self.h_relu, self.w2, out=difference)
        np.subtract(difference, self.y, out=difference)
        losses: Array = np.einsum("rno,rno->r", difference, difference)
        difference *= self.rates  # the learning rate and the factor 2 of grad_y_pred
        np.matmul(difference, self.w2_T, out=self.grad_h)
        np.right_shift(self.h_bits, self.sign_bit, out=self.active)
        np.invert(self.active, out=self.active)
        np.bitwise_and(self.grad_h_bits, self.active, out=self.grad_h_bits)
        np.matmul(self.h_relu_T, difference, out=self.grad_w2)
        self.w2 -= self.grad_w2
        self.S += self.grad_h
        return losses


def _fit_block(configs: Sequence[Config], indices: list[int]) -> dict[int, Outcome]:
    """Train the runs `indices` together, step by step."""
    steps = configs[0].steps
    losses = np.empty((len(indices), steps))
    dead = np.zeros(len(indices), int)
    block = _start([configs[i] for i in indices])
    of_seeds = np.square(block.y).sum(axis=(1, 2)).tolist()  # one if the runs share their data
    zero_losses = of_seeds * (len(indices) if len(of_seeds) == 1 else 1)
    for step in range(steps):
        losses[block.runs, step] = block.step()
        if step % CHECK_EVERY == CHECK_EVERY - 1:
            finite = np.isfinite(losses[block.runs, step])
            if not finite.all():
                block = block.only(finite)
                if not len(block.runs):
                    break
    if len(block.runs):
        dead[block.runs] = np.count_nonzero(~(block.hidden() > 0).any(axis=1), axis=1)
    return {
        i: _outcome(configs[i], *of_run)
        for i, *of_run in zip(indices, losses, dead.tolist(), zero_losses, strict=True)
    }


def _outcome(config: Config, losses: NDArray[np.float64], dead: int, zero_loss: float) -> Outcome:
    finite = np.isfinite(losses)
    if finite.all():
        return Outcome(config, losses, None, dead, zero_loss)
    end = int(np.argmin(finite))
    return Outcome(config, losses[:end].copy(), end, 0, zero_loss)


def _start(configs: list[Config]) -> _Block:
    problems: dict[int, dict[str, Array]] = {}
    for config in configs:
        if config.seed not in problems:
            problem = make_problem(config)
            # Without x and w1, which would be large for many seeds
            problems[config.seed] = {**Dual.constants(problem), "y": problem.y, "w2": problem.w2}
    of_runs = [problems[config.seed] for config in configs]
    # With one seed, one K serves all runs and is read once per product
    shared = of_runs[:1] if len(problems) == 1 else of_runs

    def stacked(arrays: list[Array]) -> Array:
        return np.stack(arrays, out=np.empty((len(arrays), *arrays[0].shape), arrays[0].dtype))

    h_start = stacked([p["h"] for p in shared])
    return _Block(
        runs=np.arange(len(configs)),
        K=stacked([p["K"] for p in shared]),
        h_start=h_start,
        y=stacked([p["y"] for p in shared]),
        S=np.zeros((len(configs), *h_start.shape[1:]), h_start.dtype),
        w2=stacked([p["w2"] for p in of_runs]),
        rates=np.array([[[2 * c.learning_rate]] for c in configs], h_start.dtype),
    )
