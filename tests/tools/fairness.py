"""A bystander's default run while other visitors take what they can: how soon it begins, how long it takes.

    python -m tests.tools.fairness

Each case has hostile visitors on an engine of this process, one and then twenty: runs of five million
steps that fill the memory, the same in slow motion, sweeps, and races. A bystander trains the default run
again and again, each time as another visitor; the same is timed alone before. Then a large run waits
while small ones keep coming. Last, on a server of its own, one hostile visitor has five tabs at once, with
sweeps of 20,000 runs, races back to back and uploads of 2 MB, while ten honest ones a round open `/?run=1`.

Exit status 1 if a bystander's run began later than after 1 s, if the median took longer than 3 times as
long as alone (5 times with twenty visitors), if the large run did not start within 60 s, or if beside the
five tabs a page took longer than 1 s, or the first losses longer than 2 s in the median.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from statistics import median

from tests.engine.conftest import settings
from tests.tools.hostile import beside_five_tabs
from twolayer import Config
from twolayer.engine.engine import Engine, LimitError
from twolayer.engine.run import Run
from twolayer.engine.task import Task
from twolayer.race.contenders import by_default, contenders
from twolayer.race.plan import Plan, perform
from twolayer.rates.grid import computed, sweep_grid
from twolayer.rates.sweep import blocks, memory_bytes, train
from twolayer.training import methods

MEMORY_MB = 172
LONG = Config(N=1, D_in=1, H=1, D_out=1, method="gram", steps=5_000_000, learning_rate=1e-6)
WIDE = Config(N=1, D_in=100_000, H=30, D_out=1, dtype="float64", learning_rate=1e-12, steps=100_000)
"""A run that fills the memory."""
BEGIN_SECONDS, TURN_SECONDS, TIMES = 1.0, 60.0, {1: 3.0, 20: 5.0}
POLL_SECONDS = 0.005
PATIENCE_SECONDS = 90.0

_bystanders = itertools.count()
Start = Callable[[Engine, str], list[Task]]


def runs(engine: Engine, visitor: str) -> list[Task]:
    """Start all that a visitor may have live: long runs, and ones that fill the memory."""
    configs = [LONG, WIDE, LONG, WIDE, replace(WIDE, seed=1), replace(LONG, seed=1)]
    return [engine.submit(config, visitor) for config in configs]


def slow_runs(engine: Engine, visitor: str) -> list[Task]:
    """Start runs in slow motion that fill the memory."""
    return [engine.submit(replace(WIDE, seed=seed), visitor, speed=1.0) for seed in range(4)]


def sweeps(engine: Engine, visitor: str) -> list[Task]:
    """Start sweeps of 20,000 runs each."""
    grid = sweep_grid(computed(Config()), [1e-8 * 1.005**power for power in range(1000)], 20)
    memory = memory_bytes(grid, engine.settings.workers)
    return [engine.map(train, blocks(grid), visitor, memory_bytes=memory) for _ in range(3)]


def races(engine: Engine, visitor: str) -> list[Task]:
    """Start races of three hundred rounds."""
    assert engine.capabilities is not None
    plan = Plan(Config(), tuple(by_default(contenders(engine.capabilities.machine.devices, Config()))), 300)
    tasks = [(task,) for task in plan.tasks]
    return [
        engine.map(perform, tasks, visitor, memory_bytes=plan.run_bytes, manner="exclusive") for _ in range(3)
    ]


CASES: dict[str, Start] = {"runs": runs, "slow motion": slow_runs, "sweeps": sweeps, "races": races}


def wait(condition: Callable[[], object], what: str) -> float:
    """Return the seconds until a condition holds."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > PATIENCE_SECONDS:
            print(f"  {what}: not within {PATIENCE_SECONDS:.0f} s")
            break
        time.sleep(POLL_SECONDS)
    return time.monotonic() - began


