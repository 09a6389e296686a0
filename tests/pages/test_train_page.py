"""The Train page without a browser: controls, messages, a whole run."""

import time
from dataclasses import replace
from typing import Any

import pytest
from numpy.testing import assert_allclose, assert_array_equal
from streamlit.testing.v1 import AppTest

from tests.pages.reading import chart
from twolayer import Config, fit
from twolayer.dashboard.common import server, visitors
from twolayer.dashboard.common.history import History
from twolayer.dashboard.common.presets import PRESETS
from twolayer.dashboard.i18n import plain, say, unbroken
from twolayer.dashboard.train import live
from twolayer.dashboard.train.runs_table import differences
from twolayer.engine.engine import Engine
from twolayer.engine.info import limits, machine
from twolayer.engine.run import Run
from twolayer.training.capabilities import probe
from twolayer.training.config import DEFAULTS, FIELDS
from twolayer.training.edits import Edit
from twolayer.training.messages import Message
from twolayer.training.methods import gain_of_auto


def opened(**query: str) -> AppTest:
    """The page as somebody opens it with this query string."""
    page = AppTest.from_file("../../app.py", default_timeout=300)
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def until(page: AppTest, what: str) -> None:
    """Wait until the page's run is `over`, or has a first `step`, and draw the page again."""
    end = time.monotonic() + 60
    while not getattr(page.session_state["run"], what):
        assert time.monotonic() < end
        time.sleep(0.005)
    page.run()
    assert not page.exception


def until_known(page: AppTest) -> None:
    """Wait until the engine knows its workers, and draw the page again."""
    end = time.monotonic() + 60
    while server.engine().capabilities is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    page.run()


def shown(page: AppTest) -> str:
    """Every text that the page shows in a box or a paragraph."""
    kinds = (page.error, page.warning, page.info, page.success, page.markdown)
    return "\n".join(element.value for elements in kinds for element in elements)


def test_controls_begin_with_the_tutorials_values() -> None:
    page = opened()
    page.session_state["compute"] = True
    page.run()
    for field in FIELDS.keys() - {"table"}:  # that is the name of an uploaded file
        assert page.session_state[field] == DEFAULTS[field]
        assert page.get_by_key(field) is not None


@pytest.mark.parametrize(("lang", "word"), [("en", "Example"), ("ko", "예시")])
def test_before_the_first_run_the_charts_show_an_example_in_grey_that_says_so(lang: str, word: str) -> None:
    page = opened(N="8", lang=lang)
    for key in ("loss_chart", "time_chart"):
        sent = chart(page, key)
        assert {trace["line"]["color"] for trace in sent["traces"]} == {"theme:7"}
        assert any(note["text"].startswith(word) for note in sent["layout"]["annotations"])
    trained, held_out = chart(page, "loss_chart")["traces"]
    expected = fit(Config())
    assert_allclose(trained["y"], expected.losses, rtol=1e-5)
    assert held_out["line"]["dash"] == "dot"  # as the line below the charts says
    assert_allclose(held_out["y"], expected.held_out[:, 1] * 64 * 10, rtol=1e-5)
    page.button(key="train").click().run()
    until(page, "over")
    for key in ("loss_chart", "time_chart"):
        sent = chart(page, key)
        assert not any(word in trace.get("name", "") for trace in sent["traces"])  # some are there already
        assert not any(word in note["text"] for note in sent["layout"].get("annotations", ()))


def test_train_gives_the_losses_of_fit() -> None:
    page = opened(N="16", D_in="30", H="9", D_out="3", learning_rate="1e-4", steps="300", dtype="float64")
    page.button(key="train").click().run()
    until(page, "over")
    config = Config(N=16, D_in=30, H=9, D_out=3, learning_rate=1e-4, steps=300, dtype="float64")
    assert page.session_state["run"].config == config
    assert_array_equal(page.session_state["run"].losses, fit(config).losses)
    assert "finished" in [metric.value for metric in page.metric]
    assert "the loss decreased" in shown(page)


def test_run_1_starts_at_once_and_the_address_keeps_the_run() -> None:
    page = opened(run="1", steps="20", seed="7")
    until(page, "over")
    assert page.session_state["run"].config == Config(steps=20, seed=7)
    assert page.query_params["steps"] == "20"
    assert page.query_params["seed"] == "7"


