"""Read a table of one's own: what its columns are, and a table of the chosen ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from twolayer.training.data import cells as files
from twolayer.training.data.cells import MOST_BYTES, Cells, TableError
from twolayer.training.data.choosing import Column, choose, described
from twolayer.training.data.own import KINDS, Choices, OwnTable
from twolayer.training.fields import ConfigError
from twolayer.training.messages import Message, shown

Columns = str | int | Sequence[str | int]


@dataclass(frozen=True)
class Reading:
    """A file as it was read: its columns, and the table of the chosen ones or why there is none."""

    digest: str
    rows: int
    columns: tuple[Column, ...]
    table: OwnTable | None
    refusal: Message | None = None


def read(content: bytes, file: str, wanted: Choices) -> Reading:
    """Read a file, and choose columns of it. Raises `TableError` for a file that cannot be read."""
    cells = files.of_file(content, file)
    columns, table, refusal = described(cells), None, None
    try:
        table = choose(cells, wanted, columns)
    except TableError as error:
        refusal = error.message
    return Reading(cells.digest, len(cells.rows), columns, table, refusal)


def own_table(table: Any, target: Columns = (), inputs: Columns = (), kind: str | None = None) -> OwnTable:
    """Return a table to train on: from a file by its path, a data frame, or arrays (x, y).

    Columns are named, or counted from 1; a text may have several with commas. By default the target is the
    last column that can be, of arrays y, and the inputs are all others that can be. `kind` is classes or
    regression. Raises `TableError`, `ConfigError` for a column that is not there, and `OSError`.
    """
    if isinstance(table, OwnTable):
        return table
    cells, of_y = _cells(table)
    chosen = next((each for each in KINDS if each == kind), None)
    if kind not in (None, chosen):
        raise ConfigError("kind", kind, Message.of("one of {options}", options=", ".join(KINDS)))
    targets = _numbers(cells, "target", target) or of_y
    return choose(cells, Choices(targets, _numbers(cells, "inputs", inputs), chosen))


def _cells(table: Any) -> tuple[Cells, tuple[int, ...]]:
    """Return the cells of a file, of a data frame, or of arrays (x, y), and the columns of y."""
    if isinstance(table, str | PathLike):
        with open(table, "rb") as file:
            return files.of_file(file.read(MOST_BYTES + 1), Path(table).name), ()
    if isinstance(table, tuple) and len(table) == 2:
        x, y = (np.asarray(array) for array in table)
        if x.ndim and y.ndim and len(x) == len(y) > 0:
            x, y = (array.reshape(len(array), -1) for array in (x, y))
            names = [f"x{k}" for k in range(1, len(x.T) + 1)] + [f"y{k}" for k in range(1, len(y.T) + 1)]
            return files.of_columns(names, [*x.T, *y.T]), tuple(range(len(x.T) + 1, len(names) + 1))
    elif hasattr(table, "columns"):
        return files.of_columns(list(table.columns), [table[name] for name in table.columns]), ()
    takes = Message.of("a file, a data frame, or arrays (x, y) with the same number of rows")
    raise ConfigError("table", type(table).__name__, takes)


def _numbers(cells: Cells, field: str, columns: Columns) -> tuple[int, ...]:
    """Return the numbers of columns that are given by their names, or by their numbers themselves."""
    if isinstance(columns, str):
        columns = [columns] if columns in cells.names else [name.strip() for name in columns.split(",")]
    several = [columns] if isinstance(columns, int) else columns
    return tuple(sorted(_number(cells, field, column) for column in several))


def _number(cells: Cells, field: str, column: str | int) -> int:
    """Return the number of a column."""
    if column in cells.names:
        return cells.names.index(str(column)) + 1
    number = int(column) if str(column).isdecimal() else 0
    if not 1 <= number <= len(cells.names):
        names = ", ".join(shown(name)[1:-1] for name in cells.names[:20])
        raise ConfigError(field, column, Message.of("a column: {names}", names=names))
    return number
