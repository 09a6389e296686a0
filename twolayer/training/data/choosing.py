"""Choose the targets and the inputs of a table of one's own, and make of them what a network takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import numpy as np

from twolayer.training.data.cells import Cells, TableError, refused
from twolayer.training.data.columns import (
    are_numbers,
    classes_of,
    complete,
    is_missing,
    is_number,
    labels,
    table_of,
)
from twolayer.training.data.own import MOST_CATEGORIES, Choices, Kind, OwnTable, Shape
from twolayer.training.messages import Message, shown

LARGEST, SMALLEST = 1e100, 1e-100
"""The largest number, and the smallest standard deviation, whose squares can be computed with."""
MOST_MISSING = 0.5
"""A column that is missing in a larger share of the rows is no input unless it is chosen."""

What = Literal["number", "category", "text", "constant", "empty"]


@dataclass(frozen=True)
class Column:
    """What a column of a table is."""

    name: str
    what: What
    """`text` has too many different values for a category."""
    missing: int
    """Rows in which it has no value."""
    values: int
    """Different values."""

    @property
    def usable(self) -> bool:
        """Whether it can be an input or a target."""
        return self.what in ("number", "category")


def choose(cells: Cells, wanted: Choices, columns: Sequence[Column] = ()) -> OwnTable:
    """Return the inputs and outputs of chosen columns; what is not chosen follows from what the columns are.

    Inputs that are constant are left out. Raises `TableError`.
    """
    columns = columns or described(cells)
    targets = wanted.targets or _last(cells, columns)
    _check(cells, targets, wanted.inputs)
    inputs = wanted.inputs or _others(cells, columns, targets)
    while True:  # a row that is complete without a constant column comes back
        kept = complete(cells.rows, [k - 1 for k in (*inputs, *targets)])
        if len(kept) < 2:
            raise _incomplete(cells, (*inputs, *targets))
        for k in (*inputs, *targets):
            _check_numbers(cells, k, kept)
        varied = tuple(k for k in inputs if not _is_constant(cells.of(k, kept)))
        if varied == inputs:
            break
        inputs = varied
        if not inputs:
            raise cells.refused(kept[0], targets[0], Message.of("apart from this target, no column varies."))
    for k in targets:
        if _is_constant(cells.of(k, kept)):
            raise cells.refused(kept[0], k, Message.of("the target is the same in all rows."))
    _check_width(cells, inputs, kept)
    kind = _kind(cells, targets, kept, wanted.kind)
    x, y = table_of(cells.rows, [k - 1 for k in inputs], [k - 1 for k in targets], kind == "classes")
    classes = tuple(_classes(cells.of(targets[0], kept))) if kind == "classes" else ()
    shape = Shape(cells.digest, Choices(targets, inputs, kind), len(x), x.shape[1], y.shape[1])
    return OwnTable(shape, x, y, cells.source, cells.names, classes)


def described(cells: Cells) -> tuple[Column, ...]:
    """Return what each column is."""
    columns = []
    for k, name in enumerate(cells.names, 1):
        there = [cell for cell in cells.of(k, range(len(cells.rows))) if not is_missing(cell)]
        values = set(there)
        what: What = "number" if are_numbers(list(values)) else "category"
        if not values:
            what = "empty"
        elif _is_constant(there):
            what = "constant"
        elif what == "category" and len(values) > MOST_CATEGORIES:
            what = "text"
        columns.append(Column(name, what, len(cells.rows) - len(there), len(values)))
    return tuple(columns)


def _is_constant(column: Sequence[str]) -> bool:
    """Return whether a column cannot tell rows apart."""
    values = set(column)
    if len(values) < 2 or not are_numbers(list(values)):
        return len(values) < 2
    numbers = np.array(list(map(float, column)))
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(numbers.min() == numbers.max() or numbers.std() < SMALLEST)


def _last(cells: Cells, columns: Sequence[Column]) -> tuple[int, ...]:
    """Return the last column that can be a target."""
    usable = [k for k, column in enumerate(columns, 1) if column.usable]
    if not usable:
        raise cells.refused(
            0, len(columns), Message.of("no column can be a target: none is numeric or categorical.")
        )
    return (usable[-1],)


def _others(cells: Cells, columns: Sequence[Column], targets: Sequence[int]) -> tuple[int, ...]:
    """Return the columns that can be inputs beside the targets, as many as are allowed."""
    most = MOST_MISSING * len(cells.rows)
    numbers = [
        k for k, one in enumerate(columns, 1) if one.usable and one.missing <= most and k not in targets
    ]
    widths = accumulate(1 if columns[k - 1].what == "number" else columns[k - 1].values for k in numbers)
    inputs = tuple(k for k, width in zip(numbers, widths, strict=True) if width <= cells.most_inputs)
    if not inputs:
        raise cells.refused(0, targets[0], Message.of("apart from this target, no column can be an input."))
    return inputs


def _check(cells: Cells, targets: Sequence[int], inputs: Sequence[int]) -> None:
    """Raise `TableError` for columns that are not there, or that are chosen twice."""
    chosen = [*targets, *inputs]
    for place, k in enumerate(chosen):
        if k > len(cells.names):
            raise refused(
                1,
                k,
                Message.of("there is no such column: the table has {count} columns.", count=len(cells.names)),
            )
        if k in chosen[:place]:
            raise cells.refused(0, k, Message.of("the column is chosen twice."))


def _incomplete(cells: Cells, columns: Sequence[int]) -> TableError:
    """Return the error for rows of which hardly one is complete, at the column that is missing most often."""
    missing = {k: [row for row, line in enumerate(cells.rows) if is_missing(line[k - 1])] for k in columns}
    column = max(columns, key=lambda k: len(missing[k]))
    row = missing[column][0] if missing[column] else 0
    return cells.refused(
        row,
        column,
        Message.of(
            "fewer than 2 rows are complete; rows in which this cell is missing: {count}.",
            count=len(missing[column]),
        ),
    )


def _check_numbers(cells: Cells, column: int, kept: Sequence[int]) -> None:
    """Raise `TableError` for a column of too large numbers, or of too many values that are no numbers."""
    texts = cells.of(column, kept)
    if are_numbers(list(set(texts))):
        for row, text in zip(kept, texts, strict=True):
            if abs(float(text)) > LARGEST:
                reason = Message.of(
                    "{cell} is too large; numbers go up to {most:g}.", cell=shown(text)[1:-1], most=LARGEST
                )
                raise cells.refused(row, column, reason)
    elif (count := len(set(texts))) > MOST_CATEGORIES:
        row, text = next((row, text) for row, text in zip(kept, texts, strict=True) if not is_number(text))
        reason = Message.of(
            "“{cell}” is not a number, and {count} different values are too many for a category (at most "
            "{most}).",
            cell=shown(text)[1:-1],
            count=count,
            most=MOST_CATEGORIES,
        )
        raise cells.refused(row, column, reason)


def _check_width(cells: Cells, inputs: Sequence[int], kept: Sequence[int]) -> None:
    """Raise `TableError` for more inputs than a network may have."""
    width = 0
    for k in inputs:
        values = set(cells.of(k, kept))
        width += 1 if are_numbers(list(values)) else len(values)
        if width > cells.most_inputs:
            reason = Message.of(
                "with this column there are {count} inputs; at most {most} are allowed.",
                count=width,
                most=cells.most_inputs,
            )
            raise cells.refused(kept[0], k, reason)


def _kind(cells: Cells, targets: Sequence[int], kept: Sequence[int], wanted: Kind | None) -> Kind:
    """Return whether rows belong to classes: if the target is a category, or as wanted."""
    if wanted == "classes" and len(targets) > 1:
        raise cells.refused(kept[0], targets[1], Message.of("classification takes one target."))
    for k in targets:
        texts = cells.of(k, kept)
        other = next((row for row, text in zip(kept, texts, strict=True) if not is_number(text)), None)
        if other is not None and (len(targets) > 1 or wanted == "regression"):
            reason = Message.of("“{cell}” is not a number.", cell=shown(texts[kept.index(other)])[1:-1])
            raise cells.refused(other, k, reason)
    classes = wanted or ("regression" if other is None else "classes")
    count = len(_classes(texts))
    if classes == "classes" and count > MOST_CATEGORIES:
        reason = Message.of(
            "{count} different values are too many for classes (at most {most}).",
            count=count,
            most=MOST_CATEGORIES,
        )
        raise cells.refused(kept[0], targets[0], reason)
    return classes


def _classes(texts: Sequence[str]) -> list[str]:
    """Return the names of the classes of a target, in the order of the outputs."""
    return list(classes_of(labels(texts)))
