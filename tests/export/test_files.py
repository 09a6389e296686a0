"""What is taken away of a run says all of it."""

import csv
import io
import json

import numpy as np
import pyarrow.parquet
import pytest
from numpy.testing import assert_array_equal

from twolayer import Config, fit
from twolayer.engine.run import Run
from twolayer.export import files
from twolayer.training.capabilities import probe
from twolayer.training.edits import Edit
from twolayer.training.training import Chunk

TINY = Config(N=3, D_in=4, H=5, D_out=2, learning_rate=1e-3, steps=50_000)


def run_of(config: Config, edits: tuple[Edit, ...] = ()) -> Run:
    """A run with all that `fit` computes."""
    result = fit(config, edits)
    run = Run("a", config)
    run.edits = edits
    run.begin()
    steps = len(result.losses)
    run.receive(
        Chunk(steps, {}, result.losses, result.laps, result.diverged_at, result.dead, result.held_out)
    )
    return run


def test_a_csv_has_a_row_for_each_step_and_every_number_reads_back():
    run = run_of(TINY)
    rows = list(csv.DictReader(io.StringIO(files.csv(files.run_table(run)).decode())))
    assert len(rows) == 50_000
    assert_array_equal([float(row["loss"]) for row in rows], run.losses)
    assert_array_equal([int(row["step"]) for row in rows], np.arange(50_000))
    seconds = sum(float(row["microseconds"]) for row in rows) / 1e6
    assert seconds == pytest.approx(run.seconds, rel=1e-6)


def test_parquet_holds_the_same_table():
    table = files.run_table(run_of(Config(steps=30)))
    assert pyarrow.parquet.read_table(io.BytesIO(files.parquet(table))).equals(table)


def test_the_time_of_a_step_is_that_of_its_lap():
    run = Run("a", Config(steps=5))
    run.begin()
    laps = np.array([[2, 4e-6], [3, 3e-6]])
    run.receive(Chunk(5, {}, np.arange(5.0), laps))
    assert files.run_table(run)["microseconds"].to_pylist() == pytest.approx([2, 2, 1, 1, 1])


def test_a_run_without_steps_has_a_table_without_rows():
    assert files.run_table(Run("a", Config())).num_rows == 0
    assert json.loads(files.run_json(Run("a", Config()), None))["results"]["losses"] == []


def test_json_holds_config_edits_environment_and_results():
    edits = (Edit(10, "learning_rate", 1e-7),)
    run = run_of(Config(steps=20, method="auto"), edits)
    read = json.loads(files.run_json(run, probe()))
    assert Config(**read["config"]) == run.config
    assert read["method_used"] == "gram"
    assert read["edits"] == [{"step": 10, "field": "learning_rate", "value": 1e-7}]
    assert_array_equal(read["results"]["losses"], run.losses)
    assert read["results"]["state"] == "finished"
    assert read["environment"]["versions"]["numpy"] == np.__version__
    assert read["results"]["dead_units"][-1] == [20, 0]


def test_json_holds_what_was_made_of_held_out_rows():
    config = Config(data="iris", init="he", H=5, learning_rate=1e-4, steps=30)
    everything = json.loads(files.run_json(run_of(config), None))
    assert everything["config"]["data"] == "iris"
    assert everything["config"]["init"] == "he"
    assert everything["results"]["held_out"] == fit(config).held_out.tolist()
    of_random = json.loads(files.run_json(run_of(TINY), None))["results"]["held_out"]
    assert {len(row) for row in of_random} == {3}
    assert {row[2] for row in of_random} == {None}
