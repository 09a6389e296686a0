"""Hours of mixed load at a rate that the machine bears: do memory, open files and threads stay level?

    python -m tests.tools.mixed --hours 2

Starts the app on the loopback interface and lets visitors live as in `tests.tools.load`: they train, stop,
change pages, close tabs in mid-run, and use every page there is. Eight times on the way all of them leave,
and when their sessions are forgotten, what the web process, the scheduler and the workers hold is printed.

Exit status 1 if the web process, the scheduler or a worker grew by more than 30 MB from a quarter of the way
on, or kept files or threads open; if a run was lost or wrong; or if there was an exception on a page or in
the log.
"""

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

from tests.tools.benchmarks import visits
from tests.tools.benchmarks.server import START_SECONDS, Server, Usage
from tests.tools.benchmarks.visitors import cancel, spread, words
from tests.tools.load.visitor import LONG, SHORT, Tally, Visitor
from tests.tools.soak import FORGETTING_SECONDS, MOST_GROWTH_MB, MOST_MORE, SAMPLES
from twolayer import fit

ROOT = Path(__file__).parents[2]
Held = dict[str, Usage]
"""What the processes of each kind hold; of the workers, the most that one of them does."""


def held(server: Server) -> Held:
    """Look at all processes."""
    usage = server.usage()
    workers = [use for role, use in usage.items() if role.startswith("worker") and use.resident_mb]
    largest = Usage(
        0.0, *(max(getattr(use, part) for use in workers) for part in ("resident_mb", "files", "threads"))
    )
    return {"web": usage["web"], "scheduler": usage["scheduler"], f"{len(workers)} workers": largest}


def lines(seconds: float, processes: Held) -> str:
    """What is held, a kind of process a line."""
    return "\n".join(
        f"{seconds:>7.0f}  {role:<12}{use.resident_mb:>8.1f} MB{use.files:>6} files{use.threads:>5} threads"
        for role, use in processes.items()
    )


def is_level(early: Held, late: Held) -> bool:
    """Say whether nothing grew that was there before: as many workers, no more memory, files and threads."""
    return early.keys() == late.keys() and all(
        late[role].resident_mb - early[role].resident_mb < MOST_GROWTH_MB
        and late[role].files <= early[role].files + MOST_MORE
        and late[role].threads <= early[role].threads + MOST_MORE
        for role in late
    )


async def live(server: Server, options: argparse.Namespace, tally: Tally) -> list[Held]:
    """Let visitors come and go for the given time. Returns what was held at each sample."""
    expected = {config: fit(config).losses for config in (*SHORT, *LONG)}
    first = visits.Visitor(server.address, "run=1&lang=en", "finished")  # the engine begins with it
    await asyncio.wait_for(first.visit(leave=True), START_SECONDS)
    leg, samples = 3600 * options.hours / SAMPLES, []
    for number in range(SAMPLES):
        seeds = range(number * options.visitors, (number + 1) * options.visitors)
        lives = [
            asyncio.create_task(Visitor(server.address, expected, tally, seed, options.pause).live())
            for seed in seeds
        ]
        await asyncio.wait(lives, timeout=leg, return_when=asyncio.FIRST_EXCEPTION)
        await cancel(lives)
        await asyncio.sleep(FORGETTING_SECONDS)
        await visits.Visitor(server.address, "run=1&lang=en", "finished").visit(leave=True)
        samples.append(held(server))
        print(lines((number + 1) * leg, samples[-1]), flush=True)
    return samples


def summary(tally: Tally) -> dict[str, Any]:
    """What the visitors saw."""
    return {
        "runs": dict(tally.runs),
        "losses_checked": tally.losses_checked,
        "places": dict(tally.places),
        "lost_by": dict(tally.lost_by),
        "exceptions": dict(tally.exceptions),
        "seconds_to_a_page": spread(tally.to_page),
        "seconds_to_first_losses": spread(tally.to_first_losses),
    }


def main() -> int:
    """Load, print, and say by the exit status whether all stayed level."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.mixed", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--visitors", type=int, default=40, choices=range(1, 501), metavar="1..500")
    parser.add_argument("--pause", type=float, default=10.0, help="mean seconds to read between two things")
    options = parser.parse_args()
    if not 0 < options.hours <= 24 or not 0 <= options.pause <= 60:
        parser.error("--hours: takes up to 24; --pause: takes 0 to 60")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is ended then too
    tally = Tally()
    with Server(ROOT / "app.py") as server:
        samples = asyncio.run(live(server, options, tally))
        tracebacks, raised = server.tracebacks(), dict(server.exceptions())
    for name, value in (summary(tally) | {"tracebacks": tracebacks, "raised": raised}).items():
        print(f"{name.replace('_', ' '):<28}{words(value)}")
    level = is_level(samples[SAMPLES // 4 - 1], samples[-1])
    print("level" if level else "NOT level", "from a quarter of the way to the end")
    return 0 if level and not (tracebacks or tally.lost_by or tally.exceptions or server.left_behind) else 1


if __name__ == "__main__":
    sys.exit(main())
