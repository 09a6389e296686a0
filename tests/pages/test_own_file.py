"""A file of the visitor's own on the pages: uploaded, chosen of, trained on, linked to."""

import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from streamlit.testing.v1 import AppTest

from tests.pages.test_train_page import opened, shown, until
from twolayer import Config, fit, own_table

PAGES = ("race", "gradients", "one_step", "learning_rate", "write_it")
FLOWERS = b"length,width,place,kind\n" + b"".join(
    f"{k % 7}.5,{k * k % 11},{'field' if k % 4 else 'wood'},{('lily', 'rose', 'iris')[k % 3]}\n".encode()
    for k in range(60)
)


def upload(page: AppTest, content: bytes, name: str = "flowers.csv") -> AppTest:
    """Upload a file, and wait until it has been read."""
    page.file_uploader(key="own_file").set_value((name, content, "text/csv")).run()
    end = time.monotonic() + 60
    while any("Reading the file" in caption.value for caption in page.caption):
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
