"""Check the gradients of the backward pass against PyTorch's autograd and central differences.

An entry is wrong if the two differ by more than rounding can explain. So a correct backward pass is
never reported as wrong, and a bug is found even if its effect is far below the usual thresholds.
"""

from dataclasses import dataclass

import numpy as np

from twolayer.backprop import bugs, snapshot
from twolayer.backprop.comparison import (
    AtStep,
    Comparison,
    Direction,
    Iteration,
    along_random,
    at_step,
    with_autograd,
    with_differences,
)
from twolayer.backprop.snapshot import Snapshot
from twolayer.training.config import Config
from twolayer.training.kernels import UnavailableError
from twolayer.training.kernels.numpy import Tutorial
from twolayer.training.messages import Message, MessageError
from twolayer.training.program import GRADIENTS, Values, run

STEP = 1e-3
"""The default step of the differences, in the valley between rounding and kinks."""
STEPS = (*(float(f"{digit}e{power}") for power in range(-9, 0) for digit in (1, 3)), 1.0)
SAMPLE = 500


@dataclass(frozen=True)
class Settings:
    """How a check is made."""

    step: float = STEP
    """The step of the differences to each side."""
    dtype: str = "float64"
    sample: int = SAMPLE
    """The most entries of each gradient that are compared with differences."""
    valley: bool = True
    """Whether to measure the errors at every step of `STEPS`."""


DEFAULT = Settings()


@dataclass(frozen=True)
class Check:
    """The result of a check."""

    config: Config
    at: int
    diverged_at: int | None
    settings: Settings
    planted: str | None
    """The bug in the backward pass, by its name in `bugs.BUGS`."""
    changed: bool
    """Whether the bug changes a weight's gradient here."""
    comparisons: tuple[Comparison, ...]
    directions: tuple[tuple[str, Direction], ...]
    """The name of a gradient and its comparison along a random direction."""
    valley: tuple[AtStep, ...]
    no_autograd: Message | None
    """Why autograd was not compared."""
    no_differences: Message | None
    """Why differences were not compared."""

    @property
    def wrong(self) -> tuple[str, ...]:
        """The wrong gradients, in the order of the backward pass."""
        found = {c.gradient for c in self.comparisons if c.wrong}
        found |= {gradient for gradient, direction in self.directions if direction.wrong}
        return tuple(name for name in GRADIENTS if name in found)

    @property
    def wrong_tensors(self) -> tuple[str, ...]:
        """Those of w1 and w2 whose gradient is wrong."""
        return tuple(name for name in ("w1", "w2") if f"grad_{name}" in self.wrong)

    @property
    def formula(self) -> str | None:
        """The first wrong gradient: its formula is to blame, because everything it uses is right."""
        return next(iter(self.wrong), None)

    def comparison(self, gradient: str, against: str) -> Comparison | None:
        """Return one comparison, or None if it was not made."""
        found = (c for c in self.comparisons if (c.gradient, c.against) == (gradient, against))
        return next(found, None)


def check(
    config: Config,
    at: int,
    planted: str | None = None,
    guess: int | None = None,
    settings: Settings = DEFAULT,
) -> Check:
    """Check the backward pass at the weights of a run after `at` steps, on a worker.

    `planted` names a bug of `bugs.BUGS` to plant; `guess` is a round whose bug is drawn instead. Raises
    what `snapshot.take` and `examine` raise.
    """
    with Tutorial.threads(config.threads):
        taken = snapshot.take(config, at)
        if guess is not None:
            planted = bugs.drawn(guess, taken.inputs, config)
        return examine(config, taken, planted, settings)


def examine(
    config: Config, taken: Snapshot, planted: str | None = None, settings: Settings = DEFAULT
) -> Check:
    """Check the backward pass at one iteration, with the bug `planted` in it.

    Imports PyTorch if it is installed. Raises `MessageError` if a gradient overflows.
    """
    inputs = {name: array.astype(settings.dtype, copy=False) for name, array in taken.inputs.items()}
    right = run(bugs.program(None), inputs, config.learning_rate)
    if not all(np.isfinite(right[name]).all() for name in GRADIENTS):
        raise MessageError.of("Values overflow at this iteration: choose an earlier one.")
    ours = run(bugs.program(planted), inputs, config.learning_rate)
    iteration = Iteration(inputs, right, ours)
    comparisons: list[Comparison] = []
    directions: list[tuple[str, Direction]] = []
    valley: list[AtStep] = []
    no_autograd = no_differences = None
    try:
        comparisons += with_autograd(inputs, planted, config.learning_rate)
    except UnavailableError as error:
        no_autograd = error.message
    if settings.dtype == "float32":
        no_differences = _why_no_differences(right, settings.step)
    else:
        comparisons += with_differences(iteration, settings.step, settings.sample, config.seed)
        directions += along_random(iteration, settings.step, config.seed)
        if settings.valley:
            entries = iteration.sampled("grad_w1", max(1, settings.sample // 2), config.seed)
            valley += (at_step(iteration, entries, step) for step in STEPS)
    return Check(
        config=config,
        at=taken.at,
        diverged_at=taken.diverged_at,
        settings=settings,
        planted=planted,
        changed=any(not np.array_equal(ours[name], right[name]) for name in ("grad_w1", "grad_w2")),
        comparisons=tuple(comparisons),
        directions=tuple(directions),
        valley=tuple(valley),
        no_autograd=no_autograd,
        no_differences=no_differences,
    )


def _why_no_differences(values: Values, step: float) -> Message:
    """Say why float32 is too coarse for differences, with the numbers of this iteration."""
    loss = np.float32(values["loss"])
    spacing = float(np.spacing(loss))
    change = 2 * step * float(np.median(np.abs(values["grad_w1"])))
    return Message.of(
        "Finite differences need float64. The loss here is {loss:.3g}, and adjacent float32 numbers at "
        "that size are {spacing:.2g} apart. For half of the entries of w1, moving the entry by ±{step:g} "
        "changes the loss by less than {change:.2g}, so the difference would be mostly rounding error.",
        loss=float(loss),
        spacing=spacing,
        change=change,
        step=step,
    )
