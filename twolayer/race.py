"""The race: how fast each way of computing the iteration is, here, and whether it is right.

All contenders train the same data with the same dtype and thread count. After a warm-up they are timed
in rounds, in a new random order each, so that a machine that slows down slows all of them. A block of
steps starts from the initial weights; the clock runs around the steps alone, with the device
synchronised on both sides: no data, no set-up, no transfer of the losses is in it.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer import training
from twolayer.allocator import keep_freed_memory
from twolayer.capabilities import Capabilities, probe
from twolayer.config import METHODS, Config
from twolayer.kernels import KERNELS, Kernel, load
from twolayer.kernels.numpy import Tutorial
from twolayer.phases import profile
from twolayer.problem import Array, make_problem
from twolayer.reference import iteration

ROUNDS = 15
BLOCK_SECONDS = 0.02
LARGE = 1024
COPY_BYTES = 1 << 26
SEEN = {"float32": 1e-4, "float64": 1e-12}
CLOCK = (
    "The clock covers the steps alone, synchronised with the device: not the data, the set-up, the losses' "
    "way to the host, or the forming of weights."
)


@dataclass(frozen=True)
class Contender:
    """A way to compute the iteration: one of our methods on a device, or `autograd` as a peer."""

    backend: str
    device: str
    method: str

    @property
    def name(self) -> str:
        """The name in tables."""
        place = "" if self.device == "cpu" else f" on {self.device}"
        return f"{self.backend} {self.method}{place}"

    def config(self, config: Config) -> Config:
        """The same run, computed this way."""
        method = "tutorial" if self.method == "autograd" else self.method
        return replace(config, backend=self.backend, device=self.device, method=method)

    def kernel(self) -> type[Kernel]:
        """The kernel. Imports its library."""
        if self.method == "autograd":
            from twolayer.kernels.autograd import Autograd

            return Autograd
        return load(self.backend, self.method)


@dataclass(frozen=True)
class Ceiling:
    """What the machine does at its best, measured: the roofs over every contender."""

    gflops_here: float
    """x·w1 at the sizes of the run."""
    gflops_large: float
    """A product of 1024 × 1024 matrices."""
    gbytes: float
    """Memory bandwidth in GB/s: a large copy, reads and writes counted."""


@dataclass(frozen=True)
class Standing:
    """A contender's figures. Errors are largest relative differences from the float64 reference."""

    contender: Contender
    seconds: tuple[float, ...]
    """Seconds per step of each round."""
    flops: int
    loss_error: float
    """Of the losses above the share of the first in `SEEN`: below it, float32 is at its rounding floor."""
    last_ratio: float
    """The last loss over the reference's: at the floor float32 ends higher, and that is no error."""
    weight_error: float
    phases: dict[str, float]

    @property
    def median(self) -> float:
        """Seconds per step."""
        return float(np.median(self.seconds))

    @property
    def p95(self) -> float:
        """Seconds per step that 95 % of the rounds stay under."""
        return float(np.quantile(self.seconds, 0.95))

    @property
    def spread(self) -> float:
        """Interquartile range over the median."""
        low, high = np.quantile(self.seconds, [0.25, 0.75])
        return float((high - low) / self.median)

    @property
    def gflops(self) -> float:
        """Its own operations per second, in 10⁹."""
        return self.flops / self.median / 1e9


@dataclass(frozen=True)
class Race:
    """A finished race on one config."""

    config: Config
    machine: Capabilities
    ceiling: Ceiling
    standings: tuple[Standing, ...]

    def rows(self) -> list[dict[str, Any]]:
        """A row a contender, fastest first, for tables and files. Times in microseconds."""
        tutorial = [s.median for s in self.standings if s.contender == Contender("numpy", "cpu", "tutorial")]
        rows = []
        for s in sorted(self.standings, key=lambda s: s.median):
            rows.append(
                {
                    "contender": s.contender.name,
                    "median_us": s.median * 1e6,
                    "p95_us": s.p95 * 1e6,
                    "spread": s.spread,
                    "speed_up": tutorial[0] / s.median if tutorial else None,
                    "gflops": s.gflops,
                    "share_of_ceiling": s.gflops / self.ceiling.gflops_large,
                    "loss_error": s.loss_error,
                    "last_ratio": s.last_ratio,
                    "weight_error": s.weight_error,
                    **{f"{phase}_us": seconds * 1e6 for phase, seconds in s.phases.items()},
                }
            )
        return rows

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "version": 1,
            "config": asdict(self.config),
            "machine": {k: v for k, v in asdict(self.machine).items() if k not in ("missing", "code")},
            "ceiling": asdict(self.ceiling),
            "clock": CLOCK,
            "contenders": [
                row | {"seconds": list(s.seconds)}
                for row, s in zip(self.rows(), sorted(self.standings, key=lambda s: s.median), strict=True)
            ],
        }


def contenders(machine: Capabilities, config: Config) -> list[Contender]:
    """Everyone who can take part on this machine: each backend × device × method, and autograd."""
    found = [
        Contender(backend, device, method)
        for backend, devices in machine.devices
        for device in devices
        if not (device == "mps" and config.dtype == "float64")
        for method in [*METHODS, "autograd"]
        if (backend, method) in KERNELS or (backend, method) == ("torch", "autograd")
    ]
    return sorted(found, key=lambda c: (c.backend, c.device))


