"""Those who open the page of a benchmark: visitors with a run, and a probe without one."""

import asyncio
import math
import re
import time
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import WebSocketException

from tests.tools.benchmarks.websocket_client import Page

STATE_KEY = "metric_state"
"""The container of the page in which the state of its run is shown."""
CHART = "loss_chart"
BAD_ENDS = ("failed", "stopped", "diverged")
PROBE_QUERY = "lang=en"
PROBE_PAUSE = 0.25
PROBE_LIMIT = 30.0


def curves(page: Page) -> list[dict[str, Any]]:
    """The curves of runs in the chart of the losses that have points: without those of rows held out, and
    without the example that is there before there is a loss."""
    return [
        trace
        for trace in page.traces.get(CHART, [])
        if trace.get("x", {}).get("bdata")
        and not trace.get("uid", "").endswith("held out")
        and not trace.get("uid", "").startswith("example")
    ]


@dataclass
class Visitor:
    """Someone who opens the page and waits until it says `word` of its run."""

    address: str
    query: str
    word: str
    outcome: str = "lost"
    """`finished`; `failed`: another end, or an exception; `lost`: no end, or no connection."""
    seconds: float = math.nan
    """From before the connection until the end was shown."""
    loaded_after: float = math.nan
    """From before the connection until the first script run was complete."""
    trouble: str = ""
    """How the connection was lost."""
    page: Page | None = None
    loaded: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def visit(self, leave: bool) -> None:
        """Wait for the end of the run; then leave when the page is at rest, or stay until cancelled."""
        began = time.perf_counter()
        try:
            async with Page.open(self.address, self.query, STATE_KEY) as page:
                self.page = page
                await page.until(lambda: page.full_runs > 0 or self._end() != "")
                self.loaded_after = time.perf_counter() - began
                self.loaded.set()
                await page.until(lambda: self._end() != "")
                self.outcome, self.seconds = self._end(), time.perf_counter() - began
                self.ended.set()
                await page.until(lambda: leave and page.at_rest)
        except (OSError, WebSocketException) as error:
            self.outcome, self.trouble = "lost", f"{type(error).__name__}: {error}"
        finally:
            self.loaded.set()
            self.ended.set()

    def _end(self) -> str:
        """How the run has ended, as the page shows it; nothing while it goes on."""
        if self.page is None:
            return ""
        words = set(re.findall(r"\w+", " ".join(self.page.texts).lower()))
        if self.page.exceptions:
            return "failed"
        if self.word.lower() in words:
            return "finished"
        return "failed" if words.intersection(BAD_ENDS) else ""


@dataclass
class Probe:
    """Someone who opens the page without a run, again and again, until `over`."""

    address: str
    seconds: list[float] = field(default_factory=list)
    """For each page, from before the connection until its script run was complete."""
    exceptions: list[str] = field(default_factory=list)
    over: bool = False

    async def run(self) -> None:
        """Open pages one after another. One that does not come counts with the time limit."""
        while not self.over:
            try:
                async with asyncio.timeout(PROBE_LIMIT):
                    await self._open_page()
            except (OSError, WebSocketException):  # a TimeoutError is an OSError
                self.seconds.append(PROBE_LIMIT)
            await asyncio.sleep(PROBE_PAUSE)

    async def _open_page(self) -> None:
        began = time.perf_counter()
        async with Page.open(self.address, PROBE_QUERY, STATE_KEY) as page:
            await page.until(lambda: page.full_runs > 0 or bool(page.exceptions))
            self.seconds.append(time.perf_counter() - began)
            self.exceptions += page.exceptions
