"""A file of one's own on the command line: train, code, check, race and sweep take it."""

import csv
import io
import json
import subprocess
import sys

import pytest
from numpy.testing import assert_array_equal

from twolayer import Config, fit, own_table

FLOWERS = "length,width,kind\n" + "".join(f"{k % 7}.5,{k * k % 11},{'ab'[k % 2]}\n" for k in range(40))
SMALL = ["--H", "5", "--learning_rate", "1e-4", "--steps", "10", "--init", "he"]
CONFIG = {"H": 5, "learning_rate": 1e-4, "steps": 10, "init": "he"}


@pytest.fixture
def file(tmp_path, monkeypatch) -> str:
    """A file in the current folder."""
    (tmp_path / "flowers.csv").write_text(FLOWERS, "utf-8")
    monkeypatch.chdir(tmp_path)
    return "flowers.csv"


def test_train_reads_a_file_and_its_columns_by_name(file, twolayer):
    status, out, err = twolayer("train", "--csv", file, "--target", "kind", *SMALL, "--json")
    assert (status, err) == (0, "")
    table, found = own_table(file, target="kind"), json.loads(out)
    assert found["losses"] == fit(Config(data="csv", **CONFIG), table=table).losses.tolist()
    assert found["config"]["table"] == table.name
    status, out, _ = twolayer("train", "--table", file, "--target", "2", "--inputs", "length", *SMALL)
    assert f"table={own_table(file, target='width', inputs='length').name}" in out
    assert "held out:" in out
    assert (
        "of the rows right"
        in twolayer("train", "--csv", file, "--target", "2", "--kind", "classes", *SMALL)[1]
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--csv", "no.csv"], "cannot read no.csv: No such file or directory"),
        (["--csv", "."], "cannot read .: Is a directory"),
        (["--csv", "a\0b"], "cannot read a"),
        (["--csv", "flowers.csv", "--target", "colour"], "invalid value 'colour'; expected a column: length"),
        (["--csv", "flowers.csv", "--kind", "both"], "kind: invalid value 'both'"),
        (["--csv", "flowers.csv", "--data", "iris"], "none, since the data are not csv"),
        (["--csv", "flowers.csv", "--N", "40"], "N: invalid value 40; expected a whole number from 1 to 39"),
        (["--csv", "bad.csv"], "bad.csv: Line 3, column 3: cells in this line: 3"),
        (["--data", "csv"], "csv with a file: --table FILE"),
        (["--target", "kind"], "give it with --table FILE"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("file")
def test_what_cannot_be_is_one_line(arguments, said, twolayer, tmp_path):
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n1,2,3\n", "utf-8")
    status, out, err = twolayer("train", *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err


@pytest.mark.parametrize("form", ["numpy", "notebook"])
def test_code_is_a_program_that_reads_the_file_and_prints_the_losses(form, file, twolayer, tmp_path):
    status, text, err = twolayer("code", "--csv", file, "--target", "width", *SMALL, "--as", form)
    assert (status, err) == (0, "")
    assert "rows_of('flowers.csv', ',', 'utf-8-sig')" in text.replace('\\"', '"')
    assert "{1: 'width'}" in text
    if form == "numpy":
        (tmp_path / "run.py").write_text(text, "utf-8")
        ran = subprocess.run([sys.executable, "-I", "run.py"], capture_output=True, text=True, check=True)
        losses = [float(line.split()[1]) for line in ran.stdout.splitlines()]
        assert_array_equal(
            losses, fit(Config(data="csv", **CONFIG), table=own_table(file, target="width")).losses
        )


def test_race_reads_a_file_and_its_csv_is_still_what_it_writes(file, twolayer):
    status, out, err = twolayer(
        "race", "--table", file, *SMALL, "--contenders", "numpy.tutorial,numpy.gram", "--rounds", "3", "--csv"
    )
    assert (status, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {row["contender"] for row in rows} == {"numpy tutorial", "numpy gram"}
    assert {row["right"] for row in rows} == {"True"}


def test_sweep_trains_on_the_file(file, twolayer):
    status, out, err = twolayer(
        "sweep", "--table", file, *SMALL, "--grid", "learning_rate=1e-5,1e-4", "--csv", "-"
    )
    assert (status, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out.split("\n\n")[0])))
    expected = fit(Config(data="csv", **CONFIG), table=own_table(file)).losses
    assert float(rows[1]["first_loss"]) == pytest.approx(expected[0], rel=1e-5)
