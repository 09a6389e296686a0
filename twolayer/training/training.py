"""Training as pure functions: start a run, advance it by some steps, or `fit` it whole.

A *chunk* is the result of some consecutive steps, with the state to continue from. `advance` does not
modify its arguments: a lost chunk can be computed again. The results are the same bits for any
division of a run into chunks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import thread_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.training import capabilities, jupyter, kernels, learned, methods
from twolayer.training.config import Config
from twolayer.training.edits import Edit, current, segment
from twolayer.training.figures import quantiles
from twolayer.training.kernels import State
from twolayer.training.laps import LAPS_PER_CHUNK, timed_steps
from twolayer.training.learned import Picture
from twolayer.training.pace import Pace
from twolayer.training.problem import Array, Problem, in_hand, make_held_out, make_problem


@dataclass(frozen=True)
class Chunk:
    """The result of some consecutive steps of a run."""

    step: int
    """Steps of the run up to the end of this chunk."""
    state: State
    losses: NDArray[np.float64]
    """The loss of each step, before its update."""
    laps: NDArray[np.float64]
    """Rows of (steps, their seconds)."""
    diverged_at: int | None = None
    """The step whose loss is not finite. The state is then the one before it."""
    dead: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))
    """Rows of (steps of the run so far, dead units): hidden units that are active for no sample."""
    held_out: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))
    """Rows of (steps of the run so far, mean loss per entry, share of right classes) on held-out rows. NaN
    for the share where there are no classes."""
    zero_loss: float = np.nan
    """Σy²: the loss of a network that always outputs 0, as one whose units are all dead does."""
    picture: Picture | None = None
    """What the network has learned at the end of this chunk, if somebody looks."""
    compile_seconds: float = 0.0
    """Seconds in which its process compiled the kernel, not in the laps."""
    processor_seconds: float = 0.0
    """Processor time of the steps; their time where other threads or a device compute too."""
    score_debt: float = 0.0
    """Seconds that the scores of the run have taken beyond their share of the time in its steps."""
    picture_debt: float = 0.0
    """The same of its pictures."""

    def without_losses(self) -> "Chunk":
        """Return the chunk with only what the next one needs."""
        empty, nothing = np.empty((0, 2)), np.empty((0, 3))
        return replace(self, losses=np.empty(0), laps=empty, dead=empty, held_out=nothing, picture=None)

    @property
    def seconds(self) -> float:
        """Return the time in the steps alone."""
        return float(self.laps[:, 1].sum())


@dataclass(frozen=True)
class Result:
    """The result of `fit`."""

    losses: NDArray[np.float64]
    """One per step, up to the first that is not finite (excluded)."""
    w1: Array
    """The weights after the last step, (D_in, H), as an array of the backend."""
    w2: Array
    """As `w1`, (H, D_out)."""
    seconds: float
    """Time spent in training steps, excluding data generation, setup and loss conversion."""
    method: str
    """The method that was used: not `auto`."""
    diverged_at: int | None
    """The first step whose loss is not finite."""
    laps: NDArray[np.float64]
    """Rows of (steps, their seconds)."""
    dead: NDArray[np.float64]
    """Rows of (steps so far, dead units): hidden units that are active for no sample."""
    held_out: NDArray[np.float64]
    """Rows of (steps so far, mean loss per entry, share of right classes) on rows that do not train."""
    zero_loss: float
    """Σy²: the loss of a network that always outputs 0."""
    compile_seconds: float
    """Seconds in which this process compiled the kernel. `seconds` does not contain them."""

    @property
    def step_seconds(self) -> float:
        """The median time of a step. At least one must have been taken."""
        steps, seconds = self.laps.T
        return float(quantiles(seconds / steps, steps, [0.5])[0])

    def figure(self) -> Any:
        """Return the loss of each step as a Plotly figure. Raises `UnavailableError` without Plotly."""
        return jupyter.figure(self)

    def _repr_html_(self) -> str:
        """Return the result as a notebook shows it."""
        return jupyter.html(self)


def prepare(
    config: Config,
    *,
    problem: Problem | None = None,
    kernel_type: type[kernels.Kernel] | None = None,
    tested: bool = False,
) -> Problem:
    """Return the problem of `config` (or the one given) with the constants of its kernel; if the run is to be
    `tested`, with held-out rows."""
    problem = problem or make_problem(config)
    if tested:
        problem = replace(problem, held_out=make_held_out(config))
    kernel_type = kernel_type or kernels.load(config.backend, methods.used(config))
    with kernel_type.threads(config.threads):
        return replace(problem, constants=kernel_type.constants(problem))


def weights(config: Config, problem: Problem, chunk: Chunk) -> tuple[Array, Array]:
    """Return w1 (D_in, H) and w2 (H, D_out) after `chunk`, by products of the config's threads."""
    kernel_type = kernels.load(config.backend, methods.used(config))
    with kernel_type.threads(config.threads):
        return kernel_type.weights(problem, chunk.state)


