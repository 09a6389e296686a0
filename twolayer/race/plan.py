"""The plan of a race: its sizes, contenders and rounds, divided into tasks that any process can compute.

The page submits the tasks to the engine, one at a time on an otherwise idle cluster; the command line
computes them itself.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from twolayer.race.agreement import Agreement, agreement, steps_compared
from twolayer.race.contenders import BASELINE, PICKED, Contender
from twolayer.race.result import Race, race_from
from twolayer.race.roofline import COPY_BYTES, TRY_SECONDS, Roofline, measure
from twolayer.race.timing import (
    BLOCK_SECONDS,
    KEPT_BYTES,
    ROUNDS,
    Part,
    Round,
    is_small,
    order_of_round,
    part_of_round,
)
from twolayer.training import methods, pace
from twolayer.training.capabilities import probe
from twolayer.training.config import FIELDS, Config
from twolayer.training.fields import ConfigError
from twolayer.training.machine import Machine, keep_freed_memory
from twolayer.training.messages import MessageError, shown

Kind = Literal["machine", "roofline", "round", "agreement"]

PART_SECONDS = 0.15
"""A part of a round takes about this long, or times a single contender: others wait for it."""
MOST_SIZES = 32
SIZES = ("N", "D_in", "H", "D_out")
"""The dimensions that a sweep may vary."""


class PlanError(MessageError, ValueError):
    """An impossible plan."""


@dataclass(frozen=True)
class Sweep:
    """One dimension and its values, rising."""

    field: str
    values: tuple[int, ...]


def logarithmic(field: str, low: int, high: int, points: int) -> Sweep:
    """Return a sweep over whole numbers that are evenly spaced on a log scale.

    Raises `PlanError` if `low` is not below `high`.
    """
    if not low < high:
        raise PlanError.of(
            "The sweep's end must be larger than its start (now {low} to {high}).", low=low, high=high
        )
    return Sweep(field, tuple(sorted({round(value) for value in np.geomspace(low, high, points)})))


def parse_sweep(text: str) -> Sweep:
    """Read a sweep as in `H=64,128,256`. Raises `PlanError`, or `ConfigError` for a value."""
    field, _, values = text.partition("=")
    if field not in SIZES or not values:
        raise PlanError.of(
            "sweep: invalid value {got}; expected one of {options} with values, such as H=64,128,256",
            got=shown(text),
            options=", ".join(SIZES),
        )
    kind = FIELDS[field]
    found = set()
    for value in values.split(","):
        try:
            found.add(kind.parse(value))
        except ValueError:
            raise ConfigError(field, value, kind.takes) from None
    if len(found) > MOST_SIZES:
        raise PlanError.of("A sweep has at most {most} values.", most=MOST_SIZES)
    return Sweep(field, tuple(sorted(found)))


@dataclass(frozen=True)
class Task:
    """A part of a race that one process computes."""

    kind: Kind
    config: Config
    contenders: tuple[Contender, ...]
    number: int = 0
    """The round, or the index of the contender to compare."""
    those: tuple[int, ...] = ()
    """The indices of the contenders that a part of a round times, in their order."""


def perform(task: Task) -> Any:
    """Compute a task in the calling process: a `Machine`, a `Roofline`, a `Part` or an `Agreement`.

    Raises what `Capabilities.require` raises.
    """
    if task.kind == "machine":
        return probe(load_torch=True).machine
    if task.kind == "roofline":
        probe(load_torch=True).require(task.config)
        return measure(task.config)
    if task.kind == "round":
        return part_of_round(task.config, task.contenders, task.number, task.those)
    return agreement(task.config, task.contenders[task.number])


@dataclass(frozen=True)
class Plan:
    """The contenders, sizes and rounds of a race. The backend, device and method of `config` are ignored."""

    config: Config
    contenders: tuple[Contender, ...]
    rounds: int = ROUNDS.default
    sweep: Sweep | None = None

    def __post_init__(self) -> None:
        if not self.contenders:
            raise PlanError.of("No implementation selected. Choose at least one.")
        object.__setattr__(self, "config", BASELINE.config(self.config))
        _ = self.configs

    @cached_property
    def configs(self) -> tuple[Config, ...]:
        """Return the config of each size."""
        if self.sweep is None:
            return (self.config,)
        sizes: list[dict[str, Any]] = [{self.sweep.field: value} for value in self.sweep.values]
        return tuple(replace(self.config, **size) for size in sizes)

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """Return all tasks in order: for each size the roofline, the rounds in parts, the roofline again (the
        machine may have been busy the first time), and the agreements."""
        tasks = [Task("machine", self.config, self.contenders)]
        for config in self.configs:
            tasks.append(Task("roofline", config, self.contenders))
            for i in range(self.rounds):
                tasks += [
                    Task("round", config, self.contenders, i, those) for those in self._parts(config, i)
                ]
            tasks.append(Task("roofline", config, self.contenders))
            tasks += [Task("agreement", config, self.contenders, i) for i in range(len(self.contenders))]
        return tuple(tasks)

    def _parts(self, config: Config, number: int) -> list[tuple[int, ...]]:
        """Divide a round: the contenders in its order, as many together as `PART_SECONDS` allow."""
        parts: list[list[int]] = []
        room = 0.0
        for i in order_of_round(number, len(self.contenders)):
            seconds = 2 * max(BLOCK_SECONDS, self._step(config, i))
            if not parts or seconds > room:
                parts.append([])
                room = PART_SECONDS
            parts[-1].append(i)
            room -= seconds
        return [tuple(part) for part in parts]

    def _step(self, config: Config, i: int) -> float:
        """Estimate the seconds of a contender's step."""
        return pace.step_seconds(self.contenders[i].config(config), pace.CONTENDER_STEP_OVERHEAD)

    @property
    def run_bytes(self) -> int:
        """Estimate the peak memory of the tasks in bytes; one runs at a time."""
        runs = [one.run_bytes(config) for config in self.configs for one in self.contenders]
        references = [2 * methods.run_bytes(replace(config, dtype="float64")) for config in self.configs]
        return KEPT_BYTES + max(2 * COPY_BYTES, *runs, *references)

    @property
    def seconds(self) -> float:
        """Estimate the seconds of the race on an idle machine."""
        return sum(map(self._seconds, self.configs))

    def _seconds(self, config: Config) -> float:
        """Estimate the seconds of one size."""
        steps = [self._step(config, i) for i in range(len(self.contenders))]
        blocks = sum(max(BLOCK_SECONDS, step) for step in steps)
        grams = sum(c.method == "gram" for c in self.contenders)
        constants = grams * pace.product_seconds(methods.METHODS["gram"].once(config))
        preparing = pace.drawing_seconds(config) + constants + 3 * blocks
        preparing *= 1 if is_small(config, self.contenders) else self.rounds
        preparing += pace.COMPILE_SECONDS * sum(c.backend in PICKED for c in self.contenders)
        compared = steps_compared(config)
        reference = 2 * compared * pace.reference_step_seconds(config)
        return 3 * TRY_SECONDS + preparing + self.rounds * 2 * blocks + reference + compared * sum(steps)

    def collect(self, results: Mapping[int, Any]) -> list[Race]:
        """Return the races of all sizes that have a round, from results by the index of their task."""
        machine: Machine | None = None
        rooflines: dict[Config, Roofline] = {}
        parts: dict[Config, dict[int, list[Part]]] = {config: {} for config in self.configs}
        agreements: dict[Config, dict[Contender, Agreement]] = {config: {} for config in self.configs}
        for index, result in sorted(results.items()):
            task = self.tasks[index]
            if task.kind == "machine":
                machine = result
            elif task.kind == "roofline":
                rooflines[task.config] = result.higher(rooflines.get(task.config, result))
            elif task.kind == "round":
                parts[task.config].setdefault(task.number, []).append(result)
            else:
                agreements[task.config][task.contenders[task.number]] = result
        if machine is None:
            return []
        return [
            race_from(config, self.contenders, machine, rooflines.get(config), rounds, agreements[config])
            for config in self.configs
            if (rounds := self._rounds(parts[config].values()))
        ]

    def _rounds(self, parts: Iterable[Sequence[Part]]) -> list[Round]:
        """Return the rounds that have all their parts."""
        return [
            Round.of(those) for those in parts if sum(len(p.seconds) for p in those) == len(self.contenders)
        ]


def race(plan: Plan, on_progress: Callable[[float], None] | None = None) -> list[Race]:
    """Race in the calling process. Return a race for each size.

    `on_progress` gets the share of finished tasks. Raises what `Capabilities.require` raises.
    """
    keep_freed_memory()
    results = {}
    for index, task in enumerate(plan.tasks):
        results[index] = perform(task)
        if on_progress is not None:
            on_progress((index + 1) / len(plan.tasks))
    return plan.collect(results)
