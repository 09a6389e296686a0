"""Read many generated CSV files: each must be read right, or refused in a sentence with line and column.

    python -m tests.tools.csvs [--files 5000] [--seed 0]

Ends with an error at the first file that is neither. Prints how many were read, the slowest, and how much
memory reading took: of each file as its process counts it, and of all together as the system does.
"""

import time
import tracemalloc
from collections import Counter

import click
import psutil
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from tests.training import csvs

MB = 2**20
MOST_MB = 50


@click.command()
@click.option("--files", default=5000)
@click.option("--seed", default=0)
def main(files: int, seed: int) -> None:
    """Read so many files, and print what came out."""
    outcomes: Counter[str] = Counter()
    slowest, most = (0.0, b""), (0, b"")
    process = psutil.Process()
    before = highest = process.memory_info().rss

    @seeded(seed)
    @settings(
        max_examples=files,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(csvs.FILES, csvs.CHOICES)
    def every_file(file: csvs.File, wanted: csvs.Choices) -> None:
        nonlocal slowest, most, highest
        began = time.thread_time()
        outcomes[csvs.comes_of(file, wanted)] += 1
        slowest = max(slowest, (time.thread_time() - began, file.content))
        highest = max(highest, process.memory_info().rss)
        tracemalloc.start()
        csvs.outcome(file, wanted)
        most = max(most, (tracemalloc.get_traced_memory()[1], file.content))
        tracemalloc.stop()
        assert most[0] < MOST_MB * MB, f"{most[0] / MB:.1f} MB for {most[1][:80]!r} …"

    every_file()
    print(f"{sum(outcomes.values())} files: {', '.join(f'{n} {what}' for what, n in outcomes.most_common())}")
    print(f"the slowest took {slowest[0]:.2f} s: {len(slowest[1]):,} bytes, {slowest[1][:60]!r}")
    print(f"the most memory while a file is read: {most[0] / MB:.1f} MB, of {len(most[1]):,} bytes")
    print(f"the process grew by {(highest - before) / MB:.1f} MB, generator and checks included")


if __name__ == "__main__":
    main()
