"""CSV files as people and programs write them, right and wrong, and what must come of reading one."""

import csv
import io
import math
import re
import statistics
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from twolayer.training.data.cells import MOST_BYTES, TableError
from twolayer.training.data.own import Choices, shape_of
from twolayer.training.data.reading import Reading, read

PLACE = re.compile(r"Line [1-9]\d*, column [1-9]\d*(?: \(.*\))?: \S", re.DOTALL)
ALIKE = 1e-9

ODD = st.sampled_from(
    [
        *("=1+1", "=HYPERLINK(1)", "@SUM(A1)", "+1-1", "-2+3", "1e999", "-1e400", "1e101", "9" * 400, "inf"),
        *(
            "nan",
            "NaN",
            "NA",
            "?",
            "null",
            "",
            "  ",
            "1_000",
            "0x10",
            "1,5",
            "50%",
            "٣",
            "１２",
            "1e",
            ".",
            "-",
        ),
        *(
            'say "hi"',
            '"',
            "a\nb",
            "a\r\nb",
            "a;b",
            "a\tb",
            " 7 ",
            "-0",
            "0",
            "0.0",
            "1.",
            ".5",
            "+3",
            "1e-320",
        ),
        *("서울", "부산광역시", "naïve", "🌸", "\u202e", "\u2028", "a\x85b", "<script>", "{0}", "**x**"),
    ]
)
WORD = st.one_of(ODD, st.text("abcxyz가나다 ", max_size=8))
WHOLE, DECIMAL = st.integers(-1000, 1000).map(str), st.floats(-1e6, 1e6).map(repr)
NUMBER = st.sampled_from([WHOLE, DECIMAL] * 9 + [st.floats().map(repr)]).flatmap(lambda kind: kind)
CATEGORY = st.sampled_from(["red", "green", "blue", "빨강"])
CELL = st.sampled_from([NUMBER, NUMBER, NUMBER, CATEGORY, CATEGORY, WORD, st.just("7")])
NAME = st.one_of(st.text("abcdefg", min_size=1, max_size=6), WORD, st.sampled_from(["키", "몸무게", "성별"]))


@dataclass(frozen=True)
class File:
    """A file, and the cells that were written to it; none where it was spoiled."""

    content: bytes
    cells: list[list[str]] | None = None


@st.composite
def grids(draw: st.DrawFn) -> list[list[str]]:
    """The cells of a table: a line of names, and rows whose columns are of a kind each."""
    width = draw(st.sampled_from([2, 3, 4, 5, 6] * 8 + [1, 2, 3, 4, 30, 200, 201]))
    height = draw(st.sampled_from([0, 1, *range(2, 24), 40]))
    distinct = draw(st.sampled_from([True] * 7 + [False]))
    names = [f"c{k}" if distinct or k > 6 else draw(NAME) for k in range(width)]
    few = [draw(CELL) for _ in range(min(width, 8))]
    columns = [[draw(few[k % len(few)]) for _ in range(height)] for k in range(min(width, 8))]
    if draw(st.integers(0, 4)) == 0 and height:
        columns[draw(st.integers(0, len(columns) - 1))][draw(st.integers(0, height - 1))] = draw(WORD)
    rows = [[columns[k % len(columns)][i] for k in range(width)] for i in range(height)]
    times = draw(st.sampled_from([1] * 40 + [200, 1000]) if width < 30 else st.just(1)) if height else 1
    return [names, *rows * times]


@st.composite
def written(draw: st.DrawFn) -> File:
    """A table as some program writes it."""
    cells = draw(grids())
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=draw(st.sampled_from(",,,,,,\t\t\t;")),
        lineterminator=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    )
    writer.writerows(cells)
    encodings = ["utf-8"] * 8 + ["utf-8-sig"] * 3 + ["utf-16", "cp949"]
    return File(text.getvalue().encode(draw(st.sampled_from(encodings)), "replace"), cells)


