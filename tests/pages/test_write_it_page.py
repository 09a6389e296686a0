"""The Write it page without a browser."""

import base64
import re
import time
import zlib
from html import unescape

import pytest
from streamlit.testing.v1 import AppTest

from twolayer.backprop.levels import SOLUTIONS
from twolayer.backprop.packed import pack, unpack
from twolayer.dashboard.common import jobs
from twolayer.training.program import GRADIENTS, STEPS

TINY = {"N": "6", "D_in": "5", "H": "4", "D_out": "3", "learning_rate": "0.001", "steps": "50"}


def opened(**query: str) -> AppTest:
    """The page as somebody opens it with this query string, its answers there."""
    page = AppTest.from_file("../../app.py", default_timeout=300).switch_page("pages/write_it.py")
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    return answered(page)


def answered(page: AppTest) -> AppTest:
    """Draw the page until it waits for nothing more."""
    end = time.monotonic() + 90
    while True:
        assert not page.exception
        keys = [key for key in ("question_write_it", "question_write_it_proof") if key in page.session_state]
        live = [page.session_state[key].live for key in keys]
        if not any(live):
            page.run()
            if not any(page.session_state[key].live for key in keys):
                assert not page.exception
                return page
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def late_answers(monkeypatch):
    """Each answer arrives when a page has just looked for it."""
    answer = jobs.Question.answer.fget

    def looked_for(question):
        found = answer(question)
        question.job.wait(90)
        return found

    monkeypatch.setattr(jobs.Question, "answer", property(looked_for))
    monkeypatch.setattr(jobs, "ANSWER_SECONDS", 0.0)


@pytest.mark.usefixtures("late_answers")
def test_a_verdict_that_arrives_while_the_page_is_drawn_is_shown():
    page = AppTest.from_file("../../app.py", default_timeout=300).switch_page("pages/write_it.py")
    for name, value in TINY.items():
        page.query_params[name] = value
    assert "press Enter" in verdict(page.run(), "grad_y_pred")
    page.text_input(key="line_grad_y_pred").set_value("2 * (y_pred - y)")
    page.run()
    assert "Right" in verdict(page, "grad_y_pred")


def written(page: AppTest, **lines: str) -> AppTest:
    """The page after these lines were written."""
    for value, line in lines.items():
        page.text_input(key=f"line_{value}").set_value(line)
    page.run()
    return answered(page)


def html(page: AppTest) -> str:
    return "\n".join(element.proto.body for element in page.main.get("html"))


def verdict(page: AppTest, value: str) -> str:
    """The text of a line's verdict."""
    found = re.search(rf'<div role="[^>]*><span[^>]*>{value}: </span>(.*?)</div>', html(page), re.DOTALL)
    assert found, value
    return unescape(re.sub(r"<[^>]*>", " ", found[1]))


def solved(page: AppTest) -> str:
    """What the page says of how many lines are right."""
    (found,) = [text.value for text in page.markdown if " right, " in text.value]
    return found.replace("*", "")


def solve(page: AppTest) -> AppTest:
    return written(page, **{name: SOLUTIONS["numpy"][name] for name in GRADIENTS})


def test_the_page_begins_with_the_five_empty_lines_of_the_backward_pass():
    page = opened(**TINY)
    assert [field.key for field in page.text_input if field.key.startswith("line_")] == [
        f"line_{g}" for g in GRADIENTS
    ]
    assert "press Enter" in verdict(page, "grad_y_pred")
    assert all("Nothing is written yet." in verdict(page, name) for name in GRADIENTS[1:])
    assert page.button(key="train_own").disabled
    assert "solved" not in page.query_params


def test_a_solved_page_says_so_and_holds_it_in_its_address():
    page = solve(opened(**TINY))
    assert "5 of 5 right, no hint" in solved(page)
    assert page.query_params["solved"] == ["5of5"] or page.query_params["solved"] == "5of5"
    assert all("Right, " in verdict(page, name) for name in GRADIENTS)
    assert "(H, N) · (N, D_out) = (H, D_out)" in verdict(page, "grad_w2")
    assert [done.value for done in page.success] == ["All lines are right. Now train with them."]
    assert any("your lines give right gradients" in caption.value for caption in page.caption)
    assert any("judged at the first iteration" in caption.value for caption in page.caption)
    assert any("not signed" in caption.value for caption in page.caption)
    assert any("central differences" in caption.value for caption in page.caption)
    lines = page.query_params["lines"]
    again = opened(**TINY, lines=lines if isinstance(lines, str) else lines[0], solved="5of5")
    assert "5 of 5 right, no hint" in solved(again)


def test_a_wrong_line_is_named_by_its_kind_and_the_lines_below_carry_it_on():
    page = solve(opened(**TINY))
    page = written(page, grad_y_pred="y_pred - y")
    assert "Wrong: the factor 2 is missing." in verdict(page, "grad_y_pred")
    assert "0.5 times" in verdict(page, "grad_y_pred")
    assert "comes from grad_y_pred" in verdict(page, "grad_w2")
    assert "4 of 5 right" in solved(page)
    assert not page.success
    assert any("wrong gradients: those marked ✗" in caption.value for caption in page.caption)


def test_a_line_that_does_not_fit_is_said_in_letters_at_its_place():
    page = written(opened(**TINY), grad_h_relu="2 * (grad_y_pred @ w2)")
    assert "the inner letters D_out and H differ" in verdict(page, "grad_h_relu")
    assert "<mark>grad_y_pred @ w2</mark>" in html(page)


