"""Sweeps on this machine: how soon the default one is there, and what a second worker brings.

    python -m tests.tools.benchmarks.scans [--rounds 8] [--other ../another/checkout]

The default sweep (100 learning rates × 3 seeds × 500 steps) is timed on two workers, from the call to the
first and to the last result. Then a larger one, whose trainings fill a core, in interleaved rounds on one
worker and on two. The ratio of the best rounds (what else the machine does only makes a round longer)
should be at least 1.6 on two cores.

With another checkout of the app its times are measured instead, in turn with those of this one: processor
time of the default sweep in one pinned process without the variables that change OpenBLAS, and wall time of
the commands `scan` and `train --method gram`. Each has a bound for the ratio of the medians. With
`--backend numba` the default sweep of this one is computed in Numba; `--other .` compares that with NumPy.

Exit status 1 if a bound is not met.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from tests.conftest import ROOT
from tests.tools.benchmarks.peers import BLAS_VARIABLES, THREAD_VARIABLES
from twolayer import Config
from twolayer.engine.engine import Engine
from twolayer.engine.settings import from_environment
from twolayer.rates.advice import swept_rates
from twolayer.rates.grid import RATES, SEEDS, Grid, sweep_grid
from twolayer.rates.sweep import Sweep, blocks, memory_bytes, train

BOUND = 1.6
POLL_SECONDS = 0.005

BOUNDS = {"float32": 0.55, "float64": 0.55, "scan": 0.7, "train --method gram": 0.6}
"""The highest ratio to another checkout: of a default sweep, by its dtype, and of a command."""
COMMANDS = ("scan", "train --method gram")
SWEEPER = """
import json, sys, time
from threadpoolctl import threadpool_info
from twolayer import Config
try:
    from twolayer.rates.advice import swept_rates
    from twolayer.rates.grid import RATES, SEEDS, sweep_grid
    from twolayer.rates.sweep import blocks, train
    rates, seeds = RATES.default, SEEDS.default
except ImportError:  # before there were packages
    from twolayer.advice import scanned_rates as swept_rates
    from twolayer.grid import RATES as rates, SEEDS as seeds, scan_grid as sweep_grid
    from twolayer.scan import blocks, train
for line in sys.stdin:
    dtype, backend = line.split()
    config = Config(dtype=dtype, backend=backend)
    tasks = blocks(sweep_grid(config, swept_rates(config, rates), seeds))
    began = time.process_time()
    rows = [row for task in tasks for row in train(*task)]
    seconds = time.process_time() - began
    blas = [f"{i['version']} {i.get('architecture')}" for i in threadpool_info() if i["user_api"] == "blas"]
    diverged = sum(int(row["diverged_at"] >= 0) for row in rows)
    print(json.dumps({"seconds": seconds, "runs": len(rows), "diverged": diverged, "blas": blas}), flush=True)
"""
"""Runs in a process of a checkout: a sweep for each dtype and backend that it reads, task by task."""


class Checkout:
    """A checkout of the app, and the process in which it sweeps."""

    def __init__(self, root: Path, backend: str = "numpy") -> None:
        self.root, self.backend, self.swept = root, backend, dict[str, Any]()
        self.env = {k: v for k, v in os.environ.items() if k not in (*BLAS_VARIABLES, "PYTHONPATH")}
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {max(cores)})  # the process inherits it
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SWEEPER],
                cwd=root,
                env=self.env | dict.fromkeys(THREAD_VARIABLES, "1"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        finally:
            os.sched_setaffinity(0, cores)

    def seconds(self, what: str) -> float:
        """Time a default sweep of this dtype, or this command."""
        if what in COMMANDS:
            began = time.perf_counter()
            command = [sys.executable, "-m", "twolayer", *what.split()]
            subprocess.run(command, cwd=self.root, env=self.env, check=True, capture_output=True)
            return time.perf_counter() - began
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(what, self.backend, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the sweep in {self.root} failed")
        self.swept = json.loads(line)
        return float(self.swept["seconds"])

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


def compare(here: Checkout, there: Checkout, rounds: int) -> bool:
    """Time both in turn and print the ratios. Return whether all bounds are met."""
    print(f"cores: {os.cpu_count()}, load: {os.getloadavg()[0]:.1f}")
    met = True
    for what, bound in BOUNDS.items():
        seconds: dict[Checkout, list[float]] = {here: [], there: []}
        for number in range(rounds + 1):
            for one in (here, there) if number % 2 else (there, here):
                seconds[one].append(one.seconds(what))
        mine, theirs = (median(its[1:]) for its in seconds.values())  # the first round warms up
        if what not in COMMANDS:
            runs, others = ((one.swept["runs"], one.swept["diverged"]) for one in (here, there))
            if runs != others:
                raise SystemExit(f"runs and diverged runs differ: {runs} here, {others} there")
        name = f"python -m twolayer {what}" if what in COMMANDS else f"default sweep, {what}"
        print(f"{name}: {mine:.3f} s, there {theirs:.3f} s: {mine / theirs:.3f} of it, at most {bound}")
        met &= mine / theirs <= bound
    for place, one in (("here", here), ("there", there)):
        print(f"BLAS {place}: {', '.join(one.swept['blas'])}")
    return met


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
    parser.add_argument("--other", type=Path, help="another checkout of the app, to be compared with")
    parser.add_argument(
        "--backend", default="numpy", choices=("numpy", "numba"), help="of the sweeps of this one"
    )
    arguments = parser.parse_args()
    if arguments.other is not None:
        here, there = Checkout(ROOT, arguments.backend), Checkout(arguments.other)
        try:
            return 0 if compare(here, there, arguments.rounds) else 1
        finally:
            here.close()
            there.close()
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