@st.composite
def spoiled(draw: st.DrawFn) -> File:
    """A table with something wrong in it."""
    content = draw(written()).content
    at = draw(st.integers(0, len(content)))
    how = draw(st.sampled_from(["cut", "bytes", "text", "large", "ragged"]))
    if how == "cut":
        return File(content[:at])
    if how == "large":
        return File((content or b"1,2\n") * (MOST_BYTES // max(1, len(content)) + 2))
    if how == "ragged":
        return File(content + draw(st.sampled_from([b"1\n", b"," * 300, b"\n\n", b"1,2,3\n", b'"', b"x"])))
    piece = draw(st.binary(max_size=8)) if how == "bytes" else draw(st.sampled_from("\",\n\r\t\0;'")).encode()
    return File(content[:at] + piece + content[at:])


RAW = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")),
    st.sampled_from([b"", b"\xef\xbb\xbf", b"PK\x03\x04", b"\n" * 50, b"," * 50]),
).map(File)
FILES = st.sampled_from([written()] * 15 + [spoiled()] * 4 + [RAW]).flatmap(lambda kind: kind)
CHOSEN = st.builds(
    Choices,
    st.lists(st.integers(1, 7), max_size=2).map(tuple),
    st.lists(st.integers(1, 7), max_size=3).map(tuple),
    st.sampled_from([None, None, "classes", "regression"]),
)
CHOICES = st.sampled_from([st.just(Choices())] * 3 + [CHOSEN]).flatmap(lambda kind: kind)


def outcome(file: File, wanted: Choices) -> Reading | str:
    """Read a file: return what was read, or why it was refused."""
    try:
        return read(file.content, "some.csv", wanted)
    except TableError as error:
        return str(error)


def comes_of(file: File, found: Reading | str) -> str:
    """Return what came of a file, in words. Raise `AssertionError` for what is neither a right reading nor a
    sentence with line and column."""
    if isinstance(found, Reading) and found.table is not None:
        check(file, found)
        return "read"
    said = found if isinstance(found, str) else str(found.refusal)
    assert PLACE.match(said), said
    assert len(said) < 400
    return "refused as a file" if isinstance(found, str) else "refused for what was chosen"


def check(file: File, reading: Reading) -> None:
    """Assert that a table is what an independent reading of its cells makes of them."""
    table = reading.table
    assert table is not None
    shape = table.shape
    assert shape_of(table.name) == shape
    assert table.x.shape == (shape.rows, shape.D_in)
    assert table.y.shape == (shape.rows, shape.D_out)
    assert np.isfinite(table.x).all()
    assert np.isfinite(table.y).all()
    assert (table.x[:, -1] == 1).all()
    if file.cells is None:
        return
    names, *rows = file.cells
    assert [name.strip() or f"column {k}" for k, name in enumerate(names, 1)] == list(table.columns)
    assert len(rows) == reading.rows
    chosen = [k - 1 for k in (*shape.choices.inputs, *shape.choices.targets)]
    whole = [row for row in rows if all(value(row[k]) is not None for k in chosen)]
    assert len(whole) == shape.rows
    columns = {k: [row[k].strip() for row in whole] for k in chosen}
    x = [column for k in shape.choices.inputs for column in expected(columns[k - 1])]
    np.testing.assert_allclose(table.x[:, :-1], np.column_stack(x), rtol=ALIKE, atol=ALIKE)
    targets = [columns[k - 1] for k in shape.choices.targets]
    if shape.choices.kind == "classes":
        numbers = all(isinstance(value(cell), float) for cell in targets[0])
        said = [table.classes[k] for k in table.y.argmax(axis=1)]
        assert list(map(float, said)) == list(map(float, targets[0])) if numbers else said == targets[0]
        assert (np.sort(table.y, axis=1)[:, -2:] == [0, 1]).all()
    else:
        y = [column for cells in targets for column in expected(cells)]
        np.testing.assert_allclose(table.y, np.column_stack(y), rtol=ALIKE, atol=ALIKE)


def value(cell: str) -> float | str | None:
    """Return what a cell is: a number, a text, or nothing."""
    text = cell.strip()
    if text.lower() in {"", "na", "n/a", "#n/a", "nan", "null", "?"}:
        return None
    plain = text.isascii() and "_" not in text and not re.search("[xXiInN]", text)
    try:
        return float(text) if plain else text
    except ValueError:
        return text


def expected(cells: list[str]) -> list[list[float]]:
    """Return the columns that stand for a column of the file."""
    numbers = [number for cell in cells if isinstance(number := value(cell), float)]
    if len(numbers) == len(cells):
        mean = statistics.fmean(numbers)
        scale = max(abs(one - mean) for one in numbers)
        deviation = scale * math.sqrt(statistics.fmean([((one - mean) / scale) ** 2 for one in numbers]))
        return [[(one - mean) / deviation for one in numbers]]
    return [[float(cell == name) for cell in cells] for name in sorted(set(cells))]
