"""What is taken away of a run says all of it."""

import csv
import io
import json
import tracemalloc
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from numpy.testing import assert_array_equal

from twolayer import Config, fit
from twolayer.engine.run import Run
from twolayer.export import files
from twolayer.rates.grid import Grid, computed, parse_axes
from twolayer.rates.outcomes import OUTCOMES, outcome
from twolayer.rates.sweep import Sweep, train
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
    rows = list(csv.DictReader(io.StringIO(files.csv(files.run_rows(run)).decode())))
    assert len(rows) == 50_000
    assert_array_equal([float(row["loss"]) for row in rows], run.losses)
    assert_array_equal([int(row["step"]) for row in rows], np.arange(50_000))
    seconds = sum(float(row["microseconds"]) for row in rows) / 1e6
    assert seconds == pytest.approx(run.seconds, rel=1e-6)


def test_parquet_holds_the_same_table():
    run = run_of(replace(TINY, steps=3 * files.BLOCK_ROWS // 2))
    read = pyarrow.parquet.read_table(io.BytesIO(files.parquet(files.run_rows(run))))
    assert read.equals(files.run_rows(run).read_all())
    assert read.equals(pyarrow.csv.read_csv(io.BytesIO(files.csv(files.run_rows(run)))))
    assert_array_equal(read["loss"], run.losses)
    assert_array_equal(read["step"], np.arange(run.step))


def long_run(steps):
    """A run of so many steps whose losses and laps are known."""
    run = Run("a", replace(TINY, steps=steps))
    run.begin()
    losses = np.random.default_rng(0).standard_normal(steps, np.float32).astype(np.float64)
    run.receive(Chunk(steps, {}, losses, np.array([[steps, steps * 1e-6]])))
    return run


class Sink(io.BytesIO):
    """A file that keeps nothing."""

    def write(self, data):
        return len(data)


def peak_of(write, run):
    """The most bytes that Arrow and Python have at a time while the rows of a run are written."""
    rows, before, most = files.run_rows(run), pa.total_allocated_bytes(), 0

    def batches():
        nonlocal most
        for batch in rows:
            yield batch
            most = max(most, pa.total_allocated_bytes() - before)

    tracemalloc.start()
    write(pa.RecordBatchReader.from_batches(rows.schema, batches()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return max(most, peak)


@pytest.mark.parametrize("write", [files.csv, files.parquet])
def test_writing_a_table_takes_no_more_memory_if_it_is_longer(monkeypatch, write):
    monkeypatch.setattr(files.io, "BytesIO", Sink)
    monkeypatch.setattr(files, "BLOCK_ROWS", 1 << 14)
    write(files.run_rows(long_run(1)))  # loads what Arrow needs
    shorter, longer = (peak_of(write, long_run(blocks << 14)) for blocks in (3, 60))
    assert 0 < longer < 2 * shorter


def test_the_parquet_of_float32_losses_takes_half_of_their_bytes():
    run = long_run(300_000)
    assert len(files.parquet(files.run_rows(run))) < 0.55 * run.losses.nbytes


def test_a_long_run_has_its_losses_in_parquet_alone(monkeypatch):
    monkeypatch.setattr(files, "MOST_TEXT_STEPS", 29)
    for steps, losses in ((29, list), (30, type(None))):
        read = json.loads(files.run_json(run_of(Config(steps=steps)), None))
        assert isinstance(read["results"]["losses"], losses)
        assert read["results"]["steps"] == steps
        assert read["config"]["steps"] == steps


def test_the_time_of_a_step_is_that_of_its_lap():
    run = Run("a", Config(steps=5))
    run.begin()
    laps = np.array([[2, 4e-6], [3, 3e-6]])
    run.receive(Chunk(5, {}, np.arange(5.0), laps))
    assert files.run_rows(run).read_all()["microseconds"].to_pylist() == pytest.approx([2, 2, 1, 1, 1])


def test_a_run_without_steps_has_a_table_without_rows():
    assert files.run_rows(Run("a", Config())).read_all().num_rows == 0
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


def test_the_table_of_a_sweep_has_a_row_for_each_training_that_is_complete():
    base = computed(Config(N=8, D_in=5, H=6, D_out=2, steps=40))
    grid = Grid(base, parse_axes("seed=3,4; learning_rate=1e-4,1e-3,1e5"))
    sweep = Sweep(grid)
    sweep.take([(0, train(grid, 1, grid.size))])
    rows = files.sweep_table(sweep).to_pylist()
    assert len(rows) == grid.size - 1
    for number, row in enumerate(rows, 1):
        config = grid.config(number)
        assert Config(**{field: row.pop(field) for field in asdict(config)}) == config
        result = fit(config)
        losses, diverged = result.losses, result.diverged_at
        ended = outcome(config, losses, diverged, int(result.dead[-1, 1]), result.zero_loss)
        assert row.pop("outcome") == ended
        assert row.pop("diverged_at") == diverged
        assert row.pop("dead_units") == (None if diverged is not None else result.dead[-1, 1])
        figures = {"first_loss": losses[0], "final_loss": losses[-1], "highest_loss": losses.max()}
        assert row == pytest.approx(figures, rel=1e-6)
    assert {OUTCOMES[kind] for kind in sweep.there["outcome"]} > {"diverges"}
    sweep.rows["final"][1] = np.nan
    first = files.sweep_table(sweep).to_pylist()[0]
    assert [first[name] for name in ("first_loss", "final_loss", "highest_loss")] == [None] * 3
