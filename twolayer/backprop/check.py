"""Is the backward pass right? Its gradients against PyTorch's autograd and against central differences.

An entry is wrong where the two differ by more than rounding can do, so that a right backward pass is
never accused, and a mistake whose effect is far below the usual thresholds is still found.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twolayer.backprop import bugs, snapshot
from twolayer.backprop.comparison import Comparison, against_autograd, against_differences, relative_error
from twolayer.backprop.finite_differences import Direction, Values, along, of_entries
from twolayer.backprop.rounding import bounds
from twolayer.backprop.snapshot import Snapshot
from twolayer.training.config import Config
from twolayer.training.kernels import UnavailableError, load
from twolayer.training.kernels.numpy import Tutorial
from twolayer.training.messages import Message, MessageError
from twolayer.training.program import GRADIENTS, run

STEP = 1e-3
"""The step of the differences, in the valley between rounding and kinks."""
STEPS = (*(float(f"{digit}e{power}") for power in range(-9, 0) for digit in (1, 3)), 1.0)
SAMPLE = 500
SAMPLE_NUMBERS = 5_000_000
"""A sample of w1's entries is smaller where it would take more numbers than this."""
DIRECTIONS = 8


@dataclass(frozen=True)
class AtStep:
    """The relative errors of a sample of w1 for one step of the differences."""

    step: float
    median: float
    largest: float
    """Without the entries that cross a kink."""
    largest_with_kinks: float
    kinks: int


@dataclass(frozen=True)
class Check:
    """All that a check found."""

    config: Config
    at: int
    diverged_at: int | None
    loss: float
    dtype: str
    step: float
    planted: str | None
    """The mistake that was in the backward pass, by its name in `faults.FAULTS`."""
    changed: bool
    """Whether the mistake changes anything at these weights."""
    comparisons: tuple[Comparison, ...]
    directions: tuple[tuple[str, Direction], ...]
    """For w1 and for w2, along random directions."""
    valley: tuple[AtStep, ...]
    sample: int
    """Entries of w1 that the valley was measured with."""
    no_autograd: Message | None
    """Why there is no comparison with autograd."""
    no_differences: Message | None
    """Why there is no comparison with differences."""

    @property
    def wrong(self) -> tuple[str, ...]:
        """The gradients that are wrong, in the order of the backward pass."""
        found = {c.gradient for c in self.comparisons if c.wrong}
        found |= {gradient for gradient, direction in self.directions if direction.wrong}
        return tuple(name for name in GRADIENTS if name in found)

    @property
    def wrong_tensors(self) -> tuple[str, ...]:
        """Of w1 and w2 those whose gradient is wrong."""
        return tuple(name for name in ("w1", "w2") if f"grad_{name}" in self.wrong)

    @property
    def formula(self) -> str | None:
        """Where to look: the first gradient that is wrong, for all that it is made of is right."""
        return next(iter(self.wrong), None)

    def comparison(self, gradient: str, against: str) -> Comparison | None:
        """One of the comparisons, if it was made."""
        found = (c for c in self.comparisons if (c.gradient, c.against) == (gradient, against))
        return next(found, None)


def check(
    config: Config,
    at: int,
    planted: str | None = None,
    guess: int | None = None,
    step: float = STEP,
    dtype: str = "float64",
    sample: int = SAMPLE,
) -> Check:
    """Check the backward pass at the weights of a run after `at` steps.

    `planted` is a mistake of `faults.FAULTS` to be made in it; with `guess` it is one drawn for that round.
    Raises what `snapshot.take` and `examine` raise. To be run by a worker.
    """
    with Tutorial.threads(config.threads):
        taken = snapshot.take(config, at)
        if guess is not None:
            planted = bugs.drawn(guess, taken.inputs, config)
        return examine(config, taken, planted, step, dtype, sample)


