"""Compare the gradients of one iteration with PyTorch's autograd and with central differences."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from twolayer.backprop import bugs
from twolayer.backprop.comparison import (
    Comparison,
    Direction,
    against_autograd,
    against_differences,
    against_direction,
    relative_error,
)
from twolayer.backprop.finite_differences import along, of_entries
from twolayer.backprop.rounding import bounds
from twolayer.training.kernels import load
from twolayer.training.program import GRADIENTS, Values, run

SAMPLE_NUMBERS = 5_000_000
"""The most residuals computed for a sample of w1: the sample shrinks to stay below."""
DIRECTIONS = 8
"""Random directions for each of w1 and w2."""


@dataclass(frozen=True)
class Iteration:
    """One iteration from the same inputs, by the correct program and by the one to check."""

    inputs: Values
    right: Values
    ours: Values

    @cached_property
    def limits(self) -> Values:
        """How far rounding alone can move each gradient."""
        return bounds(self.inputs, self.right)

    def sampled(self, gradient: str, sample: int, seed: int) -> NDArray[np.intp]:
        """Return rows of indices (S, 2): all entries of a small tensor, a random sample of a large one."""
        shape = self.ours[gradient].shape
        size = shape[0] * shape[1]
        if gradient == "grad_w1":
            sample = min(sample, max(1, SAMPLE_NUMBERS // self.inputs["y"].size))
        flat = np.arange(size)
        if size > sample:
            flat = np.sort(np.random.default_rng(seed).choice(size, sample, replace=False))
        return np.stack(np.unravel_index(flat, shape), axis=1)


def with_autograd(inputs: Values, planted: str | None, learning_rate: float) -> list[Comparison]:
    """Compare every entry of each gradient with PyTorch's. Raises `UnavailableError` without PyTorch.

    Both backward passes start from the forward values of PyTorch, so only they can differ.
    """
    load("torch", "tutorial")
    from twolayer.training.kernels.autograd import backward

    forward, theirs = backward(inputs)
    right, ours = (
        run({name: bugs.program(bug)[name] for name in GRADIENTS}, {**inputs, **forward}, learning_rate)
        for bug in (None, planted)
    )
    limits = bounds(inputs, {**forward, **right})
    return [against_autograd(name, ours[name], theirs[name], limits[name]) for name in GRADIENTS]


def with_differences(iteration: Iteration, step: float, sample: int, seed: int) -> list[Comparison]:
    """Compare at most `sample` entries of each gradient with central differences."""
    found = []
    for name in GRADIENTS:
        entries = iteration.sampled(name, sample, seed)
        theirs = of_entries(name, entries, iteration.inputs, iteration.right, step)
        limit = iteration.limits[name]
        found.append(against_differences(name, iteration.ours[name], limit, entries, theirs))
    return found


def along_random(iteration: Iteration, step: float, seed: int) -> list[tuple[str, Direction]]:
    """Compare the gradients with respect to w1 and w2 along random directions of length 1."""
    random = np.random.default_rng(seed)
    found = []
    for name in ("grad_w1", "grad_w2"):
        ours, limit = iteration.ours[name], iteration.limits[name]
        for _ in range(DIRECTIONS):
            way = random.standard_normal(ours.shape)
            way /= np.linalg.norm(way)
            theirs = along(name, way, iteration.inputs, iteration.right, step)
            if theirs is not None:
                found.append((name, against_direction(ours, limit, way, theirs)))
    return found


@dataclass(frozen=True)
class AtStep:
    """The relative errors of a sample of w1's entries at one step of the differences."""

    step: float
    median: float
    largest: float
    """Excluding the entries that cross a kink."""
    largest_with_kinks: float
    kinks: int
    """The number of entries that cross a kink."""
    sample: int
    """The number of entries."""


def at_step(iteration: Iteration, entries: NDArray[np.intp], step: float) -> AtStep:
    """Measure the errors of differences with the step `step` at some entries of w1."""
    right = iteration.right
    found = of_entries("grad_w1", entries, iteration.inputs, right, step)
    errors = relative_error(right["grad_w1"][tuple(entries.T)], found.values)
    kept = errors[~found.crossed]
    return AtStep(
        step=step,
        median=float(np.median(kept)) if len(kept) else float("nan"),
        largest=float(kept.max()) if len(kept) else float("nan"),
        largest_with_kinks=float(errors.max()),
        kinks=int(found.crossed.sum()),
        sample=len(entries),
    )
