"""One visitor of many: opens pages, trains, watches, stops, changes pages, closes the tab in mid-run.
Some of its tabs are for other things: each of `PLACES` has its turn.

What a visitor does follows from the seed alone; when it comes, from the server's answers.
"""

import asyncio
import base64
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.exceptions import WebSocketException

from tests.tools.benchmarks.visits import STATE_KEY, curves
from tests.tools.benchmarks.websocket_client import Page
from tests.tools.places import PLACES, use
from twolayer import Config

ENDS = ("finished", "failed", "stopped", "diverged")
LEAVES_AFTER_A_RUN = 0.5
COMES_FOR_ANOTHER_PLACE = 0.25
UNTIL_SEEN_SECONDS = 10.0
"""How long after the end of a run its whole curve may take to come: it is asked for if it was overtaken."""
PATIENCE_SECONDS = 60.0
"""After so long without an end a run counts as lost."""
REFUSED = "active runs"
"""What a server says that has as many runs as it may."""

SHORT = tuple(
    Config(**fields)
    for fields in (
        {"method": "auto"},
        {},
        {"method": "auto", "dtype": "float64", "seed": 1},
        {"method": "fused", "steps": 300, "seed": 2},
        {"backend": "torch", "method": "gram", "seed": 3},
        {"N": 16, "D_in": 50, "H": 20, "D_out": 3, "learning_rate": 1e-4, "steps": 2000, "seed": 4},
    )
)
"""Runs of some 10 to 200 ms."""
LONG = (Config(method="gram", steps=40_000), Config(method="gram", steps=40_000, seed=5))
"""Runs of about a second alone, and of many in a crowd."""


@dataclass
class Tally:
    """What all visitors saw."""

    runs: Counter[str] = field(default_factory=Counter)
    """How runs ended: `finished`, `stopped` by hand, `left` in mid-run, `refused`, `lost`, `wrong`;
    `unseen`: the page says that it has finished, and its whole curve does not come."""
    lost_by: Counter[str] = field(default_factory=Counter)
    exceptions: Counter[str] = field(default_factory=Counter)
    to_page: list[float] = field(default_factory=list)
    """Seconds until a page that was opened or changed to was complete."""
    to_first_losses: list[float] = field(default_factory=list)
    to_end: Mapping[str, list[float]] = field(default_factory=lambda: {"short": [], "long": []})
    """Seconds from the click on Train."""
    losses_checked: int = 0
    places: Counter[str] = field(default_factory=Counter)
    """What was used of `PLACES`."""


