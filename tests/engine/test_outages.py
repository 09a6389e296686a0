"""What hangs, what takes too much, what is not there: a sentence for it, and the next run works."""

import re
import signal
import socket
import time
from pathlib import Path

import pytest
from numpy.testing import assert_array_equal

import twolayer.engine.recovery
from tests.engine.conftest import TINY, cluster_elsewhere, cluster_of, kill, workers_of
from twolayer import Config, fit
from twolayer.engine import run_loop
from twolayer.engine.run import Run
from twolayer.engine.shares import Shares

SHORT = Config(**TINY, steps=300)
LONG = Config(**TINY, steps=150_000)


@pytest.fixture(scope="module")
def losses_of_long():
    """The losses of that run by `fit`."""
    return fit(LONG).losses


def once(marker: str, how: str) -> str:
    """The first time this hangs, in one of two ways; the second time it returns."""
    if Path(marker).exists():
        return "done"
    Path(marker).touch()
    if how == "asleep":
        time.sleep(1000)
    re.match(r"(a+)+b", "a" * 60)  # takes for ever, and holds the interpreter
    return "never"


def grow(megabytes: int) -> int:
    """Takes this much memory for a while."""
    taken = bytearray(megabytes << 20)
    taken[::4096] = b"\x01" * len(taken[::4096])
    time.sleep(60)
    return len(taken)


def works(engine, wait_until):
    """Whether a run ends well."""
    run = engine.submit(SHORT)
    wait_until(lambda: run.over)
    assert (run.state, run.message) == ("finished", None)
    assert_array_equal(run.losses, fit(SHORT).losses)


@pytest.mark.parametrize("how", ["asleep", "holding the interpreter"])
def test_a_task_that_hangs_ends_its_worker_and_is_computed_again(new_engine, tmp_path, how):
    engine = new_engine(max_seconds=2)
    job = engine.map(once, [(str(tmp_path / "marker"), how)])
    assert job.wait(600)
    assert (job.state, job.results()) == ("finished", [(0, "done")])
    engine.close()


def test_a_worker_that_stands_still_is_replaced_and_the_run_loses_nothing(
    new_engine, wait_until, losses_of_long
):
    engine = new_engine()
    run = engine.submit(LONG)
    wait_until(lambda: run.step > LONG.steps // 10)
    (worker,) = workers_of(cluster_of(engine))
    worker.send_signal(signal.SIGSTOP)
    wait_until(lambda: run.over)
    assert (run.state, run.message) == ("finished", None)
    assert_array_equal(run.losses, losses_of_long)
    engine.close()


def test_a_chunk_gets_the_longer_the_slower_the_run_is():
    def deadline(seconds_per_step):
        one = run_loop.RunLoop(Run("a", LONG), Shares(lambda: 1), checkpoint=None, max_seconds=600)
        first = one._deadline(10)
        one._pace.saw(1, seconds_per_step)
        one._paced = True
        return first, one._deadline(10)

    assert deadline(1e-6) == (600, pytest.approx(run_loop.DEADLINE_SECONDS, abs=0.01))
    assert deadline(1.0)[1] == run_loop.DEADLINE_SECONDS + run_loop.DEADLINE_FACTOR * 10


def test_a_task_beyond_the_memory_of_its_worker_is_given_up_in_words_and_the_next_run_works(
    new_engine, wait_until
):
    engine = new_engine(memory_mb=64)
    job = engine.map(grow, [(1500,)])
    assert job.wait(600)
    assert job.state == "failed"
    assert "crashed repeatedly" in str(job.message)
    works(engine, wait_until)
    engine.close()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_a_scheduler_that_comes_late_is_used_when_it_is_there(new_engine, wait_until):
    port = free_port()
    engine = new_engine(scheduler=f"tcp://127.0.0.1:{port}", ready=False)
    run = engine.submit(SHORT)
    wait_until(lambda: run.over)
    assert "Cannot reach" in str(run.message)
    with cluster_elsewhere(port):
        works(engine, wait_until)
        assert engine.trouble is None
        engine.close()


def test_a_scheduler_that_goes_in_mid_run_and_comes_back_costs_nothing(
    new_engine, wait_until, losses_of_long
):
    port = free_port()
    with cluster_elsewhere(port) as (address, process):
        engine = new_engine(scheduler=address)
        run = engine.submit(LONG)
        wait_until(lambda: run.step > LONG.steps // 10)
        kill(process)
        wait_until(lambda: engine.trouble is not None)
        assert run.live
        step = run.step
    with cluster_elsewhere(port):
        wait_until(lambda: run.over)
        assert (run.state, run.message) == ("finished", None)
        assert run.step > step
        assert_array_equal(run.losses, losses_of_long)
        engine.close()


def test_a_scheduler_that_stays_away_fails_the_run_in_words_and_keeps_what_it_had(
    new_engine, wait_until, monkeypatch
):
    monkeypatch.setattr(twolayer.engine.recovery, "PATIENCE_SECONDS", 1.0)
    with cluster_elsewhere() as (address, process):
        engine = new_engine(scheduler=address)
        run = engine.submit(LONG)
        wait_until(lambda: run.step > 0)
        kill(process)
        wait_until(lambda: run.over)
        assert run.state == "failed"
        assert "Cannot reach" in str(run.message)
        assert run.step > 0
        engine.close()


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("torch/__init__.py", "raise OSError('/some/path/libtorch.so')", "is installed but fails to load"),
        (
            "sitecustomize.py",
            "import sys; sys.modules['torch'] = None",
            "is not installed. Install it with: pip install torch",
        ),
    ],
    ids=["broken", "absent"],
)
def test_without_pytorch_its_runs_are_refused_in_words_and_numpys_go_on(
    new_engine, wait_until, monkeypatch, tmp_path, file, text, words
):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    engine = new_engine(ready=False, preload=True)
    run = engine.submit(Config(backend="torch", steps=5))
    wait_until(lambda: run.over)
    assert run.state == "failed"
    assert words in str(run.message)
    assert "/some/path" not in str(run.message)
    works(engine, wait_until)
    wait_until(lambda: engine.capabilities.complete)
    assert words in str(dict(engine.capabilities.missing)["torch"])
    engine.close()


def test_a_disk_that_is_full_at_the_start_is_no_end(new_engine, wait_until, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "not there"))  # nothing can be written
    engine = new_engine(ready=False)
    run = engine.submit(SHORT)
    wait_until(lambda: run.over)
    assert "Cannot reach" in str(run.message)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    works(engine, wait_until)
    engine.close()
