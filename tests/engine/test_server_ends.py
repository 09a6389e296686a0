"""The server is ended in mid-run: no process of it is left."""

import asyncio
import signal

import psutil
import pytest

from tests.conftest import ROOT
from tests.engine.conftest import is_gone
from tests.tools.benchmarks.server import Server
from tests.tools.benchmarks.visits import STATE_KEY
from tests.tools.benchmarks.websocket_client import Page


def test_the_cluster_starts_with_the_server_before_anybody_comes(wait_until):
    with Server(ROOT / "app.py") as server:
        web = psutil.Process(server.pid)

        def commands() -> list[str]:
            return [" ".join(child.cmdline()) for child in web.children()]

        wait_until(lambda: any("twolayer.engine.cluster" in c for c in commands()))


async def training(server: Server) -> None:
    """Somebody trains, and has seen the first losses."""
    async with Page.open(server.address, "run=1&steps=1000000&method=gram&lang=en", STATE_KEY) as page:
        async with asyncio.timeout(60):
            await page.until(lambda: "running" in " ".join(page.texts).lower())
        assert page.exceptions == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_a_server_that_is_ended_in_mid_run_leaves_no_process(how, wait_until):
    with Server(ROOT / "app.py") as server:
        asyncio.run(training(server))
        web = psutil.Process(server.pid)
        processes = [web, *web.children(recursive=True)]
        assert len(processes) >= 4  # the cluster, and at least one worker and a helper of its own
        web.send_signal(how)
        wait_until(lambda: all(is_gone(process) for process in processes))