def test_what_auto_picked_is_shown() -> None:
    page = opened(run="1", method="auto")
    until(page, "over")
    assert "auto → gram" in shown(page)


def test_a_device_that_is_not_here_costs_no_other_field() -> None:
    page = opened(backend="torch", device="mps", dtype="float64", N="32")
    text = page.warning[0].value
    assert text.count("\n- ") == 1
    assert "device" in text
    assert (page.session_state["dtype"], page.session_state["device"]) == ("float64", "cpu")
    assert page.session_state["N"] == 32


def test_what_is_wrong_in_the_address_is_said_by_field_and_the_rest_is_used() -> None:
    page = opened(N="abc", D_in="33", learning_rate="nan", nothing="1", lang="xx")
    text = page.warning[0].value
    for word in ("N:", "learning\\_rate:", "nothing:", "lang:"):
        assert word in text
    assert "D\\_in:" not in text
    assert page.session_state["D_in"] == 33
    assert page.session_state["N"] == 64


def test_markdown_in_the_address_has_no_effect() -> None:
    page = opened(N="**bold** <b>x</b> [a](http://b) :red[c] $x$")
    text = page.warning[0].value
    assert "**bold**" not in text
    assert "<b>" not in text
    assert "\\*\\*bold\\*\\*" in text


def test_a_device_that_is_not_here_is_refused_and_cpu_is_used() -> None:
    page = opened(backend="torch", device="cuda:7")
    assert "device:" in page.warning[0].value
    assert page.session_state["device"] == "cpu"


def test_numba_is_offered_and_trains() -> None:
    page = opened(backend="numba", method="gram", run="1", steps="50")
    until(page, "over")
    page.session_state["compute"] = True
    page.run()
    assert "Numba" in page.button_group(key="backend").options
    assert "Numba (gram)" in shown(page)


def test_a_library_that_only_races_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    why = (("numba", Message.of("no numba")), ("jax", Message.of("no jax")))
    monkeypatch.setattr(Engine, "capabilities", replace(probe(), missing=why))
    page = opened()
    page.session_state["compute"] = True
    page.run()
    said = [caption.value for caption in page.caption]
    assert "no numba" in said
    assert "no jax" not in said


def test_more_threads_than_numba_has_are_said_and_one_is_used() -> None:
    page = opened(backend="numba", threads="2")
    assert "threads:" in page.warning[0].value
    assert (page.session_state["backend"], page.session_state["threads"]) == ("numba", 1)


def test_a_diverged_run_says_at_which_step() -> None:
    page = opened(run="1", learning_rate="1e-5")
    until(page, "over")
    assert "from step 4 on" in shown(page)
    assert not page.button(key="train").disabled


def test_a_run_beyond_the_memory_limit_is_refused_with_the_limit() -> None:
    page = opened(N="60000", D_in="60000", run="1")
    assert "this server allows" in page.error[0].value
    assert "run" not in page.session_state


@pytest.mark.parametrize(("field", "value"), [("N", -5), ("H", 10**9), ("learning_rate", float("nan"))])
def test_a_value_outside_its_range_does_not_get_in(field: str, value: float) -> None:
    page = opened()
    page.session_state[field] = value
    page.run()
    assert not page.exception
    assert page.session_state[field] == DEFAULTS[field]


def test_stop_ends_the_run_and_the_page_says_so() -> None:
    page = opened(run="1", steps="1000000")
    until(page, "step")
    page.button(key="stop").click().run()
    assert page.session_state["run"].state == "stopped"
    assert "Stopped" in shown(page)
    assert page.button(key="stop").disabled


def test_the_arrows_of_the_learning_rate_go_by_half_of_it() -> None:
    page = opened(learning_rate="4e-06")
    page.number_input(key="learning_rate").decrement().run()
    assert page.session_state["learning_rate"] == 2e-6
    page.number_input(key="learning_rate").increment().run()
    assert page.session_state["learning_rate"] == 3e-6


