"""`streamlit run` as a process of its own, for as long as a benchmark takes, and what it uses."""

import contextlib
import http.client
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

START_SECONDS = 600.0
END_SECONDS = 60.0
SETTLE_SECONDS = 60.0
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
TRACEBACK = "Traceback (most recent call last)"
QUIET_SHARE = 0.2
"""Share of one core below which the processes of a server count as settled."""


@dataclass(frozen=True)
class Usage:
    """What the processes of one role have used since their start, and hold now."""

    cpu_seconds: float
    resident_mb: float
    files: int = 0
    """Open files and connections."""
    threads: int = 0


class Server:
    """A Streamlit server on the loopback interface, with all processes that it starts.

    Its output goes to a file. At the end every process is ended by its own id.
    """

    def __init__(
        self, app: Path, *, python: Path | str = sys.executable, before: Callable[[], None] | None = None
    ) -> None:
        """The server of `app`; it calls `before` in its process before anything else."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self._app, self._before = app.resolve(), before
        self._command = [
            *(str(python), "-m", "streamlit", "run", str(self._app)),
            *("--server.address=127.0.0.1", f"--server.port={port}", "--server.headless=true"),
            "--browser.gatherUsageStats=false",
        ]
        self._cpu: dict[psutil.Process, tuple[str, float]] = {}
        self.left_behind: list[str] = []
        """The commands of processes that did not end with the server by themselves."""

    def __enter__(self) -> "Server":
        self._folder = tempfile.TemporaryDirectory(prefix="benchmark-")
        with self._log_file.open("w") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._app.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=self._before,
            )
        self._web = psutil.Process(self._process.pid)
        try:
            self._wait_for_health()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def process_id(self) -> int:
        """The process that serves the pages."""
        return self._process.pid

    def _wait_for_health(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            connection = http.client.HTTPConnection(self.address, timeout=5)
            with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
                connection.request("GET", "/_stcore/health")
                if connection.getresponse().status == 200:
                    return
            time.sleep(0.1)
        raise RuntimeError(f"the server did not start:\n{self.log()[-2000:]}")

    def _end(self) -> None:
        processes = self._processes()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        _, left = psutil.wait_procs([p for p in processes if p != self._web], timeout=END_SECONDS)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                self.left_behind.append(" ".join(process.cmdline()))
                process.kill()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        """The process of the web server."""
        return self._process.pid

    @property
    def _log_file(self) -> Path:
        return Path(self._folder.name) / "server.log"

    def log(self) -> str:
        """What the server has written so far."""
        return COLOUR.sub("", self._log_file.read_text(errors="replace"))

    def tracebacks(self) -> int:
        """How many exceptions the server has written of."""
        return self.log().count(TRACEBACK)

    def exceptions(self) -> Counter[str]:
        """The last lines of those, and how often each."""
        return Counter(re.findall(rf"{re.escape(TRACEBACK)}.*?^(\S[^\n]*)", self.log(), re.S | re.M))

    # -- use of the machine ---------------------------------------------------------------------

    def _processes(self) -> list[psutil.Process]:
        try:
            return [self._web, *self._web.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def usage(self) -> Mapping[str, Usage]:
        """By role: `web`, `scheduler`, `worker 1` and so on, `other` (helpers of multiprocessing).

        Processor time that a process used before it died counts on.
        """
        held: dict[str, tuple[float, int, int]] = {}
        for process in sorted(self._processes(), key=lambda p: p.pid):
            with contextlib.suppress(psutil.NoSuchProcess), process.oneshot():
                role = self._cpu[process][0] if process in self._cpu else self._role(process)
                times = process.cpu_times()
                self._cpu[process] = role, times.user + times.system
                more = (process.memory_info().rss / 2**20, process.num_fds(), process.num_threads())
                before = held.get(role, (0.0, 0, 0))
                held[role] = before[0] + more[0], before[1] + more[1], before[2] + more[2]
        return {
            role: Usage(sum(cpu for name, cpu in self._cpu.values() if name == role), *held.get(role, (0.0,)))
            for role in dict.fromkeys(name for name, _ in self._cpu.values())
        }

    def _role(self, process: psutil.Process) -> str:
        command = " ".join(process.cmdline())
        if process == self._web:
            return "web"
        if "twolayer.engine.cluster" in command:
            return "scheduler"
        if "spawn_main" in command:
            workers = {name for name, _ in self._cpu.values() if name.startswith("worker")}
            return f"worker {len(workers) + 1}"
        return "other"

    def settle(self) -> None:
        """Wait until the processes have nothing more to do, as a server that was started long ago."""
        deadline = time.monotonic() + SETTLE_SECONDS
        step, quiet = 0.5, 0
        before = self._cpu_seconds()
        while quiet < 3 and time.monotonic() < deadline:
            time.sleep(step)
            now = self._cpu_seconds()
            quiet = quiet + 1 if now - before < QUIET_SHARE * step else 0
            before = now

    def _cpu_seconds(self) -> float:
        return sum(usage.cpu_seconds for usage in self.usage().values())
