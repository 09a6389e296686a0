"""The Race page's figures against those of the command line, and its phases against its steps.

    python -m tests.tools.benchmarks.races [--rounds 3]

Races the default race in turn through an engine, in a worker, as the page does, and by the command
`python -m twolayer race`. A contender's ratio is that of the medians over all rounds; its phases are those of
the page's races.

Exit status 1 if a ratio is off by more than 15 %, if phases add up to a step that is off by more than 5 %, or
if a race through the engine took longer than 20 s.
"""

import argparse
import os
import subprocess
import sys
import time
from statistics import median

from tests.conftest import ROOT
from tests.tools.benchmarks.scans import started
from twolayer import Config
from twolayer.engine.engine import Engine
from twolayer.race.contenders import by_default, contenders
from twolayer.race.file import from_json
from twolayer.race.plan import Plan, perform
from twolayer.race.result import Race
from twolayer.race.timing import ROUNDS

MOST_RATIO = 1.15
MOST_PHASES = 0.05
MOST_SECONDS = 20.0


def on_the_page(engine: Engine) -> Race:
    """The default race as the page has it computed."""
    config = Config()
    assert engine.capabilities is not None
    plan = Plan(
        config, tuple(by_default(contenders(engine.capabilities.machine.devices, config))), ROUNDS.default
    )
    job = engine.map(
        perform, [(task,) for task in plan.tasks], memory_bytes=plan.run_bytes, manner="exclusive"
    )
    job.wait(600)
    (race,) = plan.collect(dict(job.results()))
    return race


def on_the_command_line() -> Race:
    """The same by the command line, in a process of its own."""
    command = [sys.executable, "-m", "twolayer", "race", "--json"]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    (race,) = from_json(printed)
    return race


def main() -> int:
    """Race, print, and say by the exit status whether the two agree."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.benchmarks.races", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, 51), metavar="1..50")
    options = parser.parse_args()
    print(f"cores: {os.cpu_count()}, load: {os.getloadavg()[0]:.1f}")
    pages: list[Race] = []
    commands: list[Race] = []
    seconds = []
    engine = started(2)
    try:
        for _ in range(options.rounds):
            began = time.monotonic()
            pages.append(on_the_page(engine))
            seconds.append(time.monotonic() - began)
            commands.append(on_the_command_line())
    finally:
        engine.close()
    print(f"{'µs a step':<18}{'page':>9}{'command':>9}{'ratio':>8}{'phases':>9}")
    well = max(seconds) <= MOST_SECONDS
    for contender in (standing.contender for standing in pages[0].standings):
        here, there = ([race.find(contender) for race in races] for races in (pages, commands))
        page, command = (median(s for found in all_ for s in found.seconds) for all_ in (here, there))
        phases = median(sum(found.phases.values()) / found.median for found in here)
        print(
            f"{contender.name:<18}{page * 1e6:>9.1f}{command * 1e6:>9.1f}{page / command:>8.3f}{phases:>9.3f}"
        )
        well &= 1 / MOST_RATIO <= page / command <= MOST_RATIO and abs(phases - 1) <= MOST_PHASES
    print(f"a race through the engine: {', '.join(f'{one:.1f}' for one in seconds)} s")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
