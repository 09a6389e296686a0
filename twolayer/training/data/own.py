"""A table of one's own: what a Config knows of it, and where its rows are found.

A Config has its name alone, from which its sizes follow; the rows stay with whoever brought them, and a
function that needs them finds them while they are `in_use`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from twolayer.training.messages import Message

CSV = "csv"
"""The name of these data in a Config."""
Kind = Literal["classes", "regression"]
KINDS: tuple[Kind, ...] = ("classes", "regression")

_COLUMNS = r"[1-9]\d{0,3}(?:-[1-9]\d{0,3})?(?:,[1-9]\d{0,3}(?:-[1-9]\d{0,3})?){0,4999}"
NAME = (
    rf"(?:(?P<digest>[0-9a-f]{{16}})\.(?P<targets>{_COLUMNS})\.(?P<inputs>{_COLUMNS})\.(?P<kind>{'|'.join(KINDS)})"
    r"\.(?P<rows>[2-9]|[1-9]\d{1,4})x(?P<D_in>[2-9]|[1-9]\d{1,4})x(?P<D_out>[1-9]\d{0,3}))?"
)
MOST_CATEGORIES = 50
LARGEST_ARRAYS = 9999
"""Columns of a table that is given as arrays; a file has fewer."""
FORM = Message.of("the name of a table, such as 0123456789abcdef.5.1-4.classes.150x5x3")


@dataclass(frozen=True)
class Choices:
    """What is chosen of a table: columns, counted from 1, and whether its rows belong to classes. What is
    empty follows from the table."""

    targets: tuple[int, ...] = ()
    inputs: tuple[int, ...] = ()
    kind: Kind | None = None


@dataclass(frozen=True)
class Shape:
    """What the name of a table says of it."""

    digest: str
    """The first digits of the SHA-256 of the file."""
    choices: Choices
    rows: int
    D_in: int
    D_out: int

    @property
    def name(self) -> str:
        """The name of the table."""
        chosen = self.choices
        columns = f"{_written(chosen.targets)}.{_written(chosen.inputs)}.{chosen.kind}"
        return f"{self.digest}.{columns}.{self.rows}x{self.D_in}x{self.D_out}"


@dataclass(frozen=True)
class Source:
    """The file of a table, as a script reads it."""

    file: str = "table.csv"
    delimiter: str = ","
    encoding: str = "utf-8-sig"


@dataclass(frozen=True, eq=False)
class OwnTable:
    """Inputs x (rows, D_in) and outputs y (rows, D_out) of chosen columns, read-only."""

    shape: Shape
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    source: Source
    columns: tuple[str, ...]
    """The names of all columns of the file."""
    classes: tuple[str, ...]
    """What each output stands for, where rows belong to classes."""

    def __post_init__(self) -> None:
        self.x.setflags(write=False)
        self.y.setflags(write=False)

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self.__post_init__()  # arrays that have travelled can be written to

    @property
    def name(self) -> str:
        """What a Config calls it."""
        return self.shape.name

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs: classes, or columns."""
        return self.classes or tuple(self.columns[target - 1] for target in self.shape.choices.targets)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.x.nbytes + self.y.nbytes


def shape_of(name: str) -> Shape | None:
    """Return what the name of a table says; None for one that is empty, or that is no name."""
    found = re.fullmatch(NAME, name, re.ASCII)
    if not name or found is None:
        return None
    targets, inputs = _ends(found["targets"]), _ends(found["inputs"])
    if sum(last - first + 1 for first, last in targets + inputs) > LARGEST_ARRAYS:
        return None  # it comes from an address: nothing is made for it that is out of proportion
    rows, D_in, D_out = (int(found[size]) for size in ("rows", "D_in", "D_out"))
    kind = next(k for k in KINDS if k == found["kind"])
    if kind == "classes" and D_out > MOST_CATEGORIES:
        return None
    return Shape(found["digest"], Choices(_numbers(targets), _numbers(inputs), kind), rows, D_in, D_out)


def _written(numbers: Sequence[int]) -> str:
    """Return numbers as text, those that follow one another as a range: 1-4,7."""
    runs = [[k for _, k in run] for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _ends(text: str) -> list[tuple[int, int]]:
    """Return the first and the last number of each range that `_written` has written."""
    ends = ([int(end) for end in part.split("-")] for part in text.split(","))
    return [(run[0], run[-1]) for run in ends]


def _numbers(ends: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Return the numbers of ranges."""
    return tuple(k for first, last in ends for k in range(first, last + 1))


_in_use: ContextVar[OwnTable | None] = ContextVar("own table", default=None)
_finder: Callable[[str | None], OwnTable | None] = lambda _name: None  # noqa: E731


@contextmanager
def in_use(table: OwnTable | None) -> Iterator[None]:
    """Let functions find this table, in this thread or coroutine, until the end of the block."""
    token = _in_use.set(table)
    try:
        yield
    finally:
        _in_use.reset(token)


def found_by(finder: Callable[[str | None], OwnTable | None]) -> None:
    """Have tables that are not in use found by their name, and the current one without a name: a web process
    asks the visitor's session."""
    global _finder
    _finder = finder


def find(name: str) -> OwnTable | None:
    """Return the table of this name if it is at hand."""
    table = _in_use.get() or _finder(name)
    return table if table is not None and table.name == name else None


def current() -> OwnTable | None:
    """Return the table in use, which is that of a run or a job that begins now."""
    return _in_use.get() or _finder(None)
