"""A file of the visitor's own on the pages: uploaded, chosen of, trained on, linked to."""

import asyncio
import subprocess
import sys
import tempfile
import time

import pytest
from numpy.testing import assert_array_equal
from starlette.requests import Request
from streamlit.testing.v1 import AppTest

from tests.pages.test_train_page import opened, shown, until
from twolayer import Config, fit, own_table
from twolayer.dashboard.common import visitors
from twolayer.training.data.cells import MOST_BYTES

PAGES = ("race", "gradients", "one_step", "learning_rate", "write_it")
FLOWERS = b"length,width,place,kind\n" + b"".join(
    f"{k % 7}.5,{k * k % 11},{'field' if k % 4 else 'wood'},{('lily', 'rose', 'iris')[k % 3]}\n".encode()
    for k in range(60)
)


def upload(page: AppTest, content: bytes, name: str = "flowers.csv") -> AppTest:
    """Upload a file, and wait until it has been read."""
    return read(page.file_uploader(key="own_file").set_value((name, content, "text/csv")).run())


def read(page: AppTest) -> AppTest:
    """Wait until the page's file has been read as it is chosen now."""
    end = time.monotonic() + 60
    while any(caption.value in ("Reading the file…", "파일을 읽는 중…") for caption in page.caption):
        assert time.monotonic() < end
        page.run()
    assert not page.exception
    return page


def captions(page: AppTest) -> str:
    return "\n".join(element.value for element in page.caption)


def table_of(content: bytes, tmp_path, **choices):
    """The library's reading of a file."""
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    return own_table(path, **choices)


def test_a_file_is_read_and_trains_as_in_the_library(tmp_path):
    page = opened(data="csv", init="he", learning_rate="1e-4", steps="50", H="20")
    assert "Upload a file" in shown(page)
    upload(page, FLOWERS)
    table = table_of(FLOWERS, tmp_path)
    assert (table.outputs, table.x.shape) == (("iris", "lily", "rose"), (60, 5))
    assert page.query_params["table"] == table.name
    assert page.number_input(key="N").value == 48
    assert "60 rows" in captions(page)
    page.button(key="train").click().run()
    until(page, "over")
    run = page.session_state["run"]
    config = Config(data="csv", table=table.name, init="he", learning_rate=1e-4, steps=50, H=20)
    assert run.config == config
    assert_array_equal(run.losses, fit(config, table=table).losses)
    assert "held-out rows have the right class" in shown(page)


def test_targets_inputs_and_kind_are_chosen_and_are_in_the_address(tmp_path):
    page = upload(opened(data="csv"), FLOWERS)
    read(page.multiselect(key="own_targets").set_value([2]).run())
    table = table_of(FLOWERS, tmp_path, target="width")
    assert page.query_params["table"] == table.name
    assert table.shape.choices.inputs == (1, 3, 4)
    read(page.multiselect(key="own_inputs").set_value([1, 3]).run())
    assert page.query_params["table"] == table_of(FLOWERS, tmp_path, target="width", inputs=[1, 3]).name
    read(page.segmented_control(key="own_kind").set_value("classes").run())
    chosen = table_of(FLOWERS, tmp_path, target="width", inputs=[1, 3], kind="classes")
    assert page.query_params["table"] == chosen.name
    assert page.multiselect(key="own_inputs").value == [1, 3]
    on_its_way = page._tree.get_widget_states()  # in the words of the language before
    page.button(key="lang_ko").click().run()
    read(page._run(on_its_way))
    assert not page.exception
    assert page.query_params["table"] == chosen.name
    read(page.multiselect(key="own_inputs").set_value([1, 2]).run())  # the target itself is none
    assert page.multiselect(key="own_inputs").value == [1]


def test_what_is_left_out_is_said():
    lines = FLOWERS.decode().splitlines()
    lines[3], lines[9] = "?,1,wood,rose", "1,,wood,rose"
    wide = [lines[0] + ",same,no,id"] + [f"{line},7,,a{k}" for k, line in enumerate(lines[1:])]
    page = upload(opened(data="csv"), "\n".join(wide).encode())
    read(page.multiselect(key="own_targets").set_value([4]).run())
    said = captions(page)
    assert "flowers" in said
    assert ": 60 rows." in said
    assert "Rows with missing values, left out: 2." in said
    assert "Constant columns, left out: same." in said
    assert "Empty columns, left out: no." in said
    assert "Columns with too many different values for a category, left out: id." in said


