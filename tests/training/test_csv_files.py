"""Any file is read right, or refused in a sentence with line and column. `tests.tools.csvs` tries more."""

import tomllib

import pytest
from hypothesis import given

from tests import strangers
from tests.conftest import ROOT
from tests.training import csvs
from twolayer.training.data import cells as files
from twolayer.training.data.cells import TableError
from twolayer.training.data.own import Choices
from twolayer.training.data.reading import read


@strangers.a_share(2)
@given(csvs.FILES, csvs.CHOICES)
def test_any_file_is_read_right_or_refused_with_its_place(file, wanted):
    csvs.comes_of(file, csvs.outcome(file, wanted))


def refusal(content: bytes | str, wanted: Choices | None = None) -> str:
    """Why a file, or what is chosen of it, is refused."""
    if isinstance(content, str):
        content = content.encode()
    try:
        found = read(content, "some.csv", wanted or Choices()).refusal
    except TableError as error:
        return str(error)
    assert found is not None
    return str(found)


BODY = "a,b\n1,2\n3,5\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "Line 1, column 1: a table has at least two columns"),
        ("a\n1\n2\n", "Line 1, column 1: a table has at least two columns"),
        ("a;b\n1;2\n", "Line 1, column 1: a table has at least two columns"),
        ("1,2\n3,4\n", "Line 1, column 1: 1 is a number; the first line has to name the columns."),
        ("a,b,a\n1,2,3\n", "Line 1, column 3 (a): two columns have the same name."),
        ("a,b\n", "Line 2, column 1: there is no row below the column names."),
        ("a,b\n\n\n1,2\n3\n", "Line 5, column 2: cells in this line: 1; in the first line: 2."),
        (BODY + "1,2,3\n", "Line 4, column 3: cells in this line: 3; in the first line: 2."),
        (BODY + '1,"2"3\n', "Line 4, column 2: a quotation mark is not closed"),
        (BODY + '1,"2\n3,4\n', "Line 4, column 2: a quotation mark is not closed"),
        ('a,b\n"x\ny",1\n"z",2\n3\n', "Line 5, column 2: cells in this line: 1"),
        (BODY + "1,\0\n", "Line 4, column 2: the character U+0000 is not text."),
        (BODY.encode() + "강,1".encode("cp949"), "Line 4, column 1: not UTF-8 text."),
        ("a,b\n1,2\n3,1e200\n", "Line 3, column 2 (b): 1e200 is too large; numbers go up to 1e+100."),
        ("a,b\n1,5\n3,5\n", "Line 2, column 1 (a): apart from this target, no column can be an input."),
        ("a,b\n5,5\n5,5\n", "Line 2, column 2 (b): no column can be a target"),
        (
            "a,b\n1,2\n,3\n4,\n",
            "Line 3, column 1 (a): fewer than 2 rows are complete; rows in which this cell is missing: 1.",
        ),
        (
            ",".join(f"c{k}" for k in range(201)),
            "Line 1, column 201: too many columns; at most 200 are allowed.",
        ),
        ("a,b\n" + "1,2\n" * 10_001, "Line 10002, column 1: too many rows; at most 10,000 are allowed."),
        ("a,b\n" + f"{'1' * 140_000},2\n", "Line 2, column 1: a cell has at most 131,072 characters."),
        (f"a,b\n1,{'1' * 140_000}\n", "Line 2, column 2: a cell has at most 131,072 characters."),
        ("a,b\n" + "1,2\n" * 600_000, "column 1: the file is too large; at most 2 MB are allowed."),
    ],
)
def test_what_is_wrong_is_said_with_its_place(content, said):
    assert said in refusal(content)


CHOSEN = "a,b,c,d\n1,2,x,5\n2,4,y,5\n3,5,z,5\n" + "".join(f"{k},{k},n{k},5\n" for k in range(60))


@pytest.mark.parametrize(
    ("targets", "inputs", "kind", "said"),
    [
        ((4,), (), None, "Line 2, column 4 (d): the target is the same in all rows."),
        ((9,), (), None, "Line 1, column 9: there is no such column: the table has 4 columns."),
        ((9,), (1,), None, "Line 1, column 9: there is no such column: the table has 4 columns."),
        ((1,), (1, 2), None, "Line 2, column 1 (a): the column is chosen twice."),
        ((1,), (3,), None, "Line 2, column 3 (c): “x” is not a number, and 63 different values"),
        ((1,), (4,), None, "Line 2, column 1 (a): apart from this target, no column varies."),
        ((1, 2), (3,), None, "Line 2, column 3 (c): “x” is not a number"),
        ((1, 2), (), None, "Line 2, column 1 (a): apart from this target, no column can be an input."),
        ((1,), (2,), "classes", "Line 2, column 1 (a): 60 different values are too many for classes"),
    ],
)
def test_choices_that_cannot_be_are_said_with_their_place(targets, inputs, kind, said):
    assert said in refusal(CHOSEN, Choices(targets, inputs, kind))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_korean_names_are_read_in_each_form(encoding, delimiter, end):
    rows = [["키", "몸무게", "성별"], ["170.5", "62", "여"], ["181", "75.5", "남"], ["165", "NA", "여"]]
    content = end.join(delimiter.join(row) for row in rows).encode(encoding)
    reading = read(content, "표.csv", Choices())
    table = reading.table
    assert [column.name for column in reading.columns] == rows[0]
    assert table is not None
    assert (table.classes, table.shape.rows, reading.columns[1].missing) == (("남", "여"), 2, 1)
    assert (table.source.delimiter, table.source.file) == (delimiter, "표.csv")


def test_a_file_takes_little_more_memory_than_its_numbers():
    import tracemalloc

    worst = b"a,b,c,d,e,f,g,h\n" + b"12,34,56,78,90,11,22,33\n" * 9_999
    wide = (
        ",".join(f"c{k}" for k in range(104)) + "\n" + (",".join(["7", "8"] * 52) + "\n") * 9_990
    ).encode()
    long = b"a,b\n" + b"".join(b"%d,%s\n" % (k, b"x" * 180) for k in range(9_999))
    for content in (worst, wide, long):
        assert len(content) <= files.MOST_BYTES + 100_000
        tracemalloc.start()
        try:
            with_refusal = refusal(content) if content is long else read(content, "a.csv", Choices())
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert with_refusal
        assert most < 50 * 2**20


def test_the_library_reads_files_as_large_as_the_server_receives():
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))
    assert settings["server"]["maxUploadSize"] << 20 == files.MOST_BYTES


def test_of_many_categories_as_many_columns_are_inputs_as_fit():
    each, count = 20, files.MOST_INPUTS // 20 + 3
    lines = [",".join(f"c{k}" for k in range(count)) + ",t"]
    lines += [",".join([f"v{row % each}"] * count) + f",{row}" for row in range(3 * each)]
    table = read("\n".join(lines).encode(), "a.csv", Choices()).table
    assert len(table.shape.choices.inputs) == files.MOST_INPUTS // each