def examine(
    config: Config,
    taken: Snapshot,
    planted: str | None = None,
    step: float = STEP,
    dtype: str = "float64",
    sample: int = SAMPLE,
    *,
    valley: bool = True,
) -> Check:
    """Check the backward pass at one iteration, with the mistake `planted` in it.

    Without `valley` the errors are not measured over other steps. Imports PyTorch where it is there. Raises
    `MessageError` where a gradient overflows.
    """
    inputs = {name: array.astype(dtype, copy=False) for name, array in taken.inputs.items()}
    right = run(bugs.program(None), inputs, config.learning_rate)
    if not all(np.isfinite(right[name]).all() for name in GRADIENTS):
        raise MessageError(
            Message.of("The run has grown beyond all numbers here: go back to an earlier iteration.")
        )
    ours = run(bugs.program(planted), inputs, config.learning_rate)
    comparisons: list[Comparison] = []
    directions: list[tuple[str, Direction]] = []
    steps: tuple[AtStep, ...] = ()
    no_autograd = no_differences = None
    try:
        comparisons += with_autograd(inputs, planted, config.learning_rate)
    except UnavailableError as error:
        no_autograd = error.message
    if dtype == "float32":
        no_differences = why_no_differences(right, step)
    else:
        limits = bounds(inputs, right)
        for name in GRADIENTS:
            entries = sampled(name, ours[name].shape, inputs, sample, config.seed)
            found = of_entries(name, entries, inputs, right, step)
            comparisons.append(against_differences(name, ours[name], limits[name], entries, found))
        directions = along_random(inputs, right, ours, limits, step, config.seed)
        if valley:
            entries = sampled("grad_w1", right["grad_w1"].shape, inputs, max(1, sample // 2), config.seed)
            steps = tuple(_at_step(entries, inputs, right, each) for each in STEPS)
    return Check(
        config=config,
        at=taken.at,
        diverged_at=taken.diverged_at,
        loss=float(right["loss"]),
        dtype=dtype,
        step=step,
        planted=planted,
        changed=any(not np.array_equal(ours[name], right[name]) for name in ("grad_w1", "grad_w2")),
        comparisons=tuple(comparisons),
        directions=tuple(directions),
        valley=steps,
        sample=len(entries) if steps else 0,
        no_autograd=no_autograd,
        no_differences=no_differences,
    )


def with_autograd(inputs: Values, planted: str | None, learning_rate: float) -> list[Comparison]:
    """Compare every entry of each gradient with PyTorch's. Imports it; raises `UnavailableError`.

    Both backward passes begin from the same forward values, PyTorch's: what differs is the backward pass.
    """
    load("torch", "tutorial")
    from twolayer.training.kernels.autograd import backward

    forward, theirs = backward(inputs)
    right, ours = (
        run({name: bugs.program(fault)[name] for name in GRADIENTS}, {**inputs, **forward}, learning_rate)
        for fault in (None, planted)
    )
    limits = bounds(inputs, {**forward, **right})
    return [against_autograd(name, ours[name], theirs[name], limits[name]) for name in GRADIENTS]


def along_random(
    inputs: Values, right: Values, ours: Values, limits: Values, step: float, seed: int
) -> list[tuple[str, Direction]]:
    """Compare the gradients with respect to w1 and w2 along some random directions of length 1."""
    random = np.random.default_rng(seed)
    found = []
    for name in ("grad_w1", "grad_w2"):
        for _ in range(DIRECTIONS):
            way = random.standard_normal(ours[name].shape)
            way /= np.linalg.norm(way)
            direction = along(name, ours[name], way, inputs, right, limits[name], step)
            if direction is not None:
                found.append((name, direction))
    return found


def why_no_differences(values: Values, step: float) -> Message:
    """Why float32 cannot carry differences, in the numbers of this iteration."""
    loss = np.float32(values["loss"])
    spacing = float(np.spacing(loss))
    change = 2 * step * float(np.median(np.abs(values["grad_w1"])))
    return Message.of(
        "Differences need float64. The loss is {loss:.3g} here, and the next number that float32 has is "
        "{spacing:.2g} away; each sum on the way to it is rounded like that. Half of the entries of w1 "
        "change the loss by less than {change:.2g} when they move by {step:g} to either side: the difference "
        "would be made of rounding.",
        loss=float(loss),
        spacing=spacing,
        change=change,
        step=step,
    )


def sampled(
    gradient: str, shape: tuple[int, ...], inputs: Values, sample: int, seed: int
) -> NDArray[np.intp]:
    """Rows of indices (S, 2): every entry of a small tensor, a random sample of a large one."""
    size = shape[0] * shape[1]
    if gradient == "grad_w1":
        sample = min(sample, max(1, SAMPLE_NUMBERS // inputs["y"].size))
    flat = np.arange(size)
    if size > sample:
        flat = np.sort(np.random.default_rng(seed).choice(size, sample, replace=False))
    return np.stack(np.unravel_index(flat, shape), axis=1)


def _at_step(entries: NDArray[np.intp], inputs: Values, right: Values, step: float) -> AtStep:
    found = of_entries("grad_w1", entries, inputs, right, step)
    errors = relative_error(right["grad_w1"][tuple(entries.T)], found.values)
    kept = errors[~found.crossed]
    return AtStep(
        step=step,
        median=float(np.median(kept)) if len(kept) else float("nan"),
        largest=float(kept.max()) if len(kept) else float("nan"),
        largest_with_kinks=float(errors.max()),
        kinks=int(found.crossed.sum()),
    )