def default_runs(engine: Engine, count: int) -> tuple[list[float], list[float]]:
    """Train the default run `count` times. Return the seconds to the first losses and to the end of each."""
    begins, ends = [], []
    for _ in range(count):
        run = engine.submit(Config(), f"bystander {next(_bystanders)}")
        begins.append(wait(lambda run=run: run.step or run.over, "the bystander's first losses"))
        ends.append(begins[-1] + wait(lambda run=run: run.over, "the bystander's end"))
        engine.forget(run)
        if not run.step:
            break
        time.sleep(0.3)
    return begins, ends


def fair(engine: Engine, name: str, visitors: int, alone: float) -> bool:
    """Let hostile visitors work, time a bystander, and say whether the bounds were kept."""
    tasks: list[Task] = []
    for number in range(visitors):
        with suppress(LimitError):
            tasks += CASES[name](engine, f"hostile {number}")
    wait(lambda: any(task.progress for task in tasks), "the hostile visitors")
    begins, ends = default_runs(engine, 9)
    for task in tasks:
        engine.stop(task)
    wait(lambda: not engine.live, "the end of all")
    times = median(ends) / alone
    print(
        f"{name:<12}{visitors:>3} hostile: begins after {median(begins):.2f} s, at most {max(begins):.2f}; "
        f"ends after {median(ends):.2f} s, at most {max(ends):.2f}: {times:.1f} times as long",
        flush=True,
    )
    return max(begins) <= BEGIN_SECONDS and times <= TIMES[visitors]


def turn_comes(engine: Engine) -> bool:
    """Say whether a large run starts while small ones of ever new visitors keep coming."""
    kept: list[Run] = [engine.submit(Config(steps=20_000, seed=seed), f"small {seed}") for seed in range(40)]
    large, began = engine.submit(WIDE, "large"), time.monotonic()
    for seed in itertools.count(40):
        kept = [run for run in kept if not run.over]
        while len(kept) < 40:
            kept.append(engine.submit(Config(steps=20_000, seed=seed), f"small {time.monotonic()}"))
        if large.step or time.monotonic() - began > PATIENCE_SECONDS:
            break
        time.sleep(POLL_SECONDS)
    seconds = time.monotonic() - began
    for run in [large, *kept]:
        engine.stop(run)
    wait(lambda: not engine.live, "the end of all")
    print(f"a run of {methods.run_bytes(WIDE) >> 20} MB among 40 small ones started after {seconds:.1f} s")
    return seconds <= TURN_SECONDS


def on_an_engine(options: argparse.Namespace) -> list[bool]:
    """Measure the cases on an engine of this process. Say of each whether the bounds were kept."""
    engine = Engine(settings(workers=options.workers, memory_mb=MEMORY_MB))
    try:
        wait(lambda: engine.capabilities is not None and engine.capabilities.complete, "the cluster")
        default_runs(engine, 3)
        begins, ends = default_runs(engine, 9)
        alone = median(ends)
        print(f"alone: begins after {median(begins):.2f} s, ends after {alone:.2f} s", flush=True)
        kept = [
            fair(engine, name, visitors, alone)
            for name in options.cases
            if name in CASES
            for visitors in options.visitors
        ]
        if "turn" in options.cases:
            kept.append(turn_comes(engine))
    finally:
        engine.close()
    return kept


def main() -> int:
    """Measure, print, and say by the exit status whether the bounds were kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.fairness", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--workers", type=int, default=2, choices=range(1, 17), metavar="1..16")
    every = [*CASES, "turn", "tabs"]
    parser.add_argument("--cases", nargs="*", default=every, choices=every)
    parser.add_argument("--visitors", nargs="*", type=int, default=[*TIMES], choices=[*TIMES])
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, 21), metavar="1..20")
    options = parser.parse_args()
    kept = on_an_engine(options) if {*options.cases} - {"tabs"} else []
    if "tabs" in options.cases:
        kept.append(beside_five_tabs(options.rounds))
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
