"""The Dask cluster that runs live on: an embedded one, in a process of its own, or one elsewhere.

The embedded cluster is `python -m twolayer.engine.cluster`: a scheduler and single-threaded worker
processes on the loopback interface. It is not part of the web process, whose own work would ruin
timings, and it ends when its standard input closes: however the web process dies, nothing is left.
Its parts talk TLS and take each other's certificate only: another user of the machine, who can reach
the loopback interface too, cannot submit code. Key and certificate are made for each cluster and go
through the pipe of its standard input: no command line and no environment shows them.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

DASK_CONFIG: Mapping[str, Any] = {
    # Tasks wait at the workers, by priority and age. At the scheduler, where some would wait for a worker
    # with nothing to do, the first task of a new run would wait for as long as others have chunks in flight.
    "distributed.scheduler.worker-saturation": "inf",
    # A run that kills its worker by itself is given up after this many deaths.
    "distributed.scheduler.allowed-failures": 2,
    # A worker that has not been heard of for so long hangs: it is ended and replaced.
    "distributed.scheduler.worker-ttl": "10s",
    # The scheduler's HTTP server has nobody to serve: no routes, no dashboard.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # Runs are limited on their way in; spilling to disk would only hide that.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    # One thread for each library unless a run asks for more. Dask's own default also sets
    # MALLOC_TRIM_THRESHOLD_, with which each array that a step makes costs a system call and fresh
    # pages: the tutorial's method takes 2.3 times as long.
    "distributed.nanny.pre-spawn-environ": {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # A worker that is ended while it reports to the scheduler would write pages about it.
        "DASK_LOGGING__DISTRIBUTED": "critical",
    },
    # Each process watches its own event loop 50 times a second, which costs a few percent of a core.
    "distributed.admin.tick.interval": "500ms",
    "distributed.scheduler.work-stealing-interval": "500ms",
    "distributed.comm.timeouts.connect": "5s",
    "distributed.admin.large-graph-warning-threshold": "1GB",
    "logging.distributed": "error",
}


class EmbeddedCluster:
    """The embedded cluster's process, seen from the web process."""

    def __init__(self, process: asyncio.subprocess.Process, address: str, security: Any) -> None:
        self.process, self.address = process, address
        self.security = security
        """distributed's `Security`: what a client needs to be let in."""

    @classmethod
    async def start(cls, workers: int, memory_limit: int) -> "EmbeddedCluster":
        """Start the process and wait until its scheduler has an address.

        Raises `OSError` if it ends before that.
        """
        from distributed.security import Security

        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "twolayer.engine.cluster", f"--workers={workers}", f"--memory-limit={memory_limit}"),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl+C in a terminal is for the web process alone
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            # Made while the process loads its libraries, and in a thread: a key can take a while.
            security = await asyncio.to_thread(Security.temporary)
            process.stdin.write(json.dumps(_texts(security)).encode() + b"\n")
            line = await process.stdout.readline()
            if not line:
                raise OSError("the embedded cluster did not start")
            return cls(process, json.loads(line)["address"], security)
        except BaseException:
            process.stdin.close()  # not wanted any more: it ends when it reads this
            await process.wait()
            raise

    async def stop(self) -> None:
        """Close its standard input and wait for its end; kill it if that takes over 10 s."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), timeout=10)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


def _texts(security: Any) -> dict[str, str]:
    """The keys and certificates of a `Security`."""
    return {name: text for name in security.__slots__ if isinstance(text := getattr(security, name), str)}


def main() -> None:
    """Be the embedded cluster until standard input closes. Its first line holds keys and certificates."""
    import dask

    dask.config.set(DASK_CONFIG)  # before the next line, which sets up logging
    from distributed import LocalCluster
    from distributed.security import Security

    parser = argparse.ArgumentParser(prog="python -m twolayer.engine.cluster", description=main.__doc__)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--memory-limit", type=int, required=True, help="bytes, for each worker")
    arguments = parser.parse_args()
    line = sys.stdin.readline()
    if not line:
        return  # not wanted any more
    security = Security(require_encryption=True, **json.loads(line))
    with LocalCluster(
        n_workers=arguments.workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        security=security,
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        memory_limit=arguments.memory_limit,
    ) as cluster:
        sys.stdout.write(json.dumps({"address": cluster.scheduler_address}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
