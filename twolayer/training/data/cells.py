"""The cells of a table of one's own. A file is read strictly: what is wrong is refused with its place."""

import csv
import hashlib
import io
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twolayer.training.data.columns import is_number
from twolayer.training.data.own import LARGEST_ARRAYS, Source
from twolayer.training.messages import Message, MessageError, shown

MOST_BYTES = 2 * 1024 * 1024
MOST_ROWS = 10_000
MOST_COLUMNS = 200
MOST_INPUTS = 200
"""Inputs of a file's network, a column for each value of a category; the column of ones comes on top."""
LONGEST_FILE_NAME = 100
SHORT = 4
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""The first bytes of a file that is not UTF-8 and says so."""


class TableError(MessageError, ValueError):
    """A table that cannot be read."""


def refused(line: int, column: int, reason: Message, name: str = "") -> TableError:
    """Return the error that says what is wrong at a line and a column, both counted from 1."""
    if name:
        return TableError.of(
            "Line {line}, column {column} ({name}): {reason}",
            line=line,
            column=column,
            name=shown(name)[1:-1],
            reason=reason,
        )
    return TableError.of("Line {line}, column {column}: {reason}", line=line, column=column, reason=reason)


@dataclass(frozen=True)
class Cells:
    """The cells of a table as text, row by row."""

    names: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    """The line of the file at which each row begins; of arrays, the number of the row."""
    digest: str
    source: Source
    most_inputs: int = LARGEST_ARRAYS

    def of(self, column: int, kept: Sequence[int]) -> list[str]:
        """Return the cells of a column, counted from 1, in some rows."""
        return [self.rows[k][column - 1].strip() for k in kept]

    def refused(self, row: int, column: int, reason: Message) -> TableError:
        """Return the error that says what is wrong in a cell: `row` is counted from 0, `column` from 1."""
        line = self.lines[row] if self.lines else 1
        return refused(line, column, reason, self.names[column - 1])


def of_file(content: bytes, file: str) -> Cells:
    """Return the cells of a CSV or TSV file with a line of names. Raises `TableError`."""
    text, encoding = _decoded(content)
    first = next((line for line in io.StringIO(text) if line.strip()), "")
    delimiter = max("\t,", key=first.count)  # a name has a comma rather than a tab
    numbered = _rows(text, delimiter)
    line, head = next(numbered, (1, []))
    names = _names(line, head)
    rows: list[list[str]] = []
    lines: list[int] = []
    for line, row in numbered:
        if len(row) != len(names):
            raise refused(
                line,
                min(len(row), len(names)) + 1,
                Message.of(
                    "cells in this line: {count}; in the first line: {names}.",
                    count=len(row),
                    names=len(names),
                ),
            )
        if len(rows) == MOST_ROWS:
            raise refused(
                line, 1, Message.of("too many rows; at most {most} are allowed.", most=f"{MOST_ROWS:,}")
            )
        rows.append(
            [sys.intern(cell) if len(cell) < SHORT else cell for cell in row]
        )  # a third of the memory
        lines.append(line)
    if not rows:
        raise refused(line + 1, 1, Message.of("there is no row below the column names."))
    digest = hashlib.sha256(content).hexdigest()[:16]
    source = Source(file[-LONGEST_FILE_NAME:], delimiter, encoding)
    return Cells(names, rows, lines, digest, source, MOST_INPUTS)


def _decoded(content: bytes) -> tuple[str, str]:
    """Return the text of a file, and how it is encoded."""
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8-sig")
    if len(content) > MOST_BYTES:
        before = content[:MOST_BYTES].decode(encoding, "ignore")
        most = Message.of("the file is too large; at most {most} MB are allowed.", most=MOST_BYTES // 1024**2)
        raise refused(*_place(before), most)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        before = bytes(error.object[: error.start]).decode(encoding, "ignore")
        raise refused(*_place(before), Message.of("not UTF-8 text. Save the file as CSV UTF-8.")) from None
    if (control := _CONTROL.search(text)) is not None:
        raise refused(
            *_place(text[: control.start()]),
            Message.of("the character U+{code} is not text.", code=f"{ord(control[0]):04X}"),
        )
    return text, encoding


def _place(before: str) -> tuple[int, int]:
    """Return the line and the column of what follows a text."""
    lines = re.split(r"\r\n|\r|\n", before)
    return len(lines), 1 + max(map(lines[-1].count, ",\t"))


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines that are not empty: their numbers, and their cells."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            record = "".join(list(io.StringIO(text, newline=""))[line - 1 :])
            why = Message.of("a quotation mark is not closed, or one within a quoted cell is not doubled.")
            if "limit" in str(error):
                why = Message.of("a cell has at most {most} characters.", most=f"{csv.field_size_limit():,}")
            raise refused(line, _broken_column(record, delimiter), why) from None
        if row is None:
            return
        if row:
            yield line, row
        line = reader.line_num + 1


def _broken_column(record: str, delimiter: str) -> int:
    """Return the column in which a line cannot be read on."""
    cell = re.compile(rf'(?:"[^"]*+(?:""[^"]*+)*+"|[^"{delimiter}][^{delimiter}]*+)?+{delimiter}')
    at, column = 0, 1
    while (found := cell.match(record, at)) and found.end() - at <= csv.field_size_limit():
        at, column = found.end(), column + 1
    return column


def _names(line: int, head: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns. Raises `TableError`."""
    if len(head) < 2:
        few = Message.of(
            "a table has at least two columns, a target and an input, separated by commas or tabs."
        )
        raise refused(line, 1, few)
    if len(head) > MOST_COLUMNS:
        most = Message.of("too many columns; at most {most} are allowed.", most=MOST_COLUMNS)
        raise refused(line, MOST_COLUMNS + 1, most)
    if all(map(is_number, head)):
        raise refused(
            line,
            1,
            Message.of("{cell} is a number; the first line has to name the columns.", cell=head[0].strip()),
        )
    names = tuple(cell.strip() or f"column {k}" for k, cell in enumerate(head, 1))
    for k, name in enumerate(names):
        if name in names[:k]:
            raise refused(line, k + 1, Message.of("two columns have the same name."), name)
    return names


def of_columns(names: Sequence[Any], columns: Sequence[Any]) -> Cells:
    """Return the cells of columns of values, as of a data frame. Raises `TableError`."""
    texts = [[_text(value) for value in np.asarray(column, dtype=object).tolist()] for column in columns]
    rows = [list(row) for row in zip(*texts, strict=True)]
    named = tuple(map(str, names))
    for k, name in enumerate(named):
        if name in named[:k]:
            raise refused(1, k + 1, Message.of("two columns have the same name."), name)
    if len(named) < 2 or not rows:
        raise refused(1, 1, Message.of("a table has at least one row and two columns."))
    if len(rows) > 10 * LARGEST_ARRAYS or len(named) > LARGEST_ARRAYS:
        most = Message.of(
            "at most {rows} rows and {columns} columns are allowed.",
            rows=f"{10 * LARGEST_ARRAYS:,}",
            columns=f"{LARGEST_ARRAYS:,}",
        )
        raise refused(1, 1, most)
    sha = hashlib.sha256(repr(named).encode())
    for row in rows:
        sha.update("\x1f".join(row).encode("utf-8", "surrogatepass") + b"\n")
    return Cells(named, rows, list(range(1, len(rows) + 1)), sha.hexdigest()[:16], Source())


def _text(value: Any) -> str:
    """Return a value as the text of a cell; what stands for no value is empty."""
    text = str(value)
    return "" if value is None or text in ("<NA>", "NaT") else text
