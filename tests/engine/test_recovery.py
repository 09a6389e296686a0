"""What dies in mid-run changes nothing in the losses; what is closed or killed leaves no process."""

import json
import signal
import subprocess
import sys

import psutil
import pytest
from numpy.testing import assert_array_equal

import twolayer.engine.run_loop
from tests.conftest import ROOT
from tests.engine.conftest import TINY, cluster_of, is_gone, workers_of
from twolayer import Config, fit

CONFIG = Config(**TINY, steps=120_000)


@pytest.fixture(scope="module")
def expected():
    """The losses of the run that is disturbed."""
    return fit(CONFIG).losses


@pytest.fixture(scope="module")
def breakable(new_engine):
    """An engine whose parts are killed."""
    return new_engine()


@pytest.mark.parametrize("checkpoint_seconds", [0.2, 60.0], ids=["from a checkpoint", "from the start"])
def test_a_killed_worker_changes_nothing_in_the_losses(
    breakable, expected, wait_until, monkeypatch, checkpoint_seconds
):
    monkeypatch.setattr(twolayer.engine.run_loop, "CHECKPOINT_SECONDS", checkpoint_seconds)
    run = breakable.submit(CONFIG)
    wait_until(lambda: run.step > CONFIG.steps // 4)
    workers = workers_of(cluster_of(breakable))
    assert workers
    for worker in workers:
        worker.kill()
    wait_until(lambda: all(is_gone(worker) for worker in workers))
    assert not run.over
    wait_until(lambda: run.over)
    assert (run.state, run.message) == ("finished", None)
    assert_array_equal(run.losses, expected)
    assert run.laps[-1, 0] == CONFIG.steps


@pytest.mark.parametrize("checkpoint_seconds", [0.2, 60.0], ids=["from a checkpoint", "from the start"])
def test_a_killed_cluster_changes_nothing_in_the_losses(
    breakable, expected, wait_until, monkeypatch, checkpoint_seconds
):
    monkeypatch.setattr(twolayer.engine.run_loop, "CHECKPOINT_SECONDS", checkpoint_seconds)
    run = breakable.submit(CONFIG)
    wait_until(lambda: run.step > CONFIG.steps // 4)
    before = cluster_of(breakable)
    workers = workers_of(before)
    before.kill()
    assert not run.over
    wait_until(lambda: run.over)
    assert (run.state, run.message) == ("finished", None)
    assert_array_equal(run.losses, expected)
    assert cluster_of(breakable).pid != before.pid
    wait_until(lambda: all(is_gone(process) for process in [before, *workers]))
    assert breakable.trouble is None


def test_a_new_cluster_too_is_asked_for_all_its_devices(new_engine, wait_until, finished):
    engine = new_engine(preload=True)
    cluster_of(engine).kill()
    assert finished(engine, Config(**TINY)).state == "finished"
    wait_until(lambda: engine.capabilities.complete)


def test_close_leaves_no_process_behind(new_engine, wait_until):
    engine = new_engine()
    run = engine.submit(Config(**TINY, steps=4_000_000))
    wait_until(lambda: run.step > 0)
    cluster = cluster_of(engine)
    processes = [cluster, *cluster.children(recursive=True)]
    assert workers_of(cluster)
    engine.close()
    assert run.state == "stopped"
    wait_until(lambda: all(is_gone(process) for process in processes))
    engine.close()  # once more is no harm


def test_close_while_the_cluster_is_starting_leaves_no_process_behind(new_engine, wait_until):
    before = set(psutil.Process().children(recursive=True))
    engine = new_engine(ready=False)
    wait_until(lambda: set(psutil.Process().children()) - before)
    engine.close()
    wait_until(lambda: all(map(is_gone, set(psutil.Process().children(recursive=True)) - before)))


HOLDER = """
import json, sys, time
from twolayer import Config
from twolayer.engine.engine import Engine
from twolayer.engine.settings import Settings
engine = Engine(Settings(scheduler=None, workers=1, memory_mb=256, max_seconds=600))
run = engine.submit(Config(backend="torch", steps=50))
while not run.over:
    time.sleep(0.01)
engine.submit(Config(N=3, D_in=4, H=5, D_out=2, steps=4_000_000))
loaded = [name for name in ("torch", "numba", "jax") if name in sys.modules]
found = {"state": run.state, "losses": run.losses.tolist(), "loaded": loaded}
print(json.dumps(found), flush=True)
sys.stdin.read()
"""


def test_a_killed_web_process_never_loaded_pytorch_and_leaves_no_process_behind(wait_until):
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            found = json.loads(holder.stdout.readline())
            processes = psutil.Process(holder.pid).children(recursive=True)
        finally:
            holder.send_signal(signal.SIGKILL)
    assert found["state"] == "finished"
    assert found["losses"] == fit(Config(backend="torch", steps=50)).losses.tolist()
    assert found["loaded"] == []
    assert len(processes) >= 2
    wait_until(lambda: all(is_gone(process) for process in processes))