class _Entry:
    """A contender, warmed up, with a block of steps that takes long enough to be timed."""

    def __init__(self, contender: Contender, config: Config) -> None:
        self.contender, self.config = contender, contender.config(config)
        self.kernel_type = contender.kernel()
        self.problem = training.prepare(self.config, kernel_type=self.kernel_type)
        self.state = self.kernel_type.start(self.problem)
        self.steps = 2
        with np.errstate(over="ignore", invalid="ignore"):
            seconds = self.block() * self.steps
            while seconds < BLOCK_SECONDS / 4 and self.steps < config.steps:
                self.steps = min(2 * self.steps, config.steps)
                seconds = self.block() * self.steps
            self.steps = max(1, min(config.steps, round(self.steps * BLOCK_SECONDS / seconds)))
            self.block()

    def block(self) -> float:
        """Take the steps once; seconds per step."""
        with self.kernel_type.threads(self.config.threads):
            kernel = self.kernel_type(self.config, self.problem, self.state, self.steps)
            kernel.synchronize()
            begin = perf_counter()
            for _ in range(self.steps):
                kernel.step()
            kernel.synchronize()
            return (perf_counter() - begin) / self.steps

    def errors(self, reference: "_Reference") -> tuple[float, float, float]:
        """How far losses, last loss and weights are from the reference."""
        with self.kernel_type.threads(self.config.threads), np.errstate(over="ignore", invalid="ignore"):
            kernel = self.kernel_type(self.config, self.problem, self.state, len(reference.losses))
            for _ in range(len(reference.losses)):
                kernel.step()
            weights = self.kernel_type.weights(self.problem, kernel.state())
            return reference.error_of(kernel.losses(), weights)


class _Reference:
    """The losses and weights by the formulas in float64, as far as they are finite."""

    def __init__(self, config: Config) -> None:
        problem = make_problem(config)
        x, y, w1, w2 = (a.astype(np.float64) for a in (problem.x, problem.y, problem.w1, problem.w2))
        losses = []
        with Tutorial.threads(config.threads), np.errstate(over="ignore", invalid="ignore"):
            for _ in range(config.steps):
                loss, new_w1, new_w2 = iteration(x, y, w1, w2, config.learning_rate)
                if not np.isfinite(loss):
                    break
                losses.append(loss)
                w1, w2 = new_w1, new_w2
        self.losses, self.weights = np.array(losses), (w1, w2)

    def error_of(
        self, losses: NDArray[np.float64], weights: tuple[Array, Array]
    ) -> tuple[float, float, float]:
        """Relative to each loss, to the last loss, and to the largest weight of each matrix."""
        if not len(self.losses):
            return 0.0, 1.0, 0.0
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            seen = self.losses >= SEEN[weights[0].dtype.name] * self.losses[0]
            loss_error = np.max((np.abs(losses - self.losses) / self.losses)[seen])
            last_ratio = losses[-1] / self.losses[-1]
            weight_errors = [
                np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs))
                for ours, theirs in zip(weights, self.weights, strict=True)
            ]
        return float(loss_error), float(last_ratio), float(max(weight_errors))


def rounds(entries: Sequence[_Entry], count: int) -> Iterator[tuple[int, float]]:
    """Time each entry `count` times, in a new random order each round: (entry's index, seconds per step)."""
    shuffled = random.Random(0)
    order = list(range(len(entries)))
    for _ in range(count):
        shuffled.shuffle(order)
        for i in order:
            with np.errstate(over="ignore", invalid="ignore"):
                yield i, entries[i].block()


def race(
    config: Config,
    taking_part: Sequence[Contender] | None = None,
    count: int = ROUNDS,
    on_progress: Callable[[float], None] | None = None,
) -> Race:
    """Let the contenders (everyone here by default) race on `config`, in the calling process.

    `on_progress` is given the share that is done. Raises what `Capabilities.require` raises.
    """
    keep_freed_memory()
    machine = probe(load_torch=True)
    machine.require(config)
    taking_part = contenders(machine, config) if taking_part is None else taking_part
    entries = [_Entry(contender, config) for contender in taking_part]
    seconds: list[list[float]] = [[] for _ in entries]
    for done, (i, of_block) in enumerate(rounds(entries, count), start=1):
        seconds[i].append(of_block)
        if on_progress is not None:
            on_progress(done / (count * len(entries)))
    reference = _Reference(config)
    standings = []
    for entry, of_entry in zip(entries, seconds, strict=True):
        loss_error, last_ratio, weight_error = entry.errors(reference)
        standings.append(
            Standing(
                contender=entry.contender,
                seconds=tuple(of_entry),
                flops=entry.config.flops_per_step,
                loss_error=loss_error,
                last_ratio=last_ratio,
                weight_error=weight_error,
                phases=profile(entry.config, entry.steps, entry.kernel_type),
            )
        )
    return Race(config, machine, ceiling(config), tuple(standings))


def ceiling(config: Config) -> Ceiling:
    """Measure what this machine does at its best, in the config's dtype and with its threads."""
    g = np.random.default_rng(0)

    def gflops(n: int, k: int, m: int) -> float:
        a, b = (g.standard_normal(shape).astype(config.dtype) for shape in ((n, k), (k, m)))
        out = np.empty((n, m), config.dtype)
        return 2 * n * k * m / _best(lambda: np.dot(a, b, out=out)) / 1e9

    with Tutorial.threads(config.threads):
        source = np.ones(COPY_BYTES // 8)
        target = np.empty_like(source)
        return Ceiling(
            gflops_here=gflops(config.N, config.D_in, config.H),
            gflops_large=gflops(LARGE, LARGE, LARGE),
            gbytes=2 * COPY_BYTES / _best(lambda: np.copyto(target, source)) / 1e9,
        )


def _best(work: Callable[[], object], seconds: float = 0.15) -> float:
    """The least time that `work` takes, tried for so long."""
    work()
    best, end = float("inf"), perf_counter() + seconds
    while perf_counter() < end:
        begin = perf_counter()
        work()
        best = min(best, perf_counter() - begin)
    return best
