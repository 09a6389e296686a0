"""The notebook of a run executes from top to bottom without this project, and its own check passes."""

import json
import re
import subprocess
import sys

import nbclient
import nbformat
import pytest
from numpy.testing import assert_array_equal

from tests.conftest import ROOT
from tests.export.test_rungs import outputs, random_runs
from twolayer import Config, Edit, fit
from twolayer.dashboard.i18n import translator
from twolayer.export.notebook import HEADINGS, notebook, program_cells
from twolayer.training.kernels import UnavailableError

SHOW = "import json; print('LOSSES', json.dumps(losses))"
ALONE = "import importlib.util; assert importlib.util.find_spec('twolayer') is None"
SMALL = Config(N=13, D_in=50, H=11, D_out=2, learning_rate=1e-4, steps=60)


def executed(text: str, folder) -> nbformat.NotebookNode:
    """The notebook after all its cells have run in a kernel that cannot find this project."""
    book = nbformat.reads(text, as_version=4)
    nbformat.validate(book)
    book.cells[1].source = f"{ALONE}\n{book.cells[1].source}"
    book.cells.append(nbformat.v4.new_code_cell(SHOW))
    client = nbclient.NotebookClient(book, timeout=600, resources={"metadata": {"path": str(folder)}})
    return client.execute()


def printed(cell: nbformat.NotebookNode) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


def losses_of(book: nbformat.NotebookNode) -> list[float]:
    return json.loads(printed(book.cells[-1]).removeprefix("LOSSES"))


def test_a_notebook_runs_to_its_end_with_the_runs_losses_its_check_and_its_curve(tmp_path):
    edits = (Edit(20, "learning_rate", 5e-5), Edit(30, "steps", 70))
    book = executed(notebook(SMALL, edits), tmp_path)
    assert_array_equal(losses_of(book), fit(SMALL, edits).losses)
    cells = {cell.id: cell for cell in book.cells}
    check = printed(cells["check"])
    for name in ("w1", "w2"):
        (entries, error) = re.search(rf"grad_{name}: (\d+) entries, largest error (\S+) of", check).groups()
        assert int(entries) > 10
        assert float(error) < 1e-4
    (figure,) = [output.data["application/vnd.plotly.v1+json"] for output in cells["curve"].outputs]
    assert figure["layout"]["yaxis"]["type"] == "log"


@pytest.mark.parametrize("data", ["spiral", "digits"])
def test_a_notebook_of_a_data_set_runs_where_the_packages_are_that_it_names(data, tmp_path):
    config = Config(data=data, init="he", N=100, H=9, learning_rate=1e-4, steps=30)
    book = executed(notebook(config), tmp_path)
    assert_array_equal(losses_of(book), fit(config).losses)
    assert ("scikit-learn" in book.cells[0].source) == (data == "digits")


def test_a_notebook_of_a_diverging_run_says_so_and_ends(tmp_path):
    book = executed(notebook(Config(learning_rate=1e-5)), tmp_path)
    (training,) = [cell for cell in book.cells if cell.id == "training"]
    assert "diverged: the loss of step 4 is not finite" in printed(training)
    assert losses_of(book) == fit(Config(learning_rate=1e-5)).losses.tolist()


def test_the_check_in_the_notebook_passes_for_random_runs_and_the_losses_agree(tmp_path):
    """The cells as one program each, without a kernel: it has to hold for every shape and data set."""
    programs = []
    for config, edits in random_runs():
        cells = dict(program_cells(config, edits))
        del cells["curve"]
        programs.append("\n".join([*cells.values(), SHOW]))
    for (config, edits), (out, _) in zip(random_runs(), outputs(programs, tmp_path), strict=True):
        got = json.loads(out.split("LOSSES")[1])
        expected = fit(config, edits).losses
        assert abs(len(got) - len(expected)) <= 1
        if config.method == "tutorial":
            assert_array_equal(got, expected)


def test_a_wrong_gradient_fails_the_check_in_the_notebook(tmp_path):
    cells = dict(program_cells(SMALL))
    wrong = cells["backward"].replace("2.0 * (y_pred - y)", "y_pred - y")
    assert wrong != cells["backward"]
    program = "\n".join([cells["setup"], cells["data"], cells["forward"], wrong, cells["check"]])
    ran = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert "grad_w1 does not agree with the slopes of the loss" in ran.stderr


def test_every_cell_has_its_text_with_formulas_in_the_readers_language():
    config = Config(N=7, D_in=6, H=5, D_out=4)
    book = nbformat.reads(notebook(config, translate=translator("ko")), as_version=4)
    nbformat.validate(book)
    words = [cell.source for cell in book.cells if cell.cell_type == "markdown"]
    assert len(words) == len(HEADINGS) == sum(cell.cell_type == "code" for cell in book.cells)
    assert all(re.search("[가-힣]", text) for text in words)
    assert sum(text.count("$$") for text in words) == 2 * (4 + 5 + 1 + 2)
    assert r"\underset{7\times 5}" in words[2]
    assert "N 7, D_in 6, H 5, D_out 4" in words[0]


def test_the_same_run_is_the_same_notebook():
    assert notebook(SMALL) == notebook(SMALL)
    assert "steps = 33" in notebook(SMALL, steps=33)


def test_a_notebook_passes_ruff_with_the_projects_rules(tmp_path):
    for number, (config, edits) in enumerate(random_runs()):
        (tmp_path / f"{number}.ipynb").write_text(notebook(config, edits), encoding="utf-8")
    rules = ["--no-cache", "--config", str(ROOT / "pyproject.toml")]
    for command in (["check", "--ignore", "T20,E402,I001"], ["format", "--check"]):
        ran = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *rules, str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout
        assert "20 files already formatted" in ran.stdout or "All checks passed" in ran.stdout


def test_without_the_library_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr("twolayer.training.kernels.find_spec", lambda _name: None)
    with pytest.raises(UnavailableError, match="pip install nbformat"):
        notebook(SMALL)
