"""The state of a run at one iteration: its data, and its weights before that step."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from twolayer.backprop.finite_differences import BLOCK_NUMBERS
from twolayer.training import capabilities, methods, training
from twolayer.training.config import Config
from twolayer.training.messages import MessageError
from twolayer.training.pace import step_seconds

LONGEST_SECONDS = 5.0


@dataclass(frozen=True)
class Snapshot:
    """The inputs of one iteration of a run, in the run's dtype."""

    at: int
    """The number of steps before the iteration."""
    inputs: dict[str, NDArray[Any]]
    """x (N, D_in), y (N, D_out), w1 (D_in, H), w2 (H, D_out). Read-only."""
    diverged_at: int | None
    """The step whose loss is not finite, if it was reached: `at` is then the step before it."""


def last_step(config: Config) -> int:
    """The last iteration of a run that is looked at: its end, or what some seconds of computing reach."""
    return min(config.steps, max(1, int(LONGEST_SECONDS / step_seconds(config))))


def memory_bytes(config: Config) -> int:
    """Estimate the peak memory for examining one iteration.

    Counts the run, then its arrays in float64, the gradients by each method with their rounding bounds, and
    the residuals on both sides of a difference.
    """
    data, outputs = config.N * config.D_in, config.N * config.D_out
    hidden, weights = config.N * config.H, config.H * (config.D_in + config.D_out)
    arrays = 4 * data + 24 * outputs + 20 * hidden + 16 * weights + 12 * BLOCK_NUMBERS
    return methods.run_bytes(config) + 8 * arrays


def take(config: Config, at: int) -> Snapshot:
    """Return the weights after `at` steps of a run, with its data.

    If it diverges before, these are those of the last iteration with a finite loss. Raises `ConfigError` or
    `UnavailableError` if this machine lacks what the config asks for, `MessageError` if no loss is finite.
    """
    capabilities.require(config)
    problem = training.prepare(config)
    first = training.start(config, problem)
    chunk = training.advance(config, problem, first, at)
    # One step further, so that the loss of the iteration itself is known to be finite.
    diverged_at = training.advance(config, problem, chunk, 1).diverged_at
    if diverged_at == 0:
        raise MessageError.of("The initial loss is not finite.")
    if diverged_at is not None:
        at = diverged_at - 1
        chunk = training.advance(config, problem, first, at)
    w1, w2 = training.weights(config, problem, chunk)
    inputs = {"x": problem.x, "y": problem.y, "w1": w1, "w2": w2}
    for array in inputs.values():
        array.setflags(write=False)
    return Snapshot(at, inputs, diverged_at)
