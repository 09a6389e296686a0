"""The Gradients page without a browser."""

import re
import time
from html import unescape

import pytest
from streamlit.testing.v1 import AppTest

from twolayer import Config
from twolayer.backprop.bugs import BUGS, program
from twolayer.backprop.check import Settings, check
from twolayer.dashboard.common import browser

TINY = {"N": "5", "D_in": "4", "H": "3", "D_out": "2"}


def opened(page_file: str = "pages/gradients.py", **query: str) -> AppTest:
    """The page as somebody opens it with this query string, its first answer there."""
    page = AppTest.from_file("../../app.py", default_timeout=300).switch_page(page_file)
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    return answered(page)


def answered(page: AppTest) -> AppTest:
    """Draw the page until the answer to its question is there, and asks nothing more."""
    end = time.monotonic() + 60
    drawn_with = None
    while True:
        assert not page.exception
        keys = [key for key in ("question_gradients", "question_one_step") if key in page.session_state]
        question = page.session_state[keys[0]] if keys else None
        if question is None or not question.live:
            if question is drawn_with:
                return page
            drawn_with = question
            page.run()
        assert time.monotonic() < end
        time.sleep(0.005)


def shown(page: AppTest) -> str:
    """Every text that the page shows in a box, or as text."""
    kinds = (page.error, page.warning, page.info, page.success, page.markdown, page.caption)
    return "\n".join(box.value for boxes in kinds for box in boxes)


def unfolded(page: AppTest, key: str) -> AppTest:
    """The page with one of its folds open."""
    page.session_state[key] = True
    return page.run()


def code(page: AppTest) -> str:
    """The text of all lines of code on the page."""
    return unescape(
        re.sub(r"<[^>]*>", "", "\n".join(element.proto.body for element in page.main.get("html")))
    )


def charts(page: AppTest) -> list[str]:
    """The keys of the charts on the page."""
    return [chart.key for chart in page.get("bidi_component") if chart.key != browser.KEY]


def figures(page: AppTest) -> list[dict]:
    """The rows of the table of figures."""
    unfolded(page, "tables")
    return page.dataframe[0].value.to_dict("records")


def test_the_tutorials_backward_pass_is_right() -> None:
    page = opened()
    assert "The backward pass is correct" in page.success[0].value
    assert not page.error
    rows = figures(page)
    assert [(row["Gradient"], row["Reference"]) for row in rows] == [
        ("grad_w1", "PyTorch autograd"),
        ("grad_w2", "PyTorch autograd"),
        ("grad_w1", "Central differences"),
        ("grad_w2", "Central differences"),
    ]
    assert [row["Wrong entries"] for row in rows] == [0, 0, 0, 0]
    assert float(rows[0]["Max. relative error"]) < 1e-10
    assert float(rows[2]["Max. relative error"]) < 1e-6
    assert rows[0]["Entries compared"] == "100,000 / 100,000"
    assert rows[2]["Entries compared"] == "500 / 100,000"


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_that_is_chosen_is_found_and_its_formula_named(name: str) -> None:
    page = opened(**TINY | {"D_out": "3", "seed": "4", "learning_rate": "1e-3"})
    right = code(page)
    assert all(line in right for line in program(None).values() if line.startswith("grad_"))
    page.selectbox(key="fault").set_value(name).run()
    answered(page)
    bug = BUGS[name]
    assert page.query_params["fault"] == name
    for tensor in ("w1", "w2"):
        assert (f"**{tensor}**" in page.error[0].value) == (tensor in bug.tensors)
    assert f"**{bug.value}**" in page.error[0].value
    assert code(page).splitlines() == [program(None)[bug.value], bug.line]
    assert bug.why in shown(page)
    # The scatter begins with a gradient that is wrong
    compared = next(box for box in page.selectbox if box.label == "Gradient and reference")
    assert compared.value == f"grad_{bug.tensors[0]}: PyTorch autograd"
    page.selectbox(key="fault").set_value("none").run()
    assert "fault" not in page.query_params
    assert answered(page).success


def test_what_is_folded_is_not_drawn_before_it_is_opened() -> None:
    page = opened(**TINY)
    assert not page.dataframe
    assert len(charts(page)) == 1
    before = len(shown(page))
    for fold in ("tables", "step_size", "help"):
        unfolded(page, fold)
        assert len(shown(page)) > before
        before = len(shown(page))
    assert len(page.dataframe) == 2
    assert len(charts(page)) == 3


@pytest.mark.parametrize("page_file", ["pages/gradients.py", "pages/one_step.py"])
def test_a_bug_that_cannot_show_says_why(page_file: str) -> None:
    config = Config(N=1, D_in=4, H=3, D_out=2)
    for name in BUGS:
        page = opened(page_file, **TINY | {"N": "1"}, fault=name)
        reason = BUGS[name].impossible(config)
        said = page.warning[0].value.replace("\\", "") if page.warning else None
        assert said == (None if reason is None else str(reason))
    if page_file == "pages/gradients.py":
        assert "The backward pass is correct" in page.success[0].value


