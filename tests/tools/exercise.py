"""Try the language of the exercise on many random expressions and hostile lines.

    python -m tests.tools.exercise [--expressions 10000] [--lines 20000] [--seed 0]

Ends with an error at the first expression whose shape in letters is not NumPy's, and at the first line that
gets no verdict. Prints the longest time of a verdict and the largest memory.
"""

import random
import time
import tracemalloc

import click

from tests.backprop import programs
from tests.backprop.test_language import agrees, withstands
from twolayer import Config
from twolayer.backprop import exercise, snapshot
from twolayer.training.kernels.numpy import Tutorial


@click.command()
@click.option("--expressions", default=10_000)
@click.option("--lines", default=20_000)
@click.option("--seed", default=0)
def main(expressions: int, lines: int, seed: int) -> None:
    """Try both, and print what came out."""
    drawn = random.Random(seed)
    shaped = sum(agrees(drawn) for _ in range(expressions))
    print(f"{expressions} expressions agree with NumPy, {shaped} of them on a shape; the others are refused")
    with Tutorial.threads(1):
        numbers = exercise.numbers(snapshot.take(Config(), 0), Config().learning_rate)
        longest = 0.0
        for _ in range(lines):
            state, began = drawn.getstate(), time.thread_time()
            withstands(numbers, drawn)
            if (took := time.thread_time() - began) > longest:
                longest = took
                again = random.Random()
                again.setstate(state)
                slowest = programs.hostile(again)
        tracemalloc.start()
        for _ in range(lines // 20):
            withstands(numbers, drawn)
        most = tracemalloc.get_traced_memory()[1]
    print(f"{lines} hostile lines have a verdict; the slowest took {longest:.3f} s: {slowest[:80]!r}")
    print(f"the largest memory over {lines // 20} more lines: {most / 2**20:.1f} MB")


if __name__ == "__main__":
    main()
