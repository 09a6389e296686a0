"""Every figure of a training, wherever it is shown, against a run whose clock is known, with its unit.

Ten steps: four in 4 ms, then six in 3 ms. So a step takes 1000 µs, then 500 µs, and the run 7 ms.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from math import ceil
from time import monotonic
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.testing import assert_allclose
from streamlit.testing.v1 import AppTest

from twolayer import Config, Result
from twolayer.cli import train
from twolayer.dashboard.common import jobs
from twolayer.dashboard.common.history import Entry
from twolayer.dashboard.plot import plot
from twolayer.dashboard.train import live, points, runs_table
from twolayer.engine.run import Run
from twolayer.export import files
from twolayer.training import jupyter, training
from twolayer.training.figures import DEAD, FIGURES, FIRST_LOSS, LOSS, SPEED, STEP_TIME, STEPS, TOTAL_TIME
from twolayer.training.problem import make_problem
from twolayer.training.training import Chunk

CONFIG = Config(N=3, D_in=4, H=5, D_out=2, steps=10, learning_rate=1e-3)
LOSSES = np.arange(100.0, 0.0, -10.0)
LAPS = np.array([[4, 4e-3], [6, 3e-3]])
MICROSECONDS = [1000.0] * 4 + [500.0] * 6
OF_THE_KNOWN_RUN = {
    STEPS: (10, ""),
    FIRST_LOSS: (100, ""),
    LOSS: (10, ""),
    STEP_TIME: (sorted([1000] * 4 + [500] * 6)[5 - 1], "µs"),
    SPEED: ((4 * 3 * 4 * 5 + 6 * 3 * 5 * 2) / 500e-6 / 1e9, "GFLOP/s"),
    TOTAL_TIME: (0.004 + 0.003, "s"),
    DEAD: (2, ""),
}
"""What a person reads of it, worked out by hand."""
BEGUN_AT = [0, 1, 2, 3, 4, 4.5, 5, 5.5, 6, 6.5]
"""Milliseconds in the steps before each of the ten."""


def known_run(config: Config = CONFIG) -> Run:
    run = Run("known", config)
    run.begin()
    run.receive(Chunk(10, {}, LOSSES, LAPS, dead=np.array([[4.0, 1.0], [10.0, 2.0]]), zero_loss=99.0))
    return run


def known_result() -> Result:
    """What `fit` would return of the known run."""
    weights = {"w1": np.zeros((4, 5)), "w2": np.zeros((5, 2)), "held_out": np.empty((0, 3))}
    counts = {"laps": LAPS, "dead": np.array([[4.0, 1.0], [10.0, 2.0]]), "zero_loss": 99.0, "seconds": 0.007}
    return Result(
        losses=LOSSES, method="tutorial", diverged_at=None, compile_seconds=0.0, **weights, **counts
    )


def a_page(by_seconds: bool) -> None:
    """A script that shows the known run and keeps what its charts and tables were given."""
    import streamlit as st

    from tests.pages.test_figures import known_run
    from twolayer.dashboard.common.history import Entry
    from twolayer.dashboard.plot import plot
    from twolayer.dashboard.train import live

    drawn = st.session_state["drawn"] = {}
    layouts = st.session_state["layouts"] = {}
    tables = st.session_state["tables"] = {}
    keep = plot.draw, plot.numbers
    st.session_state["axes"] = [live.BY_TIME] if by_seconds else []

    def draw(traces, layout, key, **_rest):
        drawn[key] = [trace | trace.get("make", dict)() for trace in traces]
        layouts[key] = layout

    plot.draw = draw
    plot.numbers = lambda given, **_rest: tables.update(given())
    try:
        run = known_run()
        live.show(run, [Entry(run, 1, "Run 1")])
        live.options(run)
    finally:
        plot.draw, plot.numbers = keep


@pytest.fixture(scope="module", params=[False, True], ids=["by steps", "by seconds"])
def page(request: pytest.FixtureRequest) -> AppTest:
    page = AppTest.from_function(a_page, args=(request.param,)).run()
    assert not page.exception
    page.session_state["axis"] = request.param
    return page


def unpacked(packed: dict[str, str]) -> Any:
    return np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"])


def test_every_figure_is_what_is_worked_out_by_hand() -> None:
    assert FIGURES.keys() == OF_THE_KNOWN_RUN.keys()
    for trained in (known_run(), known_result()):
        for name, (value, unit) in OF_THE_KNOWN_RUN.items():
            assert FIGURES[name].of(CONFIG, trained) == pytest.approx(value, rel=1e-12), name
            assert FIGURES[name].unit == unit


def check(shown: Mapping[str, str], names: Iterable[str], rel: float) -> None:
    """Assert that a place shows these figures, each with its label and unit, and no others."""
    expected = {FIGURES[name].label: name for name in names}
    assert shown.keys() == expected.keys()
    for label, text in shown.items():
        value, unit = OF_THE_KNOWN_RUN[expected[label]]
        number, _, shown_unit = text.partition(" ")
        assert float(number.replace(",", "")) == pytest.approx(value, rel=rel), label
        assert shown_unit == unit, label


def test_the_cards(page: AppTest) -> None:
    cards = {metric.label: metric.value for metric in page.metric}
    assert cards.pop("Status") == "finished"
    assert cards[FIGURES[DEAD].label] == "2 / 5"
    cards[FIGURES[DEAD].label] = "2"
    check(cards, live.CARDS, rel=1e-3)


def test_the_runs_table(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(
        runs_table.st, "data_editor", lambda columns, **rest: given.update(rest, columns=columns)
    )
    runs_table._table([Entry(known_run(), 1, "Run 1")])
    for name in runs_table.FORMATS:
        (value,) = given["columns"][name]
        expected, unit = OF_THE_KNOWN_RUN[name]
        assert value == pytest.approx(expected)
        assert given["column_config"][name]["label"] == FIGURES[name].label + f" ({unit})" * bool(unit)
    others = {"colour", "shown", "name", "config", "state"}
    assert set(given["columns"]) == set(given["column_config"]) == others | set(runs_table.FORMATS)


def test_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "fit", lambda *_, **__: known_result())
    options = [
        f"--{name}={value}" for name, value in vars(CONFIG).items() if name in ["N", "D_in", "H", "D_out"]
    ]
    lines = CliRunner().invoke(train.command, options).stdout.splitlines()
    rows = dict(re.split(r":\s+", line, maxsplit=1) for line in lines)
    shown = {label.capitalize(): text for label, text in rows.items() if label not in ("run", "faster here")}
    check(shown, train.FORMS, rel=1e-3)


def test_the_json_of_the_command_line_and_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "fit", lambda *_, **__: known_result())
    line = json.loads(CliRunner().invoke(train.command, ["--json"]).stdout)
    page = json.loads(files.run_json(known_run(), None))["results"]
    for results in (line, page):
        assert results["steps"] == 10
        assert results["losses"] == LOSSES.tolist()
        assert results["seconds"] == pytest.approx(0.007)
    assert page["median_step_seconds"] == pytest.approx(500e-6)
    assert page["dead_units"] == [[4, 1], [10, 2]]


def test_a_notebook() -> None:
    result = known_result()
    assert jupyter.summary(result) == "tutorial: 10 steps in 0.007 s, loss 100 → 10"
    figure = result.figure()
    assert_allclose(figure.data[0].x, range(10))
    assert_allclose(figure.data[0].y, LOSSES)
    assert figure.layout.title.text == jupyter.summary(result)


def test_the_sentence_of_a_finished_run(page: AppTest) -> None:
    said = " ".join(markdown.value for markdown in page.markdown).replace("\\.", ".")
    assert "the loss decreased from 100 to 10 in 0.007 s of compute time" in said


def test_the_axes_have_units(page: AppTest) -> None:
    layouts = page.session_state["layouts"]
    axes = {
        (chart, axis): layout[axis]["title"]["text"]
        for chart, layout in layouts.items()
        for axis in ("xaxis", "yaxis")
    }
    assert axes == {
        ("loss_chart", "xaxis"): "compute time (s)" if page.session_state["axis"] else "step",
        ("loss_chart", "yaxis"): "loss (sum of squared errors)",
        ("time_chart", "xaxis"): "step",
        ("time_chart", "yaxis"): "µs per step",
        ("dead_chart", "xaxis"): "step",
        ("dead_chart", "yaxis"): "dead units",
    }
    assert layouts["time_chart"]["yaxis"]["range"] == [0, pytest.approx(1.1 * 1000)]


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (4.1382e-5, "0.00004138"),
        (31_523_456.0, "3.152e+07"),
        (1_234_567.0, "1235000"),
        (10.0, "10"),
        (0.0, "0"),
        (4.1382e-9, "4.138e-09"),
    ],
)
def test_a_loss_is_written_for_people_and_is_a_number_to_a_program(loss: float, text: str) -> None:
    assert live.figure(loss) == text
    assert float(text) == pytest.approx(loss, rel=1e-3)


def test_the_dead_units_over_steps(page: AppTest) -> None:
    (trace,) = page.session_state["drawn"]["dead_chart"]
    assert_allclose(unpacked(trace["x"]), [4, 10])
    assert_allclose(unpacked(trace["y"]), [1, 2])


def around(values: list[Any], at: int) -> list[Any]:
    """The 31 values around one of them, in order of size; the ends continue as in a mirror."""
    mirrored = values + values[::-1]
    return sorted(mirrored[place % len(mirrored)] for place in range(at - 15, at + 16))


def test_the_time_chart_is_the_running_median_in_microseconds_and_its_band(page: AppTest) -> None:
    median, band = page.session_state["drawn"]["time_chart"]
    assert_allclose(unpacked(median["x"]), [4, 10])
    assert_allclose(unpacked(median["y"]), [500, 500])
    assert_allclose(unpacked(band["x"]), [4, 10, 10, 4])
    assert_allclose(unpacked(band["y"]), [500, 500, 1000, 1000])


@pytest.mark.parametrize("count", [32, 100, 997])
def test_running_quantiles_are_those_of_the_steps_in_the_31_laps_around(count: int) -> None:
    random = np.random.default_rng(count)
    times, steps = random.exponential(size=count), random.integers(1, 5, count)
    at, quantiles = points.running_quantiles(np.column_stack((steps.cumsum(), times)), most=100)
    assert len(at) == min(count, 100)
    assert (at[0], at[-1]) == (0, count - 1)
    for column, place in enumerate(at):
        laps = around(list(zip(times, steps, strict=True)), int(place))
        of_steps = [1e6 * time for time, steps in laps for _step in range(steps)]
        ranks = [ceil(share * len(of_steps)) - 1 for share in (0.1, 0.5, 0.9)]
        assert_allclose(quantiles[:, column], [of_steps[rank] for rank in ranks])


@pytest.mark.parametrize("count", [1, 4, 31])
def test_few_laps_have_one_median_which_is_the_cards(count: int) -> None:
    run = run_of(list(np.random.default_rng(count).exponential(size=count)))
    steps, median = points.median(run)
    assert_allclose(steps, range(1, count + 1))
    assert_allclose(median, FIGURES[STEP_TIME].of(run.config, run))


def test_a_long_lap_counts_as_its_steps() -> None:
    """As on a cold server: short laps at first, then a long one, in which something else ran."""
    run = Run("cold", CONFIG)
    laps = np.array([[1, 300e-6], [1, 310e-6], [1, 320e-6], [7, 7 * 1500e-6]])
    run.receive(Chunk(10, {}, LOSSES, laps, dead=np.array([[10.0, 0.0]])))
    assert FIGURES[STEP_TIME].of(CONFIG, run) == pytest.approx(1500)
    assert_allclose(1e6 * run.spread, [300, 1500, 1500])


def run_of(microseconds: list[float]) -> Run:
    """A run whose steps took so long."""
    run = Run("timed", Config(N=3, D_in=4, H=5, D_out=2, steps=len(microseconds)))
    run.begin()
    laps = np.array([[1, 1e-6 * time] for time in microseconds])
    run.receive(Chunk(len(microseconds), {}, np.ones(len(microseconds)), laps, dead=np.array([[1.0, 0.0]])))
    return run


def test_the_axis_of_the_times_ends_above_the_bands_of_a_calm_machine() -> None:
    end, highest = points.calm_ends([run_of([100.0, 110.0] * 50)])
    assert highest == pytest.approx(110)
    assert end == pytest.approx(1.1 * 110)


def test_a_disturbed_stretch_does_not_hide_the_others_and_the_highest_value_is_told() -> None:
    end, highest = points.calm_ends([run_of([100.0] * 200 + [9000.0] * 40)])
    assert highest == pytest.approx(9000)
    assert end == pytest.approx(1.1 * 6 * 100)
    assert points.calm_ends([]) == (1000.0, 0.0)


@pytest.mark.parametrize("slow", [20, 80])
def test_a_busy_server_is_told_whether_it_disturbed_few_steps_or_most(slow: int) -> None:
    assert live._disturbance(run_of([100.0, 110.0] * 50)) == ""
    said = live._disturbance(run_of([100.0] * (100 - slow) + [1000.0] * slow))
    assert "took at least 10.0 times as long as the fastest tenth" in said


def test_the_loss_chart_over_steps_and_over_seconds_in_the_steps(page: AppTest) -> None:
    (trace,) = page.session_state["drawn"]["loss_chart"]
    by_seconds = page.session_state["axis"]
    assert_allclose(unpacked(trace["x"]), np.array(BEGUN_AT) / 1e3 if by_seconds else range(10), rtol=1e-6)
    assert_allclose(unpacked(trace["y"]), LOSSES)


@pytest.mark.parametrize("by_seconds", [False, True])
def test_the_held_out_loss_is_the_mean_per_entry_times_the_entries_of_the_batch(by_seconds: bool) -> None:
    run = Run("tested", CONFIG)
    held_out = np.array([[4, 2.0, np.nan], [10, 0.5, np.nan]])
    run.receive(Chunk(10, {}, LOSSES, LAPS, held_out=held_out, dead=np.array([[10.0, 0.0]])))
    at, loss = points.held_out(run, by_seconds)
    assert_allclose(at, [4e-3, 7e-3] if by_seconds else [4, 10])
    assert_allclose(loss, [2.0 * 3 * 2, 0.5 * 3 * 2])


def test_the_cross_of_a_diverged_run_is_at_its_last_loss() -> None:
    for by_seconds, place in ((False, 9), (True, BEGUN_AT[9] / 1e3)):
        at, loss = points.last_loss(known_run(), by_seconds)
        assert_allclose([*at, *loss], [place, 10])


def test_the_tables_beside_the_charts(page: AppTest) -> None:
    tables = page.session_state["tables"]
    assert_allclose(tables["Loss"]["loss"], LOSSES)
    assert_allclose(tables["Loss"]["step"], range(10))
    assert_allclose(tables["Time per step"]["µs per step"], [1000, 500])
    assert_allclose(tables["Dead hidden units"]["dead units"], [1, 2])


def test_the_files_have_the_time_of_each_steps_own_lap() -> None:
    table = files.run_rows(known_run()).read_all().to_pydict()
    assert_allclose(table["microseconds"], MICROSECONDS)
    assert_allclose(table["loss"], LOSSES)
    assert table["step"] == list(range(10))


@pytest.mark.parametrize(("done", "total", "left"), [(10, 40, 30), (30, 40, 3), (1, 3, 20)])
def test_the_time_left_goes_by_the_pace_so_far(done: int, total: int, left: int) -> None:
    assert jobs.time_left(monotonic() - 10, done, total) == f" · {left} s left"
    assert jobs.time_left(None, done, total) == jobs.time_left(monotonic(), 0, total) == ""


def test_the_last_point_of_a_long_curve_is_drawn() -> None:
    for count in (plot.MOST_POINTS + 1, 12_347):
        assert plot.thinned(np.linspace(5, 1, count))[-1] == count - 1


def test_the_zero_networks_loss_is_the_sum_of_all_squares_of_y() -> None:
    problem = make_problem(CONFIG)
    expected = sum(float(value) ** 2 for row in problem.y for value in row)
    assert training.start(CONFIG, problem).zero_loss == pytest.approx(expected, rel=1e-6)
