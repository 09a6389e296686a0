"""The steps of a chunk, timed in laps; and between them, outside the clock, what is counted and scored."""

from collections.abc import Callable, Sequence
from time import perf_counter, thread_time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twolayer.training.kernels import Kernel

LAPS_PER_CHUNK = 16
LAPS_PER_COUNT = 4
"""Once in so many laps, dead units are counted, and held-out rows are scored."""
LOOKING_SHARE = 0.02
"""Scores may take this share of the time of the steps, and pictures as much."""
FREE_SECONDS = 0.01
"""There is no other score, or picture, while those of the run owe more than this, which nobody notices."""


class Timed(NamedTuple):
    """What came of the steps of a chunk. Steps count from its start."""

    laps: NDArray[np.float64]
    """Rows of (steps of the lap, seconds)."""
    dead: NDArray[np.float64]
    """Rows of (steps so far, dead units)."""
    scores: NDArray[np.float64]
    """Rows of (steps so far, what `score` returns)."""
    debt: float
    """Seconds that scores have taken beyond their share."""


def timed_steps(
    kernel: Kernel,
    steps: int,
    laps_per_chunk: int,
    score: Callable[[Kernel, bool], tuple[float, ...]],
    debt: float,
    is_last: bool,
) -> Timed:
    """Take `steps` steps. `score` is told whether they end; at the end of the last chunk of a run there is a
    score whatever the debt."""
    lap = max(1, steps // laps_per_chunk)
    laps, dead, scores = [], [], []
    kernel.synchronize()
    for done in range(0, steps, lap):
        count = min(lap, steps - done)
        at_end = done + count == steps
        before = perf_counter()
        kernel.steps(count)
        kernel.synchronize()
        laps.append((count, perf_counter() - before))
        debt = paid(debt, laps[-1][1])
        if len(laps) % LAPS_PER_COUNT and not at_end:
            continue
        dead.append((done + count, kernel.dead()))
        if debt <= FREE_SECONDS or (at_end and is_last):
            before = thread_time()
            if scored := score(kernel, at_end):
                scores.append((done + count, *scored))
                debt += thread_time() - before
    return Timed(_rows(laps, 2), _rows(dead, 2), _rows(scores, 3), debt)


def paid(debt: float, seconds: float) -> float:
    """Return the debt of scores, or of pictures, that is left after so many `seconds` in steps."""
    return max(0.0, debt - LOOKING_SHARE * seconds)


def _rows(rows: Sequence[tuple[Any, ...]], width: int) -> NDArray[np.float64]:
    return np.array(rows, dtype=float).reshape(-1, width)
