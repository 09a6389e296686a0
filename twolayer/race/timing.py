"""The rounds of a race, and the other load of the machine meanwhile.

In a round each contender takes a block of steps, in random order, so that a slower machine slows all of
them. A block starts from the initial weights. Only its steps are timed, with the device synchronised on
both sides. A second block of the same steps, before or after, is timed phase by phase.

A round is computed in parts, so that others who share the workers wait only for a part. Its parts run one
after the other in any process: the process prepares and warms up what it has not kept from before.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, reduce
from time import perf_counter, process_time, thread_time

import numpy as np
import psutil

from twolayer.race.contenders import Contender
from twolayer.training import methods, profiling, training
from twolayer.training.config import Config
from twolayer.training.fields import Whole
from twolayer.training.messages import N_
from twolayer.training.problem import Problem, make_problem

ROUNDS = Whole(3, 1000, default=15, words="Number of rounds; each times every implementation once.")
BLOCK_SECONDS = 0.02
GROWTH = 4
"""Factor from one length that is tried for a block to the next: a loop of JAX is compiled for each."""
KEPT_BYTES = 40 << 20
"""Memory that a worker keeps between the rounds of a race; larger races are prepared again in each round."""
CLOCK = N_(
    "Timings cover only the training steps, synchronized with the device. They exclude creating the data, "
    "setup, copying losses to the host, and computing the final weights."
)

STEAL_SHARE = 0.05
OTHERS_SHARE = 0.25


@dataclass(frozen=True)
class Load:
    """The other load of the machine during a round."""

    away: float
    """Steal time: the largest share of a block in which its thread did not run, because of others or of a
    container's limit. 0 for blocks that may wait for other threads or for a device."""
    others: float
    """Cores kept busy by other processes, or by other machines on the same host."""
    cores: int

    def higher(self, other: "Load") -> "Load":
        """Return the higher values of two parts of a round."""
        return Load(max(self.away, other.away), max(self.others, other.others), self.cores)

    @property
    def busy(self) -> bool:
        """Whether the timings should be repeated: a twentieth of the time was stolen, or a quarter of the
        cores (which share caches, memory and clock rate with ours) was busy."""
        return self.away > STEAL_SHARE or self.others > OTHERS_SHARE * self.cores


@dataclass(frozen=True)
class Part:
    """The timings of some contenders in a round, by their index in the race. The rest is as in `Round`."""

    seconds: Mapping[int, float]
    phases: Mapping[int, dict[str, float]]
    load: Load
    repeated: bool
    compiling: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Round:
    """The timings of one round, in the order of the contenders."""

    seconds: tuple[float, ...]
    """Seconds per step."""
    phases: tuple[dict[str, float], ...]
    """Seconds per step of each phase."""
    load: Load
    repeated: bool
    """Whether the machine was busy at the first attempt of a part, so that there was a second."""
    compiling: Mapping[int, float] = field(default_factory=dict)
    """The seconds of compiling, outside the timings, of the contenders that are compiled, by their index."""

    @classmethod
    def of(cls, parts: Sequence[Part]) -> "Round":
        """Return the round of these parts, which have each contender once."""
        seconds = {i: of_one for part in parts for i, of_one in part.seconds.items()}
        phases = {i: of_one for part in parts for i, of_one in part.phases.items()}
        return cls(
            tuple(seconds[i] for i in sorted(seconds)),
            tuple(phases[i] for i in sorted(phases)),
            reduce(Load.higher, (part.load for part in parts)),
            any(part.repeated for part in parts),
            {i: of_one for part in parts for i, of_one in part.compiling.items()},
        )


