"""Sweeps on real clusters: every training once and the same, whoever computes it and whoever dies."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest
from numpy.testing import assert_array_equal
from pyarrow import csv, parquet

from tests.conftest import ROOT
from tests.engine.conftest import cluster_of, workers_of
from twolayer import Config
from twolayer.cli import sweep
from twolayer.rates.grid import Grid, computed, parse_axes
from twolayer.rates.sweep import Sweep, blocks, memory_bytes, train

BASE = computed(Config(N=8, D_in=30, H=10, D_out=2, steps=400))
GRID = Grid(BASE, parse_axes("H=4,5,6,7,8,9,10,11,12,13; learning_rate=1e-6:1e-1:100; seed=0,1,2,3,4"))
SMALL = Grid(BASE, parse_axes("learning_rate=1e-5:1e-2:8; seed=0,1"))


def undisturbed(grid: Grid) -> Sweep:
    """The sweep of a grid, computed here."""
    runs = Sweep(grid)
    runs.take([(number, train(*task)) for number, task in enumerate(blocks(grid))])
    return runs


def test_5000_trainings_on_two_workers_of_which_one_is_killed_twice(new_engine, wait_until):
    engine = new_engine(workers=2)
    runs, before = Sweep(GRID), psutil.Process().memory_info().rss
    assert GRID.size == 5000
    job = engine.map(train, blocks(GRID), memory_bytes=memory_bytes(GRID, 2))
    for _ in range(2):
        seen = job.done
        wait_until(lambda seen=seen: job.done > seen + 2)
        workers_of(cluster_of(engine))[0].kill()
    assert not job.over
    while not job.wait(0.02):
        runs.take(job.results(since=runs.taken))
    runs.take(job.results(since=runs.taken))
    assert psutil.Process().memory_info().rss - before < 50e6
    assert (job.state, str(job.message)) == ("finished", "None")
    arrived = [int(index) for _, rows in job.results() for index in rows["index"]]
    assert sorted(arrived) == list(range(5000)), "each once"
    assert_array_equal(runs.rows, undisturbed(GRID).rows)
    engine.close()


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The address of a cluster that was started as docs/server.md says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    dask = [sys.executable, "-m", "dask"]
    options = ["--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--no-dashboard"]
    commands = [
        [*dask, "scheduler", *options],
        [*dask, "worker", address, "--nworkers", "2", "--nthreads", "1", "--no-dashboard"],
    ]
    processes = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for command in commands
    ]
    yield address
    for process in reversed(processes):
        process.terminate()
        process.wait(timeout=30)


def test_the_same_grid_on_a_cluster_elsewhere(elsewhere, python, tmp_path):
    files = {"--csv": tmp_path / "scan.csv", "--parquet": tmp_path / "scan.parquet"}
    written = [text for option, path in files.items() for text in (option, str(path))]
    fields = [f"--{field}={getattr(BASE, field)}" for field in ("N", "D_in", "H", "D_out", "steps")]
    axes = "learning_rate=1e-5:1e-2:8; seed=0,1"
    ran = python("-m", "twolayer", "sweep", *fields, "--grid", axes, *written, TWOLAYER_SCHEDULER=elsewhere)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "16 of 16 runs" in ran.stdout
    assert "recommended" in ran.stdout
    assert "λmax" in ran.stdout
    expected = undisturbed(SMALL).rows
    for table in (csv.read_csv(files["--csv"]), parquet.read_table(files["--parquet"])):
        assert table.num_rows == 16
        assert_array_equal(table["first_loss"].to_numpy(), expected["first"])
        assert_array_equal(table["final_loss"].to_numpy(), expected["final"])
        assert table["diverged_at"].null_count == (expected["diverged_at"] < 0).sum()
        assert table["learning_rate"].to_pylist() == [SMALL.config(i).learning_rate for i in range(16)]


def test_ctrl_c_keeps_what_is_done(monkeypatch):
    monkeypatch.setenv("TWOLAYER_WORKERS", "1")
    runs = Sweep(GRID)

    def interrupt(done: int) -> None:
        if done:
            raise KeyboardInterrupt

    _, complete = sweep.compute(runs, interrupt)
    assert not complete
    assert 0 < runs.done == len(runs.there) < GRID.size
    assert f"{runs.done} of 5000 runs" in sweep.words(runs, None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--grid", "foo=1"], "foo"),
        (["--grid", "H=1:2"], "H: invalid value"),
        (["--from", "x"], "learning_rate"),
        (["--rates", "1"], "--rates"),
        (["--csv", "no/such/folder/x.csv"], "no/such/folder"),
    ],
)
def test_a_bad_option_is_one_line_with_status_2(python, arguments, words):
    ran = python("-m", "twolayer", "scan", *arguments)
    assert ran.returncode == 2
    assert ran.stderr.startswith("twolayer: ")
    assert ran.stderr.count("\n") == 1
    assert words in ran.stderr