def test_guess_first_hides_the_bug_until_the_answer() -> None:
    page = opened(**TINY, seed="4")
    page.button(key="another").click().run()
    planted = []
    for round in range(1, 7):
        answered(page)
        assert page.query_params["guess"] == str(round)
        truth = check(Config(N=5, D_in=4, H=3, D_out=2, seed=4), 0, guess=round, settings=Settings(sample=10))
        planted.append(truth.planted)
        assert "Check the line that computes" not in shown(page)
        assert not any(bug.line in code(page).splitlines() for bug in BUGS.values())
        assert bool(page.error) == (truth.planted is not None)
        right = truth.planted or "none"
        page.selectbox(key="answer").set_value(
            right if round % 2 else "no_mask" if right != "no_mask" else "none"
        )
        page.run()
        said = shown(page)
        assert ("Right: " in said) == bool(round % 2)
        assert ("Not quite." in said) != bool(round % 2)
        assert truth.planted is None or BUGS[truth.planted].line in code(page).splitlines()
        page.button(key="another").click().run()
        assert page.selectbox(key="answer").value is None
    assert len(set(planted)) > 1
    page.button(key="end_guessing").click().run()
    assert "guess" not in page.query_params
    assert "The backward pass is correct" in answered(page).success[0].value


def test_float32_is_refused_for_differences_on_the_page() -> None:
    page = opened(check_dtype="float32")
    assert "Finite differences need float64" in page.info[0].value
    assert {row["Reference"] for row in figures(page)} == {"PyTorch autograd"}


def test_any_point_of_the_run_and_another_step() -> None:
    page = opened(**TINY)
    page.slider(key="at").set_value(40).run()
    unfolded(page, "step_size")
    page.select_slider(key="difference_step").set_value("1e-05").run()
    answered(page)
    assert (page.query_params["at"], page.query_params["difference_step"]) == ("40", "1e-05")
    item = page.session_state["question_gradients"].arguments
    assert item[1] == 40
    assert item[4].step == 1e-5
    assert "The backward pass is correct" in page.success[0].value


def test_a_run_that_diverges_is_looked_at_while_it_is_finite() -> None:
    page = opened(learning_rate="1e-5", at="400")
    assert "Showing iteration 3, the last one with a finite loss" in page.warning[0].value
    assert page.success


def test_what_is_wrong_in_the_address_is_said_and_the_rest_is_used() -> None:
    page = opened(
        **TINY, at="-1", fault="<b>x</b>", difference_step="7", guess="x", check_dtype="int8", nothing="1"
    )
    said = page.warning[0].value.replace("\\", "")
    for name in ("at", "fault", "difference_step", "guess", "check_dtype", "nothing"):
        assert f"{name}: invalid value" in said
    assert "<b>x" not in page.warning[0].value
    assert page.session_state["N"] == 5
    assert page.success


def test_a_run_that_is_too_large_is_refused() -> None:
    page = opened(N="60000", D_in="60000")
    assert "this server allows" in page.error[0].value


def test_in_korean() -> None:
    page = opened(**TINY, lang="ko", fault="no_mask", seed="4")
    assert "틀렸습니다" in page.error[0].value
    assert "grad_h" in page.error[0].value


def a_page_without_pytorch(dtype: str) -> None:
    """A script that shows a check of a machine that has no PyTorch."""
    from dataclasses import replace

    from twolayer import Config
    from twolayer.backprop.check import Settings, check
    from twolayer.dashboard.gradients.view import show
    from twolayer.training.kernels import why_missing

    found = check(Config(N=5, D_in=4, H=3, D_out=2), 0, "no_factor", settings=Settings(dtype=dtype))
    left = tuple(c for c in found.comparisons if c.against != "autograd")
    missing = why_missing("no_such_library")
    show(replace(found, comparisons=left, no_autograd=missing), hidden=False)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_without_pytorch_the_page_says_so_and_does_the_rest(dtype: str) -> None:
    page = AppTest.from_function(a_page_without_pytorch, args=(dtype,)).run(timeout=300)
    assert not page.exception
    assert "is not installed" in page.info[0].value
    assert not page.success
    if dtype == "float64":
        assert {row["Reference"] for row in figures(page)} == {"Central differences"}
        assert "**grad_y_pred**" in page.error[0].value
    else:
        assert "Finite differences need float64" in page.info[1].value
        assert not page.error


def test_the_scatter_says_how_many_of_the_compared_entries_it_shows() -> None:
    page = opened()
    check = page.session_state["question_gradients"].answer
    comparison = next(c for c in check.comparisons if (c.gradient, c.against) == ("grad_w1", "autograd"))
    assert comparison.compared == 100_000
    assert f"({len(comparison.points)} of 100,000 are shown)" in shown(page)
