"""Many visitors at once: what they get, and what it costs the server.

    python -m tests.tools.benchmarks.visitors --visitors 50 --query run=1
    python -m tests.tools.benchmarks.visitors --sequential 200

Starts the app on a free port of the loopback interface and makes one visit, so that the engine is
up. Then all visitors open the page at the same moment and stay until each has seen its run end;
they are raw WebSocket clients, so the fetching of files and a browser's drawing are not in the
figures. Meanwhile one more opens the page without a run, again and again. With `--sequential`
visitors come a few at a time and leave when their run has ended, and what counts is the memory
that is held after the last. Clients and server share the machine.

Exit status 1 if a run did not finish, if there was an exception on a page or a traceback in the
server's output, or if the memory held is over its bound.
"""

import argparse
import asyncio
import json
import math
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import parse_qs

from tests.tools.benchmarks.server import Server, Usage
from tests.tools.benchmarks.visits import STATE_KEY, Probe, Visitor
from tests.tools.benchmarks.websocket_client import Page

ROOT = Path(__file__).parents[3]
MEMORY_BOUND_MB = 600.0
LINGER_SECONDS = 1.0
LOG_SHOWN = 3000
BLAS_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
LIMITS: Mapping[str, tuple[float, float]] = {
    "visitors": (1, 500),
    "sequential": (0, 10_000),
    "at_a_time": (1, 50),
    "timeout": (1, 3600),
}


@dataclass(frozen=True)
class Moment:
    """The clock, the server's use of the machine and the work done for visitors, at one time."""

    clock: float
    usage: Mapping[str, Usage]
    ticks: Mapping[str, int]

    @classmethod
    def now(cls, server: Server, visitors: Sequence[Visitor] = ()) -> "Moment":
        ticks = {
            "tick sent": total(visitors, lambda page: page.ticks_sent),
            "fragment run seen": total(visitors, lambda page: page.fragment_runs),
        }
        return cls(time.perf_counter(), server.usage(), ticks)

    def cpu_since(self, before: "Moment", role: str) -> float:
        """Processor seconds of `role` since `before`."""
        start = before.usage.get(role, Usage(0.0, 0.0))
        return self.usage[role].cpu_seconds - start.cpu_seconds

    def web_ms_per_tick(self, before: "Moment") -> dict[str, float]:
        """All processor time of the web process since `before`, in ms, shared out over the ticks.

        An overloaded server answers several ticks at once and overtakes its own answers: then much
        fewer fragment runs are seen than ticks were sent.
        """
        web = 1000 * self.cpu_since(before, "web")
        counts = {name: count - before.ticks[name] for name, count in self.ticks.items()}
        return {name: web / count for name, count in counts.items() if count}


