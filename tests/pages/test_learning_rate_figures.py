"""Every figure of the Learning-rate page against trainings of the test's own, in both languages."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pyarrow import csv, parquet
from streamlit.testing.v1 import AppTest

from tests.pages.by_training import (
    Trained,
    expected_sharpness,
    recommended,
    sharpness,
    trained,
)
from tests.pages.reading import chart, figures, number, said
from tests.pages.test_learning_rate_page import opened, scanned, until
from twolayer.dashboard.i18n import translator
from twolayer.export import files
from twolayer.rates.outcomes import OUTCOME_NAMES, OUTCOMES

SIZES, STEPS, SEEDS, RATES = (8, 30, 10, 2), 60, (5, 6), 40
N, D_in, H, D_out = SIZES
QUERY = {name: f"{size}" for name, size in zip(("N", "D_in", "H", "D_out"), SIZES, strict=True)}
QUERY |= {"steps": f"{STEPS}", "seed": f"{SEEDS[0]}", "dtype": "float64"}
OWN = 1e-4
"""The learning rate of the page, the one that is looked at."""


@pytest.fixture(scope="module", params=["en", "ko"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def rates() -> list[float]:
    """The learning rates of a sweep: on a log scale around 2/λmax, from ends of one digit."""
    low, high = (float(f"{2 / expected_sharpness(*SIZES) * factor:.0e}") for factor in (1e-3, 10))
    return [low * (high / low) ** (place / (RATES - 1)) for place in range(RATES)]


@pytest.fixture(scope="module")
def trainings(rates: list[float]) -> dict[int, Trained]:
    """All trainings of the sweep, by their number."""
    pairs = [(seed, rate) for seed in SEEDS for rate in rates]
    return {place: trained(SIZES, seed, rate, STEPS) for place, (seed, rate) in enumerate(pairs)}


@pytest.fixture(scope="module")
def page(language: str) -> AppTest:
    query = {"rates": f"{RATES}", "seeds": f"{len(SEEDS)}", "learning_rate": f"{OWN}", "run": "1"}
    page = opened("why", "reasons", **QUERY, **query, lang=language)
    scanned(page)
    for key in ("scan_chart_numbers", "curvature_chart_numbers"):
        page.session_state[key] = True
    page.session_state["scan_chart_sent"] = {}  # all points are sent once more
    page.run()
    return page


def share(one: Trained) -> float | None:
    return one.losses[-1] / one.zero if one.outcome == "converges" else None


def advice(rates: list[float], trainings: dict[int, Trained]) -> tuple[float, float, float]:
    return recommended(
        {
            rate: [share(trainings[place + RATES * seed]) for seed in range(len(SEEDS))]
            for place, rate in enumerate(rates)
        }
    )


def digits(count: int, text: str) -> Any:
    """A number that was rounded to so many digits."""
    return pytest.approx(number(text), rel=5.1 * 10.0**-count)


def test_how_many_runs_are_done_and_how_long_they_took(page: AppTest, language: str) -> None:
    (bar, *_others) = page.get("progress")
    _ = translator(language)
    assert _("{done} of {total} runs").format(done="80", total="80") in bar.proto.text
    elapsed = page.session_state["job_scan"].job.elapsed
    state = _("{state}, {seconds} s").format(state=_("finished"), seconds=f"{elapsed:.1f}")
    assert state in bar.proto.text
    assert bar.proto.value == 100


def test_the_recommended_rate_and_its_band(
    page: AppTest, rates: list[float], trainings: dict[int, Trained], language: str
) -> None:
    rate, low, high = advice(rates, trainings)
    assert high > 1.5 * low
    assert rate == digits(2, figures(page, "Recommended: **{rate}**.", language)["rate"])
    band = figures(page, "Safe band: {low} to {high}.", language)
    assert (low, high) == (digits(2, band["low"]), digits(2, band["high"]))
    label = translator(language)("Train with {rate}").format(rate=f"{float(f'{rate:.2g}'):.3g}")
    assert label in [link.proto.label for link in page.get("page_link")]
    sentence = (
        "If the loss were the mean of the squared errors instead of the sum: {rate}. Its gradient is N·D_out "
        "= {outputs} times smaller, so the same steps need a learning rate that much larger."
    )
    found = figures(page, sentence, language)
    assert found["outputs"] == f"{N * D_out}"
    assert rate * N * D_out == digits(2, found["rate"])


def test_each_point_of_the_sweep(
    page: AppTest, rates: list[float], trainings: dict[int, Trained], language: str
) -> None:
    drawn, _ = chart(page, "scan_chart"), translator(language)
    traces = {trace["uid"]: trace for trace in drawn["traces"] if "uid" in trace}
    assert list(traces) == list(OUTCOMES)
    seen, top = {}, 100 * max(one.losses[0] for one in trainings.values())
    for kind, trace in traces.items():
        assert trace["name"] == _(OUTCOME_NAMES[kind])
        for x, y, (place, seed, diverged_at, dead) in zip(
            trace["x"], trace["y"], trace["customdata"], strict=False
        ):
            one = trainings[place]
            seen[place] = kind
            assert x == pytest.approx(rates[place % RATES], rel=1e-9)
            assert seed == SEEDS[place // RATES]
            assert kind == one.outcome
            assert diverged_at == (-1 if one.diverged_at is None else one.diverged_at)
            if kind == "diverges":
                assert y == pytest.approx(top, rel=1e-9)
            else:
                assert y == pytest.approx(one.losses[-1], rel=1e-4)
                assert dead == one.dead
        hover = trace["hovertemplate"]
        assert hover.startswith(f"η = %{{x:.2e}}<br>{_('seed')} %{{customdata[1]}}<br>")
        if kind == "diverges":
            assert _("not finite from step {step} on").format(step="%{customdata[2]}") in hover
        else:
            assert f"{_('final loss')} %{{y:.4g}}<br>{_('dead units')} %{{customdata[3]}}" in hover
    assert seen.keys() == trainings.keys()
    assert {"converges", "diverges"} < set(seen.values())
    titles = [drawn["layout"][axis]["title"]["text"] for axis in ("xaxis", "yaxis")]
    assert titles == [_("learning rate"), _("final loss")]


def test_the_marks_of_the_sweep_stand_at_their_rates(
    page: AppTest, rates: list[float], trainings: dict[int, Trained], language: str
) -> None:
    drawn, _ = chart(page, "scan_chart"), translator(language)
    rate, low, high = advice(rates, trainings)
    places = {note["text"]: 10 ** note["x"] for note in drawn["layout"]["annotations"]}
    expected = {_("recommended"): rate, _("yours"): OWN, "≈ 2/λmax": 2 / expected_sharpness(*SIZES)}
    assert places == pytest.approx(expected, rel=1e-9)
    band, *lines = drawn["layout"]["shapes"]
    assert (band["x0"], band["x1"]) == pytest.approx((low, high), rel=1e-9)
    assert sorted(line["x0"] for line in lines) == pytest.approx(sorted(expected.values()), rel=1e-9)


def test_the_numbers_beside_the_sweep_and_the_zones(
    page: AppTest, rates: list[float], trainings: dict[int, Trained], language: str
) -> None:
    _ = translator(language)
    tables = [table.value for table in page.dataframe]
    (numbers,) = [table for table in tables if _("Final loss") in table]
    assert_allclose(numbers["learning_rate"], rates * 2, rtol=1e-9)
    assert list(numbers["seed"]) == [seed for seed in SEEDS for _rate in rates]
    assert list(numbers[_("Outcome")]) == [_(OUTCOME_NAMES[one.outcome]) for one in trainings.values()]
    last = [one.losses[-1] for one in trainings.values() if one.diverged_at is None]
    assert_allclose(
        [
            n
            for n, one in zip(numbers[_("Final loss")], trainings.values(), strict=True)
            if one.diverged_at is None
        ],
        last,
        rtol=1e-4,
    )
    (zones,) = [table for table in tables if _("From") in table]
    expected: list[list[Any]] = []
    for place, rate in enumerate(rates):
        kinds = {trainings[place + RATES * seed].outcome for seed in range(len(SEEDS))}
        words = " / ".join(_(OUTCOME_NAMES[kind]) for kind in OUTCOMES if kind in kinds)
        if expected and expected[-1][2] == words:
            expected[-1][1] = rate
        else:
            expected.append([rate, rate, words])
    assert list(zones[_("Outcome")]) == [words for _low, _high, words in expected]
    for column, at in ((_("From"), 0), (_("To"), 1)):
        assert [zone[at] for zone in expected] == [digits(2, text) for text in zones[column]]


def test_the_files_of_the_sweep(page: AppTest, rates: list[float], trainings: dict[int, Trained]) -> None:
    rows = files.sweep_table(page.session_state["job_scan"].sweep)
    for table in (
        csv.read_csv(io.BytesIO(files.csv(rows))),
        parquet.read_table(io.BytesIO(files.parquet(rows))),
    ):
        columns = table.to_pydict()
        assert columns["learning_rate"] == pytest.approx(rates * 2, rel=1e-9)
        assert columns["seed"] == [seed for seed in SEEDS for _rate in rates]
        assert set(columns["steps"]) == {STEPS}
        assert columns["outcome"] == [one.outcome for one in trainings.values()]
        assert columns["diverged_at"] == [one.diverged_at for one in trainings.values()]
        assert columns["first_loss"] == pytest.approx([one.losses[0] for one in trainings.values()])
        for place, one in trainings.items():
            if one.diverged_at is None:
                assert columns["final_loss"][place] == pytest.approx(one.losses[-1], rel=1e-4)
                assert columns["highest_loss"][place] == pytest.approx(max(one.losses), rel=1e-4)
                assert columns["dead_units"][place] == one.dead
            else:
                assert columns["dead_units"][place] is None


def test_the_losses_and_the_curvature_along_one_run(page: AppTest, language: str) -> None:
    _, losses = translator(language), trained(SIZES, SEEDS[0], OWN, STEPS).losses
    (trace,) = chart(page, "focus_loss_chart")["traces"]
    assert trace["customdata"] == list(range(STEPS))
    assert_allclose(trace["x"], range(1, STEPS + 1))
    assert_allclose(trace["y"], losses, rtol=1e-8)
    curve, limit = chart(page, "curvature_chart")["traces"]
    assert (curve["name"], limit["name"]) == ("λmax", "2/η")
    assert curve["customdata"][0] == 0
    assert curve["customdata"][-1] == STEPS
    assert_allclose(curve["x"], np.array(curve["customdata"]) + 1)
    values = [sharpness(SIZES, SEEDS[0], OWN, step) for step in curve["customdata"]]
    assert_allclose(curve["y"], values, rtol=1e-4)
    assert_allclose(limit["y"], [2 / OWN] * 2)
    assert_allclose(limit["x"], [1, STEPS + 1])
    (table,) = [frame.value for frame in page.dataframe if "λmax" in frame.value]
    assert list(table[_("step")]) == curve["customdata"]
    assert_allclose(table["λmax"], values, rtol=1e-4)
    reached = [trained(SIZES, SEEDS[0], OWN, step + 1).losses[-1] for step in table[_("step")]]
    assert_allclose(table[_("loss")], reached, rtol=1e-8)
    assert all(
        0 <= residual < 1e-3 * value for residual, value in zip(table[_("residual")], values, strict=True)
    )
    for key, title in (("focus_loss_chart", _("loss")), ("curvature_chart", "λmax")):
        layout = chart(page, key)["layout"]
        assert layout["yaxis"]["title"]["text"] == title
        assert layout["xaxis"]["title"]["text"] == _("step (log scale)")
        assert [int(text) + 1 for text in layout["xaxis"]["ticktext"]] == layout["xaxis"]["tickvals"]


def test_the_story_of_the_run_has_its_numbers(page: AppTest, language: str) -> None:
    one = trained(SIZES, SEEDS[0], OWN, STEPS)
    first, last = (sharpness(SIZES, SEEDS[0], OWN, step) for step in (0, STEPS))
    sentence = (
        "At initialization λmax = {value}. On a quadratic with that curvature, gradient descent would "
        "diverge for any learning rate above 2/λmax = {threshold}. Here η = {rate}, which is {ratio} times "
        "that."
    )
    found = figures(page, sentence, language)
    assert first == digits(4, found["value"])
    assert 2 / first == digits(3, found["threshold"])
    assert number(found["rate"]) == OWN
    assert OWN / (2 / first) == digits(3, found["ratio"])
    sentence = (
        "λmax at step {step}: {value} (residual ‖H·v − λmax·v‖ = {residual}), by the Lanczos method with "
        "exact Hessian-vector products in float64. Expected at initialization from the sizes alone: "
        "{expected}, of which N·H·D_in/π is the largest part when N is large. So the usable learning rates "
        "shrink as N, H or D_in grows."
    )
    found = figures(page, sentence, language)
    assert found["step"] == "0"
    assert first == digits(5, found["value"])
    assert float(found["residual"]) < 1e-3 * first
    assert expected_sharpness(*SIZES) == digits(3, found["expected"])
    assert translator(language)("η = {rate}, seed {seed}").format(rate="0.0001", seed=5) in said(page)
    sentence = (
        "λmax is {value} at the end and below 1/η = {half} at every measured step: on a quadratic no step "
        "would overshoot. How fast the loss falls is set by η and the smaller eigenvalues."
    )
    found = figures(page, sentence, language)
    assert last == digits(4, found["value"])
    assert digits(4, found["half"]) == 1 / OWN
    sentence = "The last loss is {loss}; a network that always outputs 0 has a loss of Σy² = {zero}."
    found = figures(page, sentence, language)
    assert one.losses[-1] == digits(4, found["loss"])
    assert one.zero == digits(4, found["zero"])


def test_the_maps_of_a_grid(language: str) -> None:
    _ = translator(language)
    few = [float(rate) for rate in np.geomspace(1e-5, 1e-1, 12)]
    grid = "H=10,20,40; N=6,8; learning_rate=1e-5:1e-1:12"
    page = opened("sizes", **QUERY | {"steps": "400"}, grid=grid, lang=language)
    page.button(key="start_grid").click().run()
    until(page, lambda: page.session_state["job_grid"].job.over)
    runs = {
        (h, n): [trained((n, D_in, h, D_out), SEEDS[0], rate, 400) for rate in few]
        for h in (10, 20, 40)
        for n in (6, 8)
    }
    diverged = sum(one.diverged_at is not None for of_size in runs.values() for one in of_size)
    sentence = (
        "λmax at initialization grows roughly like N·H·D_in/π (it does not depend on D_out), so the usable "
        "learning rates shrink in proportion. {done} runs, {diverged} diverged."
    )
    assert figures(page, sentence, language) == {"done": "72", "diverged": f"{diverged}"}
    (trace,) = chart(page, "grid_chart")["traces"]
    assert (trace["x"], trace["y"]) == (["10", "20", "40"], ["6", "8"])
    assert trace["colorbar"]["title"]["text"] == "log₁₀ η"
    for column, row in np.ndindex(3, 2):
        of_size = runs[(10, 20, 40)[column], (6, 8)[row]]
        rate, low, high = recommended({r: [share(one)] for r, one in zip(few, of_size, strict=True)})
        assert 10 ** trace["z"][row][column] == pytest.approx(rate, rel=1e-9)
        assert float(trace["text"][row][column]) == pytest.approx(rate, rel=0.051)
        shown, *band = trace["hovertext"][row][column].replace("(", "").replace(")", "").split(" ")
        assert rate == digits(2, shown)
        assert (low, high) == (digits(3, band[0]), digits(3, band[2]))
    assert trace["hovertemplate"].startswith("H %{x}, N %{y}: %{hovertext}")
    page.segmented_control(key="view").set_value("loss").run()
    page.selectbox(key="layer").set_value(1).run()
    (trace,) = chart(page, "grid_chart")["traces"]
    assert trace["y"] == ["6", "8"]
    assert [float(text) for text in trace["x"]] == pytest.approx(few, rel=5.1e-3)
    assert trace["colorbar"]["title"]["text"] == _("log₁₀(final loss / initial loss)")
    for row, column in np.ndindex(2, 12):
        one = runs[20, (6, 8)[row]][column]
        if one.diverged_at is not None:
            assert (trace["z"][row][column], trace["text"][row][column]) == (None, "×")
            continue
        ratio = one.losses[-1] / one.losses[0]
        assert 10 ** trace["z"][row][column] == pytest.approx(ratio, rel=1e-4)
        assert ratio == digits(3, trace["hovertext"][row][column])
