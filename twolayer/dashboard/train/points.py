"""The points of a run's curves, thinned for the screen."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from twolayer.dashboard.plot import plot
from twolayer.engine.run import Run
from twolayer.training.figures import SHARES, quantiles

Points = tuple[NDArray[Any], NDArray[Any]]

TIME_POINTS, DEAD_POINTS = 100, 300
WINDOW = 31
"""Laps in a running quantile."""


def place(run: Run, steps: NDArray[Any], by_seconds: bool) -> NDArray[np.float64]:
    """Where steps stand on the axis: their number, or the time in the steps until then."""
    if not by_seconds:
        return steps.astype(float)
    laps = run.laps
    ends = np.concatenate(([0.0], laps[:, 0]))
    reached = np.concatenate(([0.0], np.cumsum(np.diff(ends) * laps[:, 1])))
    return np.asarray(np.interp(steps, ends, reached))


def losses(run: Run, by_seconds: bool) -> Points:
    losses = run.losses
    at = plot.thinned(losses)
    return place(run, at, by_seconds), losses[at]


def last_loss(run: Run, by_seconds: bool) -> Points:
    last = np.array([run.step - 1])
    return place(run, last, by_seconds), run.losses[last]


def held_out(run: Run, by_seconds: bool) -> Points:
    steps, loss, _right = run.held_out.T
    at = plot.thinned(np.ascontiguousarray(loss), DEAD_POINTS)
    return place(run, steps[at], by_seconds), loss[at] * run.config.N * run.config.D_out


def running_quantiles(laps: NDArray[np.float64], most: int = TIME_POINTS) -> tuple[NDArray[np.intp], Any]:
    """Return the indices of at most `most` laps, and what a tenth, half and nine tenths of the steps in the
    `WINDOW` laps around each took at most, in microseconds (of shape 3 × indices).

    The ends are continued by their mirror images. Fewer laps are one window: their median is that of the run.
    """
    count = len(laps)
    at = np.unique(np.linspace(0, count - 1, min(most, count)).astype(np.intp))
    steps, times = np.diff(laps[:, 0], prepend=0), laps[:, 1] * 1e6
    if count <= WINDOW:
        return at, np.repeat(quantiles(times, steps, SHARES)[:, None], len(at), axis=1)
    steps, times = (
        sliding_window_view(np.pad(each, WINDOW // 2, mode="symmetric"), WINDOW)[at]
        for each in (steps, times)
    )
    return at, quantiles(times, steps, SHARES)


def median(run: Run) -> Points:
    at, (_low, median, _high) = running_quantiles(run.laps)
    return run.laps[at, 0], median


def band(run: Run) -> Points:
    """The band as one outline: along the 10th percentile, and back along the 90th."""
    at, (low, _mid, high) = running_quantiles(run.laps)
    steps = run.laps[at, 0]
    return np.concatenate((steps, steps[::-1])), np.concatenate((low, high[::-1]))


def dead(run: Run) -> Points:
    steps, dead = run.dead.T
    at = plot.thinned(np.ascontiguousarray(dead), DEAD_POINTS)
    return steps[at], dead[at]


def small(y: NDArray[Any]) -> NDArray[Any]:
    """The values in half the space, as far as float32 can hold them; the screen cannot tell."""
    limits = np.finfo(np.float32)
    held = (np.abs(y) < limits.max) & ((np.abs(y) > limits.tiny) | (y == 0))
    return y.astype(np.float32, copy=False) if held.all() else y


def calm_ends(runs: Sequence[Run]) -> tuple[float, float]:
    """Return the end of an axis for these runs in microseconds, and the highest value of their bands.

    The bands are on it up to twice the usual time of a step, the medians up to six times: what a busy
    machine does to some steps is not to hide the others.
    """
    if not runs:
        return 1000.0, 0.0
    usual = max(run.step_seconds for run in runs) * 1e6
    curves = [running_quantiles(run.laps)[1] for run in runs]
    median, high = (float(max(of_run[at].max() for of_run in curves)) for at in (1, 2))
    return 1.1 * max(min(median, 6 * usual), min(high, 2 * usual)), high