async def crowd(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """All visitors at once. Returns the figures."""
    visitors = [Visitor(server.address, options.query, options.word) for _ in range(options.visitors)]
    probe = Probe(server.address, over=not options.probe)
    watching: tuple[Moment, Moment] | None = None
    before, own = Moment.now(server), time.process_time()
    visits = [asyncio.create_task(visitor.visit(leave=False)) for visitor in visitors]
    ends = [asyncio.create_task(visitor.ended.wait()) for visitor in visitors]
    probing = asyncio.create_task(probe.run())
    try:
        async with asyncio.timeout(options.timeout):
            await asyncio.gather(*(visitor.loaded.wait() for visitor in visitors))
            all_loaded = Moment.now(server, visitors)
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            watching = all_loaded, Moment.now(server, visitors)
            await asyncio.gather(*ends)
    except TimeoutError:
        pass  # whoever has not finished by now is lost
    after, own = Moment.now(server, visitors), time.process_time() - own
    probe.over = True
    await probing
    await asyncio.sleep(LINGER_SECONDS)
    still_ticking = total(visitors, lambda page: page.ticking)
    resident = {role: usage.resident_mb for role, usage in server.usage().items()}
    tracebacks = server.tracebacks()  # before they leave: a busy server may stumble over that
    await cancel([*visits, *ends])
    figures = outcomes(visitors)
    figures["exceptions"] += Counter(probe.exceptions)
    figures |= {
        "seconds_to_first_page": spread([visitor.loaded_after for visitor in visitors]),
        "seconds_in_all": after.clock - before.clock,
        "probe_pages": len(probe.seconds),
        "probe_seconds": spread(probe.seconds),
        "ticks": dict(after.ticks),
        "pages_that_tick_on": still_ticking,
        "of_a_visit": {
            name: median(getattr(v.page, name) for v in visitors if v.page is not None)
            for name in ("messages", "elements", "containers")
        },
        "received_mb": total(visitors, lambda page: page.received_bytes) / 1e6,
        "cpu_seconds": {role: after.cpu_since(before, role) for role in after.usage},
        "cpu_seconds_of_the_clients": own,
        "web_cpu_ms_all_included_per": after.web_ms_per_tick(before),
    }
    if watching is not None and watching[1].clock - watching[0].clock > 1.0:
        # From the last complete page to the first end: ticks and, if it is there, the probe.
        figures["seconds_of_ticks_alone"] = watching[1].clock - watching[0].clock
        figures["web_cpu_ms_then_per"] = watching[1].web_ms_per_tick(watching[0])
    return figures | {"resident_mb": resident, "tracebacks": tracebacks}


async def a_few_at_a_time(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """Visitors who come and go, each with a run. Returns the figures."""
    visitors = [Visitor(server.address, options.query, options.word) for _ in range(options.sequential)]
    to_come, gone = iter(visitors), 0
    held = {0: held_mb(server)}

    async def one_after_another() -> None:
        nonlocal gone
        for visitor in to_come:  # shared with those who do the same
            await visitor.visit(leave=True)
            gone += 1
            if gone % math.ceil(len(visitors) / 4) == 0 or gone == len(visitors):
                held[gone] = held_mb(server)

    before = Moment.now(server)
    turns = [asyncio.create_task(one_after_another()) for _ in range(options.at_a_time)]
    await asyncio.wait(turns, timeout=options.timeout)
    await cancel(turns)
    after = Moment.now(server)
    return outcomes(visitors) | {
        "seconds_in_all": after.clock - before.clock,
        "cpu_seconds": {role: after.cpu_since(before, role) for role in after.usage},
        "mb_of_web_and_a_worker_after_runs": held,
        "resident_mb": {role: usage.resident_mb for role, usage in after.usage.items()},
        "within_memory_bound": held_mb(server) <= MEMORY_BOUND_MB,
        "tracebacks": server.tracebacks(),
    }


def held_mb(server: Server) -> float:
    """Resident memory of the web process and its largest worker together, in MB."""
    usage = server.usage()
    workers = [use.resident_mb for role, use in usage.items() if role.startswith("worker")]
    return usage["web"].resident_mb + max(workers, default=0.0)


async def cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for their end. Raises what one of them failed with."""
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            raise result


def total(visitors: Sequence[Visitor], value: Callable[[Page], int]) -> int:
    """The sum of `value` over the pages that were opened."""
    return sum(value(visitor.page) for visitor in visitors if visitor.page is not None)


def outcomes(visitors: Sequence[Visitor]) -> dict[str, Any]:
    """How the visits ended."""
    counts = Counter(visitor.outcome for visitor in visitors)
    return {
        "visitors": len(visitors),
        **{outcome: counts[outcome] for outcome in ("finished", "failed", "lost")},
        "lost_by": Counter(v.trouble or "no end in time" for v in visitors if v.outcome == "lost"),
        "exceptions": Counter(text for v in visitors if v.page is not None for text in v.page.exceptions),
        "seconds_to_finished": spread([v.seconds for v in visitors if v.outcome == "finished"]),
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and the worst of the `values` that there are."""
    ranked = sorted(value for value in values if not math.isnan(value))
    if not ranked:
        return {}
    return {"median": median(ranked), "p95": ranked[math.ceil(0.95 * len(ranked)) - 1], "worst": ranked[-1]}


async def measure(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """One visit to warm up, then the visitors."""
    first = Visitor(server.address, options.query, options.word)
    await asyncio.wait([asyncio.create_task(first.visit(leave=True))], timeout=options.timeout)
    if first.outcome != "finished":
        shown = f"{first.page.texts} {first.page.exceptions}" if first.page is not None else ""
        raise SystemExit(
            f"the first visit {first.outcome}: {first.trouble} {shown}\n{server.log()[-LOG_SHOWN:]}"
        )
    await asyncio.to_thread(server.settle)
    figures = await (a_few_at_a_time if options.sequential else crowd)(server, options)
    return {"seconds_of_first_visit": first.seconds} | figures


def words(value: Any) -> str:
    """A figure as text."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {words(item)}" for name, item in value.items()) or "none"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.benchmarks.visitors", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--visitors", type=int, default=50, help="at once")
    parser.add_argument("--sequential", type=int, default=0, metavar="RUNS", help="visitors who come and go")
    parser.add_argument("--at-a-time", type=int, default=4, help="with --sequential")
    parser.add_argument("--query", default="run=1", help="of the address; lang=en is added")
    parser.add_argument("--word", default="finished", help=f"what {STATE_KEY} says of a run that is done")
    parser.add_argument("--probe", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds, for all visitors together")
    parser.add_argument("--app", type=Path, default=ROOT / "app.py")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    for name, (low, high) in LIMITS.items():
        if not low <= getattr(options, name) <= high:
            parser.error(f"--{name.replace('_', '-')}: takes a number from {low} to {high}")
    if "lang" not in parse_qs(options.query):
        options.query = f"{options.query}&lang=en".lstrip("&")
    return options


def main() -> int:
    """Measure, print, and say by the exit status whether all went well."""
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is ended then too
    with Server(options.app) as server:
        figures = asyncio.run(measure(server, options))
        if figures["tracebacks"]:
            print(server.log()[-LOG_SHOWN:], file=sys.stderr)
    figures |= {name: os.environ.get(name, "not set") for name in BLAS_VARIABLES}
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name.replace('_', ' '):<36}{words(value)}")
    well = (
        figures["finished"] == figures["visitors"] and not figures["exceptions"] and not figures["tracebacks"]
    )
    return 0 if well and figures.get("within_memory_bound", True) else 1


if __name__ == "__main__":
    sys.exit(main())