def test_what_is_folded_is_not_drawn_and_keeps_its_values() -> None:
    page = opened(backend="torch", method="gram", dtype="float64", threads="2")
    drawn = [*page.selectbox, *page.number_input, *page.segmented_control]
    inside = {"backend", "device", "method", "dtype", "threads"}
    assert inside.isdisjoint(widget.key for widget in drawn)
    assert any("PyTorch, CPU, Gram (dual form), float64, 2 threads" in c.value for c in page.caption)
    page.session_state["compute"] = True
    page.run()
    assert page.selectbox(key="method").value == "gram"
    page.number_input(key="threads").set_value(3).run()
    page.session_state["compute"] = False
    page.run()
    page.number_input(key="seed").set_value(5).run()
    query = {"backend": "torch", "method": "gram", "dtype": "float64", "threads": "3", "seed": "5"}
    assert page.query_params == query
    page.session_state["compute"] = True
    page.run()
    assert (page.selectbox(key="method").value, page.number_input(key="threads").value) == ("gram", 3)


def test_korean_by_address() -> None:
    page = opened(lang="ko", run="1", steps="10")
    until(page, "over")
    assert page.title[0].value == "손으로 구현한 2층 신경망"
    assert "완료" in [metric.value for metric in page.metric]


def a_page_with(state: str) -> None:
    """A script that shows a run in a state; run by the test runner, which copies its text."""
    from twolayer import Config
    from twolayer.dashboard.train.live import show
    from twolayer.engine.run import Run
    from twolayer.training.messages import Message

    run = Run("a", Config())
    run.begin()
    run.state = state
    run.message = Message.of("the reason")
    show(run, [])


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("failed", "Failed: the reason"),
        ("stopped", "the reason"),
        ("queued", "Waiting"),
        ("running", "Training"),
    ],
)
def test_each_state_is_said_in_words(state: str, words: str) -> None:
    page = AppTest.from_function(a_page_with, args=(state,)).run()
    assert not page.exception
    assert words in shown(page)
    assert state in [metric.value for metric in page.metric]


def pressed(page: AppTest, key: str) -> AppTest:
    page.button(key=key).click().run()
    assert not page.exception
    return page


