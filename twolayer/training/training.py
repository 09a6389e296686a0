"""Training as pure functions: start a run, advance it by some steps, or `fit` it whole.

A *chunk* is some consecutive steps of a run and all that is needed to go on from there. `advance`
never changes what it is given, so a lost chunk can be computed again and is the same, bit for bit,
however the run was cut.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from twolayer.training import capabilities, kernels
from twolayer.training.config import Config
from twolayer.training.edits import Edit, current, segment
from twolayer.training.kernels import State
from twolayer.training.pace import Pace
from twolayer.training.problem import Array, Problem, make_problem

LAPS_PER_CHUNK = 16
LAPS_PER_COUNT = 4
"""Dead hidden units are counted after every so many laps: a forward pass each, outside the clock."""


@dataclass(frozen=True)
class Chunk:
    """A stretch of a run: what it computed, and the state it ended in."""

    step: int
    """Steps of the run that are done at the end of this chunk."""
    state: State
    losses: NDArray[np.float64]
    """The loss of each step of this chunk, from before that step's update."""
    laps: NDArray[np.float64]
    """Rows of (steps done, seconds that they took): the clock, read some times in a chunk."""
    diverged_at: int | None = None
    """The step whose loss is not finite; the state is then the one before that step."""
    dead: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))
    """Rows of (steps of the run done, hidden units that are active for no row of the batch)."""
    zero_loss: float = np.nan
    """Σy²: the loss of a network that answers 0, where a run without living units comes to rest."""

    def without_losses(self) -> "Chunk":
        """What is needed to go on from its end."""
        return replace(self, losses=np.empty(0), laps=np.empty((0, 2)), dead=np.empty((0, 2)))

    @property
    def seconds(self) -> float:
        """Time in the steps alone."""
        return float(self.laps[:, 1].sum())


@dataclass(frozen=True)
class Result:
    """A finished training."""

    losses: NDArray[np.float64]
    """One per step; it ends before the first loss that is not finite."""
    w1: Array
    w2: Array
    seconds: float
    """Time in the steps alone: no data, no conversion of losses, no set-up."""
    method: str
    diverged_at: int | None
    laps: NDArray[np.float64]
    dead: NDArray[np.float64]
    """Rows of (steps done, hidden units that are active for no row of the batch)."""


def prepare(
    config: Config, *, problem: Problem | None = None, kernel_type: type[kernels.Kernel] | None = None
) -> Problem:
    """The problem of `config` (or the one given) with all that stays the same for its kernel."""
    problem = problem or make_problem(config)
    kernel_type = kernel_type or kernels.load(config.backend, config.method_used)
    with kernel_type.threads(config.threads):
        return replace(problem, constants=kernel_type.constants(problem))


def weights(config: Config, problem: Problem, chunk: Chunk) -> tuple[Array, Array]:
    """w1 (D_in, H) and w2 (H, D_out) after `chunk`."""
    return kernels.load(config.backend, config.method_used).weights(problem, chunk.state)


def start(config: Config, problem: Problem) -> Chunk:
    """The empty chunk that a run begins with."""
    state = kernels.load(config.backend, config.method_used).start(problem)
    return Chunk(0, state, np.empty(0), np.empty((0, 2)), zero_loss=float(np.square(problem.y).sum()))


def advance(config: Config, problem: Problem, previous: Chunk, steps: int) -> Chunk:
    """The next `steps` steps after `previous`; fewer if a loss is not finite.

    A chunk after one that diverged is empty.
    """
    if previous.diverged_at is not None:
        return previous.without_losses()
    kernel_type = kernels.load(config.backend, config.method_used)
    with kernel_type.threads(config.threads), np.errstate(over="ignore", invalid="ignore"):
        kernel = kernel_type(config, problem, previous.state, steps)
        laps, dead = _timed_steps(kernel, steps)
        losses = kernel.losses()
    finite = int(np.argmin(np.isfinite(losses))) if not np.isfinite(losses).all() else steps
    if finite < steps:
        # Computed again up to the last finite loss, so that the state does not depend on the cut.
        chunk = advance(config, problem, previous, finite)
        return replace(chunk, diverged_at=previous.step + finite)
    dead[:, 0] += previous.step
    return replace(
        previous, step=previous.step + steps, state=kernel.state(), losses=losses, laps=laps, dead=dead
    )


def _timed_steps(kernel: kernels.Kernel, steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Take the steps and read the clock a few times on the way: rows of (steps, seconds). Between
    the readings, now and then, count the dead units: rows of (steps done, dead units)."""
    lap = max(1, steps // LAPS_PER_CHUNK)
    laps, dead = [], []
    kernel.synchronize()
    before = perf_counter()
    for done in range(0, steps, lap):
        count = min(lap, steps - done)
        for _ in range(count):
            kernel.step()
        kernel.synchronize()
        laps.append((count, perf_counter() - before))
        if len(laps) % LAPS_PER_COUNT == 0 or done + count == steps:
            dead.append((done + count, kernel.dead()))
        before = perf_counter()
    return np.array(laps, dtype=float).reshape(-1, 2), np.array(dead, dtype=float).reshape(-1, 2)


def fit(
    config: Config, edits: Sequence[Edit] = (), on_chunk: Callable[[Chunk], None] | None = None
) -> Result:
    """Train `config` in the calling process, with what `edits` change on the way.

    `on_chunk` is called after every tenth of a second or so of steps. Raises `ConfigError` or
    `UnavailableError` if this machine lacks what the config asks for.
    """
    capabilities.require(config)
    problem = prepare(config)
    chunk = start(config, problem)
    chunks, pace = [chunk], Pace(config)
    while chunk.step < current(config, edits, "steps") and chunk.diverged_at is None:
        now, end = segment(config, edits, chunk.step)
        chunk = advance(now, problem, chunk, pace.next(end - chunk.step))
        pace.saw(len(chunk.losses), chunk.seconds)
        chunks.append(replace(chunk, state={}))
        if on_chunk is not None:
            on_chunk(chunk)
    w1, w2 = weights(config, problem, chunk)
    laps = np.concatenate([c.laps for c in chunks])
    return Result(
        losses=np.concatenate([c.losses for c in chunks]),
        w1=w1,
        w2=w2,
        seconds=float(laps[:, 1].sum()),
        method=config.method_used,
        diverged_at=chunk.diverged_at,
        laps=laps,
        dead=np.concatenate([c.dead for c in chunks]),
    )
