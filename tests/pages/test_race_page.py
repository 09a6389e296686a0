"""The Race page without a browser: settings, a race on a real engine, verdict, files."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from tests.race.races import GRAM, TORCH_GRAM, TUTORIAL, race_of
from twolayer import Config
from twolayer.dashboard.race.job import Heat
from twolayer.engine.engine import Engine
from twolayer.engine.waiting import Wait
from twolayer.race.file import LARGEST_BYTES, from_json, to_json
from twolayer.training.capabilities import probe
from twolayer.training.messages import Message

SMALL = {"N": "7", "D_in": "30", "H": "5", "D_out": "3", "learning_rate": "1e-4", "steps": "60"}
FEW = {**SMALL, "rounds": "8", "contenders": "numpy.tutorial,numpy.gram"}


def opened(**query: str) -> AppTest:
    """The page as somebody opens it with this query string."""
    page = AppTest.from_file("../../app.py", default_timeout=300).switch_page("pages/race.py")
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def raced(**query: str) -> AppTest:
    """The page after a race that has run to its end."""
    page = opened(run="1", **query)
    end = time.monotonic() + 120
    while not page.session_state["job_race"].job.over:
        assert time.monotonic() < end
        time.sleep(0.01)
    page.run()
    assert not page.exception
    assert page.session_state["job_race"].job.state == "finished", page.session_state["job_race"].job.message
    return page


def shown(page: AppTest) -> str:
    """Every text that the page shows in a box or as Markdown."""
    return "\n".join(
        box.value for boxes in (page.error, page.warning, page.info, page.markdown) for box in boxes
    )


def unfolded(page: AppTest, *sections: str) -> AppTest:
    """The page with these sections open."""
    for section in sections:
        page.session_state[f"race_{section}"] = True
    page.run()
    assert not page.exception
    return page


@pytest.fixture(scope="module")
def finished() -> AppTest:
    return unfolded(raced(**FEW), "agreement", "figures", "phases", "files")


def test_everyone_takes_part_until_somebody_is_taken_out() -> None:
    page = opened(**SMALL)
    pills = page.pills(key="contender_pills")
    assert len(pills.options) == 12
    assert len(pills.value) == 10
    assert {"jax tutorial", "jax gram"} == set(pills.options[-2:])
    pills.unselect("torch.autograd").run()
    assert page.query_params["contenders"].count(",") == 8
    assert "torch.autograd" not in page.query_params["contenders"]
    pills.set_value([]).run()
    assert "contenders" not in page.query_params
    assert len(page.pills(key="contender_pills").value) == 10


def test_jax_takes_part_once_it_is_picked() -> None:
    page = opened(**SMALL)
    assert not any(key.startswith("jax") for key in page.pills(key="contender_pills").value)
    assert "contenders" not in page.query_params
    page.pills(key="contender_pills").select("jax.gram").run()
    assert page.query_params["contenders"].endswith(",jax.gram")
    page.pills(key="contender_pills").unselect("jax.gram").run()
    assert "contenders" not in page.query_params


def test_a_race_with_jax_ends_with_a_verdict_and_says_how_long_compiling_took() -> None:
    page = unfolded(
        raced(**{**FEW, "contenders": "numpy.tutorial,jax.tutorial,jax.gram"}), "figures", "phases"
    )
    (race,) = page.session_state["job_race"].races
    assert [s.contender.key for s in race.standings] == ["numpy.tutorial", "jax.tutorial", "jax.gram"]
    assert all(s.agreement.right for s in race.standings)
    assert "JAX" in shown(page).split("**A smarter method**")[0]
    said = "\n".join(caption.value for caption in page.caption).replace("\\", "")
    assert "not included in the timings: " in said
    assert "Its phases are timed as separate calls" in said
    assert all(f"{s.contender.name} {s.compile_seconds:.1f} s" in said for s in race.standings[1:])


def test_where_jax_is_not_installed_it_is_not_offered_and_the_reason_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = probe()
    devices = tuple(row for row in found.machine.devices if row[0] != "jax")
    lacking = replace(
        found,
        machine=replace(found.machine, devices=devices),
        missing=(("jax", Message.of("pip install jax")),),
    )
    monkeypatch.setattr(Engine, "capabilities", lacking)
    page = opened(**SMALL)
    pills = page.pills(key="contender_pills")
    assert len(pills.options) == len(pills.value) == 10
    assert "pip install jax" in [caption.value for caption in page.caption]
    assert not page.warning
    page = opened(**{**SMALL, "contenders": "jax.gram,numpy.gram"})
    assert [box.value for box in page.warning] == ["pip install jax"]
    assert page.pills(key="contender_pills").value == ["numpy.gram"]


def test_a_race_ends_with_a_verdict_charts_and_tables(finished: AppTest) -> None:
    heat: Heat = finished.session_state["job_race"]
    (race,) = heat.races
    assert race.rounds == 8
    assert {s.contender for s in race.standings} == {TUTORIAL, GRAM}
    assert race.config == Config(N=7, D_in=30, H=5, D_out=3, learning_rate=1e-4, steps=60)
    assert "**The same program**: NumPy" in shown(finished)
    assert "7 × 30 → 5 → 3, float32, threads: 1" in "".join(caption.value for caption in finished.caption)
    assert all(s.agreement.right for s in race.standings)
    agreement, figures = (table.value for table in finished.dataframe)
    assert (
        list(figures["contender"])
        == list(agreement["Implementation"])
        == [s.contender.name for s in race.ranked]
    )
    assert list(agreement["Verdict"]) == ["correct", "correct"]
    assert list(figures["median_us"]) == [1e6 * s.median for s in race.ranked]
    text = "\n".join(caption.value for caption in finished.caption)
    assert "Timings cover only the training steps" in text
    assert "over 60 of 60 steps" in text
    assert any("numpy" in markdown.value and "Versions" in markdown.value for markdown in finished.markdown)


def test_what_is_exported_is_what_is_shown(finished: AppTest) -> None:
    races = finished.session_state["job_race"].races
    assert finished.download_button(key="export_json") is not None
    (read,) = from_json(to_json(races).encode())
    assert read.rows() == races[0].rows()


def test_the_address_is_the_race() -> None:
    page = opened(**FEW, sweep="H", sweep_from="4", sweep_to="9", sweep_points="3")
    assert page.number_input(key="rounds").value == 8
    assert page.selectbox(key="sweep").value == "H"
    assert [page.number_input(key=f"sweep_{end}").value for end in ("from", "to", "points")] == [4, 9, 3]
    assert len(page.pills(key="contender_pills").value) == 2
    for name in ("rounds", "contenders", "sweep", "sweep_from", "sweep_to", "sweep_points", "N"):
        assert name in page.query_params, name
    page.number_input(key="rounds").set_value(20).run()
    assert "20" in page.query_params["rounds"]


def test_what_the_address_got_wrong_is_said_by_name() -> None:
    page = opened(rounds="2", sweep="depth", sweep_from="x", contenders="<b>", N="0")
    for name in ("rounds", "sweep", "sweep\\_from", "contenders", "N"):
        assert f"{name}: invalid value" in shown(page), name
    assert "<b>" not in shown(page)
    assert page.number_input(key="rounds").value == 15


def test_the_page_takes_as_many_rounds_as_the_command_line() -> None:
    page = opened(**SMALL, rounds="1000")
    assert page.number_input(key="rounds").value == 1000
    assert "rounds: invalid value" not in shown(page)


def test_a_contender_that_is_not_here_is_said_and_the_others_race() -> None:
    page = opened(contenders="numpy.gram,torch.gram.cuda:7")
    assert "cuda" in shown(page)
    assert page.pills(key="contender_pills").value == ["numpy.gram"]


def test_a_sweep_names_the_fastest_and_shows_each_size() -> None:
    page = raced(**FEW, sweep="H", sweep_from="4", sweep_to="9", sweep_points="2")
    assert [race.config.H for race in page.session_state["job_race"].races] == [4, 9]
    assert "H = " in shown(page)
    page.select_slider(key="race_size").set_value(9).run()
    assert any("7 × 30 → 9 → 3" in caption.value for caption in page.caption)


def test_a_sweep_that_does_not_grow_is_refused() -> None:
    page = opened(sweep="H", sweep_from="9", sweep_to="4")
    assert "must be larger than its start" in shown(page)
    assert page.button(key="race").disabled


def test_stop_keeps_what_was_measured_and_nobody_unchecked_wins() -> None:
    page = opened(run="1", **{**SMALL, "rounds": "100"})
    end = time.monotonic() + 60
    while not page.session_state["job_race"].races:
        assert time.monotonic() < end
        time.sleep(0.01)
    page.button(key="stop_race").click().run()
    assert not page.exception
    heat: Heat = page.session_state["job_race"]
    assert heat.job.state == "stopped"
    assert 0 < heat.races[0].rounds < 100
    assert "no clear winner yet" in shown(page) or "Not reliable now" in shown(page)
    assert "as fast" not in shown(page).replace("How fast", "")
    unfolded(page, "agreement", "figures")
    assert len(page.dataframe) == 1


def test_a_race_that_is_too_long_is_refused_with_the_limit() -> None:
    page = opened(run="1", N="20000", D_in="3000", H="3000", rounds="100")
    assert "this server allows" in shown(page)
    assert "heat" not in page.session_state


def test_more_threads_than_cores_are_refused() -> None:
    page = opened(run="1", **SMALL, threads="200")
    assert "threads: invalid value 200" in shown(page)
    assert "heat" not in page.session_state


def their_file(**fields: object) -> bytes:
    times = {GRAM: [1e-6] * 9, TUTORIAL: [1e-5] * 9, TORCH_GRAM: [2e-6] * 9}
    return to_json([race_of(times, N=7, D_in=30, H=5, D_out=3, **fields)]).encode()


def test_a_race_of_another_machine_stands_beside_this_one(finished: AppTest) -> None:
    finished.file_uploader(key="race_file").set_value(("race.json", their_file(), "application/json")).run()
    assert not finished.exception
    table = finished.dataframe[-1].value
    assert set(table["Implementation"]) == {"numpy gram", "numpy tutorial", "torch gram"}
    by_name = dict(zip(table["Implementation"], table["file"], strict=True))
    assert by_name["numpy gram"] == "1.00 µs"
    here = dict(zip(table["Implementation"], table["this server"], strict=True))
    assert here["torch gram"] == "–"
    assert any("A processor" in markdown.value for markdown in finished.markdown)


def test_the_recipe_for_another_machine_makes_a_file_that_the_page_reads(tmp_path: Path) -> None:
    page = unfolded(opened(**SMALL), "files")
    program, *arguments = page.code[-1].value.split()
    assert program == "python"
    assert not {">", "|", "&&"} & set(arguments)
    paths = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, *arguments], cwd=tmp_path, env=paths, check=True, capture_output=True)
    theirs = (tmp_path / "race.json").read_bytes()
    for data in (theirs, theirs.decode().encode("utf-16")):
        page.file_uploader(key="race_file").set_value(("race.json", data, "application/json")).run()
        assert not page.exception
        assert not page.error
        assert "7 × 30 → 5 → 3" in "\n".join(markdown.value for markdown in page.markdown)


def test_a_race_of_other_sizes_is_said_to_be_one() -> None:
    page = unfolded(opened(**SMALL), "files")
    page.file_uploader(key="race_file").set_value(("race.json", their_file(dtype="float64"), "")).run()
    assert "The file contains results for 7 × 30 → 5 → 3, float64" in shown(page).replace("\\", "")


def hostile(data: bytes) -> bytes:
    value = json.loads(data)
    value[0]["machine"]["processor"] = "<script>x</script> [a](http://b) **c**"
    return json.dumps(value).encode()


def test_text_of_a_file_has_no_effect() -> None:
    page = unfolded(opened(**SMALL), "files")
    page.file_uploader(key="race_file").set_value(("race.json", hostile(their_file()), "")).run()
    text = "\n".join(markdown.value for markdown in page.markdown)
    assert "<script>" not in text
    assert "\\*\\*c\\*\\*" in text


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: data[:-50], "is truncated"),
        (lambda data: data.replace(b'"version": 2', b'"version": 99'), "version 99"),
        (lambda data: data.replace(b'"gbytes": 40.0', b'"gbytes": NaN'), "NaN"),
        (lambda data: data + b" " * LARGEST_BYTES, "the limit is 2 MB"),
        (lambda _data: b"\x00\x01", "not JSON"),
    ],
    ids=["truncated", "another version", "NaN", "too large", "not JSON"],
)
def test_a_file_that_is_no_race_is_said_and_the_page_stays(
    finished: AppTest, spoil: Callable[[bytes], bytes], words: str
) -> None:
    before = (len(finished.session_state["job_race"].races), finished.dataframe[0].value)
    finished.file_uploader(key="race_file").set_value(("race.json", spoil(their_file()), "")).run()
    assert not finished.exception
    (error,) = finished.error
    assert words in error.value.replace("\\", "")
    assert finished.dataframe[0].value.equals(before[1])
    assert len(finished.session_state["job_race"].races) == before[0]
    assert "**The same program**: NumPy" in shown(finished)


def test_korean_by_address() -> None:
    page = raced(lang="ko", **FEW)
    assert "**같은 프로그램**: 스텝 시간은 NumPy" in shown(page)
    assert page.button(key="race").label == "속도 비교"


def a_page_with_a_wrong_contender() -> None:
    """A script that shows a race in which the fastest is wrong; run by the test runner."""
    from types import SimpleNamespace

    import streamlit as st

    from tests.race.races import GRAM, RIGHT, TUTORIAL, WRONG, race_of
    from twolayer.dashboard.race import view

    st.session_state["lang"] = "en"
    race = race_of({GRAM: [1e-6] * 15, TUTORIAL: [1e-5] * 15}, {GRAM: WRONG, TUTORIAL: RIGHT})
    heat = SimpleNamespace(
        races=[race],
        plan=SimpleNamespace(sweep=None, contenders=(GRAM, TUTORIAL)),
        live=False,
        job=SimpleNamespace(state="finished", over=True, done=1, total=1, began=0.0),
    )
    st.session_state["race_agreement"] = True
    view.live(heat, None)
    view.folded(heat)


def test_a_contender_made_wrong_is_flagged_in_the_table_and_does_not_win() -> None:
    page = AppTest.from_function(a_page_with_a_wrong_contender, default_timeout=300).run()
    assert not page.exception
    table = page.dataframe[-1].value
    assert dict(zip(table["Implementation"], table["Verdict"], strict=True)) == {
        "numpy gram": "INCORRECT",
        "numpy tutorial": "correct",
    }
    assert "Excluded from the verdict" in shown(page)
    assert "numpy gram" not in shown(page).split("Excluded")[0]


def test_what_a_race_waits_for_stands_where_there_is_room_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "wait_of", lambda _engine, _task: Wait("race", seconds=3.0))
    page = opened(run="1", **FEW)
    assert not any("Waiting" in bar.proto.text for bar in page.get("progress"))
    assert "Waiting for the current round of a race" in shown(page)
