"""The Learning-rate page without a browser: a sweep, the training that is looked at, a grid."""

import io
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pyarrow import csv, parquet
from streamlit.testing.v1 import AppTest

from twolayer import Config, fit
from twolayer.dashboard.learning_rate import charts, job, view
from twolayer.dashboard.plot import plot
from twolayer.engine.engine import Engine
from twolayer.engine.waiting import Wait
from twolayer.export import files
from twolayer.rates.advice import advise
from twolayer.rates.grid import computed, sweep_grid
from twolayer.rates.sweep import Sweep, train

SMALL = {"N": "8", "D_in": "30", "H": "10", "D_out": "2", "steps": "60", "rates": "12", "seeds": "2"}
BASE = computed(Config(N=8, D_in=30, H=10, D_out=2, steps=60))


def opened(*unfolded: str, **query: str) -> AppTest:
    """The page as somebody opens it with this query string, these of its sections unfolded."""
    page = AppTest.from_file("../../app.py", default_timeout=300).switch_page("pages/learning_rate.py")
    for section in unfolded:
        page.session_state[section] = True
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def until(page: AppTest, condition: Callable[[], bool]) -> None:
    """Wait for a condition, and draw the page again."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
    page.run()
    assert not page.exception


def taking(page: AppTest) -> Any:
    """The link to the Train page with the recommended rate, as the browser gets it."""
    return next(link.proto for link in page.get("page_link") if link.proto.label.startswith("Train with"))


def over(page: AppTest, name: str) -> bool:
    return not bool(page.session_state[f"job_{name}"].live)


def scanned(page: AppTest) -> Sweep:
    """The scan of the page, when it and the training that is looked at are over."""
    until(page, lambda: page.session_state["job_scan"].job.over)
    if "job_focus" in page.session_state:
        until(page, lambda: over(page, "focus"))
    sweep: Sweep = page.session_state["job_scan"].sweep
    return sweep


def shown(page: AppTest) -> str:
    """Every text that the page shows in a box or as Markdown."""
    return "\n".join(box.value for boxes in (page.error, page.warning, page.markdown) for box in boxes)


def test_a_scan_trains_every_rate_with_every_seed_and_recommends_one() -> None:
    page = opened(**SMALL | {"steps": "2000", "rates": "60", "seeds": "5"})  # of several tasks
    assert "**Example**: the default settings" in shown(page)
    assert taking(page).disabled
    page.button(key="scan").click().run()
    sweep = scanned(page)
    assert sweep.done == sweep.grid.size == 300
    expected = train(sweep.grid, 0, 300)
    assert_array_equal(sweep.rows["outcome"], expected["outcome"])
    np.testing.assert_allclose(sweep.rows["first"], expected["first"], rtol=1e-6)
    found = advise(sweep.grid, sweep.there)
    assert found.rate is not None
    assert f"Recommended: **{found.rate:.2g}**" in shown(page)
    assert "300 of 300 runs" in "".join(bar.text for bar in page.get("progress"))
    assert taking(page).label == f"Train with {found.rate:.2g}"
    assert parse_qs(taking(page).query_string)["learning_rate"] == [f"{found.rate:.2g}"]
    assert not taking(page).disabled
    assert page.button(key="stop_scan").disabled


def test_the_rate_of_the_address_is_looked_at_and_explained_with_its_numbers() -> None:
    page = opened("why", rates="2", seeds="1", run="1")
    scanned(page)
    focus = page.session_state["job_focus"]
    assert focus.config == computed(Config())
    assert focus.run.losses[-1] == fit(focus.config).losses[-1]
    for words in ("η = 1e-06, seed 0", "2\\.36e\\+06", "8\\.48e\\-07", "1\\.18 times", "not quadratic"):
        assert words in shown(page)
    assert any("residual" in caption.value for caption in page.caption)


def test_only_a_click_on_a_point_of_the_scan_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep, clicks, drawn = Sweep(sweep_grid(BASE, [1e-4, 1e-3], 2)), [], {}
    monkeypatch.setattr(plot, "draw", lambda _traces, _layout, **options: drawn.update(options))
    charts.sweep_chart(sweep, None, 1e-6, clicks.append)
    for data in (None, [], ["x"], [-1, 0], [4, 0], [True], 3, [0.5], [3, 1], {"a": 1}):
        drawn["on_click"]({"customdata": data})
    drawn["on_click"]({})
    assert clicks == [3]


def test_a_run_that_only_rose_is_a_kind_of_its_own_and_no_hover_says_a_step_before_0(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base, rates = computed(Config(N=8, D_in=30, H=10, D_out=2, steps=3)), list(np.geomspace(1e-6, 1e6, 40))
    sweep, drawn = Sweep(sweep_grid(base, [float(rate) for rate in rates], 3)), {}
    sweep.take([(0, train(sweep.grid, 0, sweep.grid.size))])
    monkeypatch.setattr(plot, "draw", lambda traces, _layout, **_rest: drawn.update(traces=traces))
    charts.sweep_chart(sweep, None, 1e-6, lambda _index: None)
    kinds = {trace["uid"]: trace for trace in drawn["traces"]}
    assert len(kinds["rises"]["customdata"]) > 0
    assert "not finite" not in kinds["rises"]["hovertemplate"]
    assert "final loss" in kinds["rises"]["hovertemplate"]
    assert len(kinds["diverges"]["customdata"]) > 0
    assert all(diverged_at >= 0 for _, _, diverged_at, _ in kinds["diverges"]["customdata"])
    assert len({(t["marker"]["color"], t["marker"]["symbol"]) for t in kinds.values()}) == len(kinds)


def test_the_curves_over_steps_begin_at_step_0(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {}
    monkeypatch.setattr(plot, "draw", lambda traces, layout, **_rest: drawn.update(traces=traces, **layout))
    run = SimpleNamespace(losses=np.array([9.0, 8.0, 7.0]), name="run")
    charts.loss_chart(SimpleNamespace(run=run, config=replace(BASE, steps=3)))
    assert drawn["traces"][0]["customdata"] == [0, 1, 2]
    axis = drawn["xaxis"]
    assert dict(zip(axis["ticktext"], axis["tickvals"], strict=True)) == {"0": 1, "1": 2, "3": 4}


def test_a_grid_shows_the_band_and_its_files_hold_every_training() -> None:
    page = opened("sizes", **SMALL, grid="H=5,10; N=6,8; learning_rate=1e-5:1e-1:10")
    page.button(key="start_grid").click().run()
    until(page, lambda: page.session_state["job_grid"].job.over)
    sweep: Sweep = page.session_state["job_grid"].sweep
    assert sweep.done == 40
    assert page.segmented_control(key="view").value == "band"
    page.segmented_control(key="view").set_value("loss").run()
    assert not page.exception
    page.selectbox(key="layer").set_value(1).run()
    assert not page.exception
    for table in (
        csv.read_csv(io.BytesIO(files.csv(files.sweep_table(sweep)))),
        parquet.read_table(io.BytesIO(files.parquet(files.sweep_table(sweep)))),
    ):
        assert table.num_rows == 40
        assert table["final_loss"].null_count == np.isnan(sweep.rows["final"]).sum()


def test_a_sweep_of_numbas_settings_is_computed_by_it_and_says_so() -> None:
    page = opened(**SMALL, backend="numba", run="1")
    sweep = scanned(page)
    assert sweep.grid.base == replace(BASE, backend="numba")
    assert sweep.done == sweep.grid.size
    assert any("10 → 2, float32, Numba, 60 steps" in caption.value for caption in page.caption)


def test_stop_keeps_what_is_there() -> None:
    page = opened("sizes", grid="seed=0:999:500; steps=20000,30000")
    page.button(key="start_grid").click().run()
    until(page, lambda: page.session_state["job_grid"].job.done > 0)
    page.button(key="stop_grid").click().run()
    search = page.session_state["job_grid"]
    assert search.job.state == "stopped"
    assert 0 < search.sweep.done < 1000
    assert page.button(key="stop_grid").disabled


def test_results_are_said_to_be_kept_only_where_there_are_some() -> None:
    def said(done: int) -> str:
        return view._advice(SimpleNamespace(live=False, sweep=SimpleNamespace(done=done)), None)

    assert said(0) == ""
    assert "Results so far are kept" in said(1)


def test_what_the_address_gets_wrong_is_said_and_the_rest_used() -> None:
    page = opened(rates="1", seeds="x", rate_from="nan", grid="foo=1", grid_x="steps", grid_y="D_out", N="32")
    text = page.warning[0].value
    for name in ("rates:", "seeds:", "rate\\_from:", "grid:", "grid\\_x:"):
        assert name in text
    assert "grid\\_y" not in text
    assert page.session_state["grid_y"] == "D_out"
    assert page.session_state["N"] == 32
    assert page.session_state["rates"] == 100


def test_settings_go_to_the_address() -> None:
    page = opened(rates="50", grid_x="D_in")
    page.number_input(key="seeds").set_value(5).run()
    page.text_input(key="grid").set_value("H=1,2").run()
    assert page.query_params["rates"] == "50"
    assert page.query_params["seeds"] == "5"
    assert page.query_params["grid_x"] == "D_in"
    assert page.query_params["grid"] == "H=1,2"
    assert "rate_from" not in page.query_params


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ("foo=1", "foo"),
        ("H=0", "H: invalid value"),
        ("**b**=1", "\\*\\*b\\*\\*"),
        ("N=1:9:9;H=1:9999:999;D_in=1:99:9", "at most 20000 training runs"),
        ("steps=5000000;seed=0:999:1000", "would take about"),
        ("N=100000;H=100000", "this server allows"),
    ],
)
def test_a_grid_that_cannot_be_is_said(grid: str, words: str) -> None:
    page = opened()
    page.text_input(key="grid").set_value(grid).run()
    page.button(key="start_grid").click().run()
    assert not page.exception
    assert words in page.error[0].value
    assert "search_grid" not in page.session_state


def test_korean() -> None:
    page = opened("why", **SMALL, run="1", lang="ko")
    scanned(page)
    assert "추천 학습률: **" in shown(page)
    assert "이차 함수" in shown(page)


@pytest.mark.parametrize(("lang", "words"), [("en", "What is λmax?"), ("ko", "λmax란 무엇인가요?")])
def test_sharpness_is_explained(lang: str, words: str) -> None:
    page = opened(lang=lang)
    assert f"**{words}**" in shown(page)
    assert "1 − ηλ" in shown(page)


def test_the_reasons_are_folded_and_say_the_mean_losss_rate() -> None:
    page = opened(**SMALL, run="1")
    scanned(page)
    assert "Σy²" not in shown(page)
    assert not page.dataframe
    page.session_state["reasons"] = True
    page.run()
    assert "Σy²" in shown(page)
    assert "N·D_out = 16 times smaller" in shown(page)
    assert len(page.dataframe) == 1


def test_nothing_is_looked_at_before_somebody_asks_why() -> None:
    page = opened(**SMALL, run="1")
    scanned(page)
    assert "job_focus" not in page.session_state


def test_a_click_on_a_point_tells_why_though_a_browser_says_late_that_it_is_folded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = opened(**SMALL, run="1")
    scanned(page)
    on_its_way = page._tree.get_widget_states()
    folded = next(one for one in page.expander if one.label.startswith("Why"))
    on_its_way.widgets.add(id=folded.proto.id, bool_value=False)
    draw, clicks = charts.sweep_chart, [5]

    def clicked(shown: Any, found: Any, rate: Any, look_at: Callable[[int], None], **more: Any) -> None:
        draw(shown, found, rate, look_at, **more)
        if clicks:
            look_at(clicks.pop())

    monkeypatch.setattr(charts, "sweep_chart", clicked)
    page.run()
    page._run(on_its_way)
    until(page, lambda: over(page, "focus"))
    assert "At initialization λmax" in shown(page)


def test_the_example_is_what_a_sweep_of_the_defaults_gives() -> None:
    sweep = job.example()
    some = [0, 77, 179]
    expected = np.concatenate([train(sweep.grid, index, index + 1) for index in some])
    assert_array_equal(sweep.rows["outcome"][some], expected["outcome"])
    np.testing.assert_allclose(sweep.rows["first"][some], expected["first"], rtol=1e-5)
    assert advise(sweep.grid, sweep.there).safe


def test_the_axes_are_known_before_the_first_run(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {}
    monkeypatch.setattr(plot, "draw", lambda _traces, layout, **_rest: drawn.update(layout))
    sweep = Sweep(job.example().grid)
    for rows in (job.example().rows[:0], job.example().rows[90:95], job.example().rows):
        sweep.take([(0, rows)])
        charts.sweep_chart(sweep, None, 1e-6, lambda _index: None)
        axes = [drawn[axis].pop("range") for axis in ("xaxis", "yaxis")]
        assert drawn.setdefault("first", axes) == axes
    finals = np.log10(job.example().rows["final"])
    assert axes[1][0] < finals.min()
    assert finals[job.example().rows["diverged_at"] < 0].max() < axes[1][1]


@pytest.mark.parametrize("name", ["scan", "grid"])
def test_what_a_sweep_waits_for_stands_where_there_is_room_for_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A long sentence on the progress bar breaks its line on a phone, and all below it moves."""
    monkeypatch.setattr(Engine, "wait_of", lambda _engine, _task: Wait("race", seconds=3.0))
    page = opened("sizes", **SMALL | {"steps": "20000"})  # long enough not to be over when it is drawn
    page.button(key="scan" if name == "scan" else "start_grid").click().run()
    assert not page.exception
    assert not any("race" in bar.proto.text for bar in page.get("progress"))
    said = [box.value for boxes in (page.markdown, page.caption) for box in boxes]
    assert sum("Waiting for the current round of a race" in text for text in said) == 1
