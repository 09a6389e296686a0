"""Every figure of the One step page against loops of the test's own, in both languages."""

import re
import tomllib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from tests.pages import by_loops
from tests.pages.reading import chart, figures, number
from tests.pages.test_gradients_page import code, unfolded
from tests.pages.test_one_step_page import go_to, opened
from twolayer.dashboard.one_step.questions import QUESTIONS

SIZES = {"N": 9, "D_in": 10, "H": 9, "D_out": 3, "seed": 2}
AT, RATE = 3, 1e-4
CHOSEN = {"n": 8, "i": 9, "j": 4, "o": 2}
FIRST = {"n": 1, "i": 2, "j": 0, "o": 0}
"""The first of the eight indices that are shown: eight by eight, and the last eight of an axis."""
MATRICES = ("h", "h_relu", "y_pred", "grad_y_pred", "grad_w2", "grad_h_relu", "grad_h", "grad_w1", "w1", "w2")
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]\d+)?")


@pytest.fixture(scope="module", params=["en", "ko"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def before() -> by_loops.Values:
    """The values of the iteration, with the weights before its update."""
    return by_loops.iteration(by_loops.after(by_loops.drawn(**SIZES), AT, RATE))


@pytest.fixture(scope="module")
def values(before: by_loops.Values) -> by_loops.Values:
    """The same with the weights after the update: what the page shows."""
    return before | {w: before[w] - RATE * before[f"grad_{w}"] for w in ("w1", "w2")}


@pytest.fixture(scope="module")
def page(language: str) -> AppTest:
    names = {"n": "sample", "i": "input", "j": "unit", "o": "output"}
    query = {names[axis]: f"{index}" for axis, index in CHOSEN.items()}
    query |= {name: f"{size}" for name, size in SIZES.items()}
    return opened(**query, at=f"{AT}", learning_rate=f"{RATE}", dtype="float64", lang=language)


def window(values: Mapping[str, Any], name: str) -> Any:
    """The cells of a value that are shown."""
    (rows, columns) = (FIRST[axis] for axis in by_loops.LETTERS[name])
    return values[name][rows : rows + 8, columns : columns + 8]


def numbers(before: by_loops.Values, name: str, row: int, column: int) -> list[float]:
    """The numbers of the sum, or the formula, of which a cell is made; of a long sum the ends."""
    v, at = before, (row, column)
    if name in ("h", "y_pred", "grad_w2", "grad_h_relu", "grad_w1"):
        letter, factors = by_loops.terms(v, name)
        count = by_loops.sizes(v)[letter]
        return [
            f for k in (range(count) if count <= 6 else (0, 1, count - 1)) for f in factors(row, column, k)
        ]
    if name in ("w1", "w2"):
        return [v[name][at], RATE, v[f"grad_{name}"][at]]
    return {
        "h_relu": [v["h"][at], 0.0],
        "grad_y_pred": [2.0, v["y_pred"][row, column % 3], v["y"][row, column % 3]],
        "grad_h": [v["h"][at], 0.0, 0.0, v["grad_h_relu"][at]],
    }[name]


def four_digits(text: str) -> Any:
    return pytest.approx(number(text), rel=5.1e-4, abs=1e-12)


def of_cell(text: str) -> Any:
    """A number from the few characters of a cell."""
    size = {"k": 1e3, "M": 1e6, "G": 1e9}.get(text[-1], 1.0)
    value = float(text.rstrip("kMG")) * size
    return pytest.approx(value, rel=5.1e-3 if abs(value) >= 0.01 else 0.051)


@pytest.mark.parametrize("name", MATRICES)
def test_the_size_the_range_and_the_zeros_of_a_value(
    page: AppTest, values: by_loops.Values, language: str, name: str
) -> None:
    go_to(page, name)
    found = figures(page, "{rows} × {columns}, from {low} to {high}; {zeros} zeros", language)
    value = values[name]
    assert (found["rows"], found["columns"]) == tuple(map(str, value.shape))
    assert min(value.flat) == four_digits(found["low"])
    assert max(value.flat) == four_digits(found["high"])
    zeros = sum(one == 0 for one in value.flat) / value.size
    text, unit = re.match(r"([\d.]+)(%)", found["zeros"]).groups()
    assert unit == "%"
    assert 100 * zeros == pytest.approx(float(text), abs=0.051)
    assert (zeros > 0) == (name in ("h_relu", "grad_h"))


def luminance(colour: Any) -> float:
    """The relative luminance of a colour (red, green, blue), each of 255: WCAG 2.2."""
    parts = np.asarray(colour) / 255
    return float(
        np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_number_in_each_cell_can_be_read(page: AppTest, scheme: str) -> None:
    theme = tomllib.loads((ROOT / ".streamlit/config.toml").read_text("utf-8"))["theme"][scheme]
    names = {"text-color": "textColor", "background-color": "backgroundColor"}

    def colour(name: str) -> Any:
        name = name.removeprefix("theme:")
        text = theme["chartCategoricalColors"][int(name)] if name.isdigit() else theme[names[name]]
        return np.array([*bytes.fromhex(text[1:])])

    (trace,) = chart(page, "window")["traces"]
    text, ground = colour(trace["textfont"]["color"]), colour("background-color")
    for _place, name in trace["colorscale"]:
        cell = trace["opacity"] * colour(name) + (1 - trace["opacity"]) * ground
        darker, lighter = sorted([luminance(text), luminance(cell)])
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5


@pytest.mark.parametrize("name", MATRICES)
def test_each_cell_that_is_shown_and_the_numbers_that_it_is_made_of(
    page: AppTest, before: by_loops.Values, values: by_loops.Values, name: str
) -> None:
    go_to(page, name)
    (trace,) = chart(page, "window")["traces"]
    expected = window(values, name)
    assert_allclose(trace["z"], expected, rtol=1e-9, atol=1e-12)
    rows, columns = by_loops.LETTERS[name]
    assert trace["y"] == [f"{FIRST[rows] + place}" for place in range(len(expected))]
    assert trace["x"] == [f"{FIRST[columns] + place}" for place in range(len(expected[0]))]
    for at in np.ndindex(expected.shape):
        row, column = FIRST[rows] + at[0], FIRST[columns] + at[1]
        assert expected[at] == of_cell(trace["text"][at[0]][at[1]])
        hover = re.sub("<br>|<wbr>", "", trace["customdata"][at[0]][at[1]]).replace("= ", " = ")
        head, *_formula, made, result = re.split(r"\s+=\s+", hover)
        assert head == f"{name}[{row},{column}]"
        assert values[name][row, column] == four_digits(result)
        shown = [float(text) for text in NUMBER.findall(made)]
        assert shown == [
            pytest.approx(one, rel=5.1e-4, abs=1e-12) for one in numbers(before, name, row, column)
        ]
        if (row, column) == (CHOSEN[rows], CHOSEN[columns]):
            plain = re.sub("<br>|<wbr>", "", trace["customdata"][at[0]][at[1]])
            assert re.sub(r"\s", "", plain) == re.sub(r"\s", "", code(page).splitlines()[-1])
    layout = chart(page, "window")["layout"]
    (frame,) = layout["shapes"]
    assert [frame["y0"], frame["y1"]] == [CHOSEN[rows] - FIRST[rows] + side for side in (-0.5, 0.5)]
    assert [frame["x0"], frame["x1"]] == [CHOSEN[columns] - FIRST[columns] + side for side in (-0.5, 0.5)]
    assert [layout[axis]["title"]["text"] for axis in ("yaxis", "xaxis")] == [rows, columns]


def test_the_loss_is_the_sum_of_the_squares(page: AppTest, values: by_loops.Values) -> None:
    go_to(page, "loss")
    assert values["loss"] == four_digits(page.subheader[0].value)
    *_formula, made, result = code(page).splitlines()[-1].split(" = ")
    assert values["loss"] == four_digits(result)
    pairs = [(values["y_pred"][at], values["y"][at]) for at in ((0, 0), (0, 1), (8, 2))]
    assert [float(text) for text in NUMBER.findall(made)] == [
        pytest.approx(one, rel=5.1e-4) for pair in pairs for one in pair
    ]


def test_the_chain_rule_of_an_entry_of_w1(
    page: AppTest, before: by_loops.Values, values: by_loops.Values, language: str
) -> None:
    go_to(page, "grad_w1")
    unfolded(page, "chain")
    n, i, j = (CHOSEN[axis] for axis in "nij")
    v = before
    outputs, samples = (table.value for table in page.dataframe)
    columns = {
        "y_pred": v["y_pred"][n],
        "y": v["y"][n],
        "grad_y_pred": v["grad_y_pred"][n],
        f"w2[{j}, o]": v["w2"][j],
    }
    columns[f"grad_y_pred · w2[{j}, o]"] = [
        a * b for a, b in zip(v["grad_y_pred"][n], v["w2"][j], strict=True)
    ]
    table(outputs, "o", range(3), columns)
    columns = {f"x[n, {i}]": v["x"][:, i], f"h[n, {j}]": v["h"][:, j]}
    columns |= {name: v[name][:, j] for name in ("grad_h_relu", "grad_h")}
    columns["x·grad_h"] = [a * b for a, b in zip(v["x"][:, i], v["grad_h"][:, j], strict=True)]
    table(samples, "n", range(9), columns)
    sentence = (
        "The last column sums to **grad_w1[{i}, {j}] = {total}**. Subtracting {rate} × this gradient changes "
        "w1[{i}, {j}] from {before} to **{after}**."
    )
    found = figures(page, sentence, language)
    assert (found.pop("i"), found.pop("j")) == (f"{i}", f"{j}")
    weight, gradient = before["w1"][i, j], values["grad_w1"][i, j]
    expected = {"total": gradient, "rate": RATE, "before": weight, "after": weight - RATE * gradient}
    assert {name: float(text) for name, text in found.items()} == pytest.approx(expected, rel=5e-6)
    assert sum(columns["x·grad_h"]) == pytest.approx(gradient)


def table(shown: Any, first: str, indices: Any, columns: Mapping[str, Any]) -> None:
    """Assert that a table has an index and these columns, to five digits."""
    assert list(shown) == [first, *columns]
    assert list(shown[first]) == list(indices)
    for title, expected in columns.items():
        assert [float(text) for text in shown[title]] == [
            pytest.approx(one, rel=5.1e-5, abs=1e-12) for one in expected
        ], title


def test_what_a_long_chain_rule_leaves_out_is_counted_and_added_up(language: str) -> None:
    sizes = {"N": 230, "D_in": 2, "H": 2, "D_out": 102}
    query = {name: f"{size}" for name, size in sizes.items()}
    page = opened(**query, dtype="float64", learning_rate="1e-6", show="grad_w1", lang=language)
    unfolded(page, "chain")
    v = by_loops.iteration(by_loops.drawn(**sizes, seed=0))
    products = {n: v["x"][n, 0] * v["grad_h"][n, 0] for n in range(230)}
    kept = sorted(products, key=lambda n: -abs(products[n]))[:100]
    assert list(page.dataframe[1].value["n"]) == sorted(kept)
    assert figures(page, "Only the first rows are shown ({count} more).", language) == {"count": "2"}
    found = figures(page, "Largest contributions only; the other {count} add up to {sum}.", language)
    assert found["count"] == "130"
    left_out = sum(product for n, product in products.items() if n not in kept)
    assert left_out
    assert left_out == pytest.approx(float(found["sum"]), rel=5.1e-4, abs=1e-12)


def test_the_whole_of_a_large_value_is_block_means(language: str) -> None:
    sizes = {"N": 3, "D_in": 130, "H": 4, "D_out": 2}
    query = {name: f"{size}" for name, size in sizes.items()}
    page = opened(**query, dtype="float64", learning_rate="1e-6", show="grad_w1", lang=language)
    unfolded(page, "whole")
    assert figures(
        page, "Each cell is the mean of {high} × {wide} entries. Click to move the frame.", language
    ) == {
        "high": "3",
        "wide": "1",
    }
    (trace,) = chart(page, "picture")["traces"]
    value = by_loops.iteration(by_loops.drawn(**sizes, seed=0))["grad_w1"]
    assert trace["z"].shape == (44, 4)
    for row, column in np.ndindex(44, 4):
        cells = [value[i, column] for i in range(3 * row, min(3 * row + 3, 130))]
        assert trace["z"][row, column] == pytest.approx(sum(cells) / len(cells), rel=1e-4)
    assert (trace["y0"], trace["dy"], trace["x0"], trace["dx"]) == (1, 3, 0, 1)  # the middle of a block


def test_the_answer_on_the_sum_and_the_mean_has_the_numbers_of_the_run(page: AppTest, language: str) -> None:
    go_to(page, "loss")
    found = figures(page, QUESTIONS["loss"][0].answer, language)
    assert found == {"terms": f"{9 * 3}", "mean_rate": f"{27 * RATE:.4f}", "rate": "0.0001"}
