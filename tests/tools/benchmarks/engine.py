"""What the engine costs: the same run by `fit` in a bare process, and through the engine.

    python -m tests.tools.benchmarks.engine

Both happen in fresh child processes, in turns, so that a slow spell of the machine meets both.
Each child first makes a short run, so that libraries are loaded and the engine's workers are up;
then the time of one run is taken: a step (the clock around the steps alone) and the whole (around
`fit`; from `submit` until the last loss has arrived). The losses of all must be the same bytes.

Exit status 1 if a ratio is over its bound or the losses differ.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from twolayer import Config, fit
from twolayer.training.config import FIELDS
from twolayer.training.fields import Whole

ROOT = Path(__file__).parents[3]
STEP_BOUND, WALL_BOUND = 1.15, 1.25
POLL_SECONDS = 0.005
START_SECONDS = 120.0
"""How long a child may take for everything but its run: imports, cluster, warm-up."""
WARM_UP_STEPS = 500
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""For the bare process what the engine gives its workers."""
BLAS_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


@dataclass(frozen=True)
class Timing:
    """One run, as its child process saw it."""

    step_seconds: float
    wall_seconds: float
    losses: str
    """A digest of the bytes of the losses."""

    @classmethod
    def of(cls, losses: NDArray[np.float64], in_steps: float, wall: float) -> "Timing":
        return cls(in_steps / len(losses), wall, hashlib.sha256(losses.tobytes()).hexdigest())


# -- in the child processes -------------------------------------------------------------------


def bare(config: Config) -> Timing:
    """Train with `fit` in this process."""
    fit(replace(config, steps=min(config.steps, WARM_UP_STEPS)))
    before = time.perf_counter()
    result = fit(config)
    return Timing.of(result.losses, result.seconds, time.perf_counter() - before)


def through_engine(config: Config) -> Timing:
    """Train on an engine of this process, and look at the run now and then, as a page does."""
    from twolayer.engine.engine import Engine
    from twolayer.engine.run import Run
    from twolayer.engine.settings import from_environment

    def trained(config: Config) -> Run:
        run = engine.submit(config)
        while not run.over:
            time.sleep(POLL_SECONDS)
        if run.state != "finished":
            raise SystemExit(f"the run {run.state}: {run.message or run.config}")
        return run

    engine = Engine(from_environment())
    try:
        while engine.capabilities is None or not engine.capabilities.complete:
            if engine.trouble is not None:
                raise SystemExit(str(engine.trouble))
            time.sleep(POLL_SECONDS)
        trained(replace(config, steps=min(config.steps, WARM_UP_STEPS)))
        before = time.perf_counter()
        run = trained(config)
        return Timing.of(run.losses, run.seconds, time.perf_counter() - before)
    finally:
        engine.close()


CHILDREN: dict[str, Callable[[Config], Timing]] = {"bare": bare, "engine": through_engine}


# -- in the process that compares them --------------------------------------------------------


def timed(child: str, config: Config, seconds: float) -> Timing:
    """Run `config` in a new process of the kind `child`. Raises if it takes far over `seconds`."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.tools.benchmarks.engine", "--child", child, json.dumps(asdict(config))],
        cwd=ROOT,
        env=os.environ | (ONE_THREAD if child == "bare" else {}),
        stdout=subprocess.PIPE,
        timeout=START_SECONDS + 10 * seconds,
        check=True,
    )
    return Timing(**json.loads(done.stdout))


def steps_for(config: Config, seconds: float) -> int:
    """How many steps take about `seconds` in a bare process."""
    kind = FIELDS["steps"]
    assert isinstance(kind, Whole)
    timing = timed("bare", replace(config, steps=4 * WARM_UP_STEPS), seconds)
    return max(kind.low, min(kind.high, round(seconds / timing.step_seconds)))


def report(pairs: Sequence[tuple[Timing, Timing]]) -> bool:
    """Print one line a round, the medians and the bounds. Returns whether all is within them."""
    print(f"{'':>8} {'µs per step':>17} {'':>7} {'wall time, s':>15}")
    print(f"{'round':>8} {'bare':>8} {'engine':>8} {'ratio':>7} {'bare':>7} {'engine':>7} {'ratio':>7}")
    rows = []
    for a, b in pairs:
        step, wall = (a.step_seconds * 1e6, b.step_seconds * 1e6), (a.wall_seconds, b.wall_seconds)
        rows.append((*step, step[1] / step[0], *wall, wall[1] / wall[0]))
    middle = tuple(median(column) for column in zip(*rows, strict=True))
    for name, row in [*((str(i), row) for i, row in enumerate(rows, 1)), ("median", middle)]:
        print("{:>8} {:>8.1f} {:>8.1f} {:>7.3f} {:>7.2f} {:>7.2f} {:>7.3f}".format(name, *row))
    print(f"{'at most':>8} {'':>8} {'':>8} {STEP_BOUND:>7.2f} {'':>7} {'':>7} {WALL_BOUND:>7.2f}")
    same = len({timing.losses for pair in pairs for timing in pair}) == 1
    print("the losses are the same, bit for bit" if same else "THE LOSSES DIFFER")
    return same and middle[2] <= STEP_BOUND and middle[5] <= WALL_BOUND


def main() -> int:
    """Compare, print, and say by the exit status whether the bounds are kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.benchmarks.engine", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--backend", default="numpy", choices=("numpy", "torch"))
    parser.add_argument("--method", default="tutorial", choices=FIELDS["method"].options)
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    parser.add_argument("--rounds", type=int, default=5, choices=range(1, 51), metavar="1..50")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a bare run, 0.1 to 60")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        kind, text = arguments.child
        print(json.dumps(asdict(CHILDREN[kind](Config(**json.loads(text))))))
        return 0
    if not 0.1 <= arguments.seconds <= 60:
        parser.error("--seconds: takes a number from 0.1 to 60")

    config = Config(backend=arguments.backend, method=arguments.method, dtype=arguments.dtype, threads=1)
    config = replace(config, steps=steps_for(config, arguments.seconds))
    sizes = ", ".join(f"{name}={getattr(config, name)}" for name in ("N", "D_in", "H", "D_out", "steps"))
    print(f"{config.backend} {config.method} {config.dtype}, {sizes}, one thread")
    print(", ".join(f"{name}={os.environ.get(name, '(not set)')}" for name in BLAS_VARIABLES))
    pairs = [
        (timed("bare", config, arguments.seconds), timed("engine", config, arguments.seconds))
        for _ in range(arguments.rounds)
    ]
    return 0 if report(pairs) else 1


if __name__ == "__main__":
    sys.exit(main())
