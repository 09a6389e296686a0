"""The race: who takes part, what is measured, and who is found wrong."""

import csv
import io
import json

import numpy as np
import pytest

from twolayer import Config
from twolayer.capabilities import probe
from twolayer.config import METHODS
from twolayer.kernels.numpy import Tutorial
from twolayer.race import Contender, ceiling, contenders, race

SMALL = Config(N=7, D_in=30, H=5, D_out=3, learning_rate=1e-4, steps=60)
NUMPY = Contender("numpy", "cpu", "tutorial")


@pytest.fixture(scope="module")
def result():
    return race(SMALL, count=3)


def test_everyone_here_takes_part_and_autograd_as_a_peer(result):
    names = {standing.contender.name for standing in result.standings}
    methods = [method for method in METHODS if method != "auto"]
    assert names == {*(f"{b} {m}" for b in ("numpy", "torch") for m in methods), "torch autograd"}


def test_each_contender_has_a_time_for_each_round(result):
    for standing in result.standings:
        assert len(standing.seconds) == 3
        assert 0 < standing.median <= standing.p95 < 1
        assert standing.gflops > 0
        assert standing.phases["forward"] > 0


def test_right_contenders_are_near_the_reference(result):
    for standing in result.standings:
        assert standing.loss_error < 1e-3, standing.contender.name
        assert standing.weight_error < 1e-3, standing.contender.name


def test_a_contender_made_wrong_is_far_from_the_reference():
    class Wrong(Tutorial):
        def step(self) -> None:
            Tutorial.step(self)
            self.w2 += 0.01

    class Cheat(Contender):
        def kernel(self) -> type:
            return Wrong

    right, wrong = race(SMALL, [NUMPY, Cheat("numpy", "cpu", "tutorial")], 3).standings
    assert right.loss_error < 1e-3
    assert wrong.loss_error > 0.01
    assert wrong.weight_error > 0.01


def test_rows_are_sorted_and_relative_to_the_tutorials_loop(result):
    rows = result.rows()
    assert [row["median_us"] for row in rows] == sorted(row["median_us"] for row in rows)
    assert next(row["speed_up"] for row in rows if row["contender"] == "numpy tutorial") == 1


def test_json_is_plain_and_complete(result):
    read = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert read["config"]["D_in"] == 30
    assert len(read["contenders"]) == len(result.standings)
    assert read["ceiling"]["gbytes"] > 0


def test_progress_reaches_the_end():
    shares = []
    race(SMALL, [NUMPY], 4, shares.append)
    assert shares == [0.25, 0.5, 0.75, 1]


def test_a_config_that_diverges_is_raced_all_the_same():
    config = Config(**{**vars(SMALL), "H": 20, "learning_rate": 10.0})
    (standing,) = race(config, [NUMPY], 3).standings
    assert np.isfinite(standing.median)


def test_mps_takes_no_part_in_float64():
    machine = probe(load_torch=True)
    with_mps = type(machine)(**{**vars(machine), "devices": (("torch", ("cpu", "mps")),)})
    assert {c.device for c in contenders(with_mps, Config(dtype="float64"))} == {"cpu"}
    assert {c.device for c in contenders(with_mps, Config(dtype="float32"))} == {"cpu", "mps"}


def test_a_large_product_is_not_slower_than_a_tiny_one():
    roof = ceiling(Config(N=2, D_in=2, H=2))
    assert roof.gflops_large > roof.gflops_here > 0


def test_the_command_prints_a_table_csv_and_json(python):
    few = ["--N", "5", "--D_in", "9", "--H", "4", "--steps", "20", "--rounds", "3"]
    table = python("-m", "twolayer", "race", *few)
    assert table.returncode == 0, table.stderr
    assert "numpy gram" in table.stdout
    assert "The clock covers" in table.stdout
    rows = list(
        csv.DictReader(
            io.StringIO(python("-m", "twolayer", "race", *few, "--sweep", "H=4,6", "--csv").stdout)
        )
    )
    assert {row["H"] for row in rows} == {"4", "6"}
    (one,) = json.loads(python("-m", "twolayer", "race", *few, "--json").stdout)
    assert one["config"]["steps"] == 20


@pytest.mark.parametrize(
    "bad", [["--sweep", "foo=3"], ["--sweep", "H=0"], ["--sweep", "H"], ["--rounds", "1"]]
)
def test_a_bad_option_of_the_race_is_one_line_with_status_2(python, bad):
    done = python("-m", "twolayer", "race", *bad)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
