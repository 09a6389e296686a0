"""How long computing takes: the speeds that all estimates assume, and the length of a run's next chunk.

The speeds are round figures of one ordinary core. They size chunks and tasks, and refuse or announce
long work; no result depends on them.
"""

from twolayer.training import methods
from twolayer.training.config import Config
from twolayer.training.learned import CURVE, GRID

FLOPS_PER_SECOND = 40e9
"""Of matrix products."""
SLOW_FLOPS_PER_SECOND = 5e9
"""Of the slowest machine that a server may run on: a run is refused only if it is too long there."""
HESSIAN_FLOPS_PER_SECOND = 20e9
NORMALS_PER_SECOND = 1e8
"""Normal numbers from the seeded generator."""
TRANSFER_BYTES_PER_SECOND = 200e6
"""From a worker to the web process."""

PICTURE_NUMBERS_PER_SECOND = 1.5e9
"""Hidden values of a picture of what has been learned."""

STEP_OVERHEAD = 20e-6
"""Seconds of a step besides its products."""
CONTENDER_STEP_OVERHEAD = 100e-6
"""The same, averaged over all contenders of a race."""
COMPILE_SECONDS = 2.0
"""Seconds in which XLA compiles a contender of a race for all the lengths of its loop that are tried."""
BATCH_STEP_OVERHEAD = STEP_OVERHEAD / 4
"""The same for one of many runs that are stepped together."""
HESSIAN_PRODUCT_OVERHEAD = 100e-6
REFERENCE_FACTOR = 4
"""How much slower the reference is than the products: float64, and new arrays on each line."""

CHUNK_SECONDS = 0.1
FIRST_CHUNK_SECONDS = 0.02
LAST_FACTOR = 4


def product_seconds(flops: float) -> float:
    """Return the seconds of matrix products with this many operations."""
    return flops / FLOPS_PER_SECOND


def step_seconds(config: Config, overhead: float = STEP_OVERHEAD) -> float:
    """Return the seconds of one step."""
    return product_seconds(methods.flops_per_step(config)) + overhead


def slow_step_seconds(config: Config) -> float:
    """Return the seconds of one step on the slowest machine."""
    return methods.flops_per_step(config) / SLOW_FLOPS_PER_SECOND


def reference_step_seconds(config: Config) -> float:
    """Return the seconds of one step of the float64 reference."""
    return REFERENCE_FACTOR * product_seconds(methods.flops_per_step(config))


def batched_run_seconds(config: Config) -> float:
    """Return the seconds that a whole run adds to a batch of runs."""
    return config.steps * step_seconds(config, BATCH_STEP_OVERHEAD)


def hessian_product_seconds(config: Config) -> float:
    """Return the seconds of one Hessian-vector product in float64."""
    flops = 12 * config.N * config.H * (min(config.N, config.D_in) + config.D_out)
    return flops / HESSIAN_FLOPS_PER_SECOND + HESSIAN_PRODUCT_OVERHEAD


def drawing_seconds(config: Config) -> float:
    """Return the seconds of drawing x, y, w1 and w2."""
    return (config.N + config.H) * (config.D_in + config.D_out) / NORMALS_PER_SECOND


def preparing_seconds(config: Config) -> float:
    """Return the seconds before the first step: drawing, and what the method computes once."""
    return drawing_seconds(config) + product_seconds(methods.flops_once(config))


def picture_seconds(config: Config) -> float:
    """Return the seconds of a picture of what has been learned: h_relu at all its points is most of it."""
    points = {"curve": CURVE, "map": GRID**2}.get(config.data_set.picture, methods.held_out_rows(config))
    return points * config.H / PICTURE_NUMBERS_PER_SECOND


def transfer_seconds(size: float) -> float:
    """Return the seconds in which `size` bytes travel from a worker to the web process."""
    return size / TRANSFER_BYTES_PER_SECOND


class Pace:
    """The length of the next chunk of a run, from the speed of those before."""

    def __init__(self, config: Config) -> None:
        self.seconds_per_step = step_seconds(config)
        self.target = FIRST_CHUNK_SECONDS

    def next(self, remaining: int) -> int:
        """Return the steps of the next chunk. The first one is short, so that losses appear soon.

        The last one may be `LAST_FACTOR` times as long: a chunk costs the engine a task or two, whatever its
        length, and so a default run has two.
        """
        steps = max(1, round(self.target / self.seconds_per_step))
        self.target = CHUNK_SECONDS
        return remaining if remaining <= LAST_FACTOR * steps else steps

    def saw(self, chunk_steps: int, seconds: float) -> None:
        """Learn from the processor time of a finished chunk.

        By the wall clock, chunks would get shorter, and more, the more runs share the machine.
        """
        if chunk_steps and seconds > 0:
            self.seconds_per_step = seconds / chunk_steps
