"""What pictures and scores cost a run: `OMP_NUM_THREADS=1 python -m tests.tools.benchmarks.looking`.

Each data set in its default settings, its chunks in turn with and without pictures and scores on held-out
rows, in one process, with the threads of a worker: the time of a step (the clock around the steps alone),
and the processor time of all.
"""

from dataclasses import replace
from statistics import median
from time import process_time

import click

from twolayer import Config
from twolayer.engine import worker
from twolayer.engine.run import MOST_PICTURES
from twolayer.training.config import RANDOM
from twolayer.training.data import DATA_SETS
from twolayer.training.problem import Problem
from twolayer.training.training import Chunk


class Course:
    """A run that is taken further chunk by chunk."""

    def __init__(self, config: Config, problem: Problem) -> None:
        self.config, self.problem = config, problem
        self.chunk: Chunk | None = None
        self.step_seconds: list[float] = []
        self.all_seconds = 0.0

    def advance(self) -> None:
        """Compute the next chunk: as many as a run keeps pictures."""
        before = process_time()
        self.chunk = worker.advance(self.config, self.problem, self.chunk, self.config.steps // MOST_PICTURES)
        self.all_seconds += process_time() - before
        self.step_seconds += (self.chunk.laps[:, 1] / self.chunk.laps[:, 0]).tolist()


def compare(config: Config, rounds: int) -> tuple[float, float, float]:
    """Return the ratios of the median step and of the processor time, and the seconds of a bare run."""
    problem = worker.prepare(config, None)
    watched, bare = [], []
    for _ in range(rounds):
        pair = Course(config, problem), Course(config, replace(problem, held_out=None))
        for part in range(MOST_PICTURES):
            for course in pair if part % 2 else reversed(pair):
                course.advance()
        watched.append(pair[0])
        bare.append(pair[1])
    steps, alls = (
        [[figure(course) for course in courses] for courses in (watched, bare)]
        for figure in (lambda c: median(c.step_seconds), lambda c: c.all_seconds)
    )
    return median(steps[0]) / median(steps[1]), median(alls[0]) / median(alls[1]), median(alls[1])


@click.command(help=__doc__)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--steps", type=click.IntRange(MOST_PICTURES), default=20_000, show_default=True)
@click.option("--H", "hidden", type=click.IntRange(1), default=100, show_default=True)
@click.option("--N", "rows", type=click.IntRange(1), help="As many as the data set trains on.")
def main(rounds: int, steps: int, hidden: int, rows: int | None) -> None:
    """Measure and print."""
    sizes = {"H": hidden} | ({"N": rows} if rows else {})
    for name in DATA_SETS:
        if name != RANDOM:
            config = Config(data=name, init="he", method="auto", learning_rate=1e-6, steps=steps, **sizes)
            step, everything, seconds = compare(config, rounds)
            click.echo(f"{name}: a step {step:.3f}, all {everything:.3f} of a bare run of {seconds:.2f} s")


if __name__ == "__main__":
    main()
