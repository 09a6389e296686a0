"""How fast a training step is: ours, and what others would use for it.

    pip install -r tests/tools/benchmarks/requirements.txt
    python -m tests.tools.benchmarks.peers

Each contender has a child process of its own, pinned to as many cores as it has threads, without the
variables that change OpenBLAS. They take turns in a random order, from the same initial weights; one
runs at a time. The clock covers the steps alone, after a warm-up: no data, no compilation, no set-up
(for `gram`: no x·xᵀ, and w1 is not formed).

Exit status 1 if a contender fails or its losses differ from the reference; a bound that is not met
changes nothing.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tests.tools.benchmarks._peer import CHECKED_STEPS, CONTENDERS
from twolayer.training import capabilities
from twolayer.training.config import DEFAULTS, FIELDS, Config
from twolayer.training.fields import ConfigError, parse_fields
from twolayer.training.problem import make_problem
from twolayer.training.reference import iteration

ROOT = Path(__file__).parents[3]
SIZES = ("N", "D_in", "H", "D_out")
LIBRARIES = ("numpy", "scipy", "torch", "numba", "jax", "jaxlib", "scikit-learn")
BLAS_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
START_SECONDS, ROUND_SECONDS = 300.0, 60.0
SPINNING_SECONDS = 0.05
"""For so long the threads of a BLAS may go on spinning after its last product."""
TOLERANCE = {"float32": 1e-3, "float64": 1e-9}
NUMPY, TORCH, AUTOGRAD, COMPILE, JAX, SCIKIT_LEARN, JAX_DUAL, PEAK = list(CONTENDERS)[:8]
INSTALL = "pip install -r tests/tools/benchmarks/requirements.txt"
HANDICAPS = {
    AUTOGRAD: "builds and walks a graph each step: the price of a backward pass that nobody writes",
    COMPILE: "one call from Python a step; its compilation (seconds) is not in the clock",
    JAX: "all steps in one call; its compilation is not in the clock",
    JAX_DUAL: "as the line above, with our method",
    PEAK: "not a training: the time that the operations of gram take at the speed of a large product; its "
    "ratio to the fastest of ours is the share of the peak that we reach (1.6 times the time is 0.625)",
    SCIKIT_LEARN: "trains biases too, takes a mean loss (2·N times our rate makes the same step), checks its "
    "input and keeps a history; its losses are not compared",
}


class PeerError(Exception):
    """A contender that failed."""


class Child:
    """A contender in its process, warmed up and waiting. Raises `PeerError` when it fails."""

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        count = str(config.threads)
        env = {k: v for k, v in os.environ.items() if k not in (*BLAS_VARIABLES, "XLA_FLAGS")}
        env |= dict.fromkeys(THREAD_VARIABLES, count) | {"JAX_PLATFORMS": "cpu"}
        if config.threads == 1:
            env["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.tools.benchmarks._peer", name, json.dumps(asdict(config))],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.seconds: list[float] = []
        self.faults: list[float] = []
        self.ready = self._answer(START_SECONDS)

    def round(self) -> None:
        """Let it run a block of steps."""
        assert self.process.stdin is not None
        try:
            print("round", file=self.process.stdin, flush=True)
        except BrokenPipeError:
            raise PeerError("its process has ended; see above") from None
        answer = self._answer(ROUND_SECONDS)
        self.seconds.append(answer["seconds"])
        self.faults.append(answer["faults"])

    def _answer(self, limit: float) -> dict[str, Any]:
        assert self.process.stdout is not None
        timer = threading.Timer(limit, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line:
            self.close()
            raise PeerError(f"no answer within {limit:.0f} s, or its process ended; see above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


def reference(config: Config) -> np.ndarray[Any, Any]:
    """The first losses by the formulas in float64."""
    problem = make_problem(config)
    x, y, w1, w2 = (a.astype(np.float64) for a in (problem.x, problem.y, problem.w1, problem.w2))
    losses = []
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(CHECKED_STEPS):
            loss, w1, w2 = iteration(x, y, w1, w2, config.learning_rate)
            losses.append(loss)
    return np.array(losses)


def measure(config: Config, rounds: int) -> dict[str, Any]:
    """A table: all contenders that are here with the dtype and threads of `config`."""
    expected = reference(config)
    rows: dict[str, dict[str, Any]] = {}
    children: list[Child] = []
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    try:
        for name, (module, _) in CONTENDERS.items():
            rows[name] = {"contender": name}
            if module == "numba" and config.threads > 1:
                rows[name]["missing"] = "it computes on one thread"
                continue
            if find_spec(module) is None:
                rows[name]["missing"] = f"{module} is not installed; {INSTALL}"
                continue
            print(f"  {config.dtype}: {name} ...", file=sys.stderr)
            if cores:
                os.sched_setaffinity(0, cores[-config.threads :])  # a child inherits it
            try:
                child = Child(name, config)
            except PeerError as error:
                rows[name]["error"] = str(error)
                continue
            finally:
                if cores:
                    os.sched_setaffinity(0, cores)
            children.append(child)
            rows[name] |= {key: child.ready[key] for key in ("steps", "blas", "cores")}
            if losses := child.ready["losses"]:
                off = float(np.max(np.abs(np.array(losses) - expected) / expected))
                rows[name]["loss_error"] = off
                if not off <= TOLERANCE[config.dtype]:
                    rows[name]["error"] = f"its losses differ from the reference by {off:.1e}"
        take_turns(children, rounds, rows, pause=SPINNING_SECONDS if config.threads > 1 else 0.0)
    finally:
        for child in children:
            child.close()
    for child in children:
        if child.seconds:
            rows[child.name] |= {"seconds": child.seconds, "median": float(np.median(child.seconds))}
            rows[child.name]["faults"] = float(np.median(child.faults))
    bounds = judge(config, {n: r["median"] for n, r in rows.items() if "median" in r and "error" not in r})
    return {
        "dtype": config.dtype,
        "threads": config.threads,
        "pinned": bool(cores),
        "rows": list(rows.values()),
        "bounds": bounds,
    }


def take_turns(children: Sequence[Child], rounds: int, rows: Mapping[str, Any], pause: float) -> None:
    """Time each child once a round, in a random order that is the same in every benchmark."""
    shuffled = random.Random(0)
    running = list(children)
    for _ in range(rounds):
        shuffled.shuffle(running)
        for child in list(running):
            time.sleep(pause)
            try:
                child.round()
            except PeerError as error:
                rows[child.name]["error"] = str(error)
                running.remove(child)


def judge(config: Config, medians: Mapping[str, float]) -> list[dict[str, Any]]:
    """What must hold at these sizes: ratios of medians and their bounds."""
    sizes = tuple(getattr(config, name) for name in SIZES)
    fastest = min((n for n in medians if n.startswith("ours")), key=medians.__getitem__, default="")
    wanted: list[tuple[int, str, str, float]] = []
    if sizes == tuple(DEFAULTS[name] for name in SIZES) and config.threads == 1:
        wanted = [
            (1, "ours: numpy gram", NUMPY, 18 if config.dtype == "float64" else 14),
            (1, "ours: torch gram", TORCH, 7),
            (1, fastest, PEAK, 1 / 1.6),
            (2, fastest, COMPILE, 20),
        ]
        if config.dtype == "float32":
            wanted += [(3, fastest, JAX_DUAL, 1.25), (3, fastest, JAX, 12)]
    if sizes == (1024, 1024, 1024, 10) and config.dtype == "float32":
        plain = [n for n in (NUMPY, TORCH, AUTOGRAD, COMPILE, JAX) if n in medians]
        wanted.append((3, fastest, min(plain, key=medians.__getitem__, default=NUMPY), 1.5))
    bounds = []
    for item, fast, slow, bound in wanted:
        ratio = medians[slow] / medians[fast] if fast in medians and slow in medians else None
        met = None if ratio is None else ratio >= bound
        bounds.append({"item": item, "fast": fast, "slow": slow, "ratio": ratio, "bound": bound, "met": met})
    return bounds


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    here = capabilities.probe().machine
    versions = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    outside = {name: os.environ.get(name) for name in BLAS_VARIABLES}
    return {
        "processor": here.processor,
        "cores": here.cores,
        "versions": versions,
        "date": date.today().isoformat(),
        "blas_variables_outside": outside,
    }


def show(table: Mapping[str, Any]) -> None:
    """Print a table and its bounds."""
    threads = "1 thread" if table["threads"] == 1 else f"{table['threads']} threads"
    pinned = "pinned" if table["pinned"] else "not pinned: this platform has no sched_setaffinity"
    rows = table["rows"]
    blas = next((", ".join(row["blas"]) for row in rows if "blas" in row), "")
    print(f"\n{table['dtype']}, {threads} ({pinned}); NumPy's BLAS: {blas}")
    print(
        f"{'contender':<28} {'µs per step':>12} {'ratio':>7} {'p95/min':>8} {'faults':>7} {'loss error':>12}"
    )
    loop = rows[0].get("median", float("nan"))
    for row in rows:
        if "median" in row:
            spread = np.quantile(row["seconds"], 0.95) / min(row["seconds"])
            error = f"{row['loss_error']:.1e}" if "loss_error" in row else "not compared"
            tail = f"{spread:>8.2f} {row['faults']:>7.1f} {error:>12}"
            print(f"{row['contender']:<28} {row['median'] * 1e6:>12.1f} {loop / row['median']:>7.2f} {tail}")
        if why := row.get("error", row.get("missing")):
            print(f"{row['contender']:<28} {'FAILED' if 'error' in row else 'missing'}: {why}")
    for b in table["bounds"]:
        figure = "not measured" if b["met"] is None else f"{b['ratio']:.2f}"
        verdict = {True: "met", False: "NOT MET", None: "unknown"}[b["met"]]
        print(f"{b['item']}. {b['fast']} / {b['slow']}: {figure}, at least {b['bound']:g}: {verdict}")


def main() -> int:
    """Measure, print, and say by the exit status whether all contenders worked."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.benchmarks.peers", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    for name in SIZES:
        parser.add_argument(f"--{name}", default=str(DEFAULTS[name]))
    parser.add_argument("--learning_rate", default=str(DEFAULTS["learning_rate"]))
    parser.add_argument("--dtype", nargs="+", default=["float64", "float32"], choices=("float64", "float32"))
    parser.add_argument("--rounds", type=int, default=9, choices=range(1, 101), metavar="1..100")
    parser.add_argument("--threads", nargs="+", type=int, default=[1], help="a table for each")
    parser.add_argument("--json", action="store_true", help="all of it for programs")
    arguments = parser.parse_args()
    here = machine()
    try:
        given = {name: getattr(arguments, name) for name in (*SIZES, "learning_rate")}
        values, errors = parse_fields(FIELDS, given)
        if errors:
            raise errors[0]
        configs = [
            replace(Config(**values), dtype=dtype, threads=threads)
            for threads in arguments.threads
            for dtype in arguments.dtype
        ]
    except ConfigError as error:
        parser.error(str(error))
    if max(arguments.threads) > here["cores"]:
        parser.error(
            f"--threads: got {max(arguments.threads)}; takes at most {here['cores']}, the cores here"
        )
    if not all(np.isfinite(reference(config)).all() for config in configs):
        parser.exit(1, "the losses are not finite: take a smaller --learning_rate\n")
    tables = [measure(config, arguments.rounds) for config in configs]
    if arguments.json:
        print(json.dumps({"version": 1, "machine": here, "config": given, "tables": tables}))
    else:
        outside = ", ".join(f"{k}={v or '(not set)'}" for k, v in here["blas_variables_outside"].items())
        print(f"{here['processor']}, {here['cores']} cores, {here['date']}")
        print(", ".join(f"{name} {text}" for name, text in here["versions"].items()))
        print(f"{' and '.join(BLAS_VARIABLES)} unset in the children (outside: {outside})")
        print(", ".join(f"{name}={text}" for name, text in given.items()) + f", {arguments.rounds} rounds")
        for table in tables:
            show(table)
        print("\nratio: to the first line. Loss error: largest, relative, of 20 losses against float64.")
        print(
            "faults: page faults a step. Hundreds mean memory that comes new from the system: given back by"
        )
        print("the allocator in each step (by chance of what else lies in the heap; not the arithmetic), or")
        print("made anew for a block of a few large steps.")
        for name, text in HANDICAPS.items():
            print(f"{name}: {text}.")
    return int(any("error" in row for table in tables for row in table["rows"]))


if __name__ == "__main__":
    sys.exit(main())
