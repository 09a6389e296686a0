"""A small host, as Streamlit Community Cloud is: a fresh environment, 690 MB, one core, ten visitors.

    python -m tests.tools.hosting

Makes a virtual environment with nothing but `requirements.txt` (some minutes; `--environment` uses one
that is there), starts the app in it on one core within the memory, and lets ten visitors train at
once, with NumPy and with PyTorch; then each page is used once. The memory is limited by a control group
where one can be made (as root on Linux), so that the system ends what takes more; elsewhere the sum of what
all processes hold is watched.

Exit status 1 if a visitor did not finish, a process was ended for its memory, or the limit was passed.
"""

import argparse
import asyncio
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.tools.benchmarks.server import Server
from tests.tools.benchmarks.visitors import outcomes, words
from tests.tools.benchmarks.visits import Visitor
from tests.tools.places import PLACES, use
from twolayer.engine.settings import MB

ROOT = Path(__file__).parents[2]
GROUPS = Path("/sys/fs/cgroup")
QUERIES = (
    "run=1&lang=en",
    "run=1&lang=en&backend=torch&method=fused",
    "run=1&lang=ko&method=gram&steps=20000",
)
DONE = {"en": "finished", "ko": "완료"}
SECONDS = 120.0
WATCH_SECONDS = 0.1


class Group:
    """A control group of the system's that limits memory; version 1 or 2."""

    def __init__(self, path: Path, limit: str, most: str, limit_bytes: int) -> None:
        self.path, self._most = path, most
        path.mkdir()
        (path / limit).write_text(str(limit_bytes))

    def join(self) -> None:
        """Put the calling process, and those that it will start, into the group."""
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    @property
    def most_mb(self) -> float:
        """The most that its processes have held, with the files that the system kept for them."""
        return int((self.path / self._most).read_text()) / MB


@contextlib.contextmanager
def limited(memory_mb: int) -> Iterator[Group | None]:
    """A control group with this limit, or None where none can be made."""
    name, size = f"hosting-{os.getpid()}", memory_mb * MB
    made = None
    with contextlib.suppress(OSError):
        if (GROUPS / "memory").is_dir():
            made = Group(GROUPS / "memory" / name, "memory.limit_in_bytes", "memory.max_usage_in_bytes", size)
        else:
            made = Group(GROUPS / name, "memory.max", "memory.peak", size)
    yield made
    if made is not None:
        made.path.rmdir()


async def visit(server: Server, visitors: list[Visitor]) -> float:
    """Let all come at once. Returns the most that all processes held together, in MB."""
    most = 0.0
    visits = [asyncio.create_task(visitor.visit(leave=True)) for visitor in visitors]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SECONDS):
            while not all(task.done() for task in visits):
                most = max(most, sum(usage.resident_mb for usage in server.usage().values()))
                await asyncio.sleep(WATCH_SECONDS)
    for task in visits:
        task.cancel()
    await asyncio.gather(*visits, return_exceptions=True)
    return most


async def each_page(server: Server) -> list[str]:
    """Use each page once. Returns the exceptions that they showed."""
    return [one for place in PLACES.values() for one in await use(server.address, place)]


def measure(python: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Start the app as such a host does, and let the visitors come. Returns the figures."""
    core = min(os.sched_getaffinity(0))
    with limited(options.memory_mb) as group:

        def as_hosted() -> None:
            os.sched_setaffinity(0, {core})
            # Dask reads this one as the memory of the machine; the system itself ignores it
            resource.setrlimit(resource.RLIMIT_RSS, (options.memory_mb * MB,) * 2)
            if group is not None:
                group.join()

        with Server(ROOT / "app.py", python=python, before=as_hosted) as server:
            there = options.query or QUERIES
            queries = [there[number % len(there)] for number in range(options.visitors)]
            visitors = [
                Visitor(server.address, query, DONE["ko" if "lang=ko" in query else "en"])
                for query in queries
            ]
            resident = asyncio.run(visit(server, visitors))
            shown = asyncio.run(each_page(server))
            resident = max(resident, sum(use.resident_mb for use in server.usage().values()))
            usage = server.usage()
            workers = [role for role in usage if role.startswith("worker")]
            return (
                outcomes(visitors)
                | {
                    "exceptions_on_other_pages": shown,
                    "workers_ever": len(workers),  # one that was ended for its memory would have a successor
                    "resident_mb": {role: use.resident_mb for role, use in usage.items()},
                    "most_resident_mb": resident,
                    "most_mb_of_the_group": group.most_mb if group else "no control group here",
                    "within_the_memory": group is not None or resident <= options.memory_mb,
                    "tracebacks": server.tracebacks(),
                    "log": server.log()[-3000:] if server.tracebacks() else "",
                }
            )


def environment(folder: Path) -> Path:
    """A new virtual environment with the app's requirements; its Python."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", ROOT / "requirements.txt"], check=True)
    return python


def main() -> int:
    """Measure, print, and say by the exit status whether all went well."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.hosting", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--visitors", type=int, default=10, choices=range(1, 51), metavar="1..50")
    parser.add_argument("--memory-mb", type=int, default=690)
    parser.add_argument("--query", action="append", help="of the addresses, in turn; else three runs")
    parser.add_argument("--environment", type=Path, help="of an environment that is there: its folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hosting-") as folder:
        python = options.environment / "bin" / "python" if options.environment else environment(Path(folder))
        figures = measure(python, options)
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):<36}{words(value)}")
    well = figures["finished"] == options.visitors and figures["workers_ever"] == 1
    well = well and not figures["exceptions_on_other_pages"]
    return 0 if well and figures["within_the_memory"] and not figures["tracebacks"] else 1


if __name__ == "__main__":
    sys.exit(main())
