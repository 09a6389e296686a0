"""The One step page without a browser."""

import re
from html import unescape

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.test_gradients_page import TINY, answered, code, shown, unfolded
from tests.pages.test_gradients_page import opened as opened_page
from twolayer import Config, fit
from twolayer.backprop import latex
from twolayer.backprop.bugs import BUGS
from twolayer.dashboard.i18n import translator
from twolayer.dashboard.one_step import charts, playback
from twolayer.dashboard.one_step.questions import MEANINGS, QUESTIONS, asked, values
from twolayer.rates.curvature import largest_eigenvalue
from twolayer.training.problem import make_problem
from twolayer.training.program import STEPS, numpy_statements, torch_statements


def opened(**query: str) -> AppTest:
    return opened_page("pages/one_step.py", **query)


def go_to(page: AppTest, name: str) -> None:
    """Show a step, as a click on its value in the diagram does."""
    page.session_state["show"] = name
    page.run()
    assert not page.exception


@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_step_has_its_formula_its_meaning_its_lines_and_its_figures(language: str) -> None:
    page = opened(**TINY, lang=language)
    _ = translator(language)
    for place, name in enumerate(STEPS, 1):
        go_to(page, name)
        config = page.session_state["config"]
        texts = [markdown.value for markdown in page.markdown]
        assert f"${latex.formula(name, config)}$" in texts
        assert _(MEANINGS[name]) in shown(page)
        for statements in (numpy_statements(), torch_statements()):
            assert statements[name].text in code(page)
        where = _("{number} of {count}: **{step}**").split("{step}")[0]
        assert any(text.startswith(where.format(number=place, count=len(STEPS))) for text in texts)
        folds = [_(q.asked) for q in QUESTIONS.get(name, ())]
        assert [expander.label for expander in page.expander][: len(folds)] == folds


def test_a_gradient_is_derived_and_a_product_has_its_shapes_in_letters() -> None:
    page = opened(**TINY, show="grad_w2")
    said = shown(page)
    assert r"\partial\,\mathtt{y\_pred[n,o]}}{\partial\,\mathtt{w2[j,o]}}" in said
    assert r"= \sum_n \mathtt{grad\_y\_pred[n,o]} \cdot \mathtt{h\_relu[n,j]}$" in said
    assert r"\underset{H\times N}{\mathtt{h\_relu}^{\mathsf{T}}}" in said
    assert "Below" not in said
    assert r"\underset" in shown(opened(**TINY, show="h")).split(r"N\times H")[1]
    assert "Below, 8 × 8 cells of it" in "".join(caption.value for caption in opened(show="h").caption)


def test_next_and_previous_stop_at_the_ends() -> None:
    page = opened(**TINY)
    assert page.button(key="previous").disabled
    page.button(key="next").click().run()
    assert page.session_state["show"] == "h_relu"
    page.button(key="previous").click().run()
    assert page.session_state["show"] == "h"
    go_to(page, STEPS[-1])
    assert page.button(key="next").disabled


def test_what_is_folded_is_not_drawn_before_it_is_opened() -> None:
    page = opened(**TINY, show="grad_w1")
    keys = ["diagram", "window"]
    assert [part.key for part in page.get("bidi_component") if part.key in (*keys, "picture")] == keys[::-1]
    assert not page.dataframe
    assert "sample" not in {box.key for box in page.number_input}
    for fold in ("whole", "chain", "help"):
        unfolded(page, fold)
    drawn = {part.key for part in page.get("bidi_component")}
    assert {"picture", "network"} <= drawn
    assert len(page.dataframe) == 2


def test_play_begins_again_at_the_end_and_a_press_stops_it() -> None:
    page = opened(**TINY, show=STEPS[-1])
    page.button(key="play").click().run()
    assert page.session_state["show"] == STEPS[0]
    assert page.button(key="play").label == "Pause"
    page.session_state["shown_since"] -= playback.SECONDS
    page.run()
    assert page.session_state["show"] == STEPS[1]
    assert page.button(key="play").label == "Pause"
    page.button(key="next").click().run()
    assert page.button(key="play").label == "Play"


def summed(page: AppTest) -> str:
    """The sum that makes the chosen cell: the last program text of the page."""
    return unescape(re.sub(r"<[^>]*>", "", page.main.get("html")[-1].proto.body))


def test_the_loss_is_the_one_of_the_run() -> None:
    page = opened(show="loss", at="7")
    loss = fit(Config()).losses[7]
    assert f"{loss:,.0f}" in [title.value for title in page.subheader]
    assert summed(page).startswith("loss = Σ_n Σ_o (y_pred[n,o] - y[n,o])² = ")


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_is_shown_in_its_line_and_in_what_comes_after(name: str) -> None:
    bug = BUGS[name]
    query = TINY | {"D_out": "3", "seed": "4", "learning_rate": "1e-3", "fault": name}
    page = opened(**query, show=bug.value)
    assert "This line contains the planted bug" in page.error[0].value
    assert bug.line in code(page).splitlines()
    wrong = page.session_state["question_one_step"].answer.wrong
    assert wrong[0] == bug.value
    assert {gradient for gradient in wrong if gradient in ("grad_w1", "grad_w2")} == {
        f"grad_{tensor}" for tensor in bug.tensors
    }
    for after in wrong[1:]:
        go_to(page, after)
        assert "the bug is in an earlier line" in page.warning[0].value
        assert not page.error
    go_to(page, "h")
    unfolded(page, "chain")
    assert not page.error
    assert not page.warning
    not_these = [box.value for box in page.info if "correct chain rule" in box.value]
    assert [bug.line in text for text in not_these] == [True] * ("w1" in bug.tensors)


