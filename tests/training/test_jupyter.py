"""In a notebook a run shows its progress and its result; elsewhere nothing of that is there."""

import re
import sys
from dataclasses import replace
from xml.etree import ElementTree

import nbclient
import nbformat
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tests.conftest import ROOT
from twolayer import Config, fit
from twolayer.training import jupyter
from twolayer.training.kernels import UnavailableError

CELLS = (
    "from twolayer import Config, Edit, fit",
    "result = fit(Config(N=4, D_in=6, H=5, D_out=2, learning_rate=1e-4), [Edit(2, 'steps', 60_000)])",
    "result",
    "result.figure()",
)


@pytest.fixture(scope="module")
def outputs() -> list[list[nbformat.NotebookNode]]:
    """What the cells show in a real kernel."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    client = nbclient.NotebookClient(book, timeout=600, resources={"metadata": {"path": str(ROOT)}})
    return [cell.outputs for cell in client.execute().cells]


def test_fit_shows_a_bar_that_is_full_in_the_end(outputs):
    (bar,) = outputs[1]
    assert bar.output_type == "display_data"
    assert re.search(r"<progress\b[^>]*max='60000' value='60000'", bar.data["text/html"])


def test_a_result_draws_itself(outputs):
    (shown,) = outputs[2]
    html = shown.data["text/html"]
    assert "tutorial: 60,000 steps in " in html
    assert "<svg" in html


def test_its_figure_is_the_loss_of_each_step(outputs):
    (shown,) = outputs[3]
    assert "application/vnd.plotly.v1+json" in shown.data
    result = fit(Config(steps=300))
    drawn = result.figure()
    assert_array_equal(drawn.data[0].x, np.arange(300))
    assert_array_equal(drawn.data[0].y, result.losses)
    assert drawn.layout.yaxis.type == "log"


def test_the_figure_of_a_long_run_keeps_its_first_and_last_step():
    result = replace(fit(Config(steps=1)), losses=np.arange(1.0, 100_001.0))
    drawn = result.figure().data[0]
    assert len(drawn.x) == jupyter.MOST_POINTS
    assert (drawn.x[0], drawn.x[-1], drawn.y[-1]) == (0, 99_999, 100_000)


def test_outside_a_notebook_there_is_no_bar(monkeypatch):
    assert jupyter.progress() is None

    class Terminal:
        """IPython in a terminal: a shell without a kernel."""

        @staticmethod
        def get_ipython():
            return object()

    monkeypatch.setitem(sys.modules, "IPython", Terminal)
    assert jupyter.progress() is None


def points(html: str) -> np.ndarray:
    """The points of the curve in a result's HTML."""
    curve = ElementTree.fromstring(html.partition("</p>")[2]).find("polyline")
    return np.array([pair.split(",") for pair in curve.get("points").split()], dtype=float)


def test_the_curve_falls_from_the_upper_left_to_the_lower_right():
    result = replace(fit(Config(steps=1)), losses=np.array([1000.0, 100.0, 10.0]))
    assert_array_equal(points(result._repr_html_()), [[0, 0], [240, 60], [480, 120]])


def test_a_result_with_nothing_to_draw_is_a_sentence():
    result = fit(Config(steps=2))
    for losses in ([], [5.0], [0.0, 0.0]):
        html = replace(result, losses=np.array(losses), diverged_at=len(losses))._repr_html_()
        assert f"diverged at step {len(losses)}" in html
        assert "<svg" not in html
    assert len(points(replace(result, losses=np.array([3.0, 3.0, 0.0]))._repr_html_())) == 2


def test_without_plotly_a_figure_says_what_to_install(monkeypatch):
    result = fit(Config(steps=2))
    monkeypatch.setattr("twolayer.training.kernels.find_spec", lambda _name: None)
    with pytest.raises(UnavailableError, match="pip install plotly"):
        result.figure()
