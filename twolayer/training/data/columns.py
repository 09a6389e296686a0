"""From the cells of a table of one's own to inputs and outputs: numbers, categories, missing cells.

An ejected script has the text of these functions.
"""

import csv
import re
from collections.abc import Sequence

import numpy as np

from twolayer.training.data.made import Array, one_hot, with_ones


def rows_of(file: str, delimiter: str, encoding: str) -> list[list[str]]:
    """Return the cells of a file, line by line, without its first line, which names the columns."""
    with open(file, encoding=encoding, newline="") as text:
        return [row for row in csv.reader(text, delimiter=delimiter, strict=True) if row][1:]


def is_missing(cell: str) -> bool:
    """Return whether a cell has no value."""
    return cell.strip().casefold() in ("", "na", "n/a", "#n/a", "nan", "null", "?")


def is_number(cell: str) -> bool:
    """Return whether a cell is a number as programs write it: 12, -0.5, 1e-3."""
    return re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", cell.strip(), re.ASCII) is not None


def are_numbers(cells: Sequence[str]) -> bool:
    """Return whether all cells are numbers."""
    return all(map(is_number, cells))


def standardised(cells: Sequence[str]) -> Array:
    """Return a column of numbers less its mean, divided by its standard deviation."""
    values = np.array(list(map(float, cells)))
    return np.asarray((values - values.mean()) / values.std())


def classes_of(cells: Sequence[str]) -> dict[str, int]:
    """Return the different categories of a column and their numbers, in the order of the alphabet; of numbers
    by size."""
    return {name: k for k, name in enumerate(sorted(set(cells), key=float if are_numbers(cells) else None))}


def categories(cells: Sequence[str]) -> Array:
    """Return a column for each category: 1 in the rows that have it, 0 in the others."""
    classes = classes_of(cells)
    return one_hot(np.array(list(map(classes.__getitem__, cells))), len(classes))


def labels(cells: Sequence[str]) -> list[str]:
    """Return cells as the names of classes: 1.0 and 1 are the same class, and so are -0 and 0."""
    return [repr(float(cell) + 0).removesuffix(".0") for cell in cells] if are_numbers(cells) else list(cells)


def complete(rows: Sequence[Sequence[str]], columns: Sequence[int]) -> list[int]:
    """Return the rows in which none of some columns, counted from 0, is missing."""
    return [k for k, row in enumerate(rows) if not any(is_missing(row[column]) for column in columns)]


def table_of(
    rows: Sequence[Sequence[str]], inputs: Sequence[int], targets: Sequence[int], classes: bool
) -> tuple[Array, Array]:
    """Return the inputs x and the outputs y of chosen columns, counted from 0. Rows with a missing cell are
    left out. Numbers are standardised; a category has a column for each of its values."""
    kept = complete(rows, [*inputs, *targets])

    def cells(column: int) -> list[str]:
        return [rows[k][column].strip() for k in kept]

    def encoded(column: int) -> Array:
        return standardised(cells(column)) if are_numbers(cells(column)) else categories(cells(column))

    x = with_ones(*map(encoded, inputs))
    if classes:
        return x, categories(labels(cells(targets[0])))
    return x, np.column_stack([standardised(cells(target)) for target in targets])
