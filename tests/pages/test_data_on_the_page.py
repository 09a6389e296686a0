"""Data sets on the Train page: choosing them, what is said of them, and what was learned."""

from importlib.util import find_spec

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.test_train_page import opened, shown, until
from twolayer import Config, fit
from twolayer.dashboard.common.presets import PRESETS
from twolayer.dashboard.train.learned_view import picture_at
from twolayer.engine.run import Run
from twolayer.rates import curvature
from twolayer.training import data
from twolayer.training.data import DATA_SETS, files
from twolayer.training.learned import Picture


def captions(page) -> str:
    return "\n".join(element.value for element in page.caption)


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("name", DATA_SETS)
def test_every_set_is_described_and_sets_the_sizes(name, lang):
    found, page = DATA_SETS[name], opened(lang=lang)
    page.selectbox(key="data").set_value(name).run()
    assert not page.exception
    assert found.licence in page.selectbox(key="data").help
    assert f"D_in = {found.D_in}, D_out = {found.D_out}" in captions(page)
    assert page.number_input(key="N").value == found.N
    assert page.number_input(key="N").max == found.rows - 1
    with pytest.raises(KeyError):
        page.number_input(key="D_in")
    assert page.query_params["data"] == name
    assert "N" not in page.query_params
    page.selectbox(key="data").set_value("random").run()
    assert [page.number_input(key=size).value for size in ("N", "D_in", "D_out")] == [64, 1000, 10]


@pytest.mark.parametrize("script", ["app.py", "pages/learning_rate.py"])
def test_a_set_whose_package_is_missing_is_refused_in_a_sentence(script, monkeypatch):
    for module in (data, files):
        monkeypatch.setattr(module, "find_spec", lambda name: None if name == "sklearn" else find_spec(name))
    curvature._of_data.cache_clear()
    page = AppTest.from_file("../../app.py", default_timeout=300).switch_page(script)
    page.query_params.update(data="digits", run="1")
    page.run()
    assert not page.exception
    assert any("is not installed" in error.value for error in page.error)


def test_the_digits_of_the_preset_are_learned_and_it_is_said_how_well():
    page = opened(preset="digits", run="1")
    until(page, "over")
    run, config = page.session_state["run"], PRESETS["digits"].config
    assert run.config == config
    accuracy = fit(config).held_out[-1, 2]
    assert accuracy > 0.97
    assert f"{accuracy:.2%} of 297 held-out rows have the right class" in shown(page)
    page.slider(key="picture_at").set_value(20).run()
    assert not page.exception


def test_the_tutorial_s_weights_kill_all_units_and_the_page_says_why():
    page = opened(preset="digits_dead", run="1")
    until(page, "over")
    assert page.session_state["run"].dead[-1, 1] == 100
    assert "kill hidden units in the first steps" in captions(page)
    assert "λmax is about 4.6e+06" in captions(page)


@pytest.mark.parametrize(
    ("lang", "words"), [("en", "only memorizes its batch"), ("ko", "배치를 외울 뿐입니다")]
)
def test_of_random_numbers_it_is_said_that_they_are_memorised(lang, words):
    page = opened(preset="noise", run="1", lang=lang)
    until(page, "over")
    assert words in shown(page)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"preset": "diverges"}, "ended before there was a finite loss on held-out rows"),
        ({"data": "iris", "learning_rate": "1"}, "ended before there was a finite loss on held-out rows"),
        ({"learning_rate": "1e-12", "steps": "20"}, "on the rows that train"),
    ],
)
def test_nothing_is_said_to_be_known_by_a_run_that_diverged_or_has_not_fallen(query, said):
    page = opened(**query, run="1")
    until(page, "over")
    assert said in shown(page)
    assert "memorizes" not in shown(page)
    assert "have the right class" not in shown(page)


def test_sizes_in_the_address_that_the_data_do_not_have_are_named():
    page = opened(data="digits", D_in="30", N="4000", H="9")
    assert "expected 65, the size of the data set" in page.warning[0].value
    assert "from 1 to 1796" in page.warning[0].value
    assert page.number_input(key="H").value == 9
    page = opened(preset="tutorial", data="iris")
    assert (page.query_params, len(page.warning)) == ({"data": "iris"}, 0)


def test_the_slider_picks_the_picture_nearest_to_its_share():
    run = Run("run", Config(data="sine", steps=1000))
    assert picture_at(run, 100) is None
    run.pictures = tuple(Picture(step, {"y": np.zeros(1)}) for step in (10, 300, 640))
    assert [picture_at(run, percent).step for percent in (0, 25, 60, 95, 100)] == [10, 300, 640, 640, 640]
