"""Find out why a run diverged: its first non-finite value, and a learning rate that works."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twolayer.rates.advice import working_rate
from twolayer.rates.curvature import Curvature, largest_eigenvalue
from twolayer.training import methods, program, training
from twolayer.training.config import Config
from twolayer.training.edits import Edit, segment

LOOK_BACK = 3
"""Steps searched on both sides of the first non-finite loss: a gradient or a weight can overflow float32
while the loss is still finite."""
MOST_FLOPS = 2e11
"""The most operations for each part of a diagnosis, a few seconds: other runs share the machine."""
PRODUCTS = 100
"""The cost of finding the largest eigenvalue, in steps of the run, roughly."""


@dataclass(frozen=True)
class Diagnosis:
    """What was found out about a run that diverged."""

    place: tuple[int, str] | None
    """The step and the tutorial's name of the first array with a non-finite value; None if the search would
    take too long."""
    curvature: Curvature | None
    """The curvature of the loss at the initial weights; None if it would take too long to compute."""
    rate: float | None
    """A learning rate that worked in a few short trials; None if none did."""


def diagnose(config: Config, edits: Sequence[Edit], diverged_at: int) -> Diagnosis:
    """Diagnose a run whose loss is not finite at step `diverged_at`. Computes the run again up to there."""
    flops = methods.flops_per_step(config)
    place = first_not_finite(config, edits, diverged_at) if diverged_at * flops < MOST_FLOPS else None
    curvature = largest_eigenvalue(config) if PRODUCTS * flops < MOST_FLOPS else None
    return Diagnosis(place, curvature, working_rate(config))


def first_not_finite(config: Config, edits: Sequence[Edit], diverged_at: int) -> tuple[int, str]:
    """Return the step and the name of the first array with a non-finite value.

    Runs the reference's statements in the config's dtype, from the run's own weights a few steps earlier.
    """
    problem = training.prepare(config)
    chunk = training.start(config, problem)
    begin = max(0, diverged_at - LOOK_BACK)
    while chunk.step < begin:
        now, end = segment(config, edits, chunk.step)
        chunk = training.advance(now, problem, chunk, min(end, begin) - chunk.step)
    w1, w2 = training.weights(config, problem, chunk)
    inputs = {"x": problem.x, "y": problem.y, "w1": w1, "w2": w2}
    for step in range(begin, diverged_at + LOOK_BACK):
        rate = segment(config, edits, step)[0].learning_rate
        values = program.run(program.iteration(), inputs, rate)
        for name, value in values.items():
            if not np.isfinite(value).all():
                return step, name
        inputs |= {"w1": values["w1"], "w2": values["w2"]}
    return diverged_at, "loss"
