"""One hostile visitor with five tabs on a server, and honest ones who open `/?run=1` meanwhile.

`python -m tests.tools.fairness --cases tabs` runs it.
"""

import asyncio
import contextlib
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from websockets.exceptions import WebSocketException

from tests.tools.benchmarks import visits
from tests.tools.benchmarks.server import Server
from tests.tools.benchmarks.visits import STATE_KEY
from tests.tools.benchmarks.websocket_client import Page

ROOT = Path(__file__).parents[2]
HONEST, APART_SECONDS, MOST_SECONDS = 10, 0.5, 60.0
"""How many honest visitors come in a round, how far apart, and the longest that one waits."""
WARM_SECONDS, MOST_WARM_SECONDS = 5.0, 60.0
LOSSES_SECONDS, PAGE_SECONDS = 2.0, 1.0
"""What is asked for: the median until the first losses, and the time until the page is there."""
ROWS, COLUMNS = 9_900, 41
"""Of an uploaded file: nearly 2 MB, and as many rows as may be."""
SWEEP = "rates=1000&seeds=20&lang=en"
RACE = "rounds=3&contenders=numpy.tutorial,numpy.gram&lang=en"
PAUSE_SECONDS = 0.2
Act = Callable[[Page], Awaitable[None]]


def table() -> bytes:
    """A CSV file of nearly 2 MB that is read to its end."""
    names = ",".join(f"c{number}" for number in range(COLUMNS))
    rows = (",".join(f"{(row * 7 + column) % 10}.25" for column in range(COLUMNS)) for row in range(ROWS))
    return "\n".join((names, *rows)).encode()


@dataclass
class Hostile:
    """One visitor in five tabs, until `over`: two of sweeps, two of races, one of uploads."""

    address: str
    done: Counter[str] = field(default_factory=Counter)
    """What was done, and what came in between."""
    over: bool = False
    browser: str = "0" * 32

    async def live(self) -> None:
        """Keep all tabs open."""
        content = table()

        async def sweep(page: Page) -> None:
            await self._start(page, "scan", "sweeps of 20,000 runs")

        async def race(page: Page) -> None:
            await self._start(page, "race", "races")

        async def upload(page: Page) -> None:
            status = await page.upload("own_file", f"{self.done['uploads']}.csv", content)
            self.done["uploads" if status < 300 else f"uploads refused: {status}"] += 1

        tabs = [("learning_rate", SWEEP, sweep)] * 2 + [("race", RACE, race)] * 2
        tabs.append(("", "data=csv&lang=en", upload))
        async with asyncio.TaskGroup() as group:
            for tab in tabs:
                group.create_task(self._tab(*tab))

    async def _tab(self, path: str, query: str, act: Act) -> None:
        while not self.over:
            try:
                async with Page.open(self.address, query, STATE_KEY, path, browser=self.browser) as page:
                    await page.until(lambda page=page: page.full_runs > 0)
                    while not self.over:
                        await act(page)
                        await page.read(PAUSE_SECONDS)
            except (OSError, WebSocketException) as error:
                self.done[f"lost connections: {type(error).__name__}"] += 1

    async def _start(self, page: Page, button: str, what: str) -> None:
        """Press a button again and again: a sweep ends the one before, a race follows the one before."""
        boxes = len(page.boxes)
        if what == "races" and page.ticking:
            return
        await page.press(button)
        self.done[what if len(page.boxes) <= boxes else f"{what} refused"] += 1


@dataclass
class Honest:
    """Someone who opens `/?run=1` and waits for the first losses."""

    address: str
    to_page: float = math.inf
    """Seconds from before the connection until the page was complete."""
    to_losses: float = math.inf

    async def visit(self) -> None:
        """Come, see the first losses, and leave."""
        began = time.perf_counter()
        with contextlib.suppress(OSError, WebSocketException):  # a TimeoutError is an OSError
            async with (
                asyncio.timeout(MOST_SECONDS),
                Page.open(self.address, "run=1&lang=en", STATE_KEY) as page,
            ):
                await page.until(lambda: page.full_runs > 0 or bool(visits.curves(page)))
                self.to_page = time.perf_counter() - began
                await page.until(lambda: bool(visits.curves(page)))
                self.to_losses = time.perf_counter() - began


async def honest(address: str, rounds: int) -> list[Honest]:
    """Let honest visitors come, ten a round."""
    there = []
    for _ in range(rounds):
        visitors = [Honest(address) for _ in range(HONEST)]

        async def come(place: int, visitor: Honest) -> None:
            await asyncio.sleep(place * APART_SECONDS)
            await visitor.visit()

        await asyncio.gather(*(come(place, visitor) for place, visitor in enumerate(visitors)))
        there += visitors
    return there


def report(name: str, visitors: list[Honest]) -> bool:
    """Print what the honest ones waited for, and say whether it is what is asked for."""
    pages, losses = ([getattr(v, of) for v in visitors] for of in ("to_page", "to_losses"))
    print(
        f"{name}: {len(visitors)} honest visitors: pages within {median(pages):.2f} s (median), "
        f"{max(pages):.2f} (worst; asked: {PAGE_SECONDS:.0f}); first losses within {median(losses):.2f} s "
        f"(median; asked: {LOSSES_SECONDS:.0f}), {max(losses):.2f} (worst)",
        flush=True,
    )
    return max(pages) <= PAGE_SECONDS and median(losses) <= LOSSES_SECONDS


async def measure(server: Server, rounds: int) -> bool:
    """Let honest visitors come alone, then beside the hostile one. Say whether the bounds were kept."""
    await asyncio.wait_for(visits.Visitor(server.address, "run=1&lang=en", "finished").visit(leave=True), 600)
    await asyncio.to_thread(server.settle)
    report("alone", await honest(server.address, 1))
    hostile = Hostile(server.address)
    life = asyncio.create_task(hostile.live())
    try:
        async with asyncio.timeout(MOST_WARM_SECONDS):
            while not all(hostile.done[what] for what in ("sweeps of 20,000 runs", "races", "uploads")):
                await asyncio.sleep(PAUSE_SECONDS)
        await asyncio.sleep(WARM_SECONDS)
        before = hostile.done.copy()
        kept = report("beside a hostile one with five tabs", await honest(server.address, rounds))
        print("meanwhile:", ", ".join(f"{n} {what}" for what, n in (hostile.done - before).items()))
    finally:
        hostile.over = True
        life.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await life
    return kept


def beside_five_tabs(rounds: int) -> bool:
    """Start a server on the loopback interface, measure, and end it. Say whether the bounds were kept."""
    with Server(ROOT / "app.py") as server:
        kept = asyncio.run(measure(server, rounds))
        usage = server.usage()
        print(", ".join(f"{role} {use.resident_mb:.0f} MB" for role, use in usage.items()))
        tracebacks = server.tracebacks()
    print(f"{tracebacks} tracebacks in the server's log, {len(server.left_behind)} processes left behind")
    return kept and not tracebacks and not server.left_behind
