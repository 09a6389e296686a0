"""`code` prints a run as a program, whole and as Python reads it, whatever the terminal."""

import json
import subprocess
import sys

import pytest
from numpy.testing import assert_array_equal

from tests.conftest import ROOT
from tests.export.test_script import printed
from twolayer import Config, fit
from twolayer.export.notebook import notebook
from twolayer.export.rungs import rungs
from twolayer.export.script import script

OPTIONS = ["--N", "32", "--H", "9", "--dtype", "float64"]
CONFIG = Config(N=32, H=9, dtype="float64")


@pytest.fixture(scope="module")
def code(twolayer):
    """A function that runs `twolayer code`."""
    return lambda *arguments: twolayer("code", *arguments)


@pytest.mark.parametrize("rung", rungs(CONFIG))
def test_it_prints_each_rung(code, rung):
    ran = code("--as", rung, *OPTIONS)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == script(CONFIG, rung=rung)


def test_without_a_name_it_is_by_hand_in_the_backend(code):
    assert code(*OPTIONS, "--backend", "torch").stdout == script(CONFIG, rung="torch")


def test_it_prints_a_notebook(code):
    ran = code("--as", "notebook", *OPTIONS)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == notebook(CONFIG)
    assert json.loads(ran.stdout)["nbformat"] == 4


@pytest.mark.parametrize("encoding", ["cp949", "ascii", "utf-8"])
def test_what_is_piped_into_a_file_is_a_program_that_runs(tmp_path, encoding):
    command = [sys.executable, "-m", "twolayer", "code", *OPTIONS]
    variables = {"PYTHONUTF8": "0", "PYTHONIOENCODING": encoding, "PATH": ""}
    with (tmp_path / "piped.py").open("wb") as file:
        subprocess.run(command, cwd=ROOT, env=variables, stdout=file, timeout=600, check=True)
    rows = printed((tmp_path / "piped.py").read_text("utf-8"), tmp_path)
    assert_array_equal(rows[:, 1], fit(CONFIG).losses)


def test_a_file_is_written_and_named(code, tmp_path):
    path = tmp_path / "run.py"
    ran = code("--as", "jax", *OPTIONS, "--output", str(path))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert str(path) in ran.stdout
    assert path.read_text("utf-8") == script(CONFIG, rung="jax")
    assert code("--output", "-", *OPTIONS).stdout == script(CONFIG)


@pytest.mark.parametrize("arguments", [["--as", "tensorflow"], ["--N", "0"], ["--output", "/nowhere/run.py"]])
def test_what_is_wrong_is_said_in_one_line(code, arguments):
    ran = code(*arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("twolayer: ")
    assert ran.stderr.count("\n") == 1