class Entry:
    """A contender, warmed up, with a block of enough steps to be timed."""

    def __init__(self, contender: Contender, config: Config, problem: Problem) -> None:
        self.contender, self.config = contender, contender.config(config)
        self.kernel_type = contender.kernel()
        self.problem = training.prepare(self.config, problem=problem, kernel_type=self.kernel_type)
        self.start = self.kernel_type.start(self.problem)
        self.compile_seconds = 0.0
        self.steps = 2
        seconds = self.block()[0] * self.steps
        while seconds < BLOCK_SECONDS / 4 and self.steps < config.steps:
            self.steps = min(GROWTH * self.steps, config.steps)
            seconds = self.block()[0] * self.steps
        self.steps = max(1, min(config.steps, round(self.steps * BLOCK_SECONDS / seconds)))
        self.block()

    def block(self) -> tuple[float, float]:
        """Take the steps once. Return the seconds per step and the share of steal time."""
        processor_time = process_time if self.kernel_type.asynchronous else thread_time
        with self.kernel_type.threads(self.config.threads), np.errstate(over="ignore", invalid="ignore"):
            kernel = self.kernel_type(self.config, self.problem, self.start, self.steps)
            kernel.synchronize()
            ran, begin = processor_time(), perf_counter()
            kernel.steps(self.steps)
            kernel.synchronize()
            seconds = perf_counter() - begin
            ran = processor_time() - ran
        self.compile_seconds = kernel.compile_seconds
        alone = self.config.threads == 1 and self.config.device == "cpu"
        return seconds / self.steps, max(0.0, 1 - ran / seconds) if alone else 0.0

    def phases(self) -> dict[str, float]:
        """Take the steps once, and return the seconds per step of each phase."""
        with self.kernel_type.threads(self.config.threads), np.errstate(over="ignore", invalid="ignore"):
            return profiling.profile(self.kernel_type, self.config, self.problem, self.start, self.steps)


class _Field:
    """The entries of a race, made on demand, and kept if they are small."""

    def __init__(self, config: Config, contenders: tuple[Contender, ...]) -> None:
        self.config, self.contenders, self.problem = config, contenders, make_problem(config)
        self.keeps = is_small(config, contenders)
        self.entries: dict[int, Entry] = {}

    def entry(self, i: int) -> Entry:
        found = self.entries.get(i) or Entry(self.contenders[i], self.config, self.problem)
        if self.keeps:
            self.entries[i] = found
        return found


_kept_field = lru_cache(maxsize=1)(_Field)


def is_small(config: Config, contenders: tuple[Contender, ...]) -> bool:
    """Return whether a worker keeps the contenders of a race from one round to the next."""
    return sum(methods.run_bytes(contender.config(config)) for contender in contenders) <= KEPT_BYTES


def order_of_round(number: int, contenders: int) -> list[int]:
    """Return the order in which a round times so many contenders: random, and always the same."""
    order = list(range(contenders))
    random.Random(number).shuffle(order)
    return order


def part_of_round(
    config: Config, contenders: tuple[Contender, ...], number: int, those: Sequence[int]
) -> Part:
    """Time `those` contenders once, in their order, and again if the machine was busy. Return the quieter
    attempt."""
    field = (_kept_field if is_small(config, contenders) else _Field)(config, contenders)
    if field.keeps:
        for i in those:  # before anything is measured
            field.entry(i)
    first = _time(field, number, those, repeated=False)
    if not first.load.busy:
        return first
    second = _time(field, number, those, repeated=True)
    quieter = min(first, second, key=lambda r: (r.load.busy, r.load.away, r.load.others))
    return replace(quieter, repeated=True)


def _time(field: _Field, number: int, those: Iterable[int], *, repeated: bool) -> Part:
    seconds, spent, compiling, stolen = {}, {}, {}, 0.0
    machine, own, begin = _busy_seconds(), process_time(), perf_counter()
    for i in those:
        entry = field.entry(i)
        # Alternating, since the second of the two finds its data in the caches
        if number % 2:
            spent[i] = entry.phases()
        seconds[i], stolen_from_block = entry.block()
        if not number % 2:
            spent[i] = entry.phases()
        stolen = max(stolen, stolen_from_block)
        if entry.compile_seconds:
            compiling[i] = entry.compile_seconds
    wall, own = perf_counter() - begin, process_time() - own
    others = max(0.0, _busy_seconds() - machine - own) / wall
    return Part(seconds, spent, Load(stolen, others, psutil.cpu_count() or 1), repeated, compiling)


def _busy_seconds() -> float:
    """Return the processor time of the whole machine, steal time of its host included."""
    times = psutil.cpu_times()
    return float(sum(times[:8]) - times.idle - getattr(times, "iowait", 0.0))
