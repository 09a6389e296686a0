"""Many visitors with mixed behaviour on one server: is a run lost, an exception shown, a loss wrong?

    python -m tests.tools.load --visitors 100 --seconds 120

Starts the app on a free port of the loopback interface. Each visitor opens pages, trains, watches,
stops, changes pages and closes tabs in mid-run, as the seed has it, with pauses to read in between; every
fourth tab is for another page, an own file, digits or the code of a run (`tests/tools/places.py`). They are
raw WebSocket clients on the same machine. Every loss that a chart shows at the end of a run is compared with
`fit`, bit for bit.

Exit status 1 if a run was lost or wrong, if there was an exception on a page or a traceback in the
server's output, if 95 % of page changes took longer than a second, or if a process is left behind.
"""

import argparse
import asyncio
import json
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.tools.benchmarks import visits
from tests.tools.benchmarks.server import START_SECONDS, TRACEBACK, Server
from tests.tools.benchmarks.visitors import Moment, cancel, spread, words
from tests.tools.load.visitor import LONG, SHORT, Tally, Visitor
from twolayer import fit

ROOT = Path(__file__).parents[3]
PAGE_BOUND_SECONDS = 1.0
LOG_SHOWN = 6000
LIMITS = {"visitors": (1, 500), "seconds": (1, 3600), "pause": (0, 60)}


async def load(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """Let the visitors come for the given time. Returns the figures."""
    expected = {config: fit(config).losses for config in (*SHORT, *LONG)}
    tally = Tally()
    visitors = [
        Visitor(server.address, expected, tally, options.seed * 1000 + number, options.pause)
        for number in range(options.visitors)
    ]
    first = visits.Visitor(server.address, "run=1&lang=en", "finished")  # the engine begins with it
    await asyncio.wait_for(first.visit(leave=True), START_SECONDS)
    await asyncio.to_thread(server.settle)
    before, own = Moment.now(server), time.process_time()
    lives = [asyncio.create_task(visitor.live()) for visitor in visitors]
    await asyncio.wait(lives, timeout=options.seconds, return_when=asyncio.FIRST_EXCEPTION)
    after, own = Moment.now(server), time.process_time() - own
    tracebacks = server.tracebacks()
    await cancel(lives)
    return {
        "visitors": len(visitors),
        "seconds": after.clock - before.clock,
        **{
            end: tally.runs[end]
            for end in ("finished", "stopped", "left", "refused", "lost", "wrong", "unseen")
        },
        "losses_checked": tally.losses_checked,
        "lost_by": dict(tally.lost_by),
        "exceptions": dict(tally.exceptions),
        "tracebacks": tracebacks,
        "pages": len(tally.to_page),
        "places": dict(tally.places),
        "seconds_to_a_page": spread(tally.to_page),
        "seconds_to_first_losses": spread(tally.to_first_losses),
        "seconds_to_the_end": {kind: spread(times) for kind, times in tally.to_end.items()},
        "cpu_seconds": {role: after.cpu_since(before, role) for role in after.usage},
        "cpu_seconds_of_the_clients": own,
        "resident_mb": {role: usage.resident_mb for role, usage in after.usage.items()},
    }


def well(figures: dict[str, Any]) -> bool:
    """Whether all is as it must be."""
    return (
        not any(
            figures[name]
            for name in ("lost", "wrong", "unseen", "lost_by", "exceptions", "tracebacks", "left_behind")
        )
        and figures["finished"] > 0
        and figures["seconds_to_a_page"]["p95"] <= PAGE_BOUND_SECONDS
    )


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.load", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--visitors", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--pause", type=float, default=10.0, help="mean seconds to read between two things")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    for name, (low, high) in LIMITS.items():
        if not low <= getattr(options, name) <= high:
            parser.error(f"--{name}: takes a number from {low} to {high}")
    return options


def main() -> int:
    """Load, print, and say by the exit status whether all went well."""
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is ended then too
    with Server(ROOT / "app.py") as server:
        figures = asyncio.run(load(server, options))
        if figures["tracebacks"]:
            log = server.log()
            at = log.index(TRACEBACK)
            print(log[max(0, at - LOG_SHOWN // 3) : at + LOG_SHOWN], file=sys.stderr)
    figures["left_behind"] = dict(Counter(server.left_behind))
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name.replace('_', ' '):<36}{words(value)}")
    return 0 if well(figures) else 1


if __name__ == "__main__":
    sys.exit(main())
