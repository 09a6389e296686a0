"""The end of a run is drawn whole: what the chart shows when the state has changed."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import ROOT, state_is
from tests.tools.benchmarks.server import Server
from twolayer import Config, fit

Visit = Callable[..., Page]

WATCH = """() => {
    const value = '.st-key-metric_state [data-testid=stMetricValue]';
    const state = () => document.querySelector(value)?.innerText.trim();
    const watch = () => {
        if (!['finished', 'diverged'].includes(state())) return requestAnimationFrame(watch);
        setTimeout(() => {
            const plot = document.querySelector('.st-key-loss_chart .js-plotly-plot');
            const last = plot?.calcdata?.[0]?.at(-1);
            window.atTheEnd = last ? [last.x, last.y] : [];
        }, 300);
    };
    watch();
}"""
"""Read the last point of the chart 0.3 s after the state has changed."""


BURNERS = 2
"""Processes that never rest, on the core of a slow server."""


def last_point(
    visit: Visit, config: Config, address: str = "", meanwhile: Callable[[], None] = lambda: None
) -> list[float]:
    """Train, and return the last point of the loss chart 0.3 s after the run's end was shown. What happens
    `meanwhile` begins when the first losses are there."""
    page = visit(f"{address}/?" + "&".join(f"{name}={value}" for name, value in config.to_query().items()))
    page.wait_for_function("document.querySelector('.st-key-loss_chart .js-plotly-plot')?.calcdata")
    page.evaluate(WATCH)
    page.click(".st-key-train button")
    if address:
        state_is(page, "running")
        meanwhile()
    page.wait_for_function("window.atTheEnd !== undefined")
    point: list[float] = page.evaluate("window.atTheEnd")
    page.close()
    return point


@pytest.mark.parametrize(("steps", "seed"), [(500, 0), (4000, 1)])
def test_the_chart_ends_where_the_run_ends_when_the_state_says_so(
    visit: Visit, steps: int, seed: int
) -> None:
    config = Config(steps=steps, seed=seed)
    losses = fit(config).losses
    assert last_point(visit, config) == pytest.approx([steps - 1, losses[-1]], rel=1e-5)


def on_one_core() -> None:
    """Keep this process and those that it starts on one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


@pytest.fixture
def slow_server() -> Iterator[Server]:
    """A server whose processes share one core with others that never rest."""
    command = [sys.executable, "-c", "while True: pass"]
    with Server(ROOT / "app.py", before=on_one_core) as server:
        burners = [subprocess.Popen(command, preexec_fn=on_one_core) for _ in range(BURNERS)]
        try:
            yield server
        finally:
            for burner in burners:
                burner.kill()
                burner.wait()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes cannot be kept on a core here")
def test_the_end_is_whole_on_a_slow_core(visit: Visit, slow_server: Server) -> None:
    config = Config(steps=20_000, method="gram")
    point = last_point(visit, config, f"http://{slow_server.address}")
    assert point == pytest.approx([config.steps - 1, fit(config).losses[-1]], rel=1e-5)


def test_the_end_is_whole_after_the_workers_were_killed(visit: Visit) -> None:
    config = Config(steps=100_000, method="gram")
    with Server(ROOT / "app.py") as server:

        def kill_the_workers() -> None:
            children = psutil.Process(server.pid).children(recursive=True)
            workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
            assert workers
            for worker in workers:
                worker.kill()

        point = last_point(visit, config, f"http://{server.address}", kill_the_workers)
    assert point == pytest.approx([config.steps - 1, fit(config).losses[-1]], rel=1e-5)
