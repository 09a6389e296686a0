"""Cold starts: how long the first visitor of a server waits.

    python -m tests.tools.benchmarks.cold --other ../another/checkout --rounds 5

Starts the app on a free port of the loopback interface and opens one page at once, as a raw WebSocket
client. Prints the median of the rounds, from the start of the server on: until the server answers, until
the first page is complete, until its run has ended; and how long the visitor waits for the last two. With
another checkout of the app each round starts both, in turn, and the ratios are those of the medians.
"""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import click

from tests.tools.benchmarks.server import Server
from tests.tools.benchmarks.visits import Visitor

ROOT = Path(__file__).parents[3]
STAGES = (
    "the server answers",
    "the first page is complete",
    "its run has ended",
    "the visitor waits for the page",
    "the visitor waits for the end",
)
Seconds = Mapping[str, float]


def cold_start(app: Path, query: str) -> Seconds:
    """Start the server of `app`, and return the seconds until each stage for its first visitor."""
    began = time.perf_counter()
    with Server(app / "app.py") as server:
        answers = time.perf_counter() - began
        visitor = Visitor(server.address, query, "finished")
        asyncio.run(visitor.visit(leave=True))
        if visitor.outcome != "finished":
            raise click.ClickException(f"the visit {visitor.outcome}: {visitor.trouble}\n{server.log()}")
    waits = (visitor.loaded_after, visitor.seconds)
    return dict(zip(STAGES, (answers, *(answers + wait for wait in waits), *waits), strict=True))


def medians(starts: list[Seconds]) -> Seconds:
    """Return the median of each stage."""
    return {stage: median(start[stage] for start in starts) for stage in STAGES}


@click.command(help=__doc__)
@click.option("--other", type=click.Path(exists=True, path_type=Path), help="Another checkout of the app.")
@click.option("--rounds", type=click.IntRange(1, 50), default=5, show_default=True)
@click.option("--query", default="run=1&method=gram&lang=en", show_default=True, help="Of the address.")
def main(other: Path | None, rounds: int, query: str) -> None:
    """Measure and print."""
    apps = [ROOT] if other is None else [ROOT, other]
    starts: dict[Path, list[Seconds]] = {app: [] for app in apps}
    for _ in range(rounds):
        for app in apps:
            starts[app].append(cold_start(app, query))
    here = medians(starts[ROOT])
    there = medians(starts[other]) if other is not None else None
    for stage in STAGES:
        ratio = f", there {there[stage]:.2f} s: {here[stage] / there[stage]:.2f} of it" if there else ""
        click.echo(f"{stage}: {here[stage]:.2f} s{ratio}")


if __name__ == "__main__":
    main()
