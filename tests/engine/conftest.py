"""Real engines on real clusters, and ways to look at them from outside."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tests.conftest import ROOT
from tests.engine.inline import Client, Clock
from twolayer import Config
from twolayer.engine import job_loop, run_loop
from twolayer.engine.engine import Engine
from twolayer.engine.settings import Settings

TINY: dict[str, Any] = {"N": 3, "D_in": 4, "H": 5, "D_out": 2, "learning_rate": 1e-3}
"""A run of some 10 µs a step: its length is set by `steps` alone."""


def settings(**values: Any) -> Settings:
    """The settings of a small server."""
    return Settings(**{"scheduler": None, "workers": 1, "memory_mb": 256, "max_seconds": 600, **values})


def is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended (one that nobody has waited for yet counts as ended)."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def cluster_of(engine: Engine) -> psutil.Process:
    """The process of an engine's embedded cluster."""
    return psutil.Process(engine._connection.cluster.process.pid)


def workers_of(cluster: psutil.Process) -> list[psutil.Process]:
    """The worker processes of an embedded cluster."""
    return [p for p in cluster.children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]


ELSEWHERE = """
import sys
from distributed import LocalCluster
with LocalCluster(n_workers=1, threads_per_worker=1, host="127.0.0.1", scheduler_port=int(sys.argv[1]),
                  dashboard_address="127.0.0.1:0") as cluster:
    print(cluster.scheduler_address, flush=True)
    sys.stdin.read()
"""


@contextmanager
def cluster_elsewhere(port: int = 0) -> Iterator[tuple[str, psutil.Process]]:
    """A cluster that somebody else started, for as long as the context: its address, and its process."""
    command = [sys.executable, "-c", ELSEWHERE, str(port)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process.stdout.readline().strip(), psutil.Process(process.pid)
        process.stdin.close()
        process.wait(timeout=30)


def kill(process: psutil.Process) -> None:
    """End a process and all that it started, at once."""
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            one.kill()


def on_scheduler(engine: Engine, look: Callable[..., Any]) -> Any:
    """What `look(dask_scheduler=…)` returns in the process of the scheduler of an engine."""

    async def ask() -> Any:
        client = await engine._connection.client()
        return await client.run_on_scheduler(look)

    return asyncio.run_coroutine_threadsafe(ask(), engine._loop.loop).result(timeout=30)


def tasks_on_scheduler(engine: Engine) -> int:
    """How many tasks the scheduler of an engine knows."""

    def count(dask_scheduler: Any) -> int:
        return len(dask_scheduler.tasks)

    return on_scheduler(engine, count)


@contextmanager
def engines(wait_until: Callable[..., None]) -> Iterator[Callable[..., Engine]]:
    """A function that makes an engine and waits until it is up; with `preload` its workers load PyTorch at
    once, in seconds. They are closed with the context."""
    made = []

    def make(*, ready: bool = True, preload: bool = False, **values: Any) -> Engine:
        engine = Engine(settings(**values), preload=preload)
        made.append(engine)
        if ready:
            wait_until(lambda: engine.capabilities is not None)
        return engine

    yield make
    for engine in made:
        engine.close()


@pytest.fixture(scope="module")
def new_engine(wait_until: Callable[..., None]) -> Iterator[Callable[..., Engine]]:
    """`engines` of a module."""
    with engines(wait_until) as make:
        yield make


@pytest.fixture(scope="package")
def engine(wait_until: Callable[..., None]) -> Iterator[Engine]:
    """One engine for all tests that leave it as they found it."""
    with engines(wait_until) as make:
        yield make(preload=True)


@pytest.fixture(scope="session")
def finished(wait_until: Callable[..., None]) -> Callable[..., Any]:
    """A function that submits a Config and waits for its end."""

    def run(engine: Engine, config: Config, **options: Any) -> Any:
        submitted = engine.submit(config, **options)
        wait_until(lambda: submitted.over)
        return submitted

    return run


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client, in whose tests the loops have its clock."""
    one = Client(Clock())
    for module in (run_loop, job_loop):
        monkeypatch.setattr(module, "fetched", lambda client, future: client.fetched(future))
    monkeypatch.setattr(run_loop, "monotonic", one.clock)
    monkeypatch.setattr(run_loop, "asyncio", SimpleNamespace(sleep=one.clock.sleep))
    monkeypatch.setattr(run_loop, "wait", lambda _futures: asyncio.sleep(0))
    return one
