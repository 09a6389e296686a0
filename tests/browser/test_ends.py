"""The end of a run is drawn whole: what the chart shows when the state has changed."""

import os
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import ROOT, state_is
from tests.tools.benchmarks.server import Server
from twolayer import Config, fit

Visit = Callable[..., Page]

BURNERS = 2
"""Processes that never rest, on the core of a slow server."""


def assert_drawn_to_the_end(
    visit: Visit, config: Config, address: str = "", meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Train, and wait until the chart of the finished run ends with its last loss. What happens `meanwhile`
    begins when the first losses are there."""
    page = visit(f"{address}/?" + "&".join(f"{name}={value}" for name, value in config.to_query().items()))
    page.wait_for_function("document.querySelector('.st-key-loss_chart .js-plotly-plot')?.calcdata")
    page.click(".st-key-train button")
    if address:
        state_is(page, "running")
        meanwhile()
    state_is(page, "finished")
    page.wait_for_function(
        """([step, loss]) => {
            const plot = document.querySelector('.st-key-loss_chart .js-plotly-plot');
            const last = plot.calcdata?.[0]?.at(-1);
            return last?.x === step && Math.abs(last.y / loss - 1) < 1e-5;
        }""",
        arg=[config.steps - 1, fit(config).losses[-1]],
    )


@pytest.mark.parametrize(("steps", "seed"), [(500, 0), (4000, 1)])
def test_the_chart_ends_where_the_run_ends_when_the_state_says_so(
    visit: Visit, steps: int, seed: int
) -> None:
    assert_drawn_to_the_end(visit, Config(steps=steps, seed=seed))


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A server that others do not use."""
    with Server(ROOT / "app.py") as server:
        yield server


@pytest.fixture
def slow_server(own_server: Server) -> Iterator[Server]:
    """That server, while its processes share one core with others that never rest."""
    web = psutil.Process(own_server.pid)
    processes, cores = [web, *web.children(recursive=True)], web.cpu_affinity()
    burners = [psutil.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BURNERS)]
    try:
        for process in [*processes, *burners]:
            process.cpu_affinity(cores[:1])
        yield own_server
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
        for process in processes:
            process.cpu_affinity(cores)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes cannot be kept on a core here")
def test_the_end_is_whole_on_a_slow_core(visit: Visit, slow_server: Server) -> None:
    assert_drawn_to_the_end(visit, Config(steps=20_000, method="gram"), f"http://{slow_server.address}")


def test_the_end_is_whole_after_the_workers_were_killed(visit: Visit, own_server: Server) -> None:
    def kill_the_workers() -> None:
        children = psutil.Process(own_server.pid).children(recursive=True)
        workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        assert workers
        for worker in workers:
            worker.kill()

    config = Config(steps=100_000, method="gram")
    assert_drawn_to_the_end(visit, config, f"http://{own_server.address}", kill_the_workers)
