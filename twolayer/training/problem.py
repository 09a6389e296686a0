"""The data and the initial weights of a run, drawn from its seed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.training import data
from twolayer.training.config import RANDOM, Config, with_table
from twolayer.training.data import own
from twolayer.training.data.own import CSV
from twolayer.training.data.reading import own_table
from twolayer.training.fields import ConfigError
from twolayer.training.messages import Message
from twolayer.training.methods import held_out_rows

Array = NDArray[np.floating]

FRESH = 1
"""Goes with the seed into the generator of those rows, which is another one than that of the run."""


@dataclass(frozen=True)
class HeldOut:
    """Rows that do not train: x (M, D_in), y (M, D_out), as read-only arrays of the config's dtype."""

    x: Array
    y: Array


@dataclass(frozen=True)
class Problem:
    """The fixed batch x (N, D_in), y (N, D_out) and the initial weights w1 (D_in, H), w2 (H, D_out).

    Read-only arrays of the config's dtype. `constants` are arrays that a method derives from them once
    for the whole run. `held_out` are the rows that a run is tested on, if it is.
    """

    x: Array
    y: Array
    w1: Array
    w2: Array
    constants: Mapping[str, Array] = field(default_factory=dict)
    held_out: HeldOut | None = None


@contextmanager
def in_hand(config: Config, table: Any) -> Iterator[Config]:
    """Have a table of one's own in use, given or in use already, and yield the Config with its sizes; for
    other data, the Config as it is. Raises `ConfigError`, `TableError`, `DataError` and `OSError`."""
    if table is not None and config.data != CSV:
        raise ConfigError("data", config.data, Message.of("csv, since a table is given"))
    if config.data != CSV:
        yield config
        return
    here = own.current() if table is None else _read(config, table)
    if here is None:
        raise data.DataError(data.MISSING_TABLE)
    with own.in_use(here):
        yield with_table(config, here.name)


def _read(config: Config, table: Any) -> own.OwnTable:
    """Return a given table: that of the Config, with its choices, if the Config names one."""
    named = own.shape_of(config.table)
    if named is None:
        return own_table(table)
    chosen = named.choices
    here = own_table(table, chosen.targets, chosen.inputs, chosen.kind)
    if here.name != config.table:
        raise ConfigError("table", config.table, Message.of("{name}, the table given", name=here.name))
    return here


def make_problem(config: Config) -> Problem:
    """Draw x, y, w1 and w2, in this order, as float64 standard normals from the config's seed.

    From a data set the first N rows of a permutation are x and y, and the weights are drawn after it. With
    `init=he` a weight is the drawn number times √(2 / fan-in). Each array is cast once to the config's
    dtype: every backend and method gets the same bytes. Raises `DataError`.
    """
    g = np.random.default_rng(config.seed)
    if config.data == RANDOM:
        # One after the other: the float64 numbers may be large
        x = _cast(g.standard_normal((config.N, config.D_in)), config)
        y = _cast(g.standard_normal((config.N, config.D_out)), config)
    else:
        x, y = (_cast(array[: config.N], config) for array in _shuffled(config, g))

    def weights(*shape: int) -> Array:
        """Draw weights (fan-in, fan-out)."""
        drawn = g.standard_normal(shape)
        return _cast(drawn * np.sqrt(2 / shape[0]) if config.init == "he" else drawn, config)

    return Problem(x, y, weights(config.D_in, config.H), weights(config.H, config.D_out))


def make_held_out(config: Config) -> HeldOut:
    """Return the rows of the data set that do not train; for random data fresh rows, drawn by a generator of
    their own. Raises `DataError`."""
    if config.data == RANDOM:
        g, rows = np.random.default_rng((config.seed, FRESH)), held_out_rows(config)
        x, y = g.standard_normal((rows, config.D_in)), g.standard_normal((rows, config.D_out))
    else:
        shuffled = _shuffled(config, np.random.default_rng(config.seed))
        x, y = (array[config.N :] for array in shuffled)
    return HeldOut(_cast(x, config), _cast(y, config))


def _shuffled(config: Config, g: np.random.Generator) -> data.Table:
    """Return x and y of the data set with their rows in an order drawn from `g`."""
    x, y = data.table(config.data, config.table)
    order = g.permutation(len(x))
    return x[order], y[order]


def _cast(array: NDArray[np.float64], config: Config) -> Array:
    """Return an array in the config's dtype, read-only and in row-major order."""
    cast = np.ascontiguousarray(array, config.dtype)
    cast.setflags(write=False)
    return cast
