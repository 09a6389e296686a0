"""A learner's program as a script of its own."""

import random
from pathlib import Path

import pytest

from tests.backprop import programs
from twolayer import Config, fit
from twolayer.backprop.levels import SOLUTIONS, Exercise
from twolayer.backprop.spelling import DIALECTS
from twolayer.backprop.terms import LineError
from twolayer.export.own_script import SCRIPTS, own_script

SMALL = Config(N=12, D_in=9, H=7, D_out=5, learning_rate=1e-3, steps=30, dtype="float64", seed=4)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_script_checks_itself_and_prints_the_losses_of_the_run(python, tmp_path: Path, dialect):
    for number in range(4):
        lines = programs.Writer(random.Random(number), dialect).program()
        (tmp_path / "own.py").write_text(
            own_script(SMALL, Exercise("3", dialect=dialect), tuple(lines.items()))
        )
        ran = python(str(tmp_path / "own.py"))
        assert ran.returncode == 0, (ran.stderr, lines)
        first, *losses = ran.stdout.splitlines()
        assert first.startswith("# gradients: right")
        assert [float(line.split()[1]) for line in losses] == pytest.approx(list(fit(SMALL).losses), rel=1e-9)


def test_the_script_carries_its_data_and_initial_weights(python, tmp_path: Path):
    for dialect, dtype in zip(DIALECTS, ("float32", "float64"), strict=True):
        config = Config(data="iris", init="he", H=7, learning_rate=1e-4, steps=20, dtype=dtype, seed=4)
        text = own_script(config, Exercise("2", dialect=dialect), tuple(SOLUTIONS[dialect].items()))
        (tmp_path / "own.py").write_text(text)
        first, *losses = python(str(tmp_path / "own.py")).stdout.splitlines()
        assert first.startswith("# gradients: right")
        printed = [float(line.split()[1]) for line in losses]
        assert printed == pytest.approx(list(fit(config).losses), rel=1e-9 if dtype == "float64" else 1e-4)


def test_the_script_of_a_wrong_program_says_so(python, tmp_path: Path):
    lines = SOLUTIONS["numpy"] | {"grad_y_pred": "y_pred - y"}
    (tmp_path / "own.py").write_text(own_script(SMALL, Exercise("2"), tuple(lines.items())))
    assert python(str(tmp_path / "own.py")).stdout.startswith("# gradients: WRONG")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_right_program_at_the_defaults_is_the_file_itself(dialect):
    text = own_script(Config(), Exercise("2", dialect=dialect), tuple(SOLUTIONS[dialect].items()))
    assert text == (SCRIPTS / f"exercise_{dialect}.py").read_text("utf-8")


@pytest.mark.parametrize("line", ["__import__('os')", "x; import os", "x\n    import os", "", "x # y"])
def test_what_is_not_in_the_language_gets_into_no_script(line):
    with pytest.raises(LineError):
        own_script(SMALL, Exercise("2"), tuple((SOLUTIONS["numpy"] | {"grad_h": line}).items()))