def test_a_column_that_varies_only_in_incomplete_rows_is_said_to_be_constant():
    page = upload(opened(data="csv"), b"a,b,c,t\n1,1,1,1\n1,2,5,2\n1,3,4,3\n1,4,4,9\n2,?,3,4\n")
    assert "Constant columns, left out: a." in captions(page)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Line 1, column 1"),
        (b"a,b\n1,2\n3,4,5\n", "Line 3, column 3: cells in this line: 3; in the first line: 2."),
        (b'a,b\n1,2\n3,"4\n', "Line 3, column 2: a quotation mark is not closed"),
        (b"a,b\n1,\xff\n", "Line 2, column 2: not UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_line_and_column(content, words):
    page = upload(opened(data="csv"), content)
    assert words in shown(page)
    assert page.button(key="train").disabled


def test_choices_that_cannot_be_are_refused_and_can_be_mended(tmp_path):
    page = upload(opened(data="csv"), FLOWERS)
    read(page.segmented_control(key="own_kind").set_value("regression").run())
    assert "Line 2, column 4 (kind): “lily” is not a number." in shown(page).replace("\\", "")
    assert page.button(key="train").disabled
    read(page.segmented_control(key="own_kind").set_value("automatic").run())
    assert page.query_params["table"] == table_of(FLOWERS, tmp_path).name
    assert not page.button(key="train").disabled


def test_a_link_without_its_file_asks_for_it_and_goes_on_with_it(tmp_path):
    table = table_of(FLOWERS, tmp_path, target="length", inputs=["width"])
    page = opened(data="csv", table=table.name, N="30", run="1")
    assert "This link is for a file that is not here: 60 complete rows" in shown(page)
    assert "a file of your own, which is not here" in shown(page)
    assert "run" not in page.session_state
    upload(page, FLOWERS)
    assert page.query_params["table"] == table.name
    assert page.number_input(key="N").value == 30
    assert "which is not here" not in shown(page)
    page.button(key="train").click().run()
    until(page, "over")
    assert page.session_state["run"].config.table == table.name


def test_another_file_than_the_link_s_is_read_for_itself(tmp_path):
    table = table_of(FLOWERS, tmp_path, target="length", inputs=["width"])
    other = FLOWERS.replace(b"lily", b"tulip")
    page = upload(opened(data="csv", table=table.name), other)
    assert page.query_params["table"] == table_of(other, tmp_path).name


def test_nobody_else_can_use_a_file_by_its_digest(monkeypatch):
    page = upload(opened(data="csv"), FLOWERS)
    page.button(key="train").click().run()
    until(page, "over")
    link = {"data": "csv", "table": page.query_params["table"], "run": "1"}
    again = opened(**link)  # the same visitor, after a reload
    until(again, "over")
    assert "Used as in an earlier run: flowers" in captions(again)
    other = visitors._Presence("somebody else")
    monkeypatch.setattr(visitors, "_presence", lambda: other)
    stranger = opened(**link)
    assert "Upload that file to go on" in shown(stranger)
    assert stranger.session_state["refusal_run"] is not None
    assert "run" not in stranger.session_state
    other.end()


def at(name: str, **query: str) -> AppTest:
    """A page as somebody opens it with this query string."""
    page = AppTest.from_file("../../app.py", default_timeout=60).switch_page(f"pages/{name}.py")
    page.query_params.update(query)
    page.run()
    assert not page.exception
    return page


@pytest.mark.parametrize("name", PAGES)
def test_every_page_asks_for_the_file_and_works_with_it(name, tmp_path):
    table = table_of(FLOWERS, tmp_path)
    page = at(name, data="csv", table=table.name, learning_rate="1e-4", H="5", steps="20")
    assert "Upload that file to go on" in shown(page)
    upload(page, FLOWERS)
    assert "Upload that file to go on" not in shown(page)
    assert not page.error
    if f"question_{name}" in page.session_state:  # the page computes at once
        question = page.session_state[f"question_{name}"]
        assert question.job.wait(60)
        assert (question.job.state, question.failure) == ("finished", None)


@pytest.mark.parametrize(
    ("name", "button", "job"), [("race", "race", "race"), ("learning_rate", "scan", "scan")]
)
def test_a_race_and_a_sweep_run_on_the_file(name, button, job, tmp_path):
    table = table_of(FLOWERS, tmp_path)
    query = (
        {"contenders": "numpy.tutorial,numpy.gram", "rounds": "3"}
        if name == "race"
        else {"rates": "5", "seeds": "2"}
    )
    page = upload(at(name, data="csv", table=table.name, H="5", steps="20", **query), FLOWERS)
    page.button(key=button).click().run()
    found = page.session_state[f"job_{job}"].job
    assert found.wait(120)
    assert (found.state, found.message) == ("finished", None)
    page.run()
    assert not page.exception


def test_the_code_reads_the_file_and_has_the_run_s_losses(tmp_path):
    page = upload(opened(data="csv", steps="5", H="4", learning_rate="1e-4"), FLOWERS)
    page.session_state["code"] = True
    page.run()
    assert not page.exception
    text = page.code[0].value
    assert "rows_of('flowers.csv', ',', 'utf-8-sig')" in text
    (tmp_path / "flowers.csv").write_bytes(FLOWERS)
    (tmp_path / "run.py").write_text(text, "utf-8")
    ran = subprocess.run(
        [sys.executable, "-I", "run.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    page.button(key="train").click().run()
    until(page, "over")
    losses = [float(line.split()[1]) for line in ran.stdout.splitlines()]
    assert_array_equal(losses, page.session_state["run"].losses)


def test_the_server_receives_the_largest_file_in_memory(monkeypatch):
    head = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f.csv"\r\n\r\n'
    body = head + b"1" * MOST_BYTES + b"\r\n--x--\r\n"
    scope = {"type": "http", "headers": [(b"content-type", b"multipart/form-data; boundary=x")]}

    async def received() -> int:
        async def receive() -> dict:
            return {"type": "http.request", "body": body, "more_body": False}

        async with Request(scope, receive).form() as form:
            return len(await form["f"].read())

    monkeypatch.setattr(tempfile, "TemporaryFile", None)  # what would write it to disk
    assert asyncio.run(received()) == MOST_BYTES
