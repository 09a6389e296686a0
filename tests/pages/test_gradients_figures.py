"""Every figure of the Gradients page against loops of the test's own, in both languages."""

import re
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from streamlit.testing.v1 import AppTest

from tests.pages import by_loops
from tests.pages.reading import chart, figures, number, said
from tests.pages.test_gradients_page import opened, unfolded
from twolayer.dashboard.i18n import translator

SIZES = {"N": 5, "D_in": 4, "H": 3, "D_out": 2, "seed": 4}
QUERY = {name: str(size) for name, size in SIZES.items()}
AT, RATE, STEP = 3, 1e-3, 0.3
"""At this step of the differences some entries cross a kink."""
GRADIENTS = ("grad_w1", "grad_w2")
AUTOGRAD, DIFFERENCES = "PyTorch autograd", "Central differences"
VALLEY = [float(f"{digit}e{power}") for power in range(-9, 0) for digit in (1, 3)] + [1.0]
Pair = tuple[Any, Any]
"""Of each compared entry, by its indices: the one by hand, and the reference."""


@pytest.fixture(scope="module", params=["en", "ko"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def given() -> by_loops.Values:
    """The data, and the weights of the iteration."""
    return by_loops.after(by_loops.drawn(**SIZES), AT, RATE)


@pytest.fixture(scope="module")
def expected(given: by_loops.Values) -> dict[tuple[str, str], tuple[dict[tuple[int, int], Pair], int]]:
    """Of each comparison of the page: the entries that are compared, and how many cross a kink."""
    right, ours = by_loops.iteration(given), by_loops.iteration(given, "no_mask")
    found = {}
    for name in GRADIENTS:
        quotients, crossed = by_loops.differences(given, name.removeprefix("grad_"), STEP)
        every = {at: (ours[name][at], right[name][at]) for at in np.ndindex(ours[name].shape)}
        smooth = {at: (ours[name][at], quotients[at]) for at in every if not crossed[at]}
        found[name, AUTOGRAD] = (every, 0)
        found[name, DIFFERENCES] = (smooth, int(crossed.sum()))
    return found


@pytest.fixture(scope="module")
def page(language: str) -> AppTest:
    page = opened(
        **QUERY,
        at=f"{AT}",
        learning_rate=f"{RATE}",
        dtype="float64",
        fault="no_mask",
        difference_step=f"{STEP}",
        lang=language,
    )
    for fold in ("tables", "step_size"):
        unfolded(page, fold)
    return page


def errors(pairs: dict[tuple[int, int], Pair]) -> dict[tuple[int, int], float]:
    return {at: by_loops.relative_error(*pair) for at, pair in pairs.items()}


def two_digits(text: str) -> Any:
    """A number that was rounded to two digits."""
    return pytest.approx(float(text), rel=0.051)


def test_the_table_of_comparisons(page: AppTest, expected: Any, language: str) -> None:
    _ = translator(language)
    rows = page.dataframe[0].value.to_dict("records")
    assert [(row[_("Gradient")], row[_("Reference")]) for row in rows] == [
        (name, _(against)) for against in (AUTOGRAD, DIFFERENCES) for name in GRADIENTS
    ]
    for row, against in zip(rows, [AUTOGRAD] * 2 + [DIFFERENCES] * 2, strict=True):
        pairs, kinks = expected[row[_("Gradient")], against]
        apart = errors(pairs)
        wrong = sum(error > 1e-6 for error in apart.values())
        assert row[_("Wrong entries")] == wrong
        size = SIZES["H"] * SIZES["D_in" if row[_("Gradient")] == "grad_w1" else "D_out"]
        assert row[_("Entries compared")] == f"{len(pairs)} / {size}"
        assert row[_("Skipped (kinks)")] == kinks
        dot, ours, theirs = (
            sum(pair[a] * pair[b] for pair in pairs.values()) for a, b in ((0, 1), (0, 0), (1, 1))
        )
        assert float(row[_("Cosine similarity")]) == pytest.approx(dot / (ours * theirs) ** 0.5, abs=1e-9)
        if wrong:
            assert max(apart.values()) == two_digits(row[_("Max. relative error")])
            assert float(np.median(list(apart.values()))) == two_digits(row[_("Median relative error")])
        else:
            assert 0 <= float(row[_("Median relative error")]) <= float(row[_("Max. relative error")]) < 1e-9
    assert [row[_("Wrong entries")] > 0 for row in rows] == [True, False, True, False]
    assert 0 < expected["grad_w1", DIFFERENCES][1] < 12


def test_the_largest_errors_and_the_map_of_all(page: AppTest, expected: Any, language: str) -> None:
    _ = translator(language)
    pairs, _kinks = expected["grad_w1", AUTOGRAD]
    apart = errors(pairs)
    worst = sorted(apart, key=lambda at: -apart[at])[:8]
    rows = page.dataframe[1].value.to_dict("records")
    assert [row[_("Entry")] for row in rows] == [f"grad_w1[{i}, {j}]" for i, j in worst]
    for row, at in zip(rows, worst, strict=True):
        assert float(row[_("Hand-written")]) == pytest.approx(pairs[at][0], rel=1e-8)
        assert float(row[_(AUTOGRAD)]) == pytest.approx(pairs[at][1], rel=1e-8)
        assert apart[at] == two_digits(row[_("Relative error")])
        assert row[_("Verdict")] == _("wrong")
    (trace,) = chart(page, "error_picture")["traces"]
    for at, error in apart.items():
        if error > 1e-9:
            assert trace["z"][at] == pytest.approx(np.log10(error), abs=1e-3)
        else:
            assert trace["z"][at] < -12
    assert [trace[name] for name in ("x0", "dx", "y0", "dy")] == [0, 1, 0, 1]
    assert trace["hovertemplate"].startswith("grad_w1[%{y}, %{x}]<br>10^%{z")
    assert trace["colorbar"]["title"]["text"] == _("relative error")
    ticks = dict(zip(trace["colorbar"]["ticktext"], trace["colorbar"]["tickvals"], strict=True))
    assert all(float(text) == pytest.approx(10.0**value) for text, value in ticks.items())
    layout = chart(page, "error_picture")["layout"]
    assert [layout[axis]["title"]["text"] for axis in ("xaxis", "yaxis")] == ["j (H)", "i (D_in)"]


def test_a_cell_of_a_large_map_is_the_largest_error_of_its_block() -> None:
    page = opened(
        N="3", D_in="100", H="67", D_out="2", learning_rate="1e-4", fault="no_mask", dtype="float64"
    )
    unfolded(page, "tables")
    given = by_loops.drawn(3, 100, 67, 2, 0)
    right, ours = by_loops.iteration(given)["grad_w1"], by_loops.iteration(given, "no_mask")["grad_w1"]
    (trace,) = chart(page, "error_picture")["traces"]
    assert trace["z"].shape == (50, 34)
    assert (trace["dy"], trace["dx"]) == (2, 2)
    sentence = "Relative error; each cell shows the maximum of {rows} × {columns} entries."
    assert figures(page, sentence, "en") == {"rows": "2", "columns": "2"}
    apart = np.array([by_loops.relative_error(*pair) for pair in zip(ours.flat, right.flat, strict=True)])
    apart = apart.reshape(right.shape)
    for row, column in np.ndindex(50, 34):
        of_block = apart[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        assert 10.0 ** trace["z"][row, column] == pytest.approx(max(of_block.flat), rel=1e-3, abs=1e-9)


def test_the_scatter_has_the_reference_across_and_the_hand_written_upwards(
    page: AppTest, expected: Any, language: str
) -> None:
    _ = translator(language)
    line, points = chart(page, "agreement_scatter")["traces"]
    pairs, _kinks = expected["grad_w1", AUTOGRAD]
    assert points["text"] == [f"grad_w1[{i}, {j}]" for i, j in pairs]
    assert_allclose(points["y"], [ours for ours, _ in pairs.values()], rtol=1e-9)
    assert_allclose(points["x"], [theirs for _, theirs in pairs.values()], rtol=1e-9)
    assert line["x"] == line["y"]
    layout = chart(page, "agreement_scatter")["layout"]
    titles = [layout[axis]["title"]["text"] for axis in ("xaxis", "yaxis")]
    assert titles == [_(AUTOGRAD), _("hand-written")]
    sentence = "Each point is one entry ({count} of {compared} are shown); points on the line agree."
    assert figures(page, sentence, language) == {"count": "12", "compared": "12"}


def test_the_directional_check_counts_and_names_its_smallest_step(
    page: AppTest, given: by_loops.Values, language: str
) -> None:
    random, steps, agree = np.random.default_rng(SIZES["seed"]), [], 0
    ours = by_loops.iteration(given, "no_mask")
    for name in ("w1", "w2"):
        for _number in range(8):
            way = random.standard_normal(given[name].shape)
            way /= sum(float(part) ** 2 for part in way.flat) ** 0.5
            step = STEP
            if name == "w1":
                slope = by_loops.summed(given | {"w1": way}, "h")
                step = min(STEP, *(abs(h / s) / 2 for h, s in zip(ours["h"].flat, slope.flat, strict=True)))
            above, below = by_loops.moved(given, name, way, step)
            quotient = (above["loss"] - below["loss"]) / (2 * step)
            agree += by_loops.relative_error(float((ours[f"grad_{name}"] * way).sum()), quotient) < 1e-6
            steps.append(step)
    sentence = (
        "Directional check: along {count} random directions through all of w1 or all of w2, {agree} agree to "
        "rounding. Each costs only two forward passes. Steps are shortened to avoid kinks; the smallest is "
        "{step}."
    )
    found = figures(page, sentence, language)
    assert (found["count"], found["agree"]) == ("16", f"{agree}")
    assert agree == 8
    assert min(steps) < STEP
    assert min(steps) == two_digits(found["step"])


def test_of_a_right_program_all_directions_agree() -> None:
    page = opened(**QUERY, dtype="float64")
    unfolded(page, "tables")
    sentence = (
        "Directional check: along {count} random directions through all of w1 or all of w2, {agree} agree"
    )
    found = figures(page, sentence, "en")
    assert (found["count"], found["agree"]) == ("16", "16")
    rows = page.dataframe[0].value.to_dict("records")
    assert [(row["Wrong entries"], row["Cosine similarity"]) for row in rows] == [(0, "1.000000000")] * 4


def test_the_errors_over_the_steps_of_the_differences(
    page: AppTest, given: by_loops.Values, language: str
) -> None:
    _ = translator(language)
    drawn = chart(page, "valley")
    names = ("maximum, including kinks", "maximum, excluding kinks", "median, excluding kinks")
    assert [trace["name"] for trace in drawn["traces"]] == [_(name) for name in names]
    with_kinks, smooth, median = (trace["y"] for trace in drawn["traces"])
    right = by_loops.iteration(given)["grad_w1"]
    for trace in drawn["traces"]:
        assert_allclose(trace["x"], VALLEY)
    seen = set()
    for place, step in enumerate(VALLEY):
        quotients, crossed = by_loops.differences(given, "w1", step)
        apart = {at: by_loops.relative_error(right[at], quotients[at]) for at in np.ndindex(right.shape)}
        kept = [error for at, error in apart.items() if not crossed[at]]
        if step >= 0.01 and crossed.any():
            assert with_kinks[place] == pytest.approx(max(apart.values()), rel=1e-4)
        if kept:
            assert median[place] <= smooth[place] <= with_kinks[place]
            assert smooth[place] < (1e-9 if step >= 1e-4 else 1e-3)
        else:
            assert smooth[place] is median[place] is None
        seen.add((bool(kept), bool(crossed.any())))
    assert {(True, False), (True, True)} <= seen
    layout = drawn["layout"]
    assert layout["xaxis"]["title"]["text"] == _("difference step size h")
    assert layout["yaxis"]["title"]["text"] == _("relative error")
    at_step, *bands = layout["shapes"]
    assert (at_step["x0"], at_step["x1"]) == (STEP, STEP)
    assert [(band["y0"], band["y1"]) for band in bands] == [(y, y) for y in (1e-2, 1e-4, 1e-7)]
    sentence = (
        "Measured on {sample} entries of w1. At h = {step}, {kinks} of them cross a kink; these are counted "
        "but excluded from the check."
    )
    kinks = int(by_loops.differences(given, "w1", STEP)[1].sum())
    assert figures(page, sentence, language) == {"sample": "12", "step": "0.3", "kinks": f"{kinks}"}


def test_the_reason_against_float32_has_the_numbers_of_the_iteration(language: str) -> None:
    page = opened(**QUERY, check_dtype="float32", dtype="float64", lang=language)
    values = by_loops.iteration(by_loops.drawn(**SIZES))
    loss = np.float32(values["loss"])
    median = float(np.median([abs(entry) for entry in values["grad_w1"].flat]))
    sentence = (
        "Finite differences need float64. The loss here is {loss:.3g}, and adjacent float32 numbers at that "
        "size are {spacing:.2g} apart. For half of the entries of w1, moving the entry by ±{step:g} changes "
        "the loss by less than {change:.2g}, so the difference would be mostly rounding error."
    )
    found = figures(page, sentence, language)
    assert number(found["loss"]) == pytest.approx(float(loss), rel=6e-3)
    assert float(np.nextafter(loss, np.float32(np.inf)) - loss) == two_digits(found["spacing"])
    assert float(found["step"]) == 1e-3
    assert 2 * 1e-3 * median == two_digits(found["change"])


def test_what_the_verdict_names_is_the_first_value_that_differs(page: AppTest, language: str) -> None:
    _ = translator(language)
    assert _("Wrong: gradient of the loss with respect to {names}.").format(names="**w1**") in said(page)
    assert "**grad_h**" in said(page)
    chips = {name: mark for mark, name in re.findall(r"-badge\[:material/(\w+): (\w+)\]", said(page))}
    right, wrong = ("grad_y_pred", "grad_w2", "grad_h_relu"), ("grad_h", "grad_w1")
    assert chips == dict.fromkeys(right, "check") | dict.fromkeys(wrong, "close")
