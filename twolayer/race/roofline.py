"""The roofline of a machine: its limits by processor and by memory.

The model (Williams, Waterman and Patterson, 2009): the speed of a program is at most the peak of the
processor, and at most the memory bandwidth times its arithmetic intensity (operations per byte moved).
"""

from collections.abc import Callable
from dataclasses import astuple, dataclass
from time import perf_counter

import numpy as np

from twolayer.training.config import Config
from twolayer.training.kernels import load

LARGE = 1024
COPY_BYTES = 1 << 25
TRY_SECONDS = 0.1


@dataclass(frozen=True)
class Roofline:
    """The measured limits of the processor and its memory."""

    gflops_here: float
    """Speed of x·w1 at the sizes of the run."""
    gflops_large: float
    """Speed of a product of 1024 × 1024 matrices."""
    gbytes: float
    """Memory bandwidth in GB/s, from a large copy; reads and writes count."""

    def higher(self, other: "Roofline") -> "Roofline":
        """Return the higher values of two measurements."""
        return Roofline(*map(max, astuple(self), astuple(other)))

    @property
    def peak(self) -> float:
        """The highest speed measured, in GFLOP/s."""
        return max(self.gflops_here, self.gflops_large)

    def at(self, arithmetic_intensity: float) -> float:
        """Return the limit in GFLOP/s for a program of this arithmetic intensity."""
        return min(self.peak, self.gbytes * arithmetic_intensity)

    @property
    def ridge(self) -> float:
        """The arithmetic intensity above which the processor is the limit, not the memory."""
        return self.peak / self.gbytes


def measure(config: Config) -> Roofline:
    """Measure this machine in the config's dtype and with its threads."""
    g = np.random.default_rng(0)

    def gflops(n: int, k: int, m: int) -> float:
        a, b = (g.standard_normal(shape).astype(config.dtype) for shape in ((n, k), (k, m)))
        out = np.empty((n, m), config.dtype)
        return 2 * n * k * m / _best(lambda: np.dot(a, b, out=out)) / 1e9

    with load("numpy", "tutorial").threads(config.threads):
        source = np.ones(COPY_BYTES // 8)
        target = np.empty_like(source)
        return Roofline(
            gflops_here=gflops(config.N, config.D_in, config.H),
            gflops_large=gflops(LARGE, LARGE, LARGE),
            gbytes=2 * COPY_BYTES / _best(lambda: np.copyto(target, source)) / 1e9,
        )


def _best(work: Callable[[], object]) -> float:
    """Return the shortest time of `work` in `TRY_SECONDS` of attempts."""
    work()
    best, end = float("inf"), perf_counter() + TRY_SECONDS
    while perf_counter() < end:
        begin = perf_counter()
        work()
        best = min(best, perf_counter() - begin)
    return best