class Visitor:
    """Someone who comes and goes until cancelled."""

    def __init__(
        self,
        address: str,
        expected: Mapping[Config, NDArray[np.float64]],
        tally: Tally,
        seed: int,
        pause: float,
    ) -> None:
        self.address, self.expected, self.tally, self.pause = address, expected, tally, pause
        self.choose = random.Random(seed)

    async def live(self) -> None:
        """Come with a tab, stay for some runs, go, come again."""
        while True:
            await asyncio.sleep(self._a_while)
            if self.choose.random() < COMES_FOR_ANOTHER_PLACE:
                await self._use(self.choose.choice(list(PLACES)))
                continue
            long = self.choose.random() < 0.3
            config = self.choose.choice(LONG if long else SHORT)
            try:
                async with self._tab(config) as page:
                    while await self._one_run(page, config):
                        await self._look_around(page)
                        if self.choose.random() < LEAVES_AFTER_A_RUN:
                            break
            except (OSError, WebSocketException) as error:
                self.tally.lost_by[f"connection: {type(error).__name__}"] += 1

    async def _use(self, name: str) -> None:
        try:
            self.tally.exceptions.update(await use(self.address, PLACES[name]))
            self.tally.places[name] += 1
        except (OSError, WebSocketException) as error:  # a TimeoutError is an OSError
            self.tally.lost_by[f"{name}: {type(error).__name__}"] += 1

    @property
    def _a_while(self) -> float:
        return self.choose.expovariate(1 / self.pause) if self.pause else 0.0

    @asynccontextmanager
    async def _tab(self, config: Config) -> AsyncIterator[Page]:
        query = "&".join(f"{name}={value}" for name, value in {**config.to_query(), "lang": "en"}.items())
        began = time.perf_counter()
        async with Page.open(self.address, query, STATE_KEY) as page:
            try:
                await page.until(lambda: page.full_runs > 0 or bool(page.exceptions))
                self.tally.to_page.append(time.perf_counter() - began)
                yield page
            finally:
                self.tally.exceptions.update(page.exceptions)

    async def _one_run(self, page: Page, config: Config) -> bool:
        """Train; wait for the end, stop, or leave in mid-run. Whether the tab stays open."""
        long = config in LONG
        what = self.choose.choices(("wait", "stop", "leave"), (6, 2, 2) if long else (1, 0, 0))[0]
        began = time.perf_counter()
        await page.press("train")
        if REFUSED in " ".join(page.boxes):
            self.tally.runs["refused"] += 1
            return True
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await page.until(lambda: bool(curves(page)) or self._state(page) in ENDS)
                self.tally.to_first_losses.append(time.perf_counter() - began)
                if what == "leave":
                    self.tally.runs["left"] += 1
                    return False
                if what == "stop" and self._state(page) not in ENDS:
                    await page.press("stop")
                await page.until(lambda: self._state(page) in ENDS and page.at_rest)
        except TimeoutError:
            self.tally.runs["lost"] += 1
            self.tally.lost_by[f"{config.to_query()}: {self._state(page)} {page.texts}"] += 1
            return False
        state = self._state(page)
        if state == "finished":
            self.tally.to_end["long" if long else "short"].append(time.perf_counter() - began)
        elif state != "stopped" or what != "stop":
            self.tally.lost_by[f"{config.to_query()}: {state}, {page.boxes}"] += 1
            state = "lost"
        try:
            async with asyncio.timeout(UNTIL_SEEN_SECONDS):
                await page.until(lambda: state != "finished" or self._reached(page) == config.steps)
        except TimeoutError:
            self.tally.lost_by[f"unseen: {config.to_query()}, up to step {self._reached(page)}"] += 1
            state = "unseen"
        if not self._right(page, config):
            self.tally.lost_by[f"wrong: {config.to_query()}, {state}"] += 1
            state = "wrong"
        self.tally.runs[state] += 1
        return True

    async def _look_around(self, page: Page) -> None:
        """Read; change to another page and back, where there is one."""
        await page.read(self._a_while)
        others = page.other_places
        if others and self.choose.random() < 0.5:
            for place in (self.choose.choice(others), page.place):
                began = time.perf_counter()
                await page.follow(place)
                self.tally.to_page.append(time.perf_counter() - began)
                await page.read(self._a_while)

    # -- what the page shows ----------------------------------------------------------------------

    @staticmethod
    def _state(page: Page) -> str:
        words = re.findall(r"\w+", " ".join(page.texts).lower())
        return next((word for word in words if word in (*ENDS, "running", "queued", "paused", "ready")), "")

    def _reached(self, page: Page) -> int:
        """The steps of the newest run that its curve shows."""
        traces = curves(page)
        return int(unpacked(traces[-1]["x"])[-1]) + 1 if traces else 0

    def _right(self, page: Page, config: Config) -> bool:
        """Whether each loss in the chart is the one that `fit` computes for that step, to the last bit of
        what a chart is sent."""
        for trace in curves(page):  # all runs of a tab have the same settings
            at, losses = unpacked(trace["x"]).astype(int), unpacked(trace["y"])
            self.tally.losses_checked += len(at)
            if not (losses == self.expected[config][at].astype(losses.dtype)).all():
                return False
        return True


def unpacked(array: dict[str, str]) -> NDArray[Any]:
    """An array from Plotly's typed-array specification."""
    return np.frombuffer(base64.b64decode(array["bdata"]), dtype=array["dtype"])