def start(config: Config, problem: Problem) -> Chunk:
    """Return the empty chunk at the start of a run."""
    state = kernels.load(config.backend, methods.used(config)).start(problem)
    return Chunk(0, state, np.empty(0), np.empty((0, 2)), zero_loss=float(np.square(problem.y).sum()))


def advance(
    config: Config, problem: Problem, previous: Chunk, steps: int, laps: int = LAPS_PER_CHUNK
) -> Chunk:
    """Compute the next `steps` steps after `previous`, or fewer if a loss is not finite.

    They are timed in about `laps` laps. A chunk after a diverged one is empty.
    """
    if previous.diverged_at is not None:
        return previous.without_losses()
    kernel_type = kernels.load(config.backend, methods.used(config))
    with kernel_type.threads(config.threads), np.errstate(over="ignore", invalid="ignore"):
        kernel = kernel_type(config, problem, previous.state, steps)
        before = thread_time()
        is_last = previous.step + steps >= config.steps
        score = partial(_score, config, problem)
        timed = timed_steps(kernel, steps, laps, score, previous.score_debt, is_last)
        processor = thread_time() - before
        losses = kernel.losses()
    by_processor = config.threads == 1 and config.device == "cpu"
    finite = int(np.argmin(np.isfinite(losses))) if not np.isfinite(losses).all() else steps
    if finite < steps:
        # Again, up to the last finite loss: the state must not depend on where the chunk ends.
        chunk = advance(config, problem, previous, finite, laps)
        return replace(chunk, diverged_at=previous.step + finite)
    timed.dead[:, 0] += previous.step
    timed.scores[:, 0] += previous.step
    return replace(
        previous,
        step=previous.step + steps,
        state=kernel.state(),
        losses=losses,
        laps=timed.laps,
        dead=timed.dead,
        held_out=timed.scores,
        score_debt=timed.debt,
        picture=None,
        compile_seconds=kernel.compile_seconds,
        processor_seconds=processor if by_processor else timed.laps[:, 1].sum(),
    )


def _score(config: Config, problem: Problem, kernel: kernels.Kernel, at_end: bool) -> tuple[float, ...]:
    """Return the mean loss and the share of right classes on held-out rows; nothing without such rows, or
    where the weights would have to come from another device before the end of a chunk."""
    if problem.held_out is None or not (at_end or config.device == "cpu"):
        return ()
    loss, right = learned.score(type(kernel), problem, kernel.state())
    return loss, right if learned.has_classes(config) else np.nan


def fit(
    config: Config,
    edits: Sequence[Edit] = (),
    on_chunk: Callable[[Chunk], None] | None = None,
    *,
    table: Any = None,
) -> Result:
    """Train in the calling process and return the result.

    `edits` change settings from their steps on. `on_chunk` is called about every 0.1 s; a notebook shows a
    progress bar. `table` is what data="csv" stands for, as `own_table` takes it. Raises `ConfigError` or
    `UnavailableError` if this machine cannot run the config, `DataError` and `TableError`.
    """
    with in_hand(config, table) as config:
        return _fit(config, edits, on_chunk)


def _fit(config: Config, edits: Sequence[Edit], on_chunk: Callable[[Chunk], None] | None) -> Result:
    capabilities.require(config)
    problem = prepare(config, tested=True)
    chunk = start(config, problem)
    chunks, pace = [chunk], Pace(config)
    progress, total = jupyter.progress(), current(config, edits, "steps")
    while chunk.step < total and chunk.diverged_at is None:
        now, end = segment(config, edits, chunk.step)
        chunk = advance(now, problem, chunk, pace.next(end - chunk.step))
        pace.saw(len(chunk.losses), chunk.processor_seconds)
        chunks.append(replace(chunk, state={}))
        if on_chunk is not None:
            on_chunk(chunk)
        if progress is not None:
            progress(chunk.step, total)
    w1, w2 = weights(config, problem, chunk)
    laps = np.concatenate([c.laps for c in chunks])
    return Result(
        losses=np.concatenate([c.losses for c in chunks]),
        w1=w1,
        w2=w2,
        seconds=float(laps[:, 1].sum()),
        method=methods.used(config),
        diverged_at=chunk.diverged_at,
        laps=laps,
        dead=np.concatenate([c.dead for c in chunks]),
        held_out=np.concatenate([c.held_out for c in chunks]),
        zero_loss=chunk.zero_loss,
        compile_seconds=max(c.compile_seconds for c in chunks),
    )
