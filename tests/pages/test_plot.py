"""What the charts send to the browser."""

import numpy as np
from numpy.testing import assert_array_equal
from streamlit.testing.v1 import AppTest

from twolayer.dashboard.plot import plot


def test_a_short_curve_is_sent_whole():
    assert_array_equal(plot.thinned(np.arange(plot.MOST_POINTS, dtype=float)), np.arange(plot.MOST_POINTS))


def test_a_single_spike_and_both_ends_survive_thinning():
    losses = np.linspace(2, 1, 50_000)
    losses[31_337] = 1e6
    losses[12_345] = 1e-6
    at = plot.thinned(losses)
    assert len(at) <= plot.MOST_POINTS
    assert {0, 12_345, 31_337, 49_999} <= set(at.tolist())
    assert (np.diff(at) > 0).all()


def test_the_library_is_put_beside_the_app_once(tmp_path, monkeypatch):
    monkeypatch.setattr(plot, "ROOT", tmp_path)
    address = plot.library.__wrapped__()
    files = list((tmp_path / "static").iterdir())
    (file,) = [path for path in files if path.stat().st_size > 1_000_000]
    assert address == f"app/static/{file.name}"
    assert {path.read_bytes() for path in files} >= {plot._DRAWING}
    written = file.stat().st_mtime_ns
    plot.library.__wrapped__()
    assert file.stat().st_mtime_ns == written


def test_a_static_folder_that_cannot_be_written_is_said_in_the_log(tmp_path, monkeypatch, caplog):
    (tmp_path / "static").write_text("a file in the place of the folder")
    monkeypatch.setattr(plot, "ROOT", tmp_path)
    assert plot.library.__wrapped__() is None
    assert "cannot be written" in caplog.text


def a_chart() -> None:
    """A page with a chart; run by the test runner, which copies its text."""
    from twolayer.dashboard.plot import plot

    plot.draw([{"uid": "a", "revision": 1, "y": [1, 2], "line": {"color": "theme:1"}}], {}, key="c", alt="a")


def test_without_the_library_streamlits_own_chart_is_drawn_once_a_second(monkeypatch):
    monkeypatch.setattr(plot, "library", lambda: None)
    page = AppTest.from_function(a_chart).run()
    assert not page.exception
    (chart,) = page.get("plotly_chart")
    assert "#c2410c" in chart.proto.spec
    assert "revision" not in chart.proto.spec
    assert plot.slowest_redraw() == 1


def test_with_the_library_there_is_no_chart_of_streamlits():
    page = AppTest.from_function(a_chart).run()
    assert not page.exception
    assert len(page.get("plotly_chart")) == 0
    assert plot.slowest_redraw() == 0