def test_the_cell_that_is_chosen_travels_in_the_address_and_is_kept_within_the_sizes() -> None:
    page = unfolded(opened(**TINY, show="grad_w1", input="3", unit="99"), "whole")
    assert page.number_input(key="unit").value == 2
    assert summed(page).startswith("grad_w1[3,2] = Σ_n x[n,3]·grad_h[n,2] = ")
    page.number_input(key="input").set_value(1).run()
    answered(page)
    assert page.query_params["input"] == "1"
    assert summed(page).startswith("grad_w1[1,2] = ")
    page.session_state["whole"] = False
    page.run()
    go_to(page, "w1")
    assert page.query_params["input"] == "1"
    assert summed(page).startswith("w1[1,2] = ")


def test_the_questions_are_answered_with_the_numbers_of_the_run() -> None:
    page = opened(show="loss")
    said = shown(page)
    assert "must be 640 times larger: 0.00064 instead of 1e-06" in said


def test_what_is_wrong_in_the_address_is_said() -> None:
    page = opened(**TINY, show="nothing", sample="x")
    said = page.warning[0].value.replace("\\", "")
    assert "show: invalid value 'nothing'" in said
    assert "sample: invalid value 'x'" in said
    assert page.session_state["show"] == STEPS[0]


def test_a_run_that_diverges_is_shown_while_it_is_finite() -> None:
    page = opened(learning_rate="1e-5", at="400", show="loss")
    assert "Showing iteration 3, the last one with a finite loss" in page.warning[0].value
    assert f"{fit(Config(learning_rate=1e-5)).losses[3]:.4g}" in [title.value for title in page.subheader]


def test_a_number_in_a_cell_is_short() -> None:
    numbers = (0, -0.0, -0.69897, 1947.3, 9999.6, -198_000, 999_700, 3.2e7, 1e12, -1.234e-4, 0.00123, 1e-12)
    shorter = ["0", "0", "-0.699", "1947", "10k", "-198k", "1M", "32M", "1e12", "-0.00012", "0.0012", "1e-12"]
    assert [charts.short(number) for number in numbers] == shorter


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sizes", [{}, {"N": 20, "D_in": 300, "H": 200, "D_out": 30}])
def test_the_estimates_of_the_learning_rates_answer_hold(sizes: dict[str, int], seed: int) -> None:
    config = Config(seed=seed, dtype="float64", steps=1, **sizes)
    said = {name: float(value.replace(",", "")) for name, value in values(config).items()}
    problem = make_problem(config)
    predictions = np.maximum(problem.x @ problem.w1, 0) @ problem.w2
    assert said["size"] == pytest.approx(np.sqrt(np.mean(predictions**2)), rel=0.25)
    assert said["loss"] == pytest.approx(fit(config).losses[0], rel=0.5)
    assert said["sharpness"] == pytest.approx(largest_eigenvalue(config).value, rel=0.25)
    assert said["limit"] == pytest.approx(2 / said["sharpness"], rel=0.1)


def test_what_the_learning_rates_answer_says_of_the_tutorial_is_so() -> None:
    first, *losses = fit(Config(steps=60)).losses
    assert losses[0] < first
    assert list(np.flatnonzero(np.diff([first, *losses]) > 0) + 1) == [2, 3]
    sharpness = largest_eigenvalue(Config()).value
    assert (f"{sharpness:.3g}", f"{1e-6 * sharpness / 2:.3g}") == ("2.36e+06", "1.18")


def test_with_he_initialization_the_curvature_is_some_300_times_smaller() -> None:
    problem = make_problem(Config(dtype="float64"))
    w1 = problem.w1 * np.sqrt(2 / problem.w1.shape[0])
    w2 = problem.w2 * np.sqrt(2 / problem.w2.shape[0])

    def gradients(w1: np.ndarray, w2: np.ndarray) -> np.ndarray:
        h = problem.x @ w1
        outer = 2 * (np.maximum(h, 0) @ w2 - problem.y)
        inner = problem.x.T @ (outer @ w2.T * (h >= 0))
        return np.concatenate([inner.ravel(), (np.maximum(h, 0).T @ outer).ravel()])

    direction = np.random.default_rng(0).normal(size=w1.size + w2.size)
    for _step in range(100):  # power iteration on the Hessian
        direction *= 1e-6 / np.linalg.norm(direction)
        to_w1, to_w2 = np.split(direction, [w1.size])
        moved = to_w1.reshape(w1.shape), to_w2.reshape(w2.shape)
        ahead, behind = (gradients(w1 + s * moved[0], w2 + s * moved[1]) for s in (1, -1))
        direction = (ahead - behind) / 2
    ratio = largest_eigenvalue(Config()).value / (np.linalg.norm(direction) / 1e-6)
    assert 250 < ratio < 350


def test_what_holds_for_random_numbers_alone_is_not_said_of_other_data() -> None:
    everything = [question.asked for name in STEPS for question in asked(name, Config())]
    of_digits = [question.asked for name in STEPS for question in asked(name, Config(data="digits"))]
    missing = set(everything) - set(of_digits)
    assert missing == {"What is being learned?", "Why is the learning rate so small?"}
    page = opened(data="iris", H="4", show="h")
    assert "What is being learned?" not in [expander.label for expander in page.expander]
