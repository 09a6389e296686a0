"""Grids: one Config and all its variants along one to three fields."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any

import numpy as np

from twolayer.training.config import BACKENDS, FIELDS, RANDOM, SEED, Config
from twolayer.training.fields import ConfigError, Real, Whole
from twolayer.training.messages import Message, shown

GRID_FIELDS = tuple(field for field in FIELDS if field not in ("data", "device", "threads"))
"""The fields that a grid may vary."""
MOST_AXES = 3
MOST_VALUES = 1000
RATES = Whole(2, MOST_VALUES, default=100, words="Number of learning rates.")
SEEDS = Whole(1, 20, default=3, words="Number of seeds for each learning rate.")
"""How many of each a scan has."""
MOST_TRAININGS = 20_000
INNERMOST = ("seed", "learning_rate")
"""Trainings that differ in these alone are computed together, so they are neighbours in a grid."""

FORM = Message.of("values such as H=32,64,128, or start:stop:count such as learning_rate=1e-8:1e-5:25")


@dataclass(frozen=True)
class Axis:
    """A field and its ordered values."""

    field: str
    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if self.field not in GRID_FIELDS:
            known = Message.of("one of the fields {names}", names=", ".join(GRID_FIELDS))
            raise ConfigError(shown(self.field)[1:-1], self.field, known)
        if not 1 <= len(self.values) <= MOST_VALUES:
            raise ConfigError(
                self.field, len(self.values), Message.of("1 to {most} values", most=MOST_VALUES)
            )
        checked = [FIELDS[self.field].checked(self.field, value) for value in self.values]
        object.__setattr__(self, "values", tuple(dict.fromkeys(checked)))

    @classmethod
    def parse(cls, text: str) -> "Axis":
        """Read `field=a,b,c` or `field=low:high:count`. Raises `ConfigError`.

        A range is geometric, rounded to whole numbers where the field takes those; one of seeds, or one
        from 0, is linear.
        """
        field, _, values = (part.strip() for part in text.partition("="))
        if field not in GRID_FIELDS:
            return cls(field, ())
        kind = FIELDS[field]
        if ":" not in values:
            return cls(field, tuple(kind.read(field, value.strip()) for value in values.split(",")))
        low, high, count = [*values.split(":"), "", ""][:3]
        numeric = isinstance(kind, Whole | Real)
        if values.count(":") != 2 or not numeric or not re.fullmatch(r"\d{1,4}", count.strip(), re.ASCII):
            raise ConfigError(field, values, FORM)
        ends = (kind.read(field, low.strip()), kind.read(field, high.strip()))
        linear = field == "seed" or ends[0] == 0
        spaced = (np.linspace if linear else np.geomspace)(*ends, int(count))
        spaced = np.clip(spaced, min(ends), max(ends))  # their ends may be off by a rounding
        return cls(field, tuple(round(v) if isinstance(kind, Whole) else float(v) for v in spaced))


@dataclass(frozen=True)
class Grid:
    """All variants of `base` along `axes`; the last axis is the fastest in their numbering."""

    base: Config
    axes: tuple[Axis, ...]

    def __post_init__(self) -> None:
        names = [axis.field for axis in self.axes]
        if not 1 <= len(names) <= MOST_AXES or len(set(names)) < len(names):
            takes = Message.of("one to {most} different fields", most=MOST_AXES)
            raise ConfigError("grid", ", ".join(names), takes)
        for axis in self.axes:
            if self.base.data != RANDOM and isinstance(FIELDS[axis.field], Whole):
                for value in axis.values:  # a data set allows only some sizes
                    Config(**asdict(self.base) | {axis.field: value})
        if self.size > MOST_TRAININGS:
            takes = Message.of("at most {most} training runs", most=MOST_TRAININGS)
            raise ConfigError("grid", self.size, takes)
        ranks = {name: rank for rank, name in enumerate(INNERMOST)}
        ordered = sorted(self.axes, key=lambda axis: ranks.get(axis.field, -1))
        object.__setattr__(self, "axes", tuple(ordered))

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of values along each axis."""
        return tuple(len(axis.values) for axis in self.axes)

    @property
    def size(self) -> int:
        """The number of trainings."""
        return prod(len(axis.values) for axis in self.axes)

    @property
    def together(self) -> int:
        """The number of neighbouring trainings that differ in seed and learning rate alone."""
        return prod(len(axis.values) for axis in self.axes if axis.field in INNERMOST)

    def values(self, index: int) -> dict[str, Any]:
        """The fields of the training `index` that vary."""
        places = np.unravel_index(index, self.shape)
        return {axis.field: axis.values[i] for axis, i in zip(self.axes, places, strict=True)}

    def config(self, index: int) -> Config:
        """The Config of the training `index`."""
        return Config(**asdict(self.base) | self.values(index))

    def position(self, field: str) -> int | None:
        """Which axis the field is, if it is one."""
        names = [axis.field for axis in self.axes]
        return names.index(field) if field in names else None


def parse_axes(text: str) -> tuple[Axis, ...]:
    """Read axes with semicolons between them. Raises `ConfigError`."""
    return tuple(Axis.parse(part) for part in text.split(";"))


def computed(config: Config) -> Config:
    """`config` as a sweep computes it: the same iterates by the cheapest method, on one thread, in Numba if
    that is its backend, else in NumPy."""
    backend = "numba" if config.backend == "numba" else "numpy"
    return replace(config, backend=backend, device="cpu", method="auto", threads=1)


def arithmetic(config: Config) -> str:
    """Return in what a sweep computes, as "float32" or "float32, Numba"."""
    return config.dtype if config.backend == "numpy" else f"{config.dtype}, {BACKENDS[config.backend]}"


def sweep_grid(config: Config, rates: Sequence[float], seeds: int) -> Grid:
    """The grid of these learning rates and of `seeds` seeds, from that of `config` on."""
    first = min(config.seed, SEED.high - seeds + 1)
    return Grid(
        computed(config),
        (Axis("seed", tuple(range(first, first + seeds))), Axis("learning_rate", tuple(rates))),
    )
