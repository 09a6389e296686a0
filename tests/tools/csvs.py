"""Read many generated CSV files: each must be read right, or refused in a sentence with line and column.

    python -m tests.tools.csvs [--files 5000] [--seed 0]

Files are read in a process of their own, as a worker reads them. Ends with an error at the first file that is
neither, or with which that process has grown by 50 MB. Prints what came out, the slowest, and the memory.
"""

import resource
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import click
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from tests.training import csvs
from twolayer.training.data.own import Choices
from twolayer.training.data.reading import Reading

MOST_MB = 50


def peak_mb() -> float:
    """Return the most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def read(content: bytes, wanted: Choices) -> tuple[Reading | str, float, float]:
    """Read a file: return what came of it, the seconds of processor time, and this process's peak memory."""
    began = time.thread_time()
    found = csvs.outcome(csvs.File(content), wanted)
    return found, time.thread_time() - began, peak_mb()


@click.command()
@click.option("--files", default=5000)
@click.option("--seed", default=0)
def main(files: int, seed: int) -> None:
    """Read so many files, and print what came out."""
    outcomes: Counter[str] = Counter()
    slowest, peak = (0.0, b""), 0.0

    @seeded(seed)
    @settings(
        max_examples=files,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(csvs.FILES, csvs.CHOICES)
    def every_file(file: csvs.File, wanted: Choices) -> None:
        nonlocal slowest, peak
        found, seconds, peak = process.submit(read, file.content, wanted).result()
        outcomes[csvs.comes_of(file, found)] += 1
        slowest = max(slowest, (seconds, file.content))
        assert peak - before < MOST_MB, f"grew by {peak - before:.1f} MB at {file.content[:80]!r} …"

    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        _, _, before = process.submit(read, b"a,b\n1,2\n3,4\n", Choices()).result()
        every_file()
    print(f"{sum(outcomes.values())} files: {', '.join(f'{n} {what}' for what, n in outcomes.most_common())}")
    print(f"the slowest took {slowest[0]:.2f} s: {len(slowest[1]):,} bytes, {slowest[1][:60]!r}")
    print(f"the process that read them grew by {peak - before:.1f} MB at most, from {before:.0f} MB")


if __name__ == "__main__":
    main()
