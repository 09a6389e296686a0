"""Compare gradients by hand with PyTorch's and with central differences: how far apart they are, and where.

The relative error |a − b| / max(|a|, |b|) is read by the thresholds of the course CS231n. Whether an entry
is *wrong* depends on the bounds of `rounding`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.backprop import bugs
from twolayer.backprop.finite_differences import along, of_entries
from twolayer.backprop.pooling import largest
from twolayer.backprop.rounding import bounds, of_sum
from twolayer.training.kernels import load
from twolayer.training.messages import N_
from twolayer.training.program import GRADIENTS, Values, run

WORST = 8
POINTS = 500
SAMPLE_NUMBERS = 5_000_000
"""The most residuals computed for a sample of w1: the sample shrinks to stay below."""
DIRECTIONS = 8
"""Random directions for each of w1 and w2."""

BANDS: Sequence[tuple[float, str]] = (
    (1e-2, N_("the gradient is probably wrong")),
    (1e-4, N_("suspicious, even with kinks")),
    (1e-7, N_("usually fine if the loss has kinks; too high if it is smooth")),
    (0.0, N_("the gradients agree")),
)
"""The thresholds of CS231n: what a relative error above each number means."""


def relative_error(a: Any, b: Any) -> NDArray[np.float64]:
    """Return |a − b| / max(|a|, |b|) for each entry, and 0 for two zeros."""
    size = np.maximum(np.abs(a), np.abs(b)).astype(np.float64)
    apart = np.abs(np.subtract(a, b, dtype=np.float64))
    errors: NDArray[np.float64] = np.divide(apart, size, out=np.zeros_like(size), where=size > 0)
    return errors


@dataclass(frozen=True)
class Entry:
    """One entry of a gradient, by hand and by the reference."""

    index: tuple[int, int]
    ours: float
    theirs: float
    error: float
    wrong: bool


@dataclass(frozen=True)
class Comparison:
    """One gradient by hand against one reference."""

    gradient: str
    against: str
    """`autograd` or `differences`."""
    shape: tuple[int, ...]
    compared: int
    """The number of entries compared."""
    kinks: int
    """The number of entries left out because the step crosses a kink of the loss."""
    wrong: int
    """The number of entries that differ by more than rounding can explain."""
    largest: float
    """The largest relative error."""
    median: float
    cosine: float
    """The cosine of the angle between the two, over all compared entries; NaN if one of them is 0."""
    worst: tuple[Entry, ...]
    points: NDArray[np.float64]
    """Rows of row, column, ours, theirs: a sample to plot that includes the worst entries."""
    errors: NDArray[np.float32]
    """A picture of the relative errors: the largest of each block, NaN where nothing was compared."""
    block: tuple[int, int]
    """Rows and columns of a block."""


def _compare(
    names: tuple[str, str],
    gradient: NDArray[Any],
    limit: NDArray[Any],
    theirs: NDArray[Any],
    flat: NDArray[np.intp] | None = None,
    kinks: int = 0,
) -> Comparison:
    """Compare the entries `flat` of a gradient, flat indices in increasing order or all, with `theirs`.

    `names` are those of the gradient and the reference. `limit` and `theirs` have a number for each entry.
    """
    flat = np.arange(gradient.size) if flat is None else flat
    ours = gradient.ravel()[flat]
    errors = relative_error(ours, theirs)
    # Written so that a number that is not finite is wrong too
    wrong = ~(np.abs(ours - theirs) <= limit)
    rank = errors + 10 * wrong  # an error is at most 2: what is wrong comes first
    most = min(WORST, len(rank))
    worst = np.argpartition(rank, len(rank) - most)[len(rank) - most :] if most else np.arange(0)
    worst = worst[np.argsort(-rank[worst], kind="stable")]
    drawn = np.union1d(worst, np.linspace(0, len(ours) - 1, min(POINTS, len(ours))).astype(np.intp))
    rows, columns = np.unravel_index(flat, gradient.shape)
    everywhere = np.full(gradient.size, -1.0)
    everywhere[flat] = errors
    picture, block = largest(everywhere.reshape(gradient.shape))
    of_worst = (each[worst].tolist() for each in (rows, columns, ours, theirs, errors, wrong))
    return Comparison(
        *names,
        shape=gradient.shape,
        compared=len(ours),
        kinks=kinks,
        wrong=int(wrong.sum()),
        largest=float(errors.max(initial=0.0)),
        median=float(np.median(errors)) if len(errors) else 0.0,
        cosine=_cosine(ours, theirs),
        worst=tuple(Entry((i, j), *numbers) for i, j, *numbers in zip(*of_worst, strict=True)),
        points=np.column_stack([rows[drawn], columns[drawn], ours[drawn], theirs[drawn]]).astype(np.float64),
        errors=picture,
        block=block,
    )


def _cosine(a: NDArray[Any], b: NDArray[Any]) -> float:
    a, b = (v / np.abs(v).max(initial=np.finfo(v.dtype).tiny) for v in (a, b))  # so that no square overflows
    lengths = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return float(np.sum(a * b)) / lengths if lengths else float("nan")


@dataclass(frozen=True)
class Direction:
    """The derivative of the loss along one random direction of length 1 in all entries of a tensor."""

    ours: float
    """The derivative by the gradient: the dot product of the two."""
    theirs: float
    """The derivative by the central difference."""
    step: float
    """The step used: small enough that no hidden unit changes sign."""
    wrong: bool
    """Whether the two differ by more than rounding can explain."""


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
    return [_compare((n, "autograd"), ours[n], limits[n].ravel(), theirs[n].ravel()) for n in GRADIENTS]


def with_differences(iteration: Iteration, step: float, sample: int, seed: int) -> Iterator[Comparison]:
    """Compare a sample of the entries of each gradient with central differences, except those at kinks."""
    for name in GRADIENTS:
        entries, ours = iteration.sampled(name, sample, seed), iteration.ours[name]
        found = of_entries(name, entries, iteration.inputs, iteration.right, step)
        kept = ~found.crossed
        flat = np.ravel_multi_index(tuple(entries[kept].T), ours.shape)
        limit = iteration.limits[name].ravel()[flat] + found.rounding[kept]
        kinks = int(found.crossed.sum())
        yield _compare((name, "differences"), ours, limit, found.values[kept], flat, kinks)


def along_random(iteration: Iteration, step: float, seed: int) -> Iterator[tuple[str, Direction]]:
    """Compare the gradients with respect to w1 and w2 along random directions of length 1."""
    random = np.random.default_rng(seed)
    for name in ("grad_w1", "grad_w2"):
        ours, limit = iteration.ours[name], iteration.limits[name]
        for _ in range(DIRECTIONS):
            way = random.standard_normal(ours.shape)
            way /= np.linalg.norm(way)
            theirs = along(name, way, iteration.inputs, iteration.right, step)
            if theirs is not None:
                of_product = of_sum(ours.size, ours.dtype) * float(np.sum(np.abs(ours) * np.abs(way)))
                rounding = float(np.sum(limit * np.abs(way))) + of_product + float(theirs.rounding[0])
                slope, quotient = float(np.sum(ours * way)), float(theirs.values[0])
                wrong = not abs(slope - quotient) <= rounding
                yield name, Direction(slope, quotient, theirs.step, wrong)


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
