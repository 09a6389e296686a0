"""Which columns of a table are inputs and targets, and why some cannot be."""

import re

import numpy as np
import pytest

from twolayer import ConfigError, own_table
from twolayer.training.data import cells as module
from twolayer.training.data import choosing
from twolayer.training.data.cells import TableError, of_file
from twolayer.training.data.choosing import choose, described
from twolayer.training.data.own import Choices


def table_of(text: str) -> module.Cells:
    return of_file(text.encode(), "a.csv")


def refusal(text: str, targets: tuple[int, ...] = (), inputs: tuple[int, ...] = ()) -> str:
    with pytest.raises(TableError) as caught:
        choose(table_of(text), Choices(targets, inputs, None))
    return str(caught.value)


def test_what_a_column_is() -> None:
    rows = [f"{k},{k % 3 or 'NA'},{'xy'[k % 2]},word {k},7,,1e-170" for k in range(60)]
    found = described(table_of("a,b,c,d,e,f,g\n" + "\n".join(rows[:-1]) + "\n59,2,y,word 59,7,,0\n"))
    assert [(one.what, one.missing, one.values) for one in found] == [
        ("number", 0, 60),
        ("number", 20, 2),
        ("category", 0, 2),
        ("text", 0, 60),
        ("constant", 0, 1),
        ("empty", 60, 0),
        ("constant", 0, 2),  # two numbers whose difference squared is 0
    ]
    assert [one.usable for one in found] == [True, True, True, False, False, False, False]


@pytest.mark.parametrize(("most", "inputs"), [(7, (1, 2, 3)), (6, (1, 2)), (5, (1, 2)), (4, (1,))])
def test_a_category_takes_an_input_for_each_of_its_values(
    monkeypatch: pytest.MonkeyPatch, most: int, inputs: tuple[int, ...]
) -> None:
    monkeypatch.setattr(module, "MOST_INPUTS", most)
    text = "a,b,c,d\n" + "\n".join(
        f"{k},{'wxyz'[k % 4]},{'no' if k % 3 else 'yes'},{k * k}" for k in range(12)
    )
    found = choose(table_of(text), Choices((), (), None))
    assert found.shape.choices.inputs == inputs
    if len(inputs) < 3:
        said = f"Line 2, column {len(inputs) + 1} ({'abc'[len(inputs)]}): with this column there are"
        count = (5, 7)[len(inputs) - 1]
        assert f"{said} {count} inputs; at most {most} are allowed." in refusal(text, (4,), (1, 2, 3))


def test_of_rows_that_are_not_complete_the_emptiest_column_is_named() -> None:
    text = "a,b,c\n1,,2\n,3,\n,,5\n4,,6\n"
    said = "Line 2, column 2 (b): fewer than 2 rows are complete; rows in which this cell is missing: 3."
    assert refusal(text, (3,), (1, 2)) == said
    said = "Line 3, column 1 (a): fewer than 2 rows are complete; rows in which this cell is missing: 3."
    assert refusal("a,b\n1,2\n,3\n,4\n,5\n", (2,), (1,)) == said
    said = "Line 2, column 1 (a): fewer than 2 rows are complete; rows in which this cell is missing: 0."
    assert refusal("a,b\n1,2\n", (2,), (1,)) == said


@pytest.mark.parametrize(
    ("text", "targets", "inputs", "said"),
    [
        (
            "a,b,c\n1,2,7\n2,3,7\n",
            (2, 1),
            (3,),
            "Line 2, column 2 (b): apart from this target, no column varies.",
        ),
        ("a,b\n1,x\n2,y\n", (1, 2), (), "Line 2, column 1 (a): apart from this target, no column can be an"),
        ("a,b,c\n1,2,3\n2,yes,4\n", (1, 2), (3,), "Line 3, column 2 (b): “yes” is not a number."),
        ("a,b\n7,x\n7,y\n", (1,), (2,), "Line 2, column 1 (a): the target is the same in all rows."),
        ("a,b\n7,\n7,\n", (), (), "Line 2, column 2 (b): no column can be a target: none is numeric or"),
        ("a,b\n1,2\n2,3e200\n", (1,), (2,), "Line 3, column 2 (b): 3e200 is too large; numbers go up to"),
    ],
)
def test_the_cell_at_which_a_choice_fails(
    text: str, targets: tuple[int, ...], inputs: tuple[int, ...], said: str
) -> None:
    assert re.match(re.escape(said), refusal(text, targets, inputs))


@pytest.mark.parametrize(("values", "what"), [(50, "category"), (51, "text")])
def test_a_category_has_at_most_fifty_values(values: int, what: str) -> None:
    assert choosing.MOST_CATEGORIES == 50
    text = "a,b\n" + "".join(f"{k},n{k}\n" for k in range(values))
    assert described(table_of(text))[1].what == what
    if what == "text":
        said = (
            "Line 2, column 2 (b): “n0” is not a number, and 51 different values are too many for a category"
        )
        assert refusal(text, (1,), (2,)).startswith(said)


def test_of_many_columns_twenty_are_named() -> None:
    with pytest.raises(ConfigError, match="a column: " + ", ".join(f"x{k}" for k in range(1, 21)) + "$"):
        own_table((np.eye(30), np.arange(30)), target="z")
