"""A long life in short: many runs and visits, one after the other; what is held has to level off.

    python -m tests.tools.soak

First 2,000 runs through one engine, as fast as they go, and what its process and its scheduler hold on
the way; then 300 visits to one server, each with seven runs and one of all pages, and what its web process
holds. Last, eight runs of five million steps, one after the other, and what the engine's process holds with
the run and its file in Parquet, and of a run that is short enough for it, its file in CSV.

Exit status 1 if the process of the web server grew by more than 30 MB, or opened files or threads that
it did not close, between a quarter of the way and the end; if tasks stayed on the scheduler; or if a run of
five million steps and its file took more than 60 MB.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from tests.tools.benchmarks.server import Server
from tests.tools.benchmarks.visits import STATE_KEY, Visitor
from tests.tools.benchmarks.websocket_client import Page
from tests.tools.places import PLACES, use
from twolayer import Config
from twolayer.engine.engine import Engine
from twolayer.engine.run import Run
from twolayer.engine.settings import MB, from_environment
from twolayer.export import files
from twolayer.training.machine import return_freed_memory

ROOT = Path(__file__).parents[2]
MOST_GROWTH_MB = 30.0
MOST_OF_LONG_RUN_MB = 60.0
LONG = Config(N=1, D_in=1, H=1, D_out=1, method="gram", steps=5_000_000, learning_rate=1e-6)
MOST_MORE = 3
"""Files and threads that may be open at the end and were not before: some come and go."""
FORGETTING_SECONDS = 40.0
"""The samples that are compared are taken so long after the visits before. Streamlit holds the session of a
closed tab, with three files, for 30 s, and lets it go when the next visitor comes."""
AT_A_TIME = 4
SAMPLES = 8
RUNS_OF_A_VISIT = 7


@dataclass(frozen=True)
class Held:
    """What a process holds after so many runs or visits."""

    after: int
    resident_mb: float
    files: int
    threads: int
    tasks: int = 0
    events: int = 0

    @classmethod
    def by(cls, process: psutil.Process, after: int, tasks: int = 0, events: int = 0) -> "Held":
        with process.oneshot():
            resident = process.memory_info().rss / MB
            return cls(after, resident, process.num_fds(), process.num_threads(), tasks, events)

    def __str__(self) -> str:
        return (
            f"{self.after:>7}{self.resident_mb:>10.1f}{self.files:>8}{self.threads:>9}"
            f"{self.tasks:>8}{self.events:>8}"
        )


def steps(count: int) -> Iterator[int]:
    """Where a sample is taken: `SAMPLES` times on the way to `count`."""
    return (count * sample // SAMPLES for sample in range(1, SAMPLES + 1))


def runs(count: int) -> list[Held]:
    """So many runs, a few at a time, through an engine of this process."""
    engine = Engine(from_environment())
    held, done = [], 0
    try:
        while engine.capabilities is None or not engine.capabilities.complete:
            time.sleep(0.1)
        for goal in steps(count):
            while done < goal:
                together = [
                    engine.submit(Config(method="auto", seed=done + number)) for number in range(AT_A_TIME)
                ]
                for run in together:
                    run.wait(60)
                    if run.state != "finished":
                        raise SystemExit(f"a run {run.state}: {run.message}")
                    engine.forget(run)  # as the server does with runs that nobody keeps
                done += len(together)
            tasks, events = asyncio.run_coroutine_threadsafe(_scheduler(engine), engine._loop.loop).result(30)
            held.append(Held.by(psutil.Process(), done, tasks, events))
    finally:
        engine.close()
    return held


def long_runs(count: int) -> list[Held]:
    """So many long runs, one after the other, each with the files that its page offers.

    As in the web process, a file is held until the next one is made, and a run until it is forgotten.
    """
    import pandas as pd  # the web process has it

    return_freed_memory()  # as the web process does
    engine = Engine(from_environment())
    try:
        while engine.capabilities is None or not engine.capabilities.complete:
            time.sleep(0.1)
        files_of(finished(engine, replace(LONG, steps=1000)))  # loads what writes files
        held = [Held.by(psutil.Process(), 0)]
        print(f"with pandas {pd.__version__}: {held[0].resident_mb:.1f} MB before", flush=True)
        for number in range(count):
            shorter = finished(engine, replace(LONG, steps=files.MOST_TEXT_STEPS))
            made = files_of(shorter)
            engine.forget(shorter)
            del shorter
            run = finished(engine, LONG)
            made = files_of(run)
            held.append(Held.by(psutil.Process(), number + 1))
            print(
                f"{held[-1]}  files: {', '.join(f'{size / MB:.1f} MB' for size in map(len, made))}",
                flush=True,
            )
            engine.forget(run)
            del run
    finally:
        engine.close()
    return held


def finished(engine: Engine, config: Config) -> Run:
    """Return a run of an engine that has finished."""
    run = engine.submit(config)
    run.wait(600)
    if run.state != "finished":
        raise SystemExit(f"a run {run.state}: {run.message}")
    return run


def files_of(run: Run) -> list[bytes]:
    """Return the files of a run that a page offers for download."""
    writers = [files.parquet, *([files.csv] if run.step <= files.MOST_TEXT_STEPS else [])]
    return [write(files.run_rows(run)) for write in writers]


async def _scheduler(engine: Engine) -> tuple[int, int]:
    client = await engine._connection.client()
    for _ in range(100):  # the last tasks are let go of a moment after their results have come
        found: tuple[int, int] = await client.run_on_scheduler(_counts)
        if not found[0]:
            break
        await asyncio.sleep(0.05)
    return found


def _counts(dask_scheduler: Any) -> tuple[int, int]:
    events = dask_scheduler._broker._topics.values()
    return len(dask_scheduler.tasks), sum(len(topic.events) for topic in events)


async def visits(server: Server, count: int) -> list[Held]:
    """So many visits to a server, a few at a time, each with some runs."""
    await Visitor(server.address, "run=1&lang=en", "finished").visit(leave=True)
    held, done = [], 0
    for goal in steps(count):
        while done < goal:
            await asyncio.gather(*(_visit(server.address, done + number) for number in range(AT_A_TIME)))
            done += AT_A_TIME
        if len(held) + 1 in (SAMPLES // 4, SAMPLES):
            await asyncio.sleep(FORGETTING_SECONDS)
            await _visit(server.address, 0)
        held.append(Held.by(psutil.Process(server.pid), done))
    return held


async def _visit(address: str, number: int) -> None:
    async with asyncio.timeout(60), Page.open(address, "method=auto&lang=en", STATE_KEY) as page:
        await page.until(lambda: page.full_runs > 0)
        for _ in range(RUNS_OF_A_VISIT):
            await page.press("train")
            await page.until(lambda: page.at_rest and "finished" in " ".join(page.texts).lower())
        shown = page.exceptions + await use(address, list(PLACES.values())[number % len(PLACES)])
        if shown:
            raise SystemExit(f"an exception on a page: {shown}")


def levels_off(name: str, held: Sequence[Held]) -> bool:
    """Print what was held, and say whether it did not grow from a quarter of the way on."""
    print(f"{name:>7}{'MB':>10}{'files':>8}{'threads':>9}{'tasks':>8}{'events':>8}")
    print("\n".join(map(str, held)), flush=True)
    early, late = held[SAMPLES // 4 - 1], held[-1]
    return (
        late.resident_mb - early.resident_mb < MOST_GROWTH_MB
        and late.files <= early.files + MOST_MORE
        and late.threads <= early.threads + MOST_MORE
        and late.tasks == 0
    )


def main() -> int:
    """Measure, print, and say by the exit status whether all levels off."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.soak", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--runs", type=int, default=2000, choices=range(0, 100_001), metavar="0..100000")
    parser.add_argument("--visits", type=int, default=300, choices=range(0, 10_001), metavar="0..10000")
    parser.add_argument("--long", type=int, default=8, choices=range(0, 101), metavar="0..100")
    options = parser.parse_args()
    well = True
    if options.runs:
        well &= levels_off("runs", runs(options.runs))
    if options.visits:
        with Server(ROOT / "app.py") as server:
            well &= levels_off("visits", asyncio.run(visits(server, options.visits)))
            well &= server.tracebacks() == 0
    if options.long:
        before, *held = long_runs(options.long)
        well &= all(one.resident_mb - before.resident_mb < MOST_OF_LONG_RUN_MB for one in held)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
