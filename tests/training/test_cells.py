"""Tables as text: from files and from columns, and how large they may be."""

import re

import pytest

from twolayer.training.data import cells
from twolayer.training.data.cells import TableError, of_columns, of_file
from twolayer.training.messages import Message


def test_columns_become_rows_of_text() -> None:
    found = of_columns(["a", 2], [[1, None, "NaT"], [0.5, "x", True]])
    assert (found.names, found.rows, found.lines) == (
        ("a", "2"),
        [["1", "0.5"], ["", "x"], ["", "True"]],
        [1, 2, 3],
    )
    assert str(found.refused(2, 2, Message.of("no."))) == "Line 3, column 2 (2): no."
    assert found.of(2, [2, 0]) == ["True", "0.5"]
    assert of_columns(["a", "b"], [[1], [2]]).digest != of_columns(["a", "b"], [[2], [1]]).digest


@pytest.mark.parametrize(
    ("names", "columns", "said"),
    [
        (["a", "b", "a"], [[1]] * 3, "Line 1, column 3 (a): two columns have the same name."),
        (["a", "a"], [[1]] * 2, "Line 1, column 2 (a): two columns have the same name."),
        (["a"], [[1]], "Line 1, column 1: a table has at least one row and two columns."),
        (["a", "b"], [[], []], "Line 1, column 1: a table has at least one row and two columns."),
    ],
)
def test_columns_that_are_no_table(names: list[str], columns: list[list[int]], said: str) -> None:
    with pytest.raises(TableError, match=f"^{re.escape(said)}$"):
        of_columns(names, columns)


@pytest.mark.parametrize(("rows", "columns"), [(51, 2), (2, 6)])
def test_columns_have_their_limits(monkeypatch: pytest.MonkeyPatch, rows: int, columns: int) -> None:
    monkeypatch.setattr(cells, "LARGEST_ARRAYS", 5)
    of_columns("abcde", [range(50)] * 5)
    said = "Line 1, column 1: at most 50 rows and 5 columns are allowed."
    with pytest.raises(TableError, match=f"^{re.escape(said)}$"):
        of_columns("abcdef"[:columns], [range(rows)] * columns)


def test_a_file_has_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"a,b\n1,2\n3,4\n"
    monkeypatch.setattr(cells, "MOST_BYTES", len(content))
    monkeypatch.setattr(cells, "MOST_ROWS", 2)
    monkeypatch.setattr(cells, "MOST_COLUMNS", 2)
    assert of_file(content, "a.csv").lines == [2, 3]
    monkeypatch.setattr(cells, "MOST_ROWS", 1)
    with pytest.raises(TableError, match=r"^Line 3, column 1: too many rows; at most 1 are allowed\.$"):
        of_file(content, "a.csv")
    monkeypatch.setattr(cells, "MOST_COLUMNS", 1)
    with pytest.raises(TableError, match=r"^Line 1, column 2: too many columns; at most 1 are allowed\.$"):
        of_file(content, "a.csv")
    monkeypatch.setattr(cells, "MOST_BYTES", len(content) - 2)
    with pytest.raises(TableError, match=r"^Line 3, column 2: the file is too large"):
        of_file(content, "a.csv")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\n\na,b\n1,2\n1\n", "Line 5, column 2: cells in this line: 1; in the first line: 2."),
        (b"a,b\n1,2,3\n", "Line 2, column 3: cells in this line: 3; in the first line: 2."),
        (b"a,b\n", "Line 2, column 1: there is no row below the column names."),
        (b"a\n1\n", "Line 1, column 1: a table has at least two columns"),
        (b"1,2\n1,2\n", "Line 1, column 1: 1 is a number; the first line has to name the columns."),
        (b"a,b,a\n1,2,3\n", "Line 1, column 3 (a): two columns have the same name."),
        (b"a,b\n1,2\n3,\x07\n", "Line 3, column 2: the character U+0007 is not text."),
        (b"a,b\n1,\xff\n", "Line 2, column 2: not UTF-8 text."),
        (b'a,b\n1,2\n3,"4\n', "Line 3, column 2: a quotation mark is not closed"),
    ],
)
def test_the_place_of_what_is_wrong_in_a_file(content: bytes, said: str) -> None:
    with pytest.raises(TableError, match=f"^{re.escape(said)}"):
        of_file(content, "a.csv")


def test_of_a_file_the_end_of_its_name_its_encoding_and_its_delimiter_are_kept() -> None:
    found = of_file("\ufeffa\tb, c\td\n1\t2\t3\n".encode("utf-16-le"), "x" * 200 + "y" * 100)
    assert (found.names, found.rows) == (("a", "b, c", "d"), [["1", "2", "3"]])
    assert (found.source.file, found.source.delimiter, found.source.encoding) == ("y" * 100, "\t", "utf-16")
    assert of_file(b"a\tb, c\n1\t2\n", "a.tsv").names == ("a", "b, c"), "as many commas as tabs"
    unnamed = of_file(b"a,\n1,2\n", "a.csv")
    assert (unnamed.names, unnamed.source.encoding) == (("a", "column 2"), "utf-8-sig")
