"""Why a run diverged: where its first value that is not finite arose, and which rate would have worked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twolayer.rates.advice import working_rate
from twolayer.rates.curvature import Curvature, largest_eigenvalue
from twolayer.training import kernels, training
from twolayer.training.config import Config
from twolayer.training.edits import Edit, segment
from twolayer.training.problem import Array, Problem

LOOK_BACK = 3
"""Steps before the first bad loss in which the first bad value may be found: a gradient or a weight can
leave the range of float32 while the loss is still inside it."""
MOST_FLOPS = 2e11
"""Operations that a part of a diagnosis may take, some seconds: it computes beside the runs of others."""
PRODUCTS = 100
"""Steps that finding the largest eigenvalue costs, roughly."""


@dataclass(frozen=True)
class Diagnosis:
    """What is found out about a run that diverged."""

    place: tuple[int, str] | None
    """The step and the tutorial's name of the first array with a value that is not finite; None if it
    would take too long to find."""
    curvature: Curvature | None
    """Of the loss at the start of the run; None if it would take too long to find."""
    rate: float | None
    """A learning rate that works, from a few short trials; None if none was found."""


def diagnose(config: Config, edits: Sequence[Edit], diverged_at: int) -> Diagnosis:
    """Look into a run whose loss is not finite at step `diverged_at`. Computes it again up to there."""
    flops = config.flops_per_step
    place = first_not_finite(config, edits, diverged_at) if diverged_at * flops < MOST_FLOPS else None
    curvature = largest_eigenvalue(config) if PRODUCTS * flops < MOST_FLOPS else None
    return Diagnosis(place, curvature, working_rate(config))


def first_not_finite(config: Config, edits: Sequence[Edit], diverged_at: int) -> tuple[int, str]:
    """The step and the name of the first array that has a value which is not finite.

    By the tutorial's formulas in the config's dtype, from the run's own weights some steps before.
    """
    problem = training.prepare(config)
    chunk = training.start(config, problem)
    begin = max(0, diverged_at - LOOK_BACK)
    while chunk.step < begin:
        now, end = segment(config, edits, chunk.step)
        chunk = training.advance(now, problem, chunk, min(end, begin) - chunk.step)
    w1, w2 = kernels.load(config.backend, config.method_used).weights(problem, chunk.state)
    for step in range(begin, diverged_at + LOOK_BACK):
        rate = segment(config, edits, step)[0].learning_rate
        arrays = _iteration(problem, w1, w2, rate)
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                return step, name
        w1, w2 = arrays["w1"], arrays["w2"]
    return diverged_at, "loss"


def _iteration(problem: Problem, w1: Array, w2: Array, learning_rate: float) -> dict[str, Array]:
    """All arrays of one iteration in the order in which they are made, after `reference`."""
    x, y = problem.x, problem.y
    with np.errstate(over="ignore", invalid="ignore"):
        h = x @ w1
        h_relu = np.maximum(h, 0)
        y_pred = h_relu @ w2
        loss = np.square(y_pred - y).sum()
        grad_y_pred = 2 * (y_pred - y)
        grad_w2 = h_relu.T @ grad_y_pred
        grad_h_relu = grad_y_pred @ w2.T
        grad_h = np.where(h < 0, 0, grad_h_relu)
        grad_w1 = x.T @ grad_h
        return {
            **{"h": h, "h_relu": h_relu, "y_pred": y_pred, "loss": np.asarray(loss)},
            **{"grad_y_pred": grad_y_pred, "grad_w2": grad_w2, "grad_h_relu": grad_h_relu},
            **{"grad_h": grad_h, "grad_w1": grad_w1},
            **{"w1": w1 - learning_rate * grad_w1, "w2": w2 - learning_rate * grad_w2},
        }
