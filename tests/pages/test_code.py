"""A run as code, on the Train page."""

import json
import re

import nbformat
import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.test_train_page import opened, until
from twolayer import Config, Edit
from twolayer.dashboard.train import code
from twolayer.export import notebook
from twolayer.export.rungs import RUNGS, rungs
from twolayer.export.script import script
from twolayer.training.messages import Message

RUNG_LABELS = [rung.label for rung in rungs(Config()).values()]


def unfolded(page: AppTest, rung: str | None = None) -> AppTest:
    """The page with the code opened, written on a rung."""
    page.session_state["code"] = True
    if rung is not None:
        page.session_state["code_rung"] = rung
    page.run()
    assert not page.exception
    return page


def programs(page: AppTest) -> list[str]:
    """The programs that are shown; Streamlit leaves out the end of the last line."""
    return [f"{block.value}\n" for block in page.code]


def downloads(page: AppTest) -> list[str]:
    return [button.label for button in page.get("download_button")]


BEFORE_IT_IS_OPENED = """
import json, sys
from streamlit.testing.v1 import AppTest
page = AppTest.from_file("app.py", default_timeout=300)
page.query_params.update({"run": "1", "steps": "20"})
page.run()
assert not page.exception
drawn = {"code": len(page.code), "downloads": len(page.get("download_button"))}
print(json.dumps({**drawn, "modules": sorted(sys.modules)}))
from twolayer.dashboard.common import server
server.engine().close()
"""


def test_before_it_is_opened_nothing_is_drawn_or_imported(python) -> None:
    ran = python("-c", BEFORE_IT_IS_OPENED)
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout.splitlines()[-1])
    assert (seen["code"], seen["downloads"]) == (0, 0)
    unneeded = {f"twolayer.export.{name}" for name in ("rungs", "script", "notebook")}
    assert not {*unneeded, "nbformat", "jax", "onnx", "torch"} & set(seen["modules"])


def test_before_a_run_it_is_the_run_of_the_settings() -> None:
    page = unfolded(opened(N="16", H="9"))
    assert programs(page) == [script(Config(N=16, H=9))]
    assert any("Nothing has been trained yet" in caption.value for caption in page.caption)
    assert downloads(page) == ["Download as notebook", "Download run_numpy.py"]


def test_the_tabs_are_the_rungs_and_the_first_is_the_runs_own() -> None:
    page = unfolded(opened(backend="torch"))
    tabs = page.get_by_key("code_rung")
    assert tabs.options == RUNG_LABELS
    assert tabs.value == "torch"


@pytest.mark.parametrize("rung", [name for name in rungs(Config()) if name != "numpy"])
def test_a_rung_stands_beside_numpy_with_what_replaces_the_lines_by_hand(rung: str) -> None:
    page = unfolded(opened(method="auto", dtype="float64"), rung)
    config = Config(method="auto", dtype="float64")
    assert programs(page) == [script(config, rung=name) for name in ("numpy", rung)]
    said = "\n".join(caption.value for caption in page.caption)
    if RUNGS[rung].by_hand:
        assert "Marked: the backward pass, written by hand." in said
        assert "the losses of this run with the backend PyTorch" in said or rung != "torch"
    else:
        first, last = re.search(
            rf"`{re.escape(RUNGS[rung].replaces)}` replaces lines (\d+)–(\d+)", said
        ).groups()
        lines = page.code[0].value.splitlines()
        assert "# Backward pass" in lines[int(first) - 2]
        assert "" not in lines[int(first) - 1 : int(last)]
        assert lines[int(last)] == ""
        assert "within 1e-11" in said
    assert downloads(page)[1:] == ["Download run_numpy.py", f"Download run_{rung}.py"]


def test_an_edited_run_is_shown_with_its_edits_and_a_stopped_one_ends_where_it_was_stopped() -> None:
    page = opened(run="1", steps="50")
    until(page, "over")
    run = page.session_state["run"]
    run.edits = (Edit(20, "learning_rate", 5e-7), Edit(20, "steps", 80))
    page = unfolded(page)
    assert programs(page) == [script(run.config, run.edits)]
    assert "learning_rate = 5e-07" in page.code[0].value
    assert "steps = 80" in page.code[0].value
    run.state = "stopped"
    page.run()
    assert "steps = 50" in page.code[0].value
    assert any("NumPy" in caption.value for caption in page.caption)


def test_the_run_that_is_chosen_in_the_table_is_the_one_that_is_shown() -> None:
    page = opened(run="1", steps="20")
    until(page, "over")
    page.number_input(key="seed").set_value(7).run()
    page.button(key="train").click().run()
    until(page, "over")
    page = unfolded(page)
    assert "default_rng(7)" in page.code[0].value
    page.selectbox(key="chosen_run").select(1).run()
    assert "default_rng(0)" in page.code[0].value
    assert "Download run_1_numpy.py" in downloads(page)


def test_the_marked_lines_are_those_of_the_backward_pass() -> None:
    page = unfolded(opened())
    styles = [element.proto.body for element in page.get("html") if "code_numpy" in element.proto.body]
    first, last = re.search(r"nth-child\(n\+(\d+)\):nth-child\(-n\+(\d+)\)", styles[0]).groups()
    lines = page.code[0].value.splitlines()[int(first) - 1 : int(last)]
    assert lines[0].strip().startswith("grad_y_pred = ")
    assert lines[-1].strip().startswith("grad_w1 = ")


def test_in_korean_the_notebook_too(monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    monkeypatch.setattr(
        code.st, "download_button", lambda label, data, *_, **__: written.append((label, data))
    )
    page = unfolded(opened(lang="ko"), "nn")
    assert any("표시한 줄: 역전파" in caption.value for caption in page.caption)
    label, make = written[0]
    assert label == "노트북으로 내려받기"
    book = nbformat.reads(make(), as_version=4)
    assert "직접 구현한 역전파" in book.cells[0].source


def test_without_the_library_of_notebooks_there_is_no_button(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "why_missing", lambda _name: Message.of("it is not there"))
    assert downloads(unfolded(opened())) == ["Download run_numpy.py"]