@pytest.mark.parametrize(
    "line", ["<b>x</b>", "</div><script>alert(1)</script>", "**x** {y} %s", "__import__('os')"]
)
def test_what_is_written_is_shown_as_it_is_and_never_as_html(line):
    page = written(opened(**TINY), grad_h=line)
    assert "<script" not in html(page)
    assert "<b>x" not in html(page)
    assert "✗" in verdict(page, "grad_h")


def test_hints_come_one_by_one_and_are_counted_in_the_address():
    page = opened(**TINY)
    for count in (1, 2, 3):
        page.button(key="hint_grad_h").click().run()
        answered(page)
        assert verdict(page, "grad_h").count("Hint ") == count
        assert page.query_params["hints"] in (str(count), [str(count)])
    assert "np.where" in verdict(page, "grad_h")
    assert "hint_grad_h" not in [button.key for button in page.button]
    page = solve(page)
    assert "5 of 5 right, hints: 3" in solved(page)


def test_a_claim_that_the_lines_do_not_bear_out_is_said():
    page = opened(**TINY, lines=pack({"grad_h": "grad_h_relu"}), solved="5of5")
    assert "5of5" in page.warning[0].value


@pytest.mark.parametrize("lines", ["x", "AAAA", "é", "A" * 3000, pack({"h": "x"})[:-3]])
def test_lines_of_the_address_that_cannot_be_read_are_said_to_be_ignored(lines):
    page = opened(**TINY, lines=lines)
    assert "lines" in page.warning[0].value
    assert all("Nothing is written yet." in verdict(page, name) for name in GRADIENTS[1:])


def test_start_empty_forgets_lines_and_hints():
    page = solve(opened(**TINY))
    page.button(key="start_empty").click().run()
    answered(page)
    assert all(field.value == "" for field in page.text_input if field.key.startswith("line_"))
    assert not {"lines", "solved", "hints"} & set(page.query_params)


def test_lines_and_hints_that_were_put_away_come_back_until_others_are_written():
    page = opened(**TINY)
    page.button(key="hint_grad_h").click().run()
    page = solve(answered(page))
    page.button(key="start_empty").click().run()
    page = answered(page)
    page.button(key="bring_back").click().run()
    page = answered(page)
    assert page.text_input(key="line_grad_h").value == SOLUTIONS["numpy"]["grad_h"]
    assert "5 of 5 right, hints: 1" in solved(page)
    assert "Hint 1:" in verdict(page, "grad_h")
    page.button(key="start_empty").click().run()
    page = written(answered(page), grad_h="grad_h_relu")
    assert "bring_back" not in [button.key for button in page.button]
    assert page.button(key="start_empty")


def test_the_levels_open_one_line_or_all_and_what_was_written_stays():
    page = written(opened(**TINY, level="1", missing="grad_w1"), grad_w1="x.T @ grad_h")
    assert [f.key for f in page.text_input if f.key.startswith("line_")] == ["line_grad_w1"]
    page.segmented_control(key="level").set_value("3").run()
    answered(page)
    assert [f.key for f in page.text_input if f.key.startswith("line_")] == [f"line_{name}" for name in STEPS]
    assert page.text_input(key="line_grad_w1").value == "x.T @ grad_h"


def test_pytorchs_spelling_is_asked_for_and_its_solutions_are_right():
    page = opened(**TINY, dialect="torch", lines=pack(SOLUTIONS["torch"]))
    assert "5 of 5" in solved(page)
    page.segmented_control(key="dialect").set_value("numpy").run()
    answered(page)
    assert "Here it is written" in verdict(page, "grad_w2")


def test_ones_own_program_trains_beside_the_right_one(wait_until):
    page = written(solve(opened(**TINY)), grad_y_pred="y_pred - y")
    page.button(key="train_own").click().run()
    job = page.session_state["job_own_training"]
    wait_until(lambda: not job.live)
    page.run()
    assert not page.exception
    assert len(job.curves.own) == len(job.curves.right) == 50
    assert "own_chart" in [chart.key for chart in page.get("bidi_component")]
    assert any("After 50 steps your loss is" in caption.value for caption in page.caption)
    assert not any("with other lines" in caption.value for caption in page.caption)
    page = written(page, grad_y_pred="2 * (y_pred - y)")
    assert any("with other lines" in caption.value for caption in page.caption)


def test_the_page_is_korean_too():
    page = solve(opened(**TINY, lang="ko"))
    assert "정확함, (N, D_out)." in verdict(page, "grad_y_pred")
    page = written(page, grad_h_relu="grad_y_pred @ w2", grad_h="grad_h_relu")
    for name in ("grad_h_relu", "grad_h"):
        assert "틀림: " in verdict(page, name)
        assert not re.search(r"[A-Za-z]{3,} [a-z]{2,} [a-z]{2,}", verdict(page, name).replace("h_relu", ""))


def test_packed_lines_come_back_and_a_bomb_does_not_go_off():
    lines = {"grad_h": "grad_h_relu.copy(); grad_h[h < 0] = 0", "h": "x @ w1"}
    assert unpack(pack(lines)) == lines
    assert pack({}) == pack({"h": ""}) == ""
    bomb, junk = zlib.compress(b" " * 1_000_000, 9), zlib.compress(b'{"h":"x"}') + b"junk"
    for text in (
        *(base64.urlsafe_b64encode(data).decode().rstrip("=") for data in (bomb, junk)),
        "e30",
        "bm9wZQ",
        pack({"h": "\ud800"}),  # half a character, which no browser could be sent
    ):
        with pytest.raises(ValueError):  # noqa: PT011
            unpack(text)