@pytest.mark.parametrize(("lang", "words"), [("en", "No new data for"), ("ko", "동안 새 데이터가 없습니다")])
def test_a_run_that_is_not_heard_of_says_so_and_that_nothing_is_lost(
    lang: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = opened(lang=lang, steps="5000000")
    page.button(key="train").click().run()
    until(page, "step")
    assert words not in shown(page)
    monkeypatch.setattr(live, "_patience", lambda _run: -1.0)
    page.run()
    assert words in shown(page)
    server.engine().stop(page.session_state["run"])


def test_pause_resume_and_step_end_with_the_losses_of_fit() -> None:
    page = opened(run="1", N="3", D_in="4", H="5", D_out="2", learning_rate="1e-3", steps="200000")
    until(page, "step")
    pressed(page, "pause")
    run = page.session_state["run"]
    run.wait(600)
    assert run.state == "paused"
    page.run()
    assert f"Paused after {run.step:,} steps" in shown(page)
    step = run.step
    page.session_state["more"] = True
    page.run()
    page.number_input(key="step_count").set_value(7).run()
    page.session_state["more"] = False
    page.run()
    pressed(page, "step")
    assert run.wait(600)
    assert (run.state, run.step) == ("paused", step + 7)
    pressed(page, "pause")
    until(page, "over")
    assert run.state == "finished"
    assert_array_equal(run.losses, fit(run.config).losses)
    assert page.button(key="pause").disabled


def test_step_begins_a_run_and_reset_goes_back_to_ready() -> None:
    page = pressed(opened(), "step")
    run = page.session_state["run"]
    assert run.wait(600)
    assert (run.state, run.step) == ("paused", 1)
    page = pressed(page, "reset")
    assert "ready" in [metric.value for metric in page.metric]
    assert run.state == "stopped"
    assert page.button(key="reset").disabled


def test_a_finished_run_goes_on_with_more_steps_and_another_rate_and_says_so() -> None:
    page = opened(run="1", steps="50")
    until(page, "over")
    page.session_state["more"] = True
    page.run()
    page.number_input(key="continue_steps").set_value(80)
    page.number_input(key="continue_learning_rate").set_value(5e-7)
    pressed(page, "go_on")
    until(page, "over")
    run = page.session_state["run"]
    assert (run.state, run.step) == ("finished", 80)
    assert_array_equal(run.losses, fit(run.config, run.edits).losses)
    page.run()
    assert "edited during the run" in shown(page)
    assert unbroken("learning rate 5e-07 from step 50") in shown(page)


def test_a_new_run_changes_nothing_that_was_chosen_and_every_run_is_kept() -> None:
    page = opened(run="1", steps="20")
    until(page, "over")
    for seed in (1, 2):
        page.number_input(key="seed").set_value(seed).run()
        pressed(page, "train")
        until(page, "over")
        if seed == 1:
            page.selectbox(key="chosen_run").select(1).run()
    assert page.selectbox(key="chosen_run").value == 1
    kept = history(page).entries
    names = ["NumPy, steps = 20", "NumPy, steps = 20, seed = 1", "NumPy, steps = 20, seed = 2"]
    assert [entry.name for entry in kept] == names
    assert [entry.run.config.seed for entry in kept] == [0, 1, 2]
    assert all(entry.shown for entry in kept)
    page.number_input(key="N").set_value(12).run()
    pressed(page, "load_settings")
    assert (page.session_state["N"], page.session_state["seed"]) == (64, 0)
    pressed(page, "delete_run")
    assert [entry.name for entry in history(page).entries] == names[1:]
    assert any("**seed** (1\\, 2)" in caption.value for caption in page.caption)


def history(page: AppTest) -> History:
    return visitors.histories().of(page.session_state["visitor"])


@pytest.mark.parametrize("name", ["tutorial", "tiny", "wide", "edge", "dead", "diverges"])
def test_each_preset_is_a_link_that_starts_and_does_what_it_says(name: str) -> None:
    page = opened(preset=name, run="1")
    until(page, "over")
    run = page.session_state["run"]
    page.run()
    losses = run.losses
    expected = {
        "tutorial": losses[0] > 3e7 and losses[-1] < 1,
        "tiny": run.config.N * run.config.D_in < 20 and losses[-1] < 0.1 * losses[0],
        "wide": run.config.H == 2000 and losses[-1] < 1e-3 * losses[0],
        "edge": losses.max() > 5 * losses[0] and losses[-1] < 1e-3 * losses[0],
        "dead": "77 of 100 hidden units are dead" in shown(page),
        "diverges": run.state == "diverged",
    }
    assert expected[name]
    assert "preset" not in page.query_params
    assert any(PRESETS[name].look == caption.value for caption in page.caption)


def test_a_preset_that_is_not_there_is_said() -> None:
    assert "preset:" in opened(preset="<b>no</b>").warning[0].value


def test_a_diverged_run_says_where_and_offers_a_rate_that_works() -> None:
    page = opened(run="1", learning_rate="1e-5")
    until(page, "over")
    job = page.session_state["question_diagnosis"].job
    assert job.wait(600)
    page.run()
    text = "".join(markdown.value for markdown in page.markdown)
    assert "at step 4 in `loss`" in text
    assert "λmax = 2.36e+06" in text
    assert "11.8 times" in text
    pressed(page, "use_rate")
    rate = page.session_state["learning_rate"]
    losses = fit(Config(learning_rate=rate)).losses
    assert losses[-1] < 1e-3 * losses[0]


def test_the_shown_runs_differ_only_in_the_fields_that_are_named() -> None:
    configs = [Run("", config) for config in (Config(), Config(H=50), Config(H=50, seed=3))]
    assert differences(configs) == "Shown runs differ in: **H** (100\\, 50), **seed** (0\\, 3)"
    assert differences(configs[:1]).startswith("Show two or more runs")
    twins = [Run("", Config()), Run("", Config())]
    assert differences(twins) == "All shown runs have the same settings."
    twins[1].edits = (Edit(3, "learning_rate", 1e-7),)
    assert differences(twins) == "Shown runs differ in: edits during the run"


def test_a_changed_rate_counts_against_the_curvature() -> None:
    page = opened(run="1", steps="50")
    until(page, "over")
    page.session_state["more"] = True
    page.run()
    page.number_input(key="continue_steps").set_value(80)
    page.number_input(key="continue_learning_rate").set_value(1e-3)
    pressed(page, "go_on")
    until(page, "over")
    assert page.session_state["run"].state == "diverged"
    job = page.session_state["question_diagnosis"].job
    assert job.wait(600)
    page.run()
    assert "This run's learning rate is 1.18e+03 times" in "".join(
        markdown.value for markdown in page.markdown
    )


def test_a_run_that_is_refused_leaves_the_one_before_as_it_was() -> None:
    page = pressed(opened(), "step")
    run = page.session_state["run"]
    assert run.wait(600)
    page.number_input(key="N").set_value(60_000).run()
    page.number_input(key="D_in").set_value(60_000).run()
    pressed(page, "train")
    assert "this server allows" in page.error[0].value
    assert page.session_state["run"] is run
    assert run.state == "paused"


def test_a_link_starts_once_and_its_run_is_named_by_what_differs_from_the_tutorial() -> None:
    page = opened(lang="ko", run="1", steps="10", backend="torch", method="gram", learning_rate="2e-6")
    until(page, "over")
    expected = ["PyTorch, gram, η = 2e-06, steps = 10"]
    assert [entry.name for entry in history(page).entries] == expected
    assert "run" not in page.query_params


def test_runs_with_the_same_losses_are_said_to_be_identical() -> None:
    page = opened(run="1", steps="20")
    for _ in range(2):
        until(page, "over")
        pressed(page, "train")
    until(page, "over")
    first, second, third = (plain(f"NumPy, steps = 20{again}") for again in ("", " (2)", " (3)"))
    said = "Identical losses, one curve on top of the other"
    assert any(f"{said}: {first}, {second}, {third}." in caption.value for caption in page.caption)
    page.number_input(key="seed").set_value(1).run()
    pressed(page, "delete_run")
    pressed(page, "train")
    until(page, "over")
    assert any(f"{said}: {first}, {second}." in caption.value for caption in page.caption)


def test_what_was_trained_before_the_tab_was_known_again_comes_along() -> None:
    old = visitors._Presence("0" * 32)
    visitors.histories().of("0" * 32).add(Run("before", Config()))
    page = opened(run="1", steps="10")
    until(page, "over")
    assert visitors.histories().is_taken("0" * 32)
    old.end()
    assert not visitors.histories().is_taken("0" * 32)
    assert visitors.histories().is_free("0" * 32)


def test_about_this_server_is_the_table_of_the_command_line() -> None:
    page = opened()
    page.session_state["about"] = True
    until_known(page)
    (table,) = [text.value for text in page.markdown if text.value.startswith("| Processor")]
    for _, value in [*machine(server.engine().capabilities), *limits(server.engine().settings)]:
        assert plain(str(value)) in table or say(value, str) in table


def test_gram_where_it_does_not_pay_is_shown_with_what_would_be_faster() -> None:
    sizes = {"N": "200", "D_in": "50", "H": "10", "steps": "100"}
    gain = gain_of_auto(Config(N=200, D_in=50, H=10, steps=100, method="gram"))
    assert gain > 1.5
    captions = [caption.value for caption in opened(**sizes, method="gram").caption]
    assert any("FLOPs once for x·xᵀ" in text for text in captions)
    assert any(f"Gram takes an estimated {gain:.3g} times as many FLOPs" in text for text in captions)
    for query in ({**sizes, "method": "auto"}, {**sizes, "method": "fused"}, {"method": "gram"}):
        assert not any("faster at these" in caption.value for caption in opened(**query).caption)
    assert any(
        f"{gain:.3g}배" in caption.value for caption in opened(**sizes, method="gram", lang="ko").caption
    )


MOST_MESSAGES = 55
"""Elements and containers of a visit with a finished run: each is a message to the browser, and its time on
the server."""


def test_a_visit_is_few_elements() -> None:
    page = opened(run="1", method="gram")
    until(page, "over")

    def count(block: Any) -> int:
        return sum(1 + count(child) if hasattr(child, "children") else 1 for child in block.children.values())

    drawn = sum(count(root) - 1 for root in page._tree.children.values())  # the roots are no messages
    assert 30 < drawn <= MOST_MESSAGES, drawn


def test_a_run_that_ends_while_it_is_drawn_is_not_said_to_have_ended_before_its_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The state is read before the figures, however late it is filled in."""
    page = opened(steps="5000000")
    page.button(key="train").click().run()
    until(page, "step")
    run, figures = page.session_state["run"], live._figures

    def and_then_it_ends(run: Run | None) -> Any:
        place = figures(run)
        assert run is not None
        run.state = "finished"
        return place

    monkeypatch.setattr(live, "_figures", and_then_it_ends)
    page.run()
    states = [metric.value for metric in page.metric if metric.label == "Status"]
    run.state = "running"
    server.engine().stop(run)
    assert states == ["running"]
