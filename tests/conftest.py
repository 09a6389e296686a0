"""What all tests share: the combinations that exist, read from the project's own tables, and waiting."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

from tests import strangers  # noqa: F401  (it declares the profiles)
from twolayer.training.config import FIELDS
from twolayer.training.kernels import KERNELS
from twolayer.training.methods import METHODS

ROOT = Path(__file__).parent.parent
settings.load_profile("short")  # `--hypothesis-profile` is heard after this
BACKENDS = FIELDS["backend"].options


def pytest_configure() -> None:
    """Give the BLAS of a test process one thread: those of two test processes would wait for each other. Not
    on import, for workers import the modules of tests too, and have as many as a run asks for."""
    threadpool_limits(1, user_api="blas")


QUICK = ("training", "backprop", "rates", "test_layers.py", "test_docs.py")
"""Where tests take milliseconds, apart from those that start a process."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the quick tests: `pytest -m quick`."""
    for item in items:
        place = item.path.relative_to(ROOT / "tests").parts[0]
        if place in QUICK and "python" not in getattr(item, "fixturenames", ()):
            item.add_marker("quick")


@pytest.fixture(params=[pair for pair in KERNELS if pair[1] in METHODS], ids="-".join)
def kernel(request: pytest.FixtureRequest) -> dict[str, str]:
    """Each backend × method that there is, as fields of a Config."""
    return dict(zip(("backend", "method"), request.param, strict=True))


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Each backend."""
    return request.param


@pytest.fixture(params=FIELDS["dtype"].options)
def dtype(request: pytest.FixtureRequest) -> str:
    """Each dtype."""
    return request.param


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    """A function that waits for a condition and fails when it does not come true in time."""

    def wait(condition: Callable[[], Any], timeout: float = 600) -> None:
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, f"did not come true within {timeout} s"
            time.sleep(0.005)

    return wait


@pytest.fixture(scope="session")
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs Python with some arguments in the checkout, to its end."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    return run


class Ran(NamedTuple):
    """What came of a command."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def twolayer() -> Callable[..., Ran]:
    """A function that runs the command line with some arguments in this process, which has its libraries."""
    from twolayer.cli.app import run

    def ran(*arguments: str) -> Ran:
        command = patch.object(sys, "argv", ["twolayer", *arguments])
        file = partial(TemporaryFile, "w+", encoding="utf-8", newline="")
        with file() as out, file() as err:
            with command, redirect_stdout(out), redirect_stderr(err):
                status = run()
            return Ran(status, *(stream.seek(0) or stream.read() for stream in (out, err)))

    return ran
