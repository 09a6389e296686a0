"""Train with a learner's program beside the right one, on the data of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.backprop.exercise import read
from twolayer.backprop.interpreter import compute
from twolayer.backprop.levels import SOLUTIONS, Exercise, Texts
from twolayer.backprop.terms import Line
from twolayer.training import methods
from twolayer.training.config import Config
from twolayer.training.kernels.numpy import Tutorial
from twolayer.training.messages import Message
from twolayer.training.problem import make_problem
from twolayer.training.program import SIZES, STEPS

FIRST_STEPS = 20
GROWTH = 2
"""Each part of a training begins anew and goes so many times as far: no part needs another's result."""
MOST_STEPS = 20_000


@dataclass(frozen=True)
class Curves:
    """The losses of both programs up to a step: each ends before its first loss that is not finite."""

    own: NDArray[np.float64]
    right: NDArray[np.float64]
    out_of_time: bool = False


def parts(config: Config) -> list[int]:
    """Return how far each part of a training goes."""
    last = min(config.steps, MOST_STEPS)
    found = [min(FIRST_STEPS, last)]
    while found[-1] < last:
        found.append(min(GROWTH * found[-1], last))
    return found


def memory_bytes(config: Config) -> int:
    """Estimate the memory of a training: both programs' arrays, and the results of a line's terms."""
    return 3 * methods.run_bytes(config) + 16 * MOST_STEPS


def train(config: Config, exercise: Exercise, texts: Texts, steps: int, seconds: float) -> Curves:
    """Train with both programs from the start for `steps` steps, or until `seconds` have passed, on a worker.

    Raises `LineError` for a program with a line that cannot be computed.
    """
    sizes = {letter: getattr(config, letter) for letter in SIZES.values()}
    right = {
        name: read(name, text, exercise.dialect, sizes) for name, text in SOLUTIONS[exercise.dialect].items()
    }
    written = dict(texts)
    own = right | {name: read(name, written.get(name, ""), exercise.dialect, sizes) for name in exercise.open}
    end = perf_counter() + seconds
    with Tutorial.threads(config.threads):
        first, late = _losses(config, right, steps, end)
        second, late_too = _losses(config, own, steps, end)
    return Curves(second, first, late or late_too)


def _losses(
    config: Config, lines: Mapping[str, Line], steps: int, end: float
) -> tuple[NDArray[np.float64], bool]:
    """Return the losses of a program, and whether its time ran out."""
    problem = make_problem(config)
    names: dict[str, Any] = {
        "x": problem.x,
        "y": problem.y,
        "w1": problem.w1,
        "w2": problem.w2,
        "learning_rate": config.learning_rate,
    }
    losses: list[float] = []
    for _step in range(steps):
        if perf_counter() > end:
            return np.array(losses), True
        for name in STEPS:
            names[name] = compute(lines[name], names, config.dtype)
        if not np.isfinite(names["loss"]):
            break
        losses.append(float(names["loss"]))
    return np.array(losses), False


def says(curves: Curves, steps: int) -> Message:
    """Say what came of a training, in one sentence."""
    own, right = curves.own, curves.right
    if curves.out_of_time:
        return Message.of("Stopped by its time limit after {steps} steps.", steps=min(len(own), len(right)))
    if len(own) < steps <= len(right):
        return Message.of("Your program diverges at step {step}; the right one does not.", step=len(own))
    if len(own) == len(right) and np.allclose(own, right, rtol=1e-3):
        return Message.of("Both curves are the same: your gradient trains as the right one does.")
    if not len(own) or not len(right):
        return Message.of("The initial loss is not finite.")
    return Message.of(
        "After {steps} steps your loss is {own:.4g}, that of the right program {right:.4g}.",
        steps=min(len(own), len(right)),
        own=float(own[-1]),
        right=float(right[-1]),
    )
