"""Sweeps on this machine: how soon the default one is there, and what a second worker brings.

    python -m tests.tools.benchmarks.scans [--rounds 8]

The default sweep (100 learning rates × 3 seeds × 500 steps) is timed on two workers, from the call to the
first and to the last result. Then a larger one, whose trainings fill a core, in interleaved rounds on one
worker and on two. The ratio of the best rounds (what else the machine does only makes a round longer)
should be at least 1.6 on two cores.

Exit status 1 if it is less.
"""

import argparse
import os
import sys
import time
from dataclasses import replace

from twolayer import Config
from twolayer.engine.engine import Engine
from twolayer.engine.settings import from_environment
from twolayer.rates.advice import swept_rates
from twolayer.rates.grid import RATES, SEEDS, Grid, sweep_grid
from twolayer.rates.sweep import Sweep, blocks, memory_bytes, train

BOUND = 1.6
POLL_SECONDS = 0.005


def started(workers: int) -> Engine:
    """An engine whose workers have loaded all that they load."""
    engine = Engine(replace(from_environment(), workers=workers))
    while engine.capabilities is None or not engine.capabilities.complete:
        if engine.trouble is not None:
            raise SystemExit(str(engine.trouble))
        time.sleep(POLL_SECONDS)
    timed(engine, default_sweep())
    return engine


def timed(engine: Engine, grid: Grid) -> tuple[float, float]:
    """Seconds until the first and until the last result of a grid."""
    begin, first = time.perf_counter(), None
    job = engine.map(train, blocks(grid), memory_bytes=memory_bytes(grid, engine.settings.workers))
    while not job.wait(POLL_SECONDS):
        if first is None and job.done:
            first = time.perf_counter() - begin
    whole = time.perf_counter() - begin
    sweep = Sweep(grid)
    sweep.take(job.results())
    if job.state != "finished" or sweep.done != grid.size:
        raise SystemExit(f"the scan {job.state}: {job.message}")
    return first or whole, whole


def default_sweep() -> Grid:
    """What the page sweeps when nothing was changed."""
    return sweep_grid(Config(), swept_rates(Config(), RATES.default), SEEDS.default)


def main() -> int:
    """Measure, print, and say by the exit status whether the bound is kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.benchmarks.scans", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=8, choices=range(1, 51), metavar="1..50")
    arguments = parser.parse_args()
    one, two = started(1), started(2)
    try:
        print(f"cores: {os.cpu_count()}, load: {os.getloadavg()[0]:.1f}")
        for _ in range(arguments.rounds):
            first, whole = timed(two, default_sweep())
            print(f"default scan: first results after {first:.2f} s, all after {whole:.2f} s")
        full = sweep_grid(Config(dtype="float64"), swept_rates(Config(), 200, 1e-8, 1e-6), 1)
        rounds = []
        for _ in range(arguments.rounds):
            rounds.append((timed(one, full)[1], timed(two, full)[1]))
            print(f"{full.size} trainings: {rounds[-1][0]:.2f} s on one worker, {rounds[-1][1]:.2f} s on two")
    finally:
        one.close()
        two.close()
    alone, together = (min(column) for column in zip(*rounds, strict=True))
    ratio = alone / together
    print(f"best: {alone:.2f} s and {together:.2f} s, ratio {ratio:.2f}, at least {BOUND}")
    return 0 if ratio >= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
