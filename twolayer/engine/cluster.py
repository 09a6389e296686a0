"""The embedded Dask cluster: `python -m twolayer.engine.cluster`, a process of its own.

It is a scheduler and single-threaded worker processes on the loopback interface. It is not part of the
web process, whose work would ruin timings. It ends when its standard input closes, so that nothing is
left of it however the web process dies. Its parts use TLS and accept only each other's certificate:
another user of the machine, who can reach the loopback interface, cannot submit code. Key and
certificate are made for each cluster and sent through its standard input: no command line and no
environment shows them.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

# Of the cluster's processes and of their clients.
DASK_CONFIG: Mapping[str, Any] = {
    # Queue tasks at the workers, by priority and age. Queued at the scheduler, the first task of a new run
    # would wait for as long as others have chunks in flight.
    "distributed.scheduler.worker-saturation": "inf",
    # A task fails when it has killed more workers than this.
    "distributed.scheduler.allowed-failures": 2,
    # A worker that has sent nothing for this long counts as hung, and is replaced.
    "distributed.scheduler.worker-ttl": "10s",
    # Logs that nobody reads would keep the last thousand messages to each worker, with all that is sent with
    # a task, and the groups of tasks of the last hundred times in which there was work.
    "distributed.admin.low-level-log-length": 0,
    "distributed.diagnostics.computations.max-history": 0,
    # Nothing uses the HTTP servers, which have no authentication: no routes.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # Memory is limited when a run is submitted; spilling to disk would only hide a wrong estimate.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    # One thread per library unless a run sets more. Dask's default also sets MALLOC_TRIM_THRESHOLD_, with
    # which each array of a step costs a system call and fresh pages: the tutorial's method takes 2.3
    # times as long.
    "distributed.nanny.pre-spawn-environ": {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # A worker that is killed while it reports to the scheduler would log pages of tracebacks.
        "DASK_LOGGING__DISTRIBUTED": "critical",
    },
    # By default each process checks its event loop 50 times a second, at a few percent of a core.
    "distributed.admin.tick.interval": "500ms",
    "distributed.scheduler.work-stealing-interval": "500ms",
    "distributed.comm.timeouts.connect": "5s",
    # The state of a large run, or a table of one's own, is sent with a task: no reason for a warning.
    "distributed.admin.large-graph-warning-threshold": "4GB",
    "logging.distributed": "error",
}


class EmbeddedCluster:
    """The process of the embedded cluster, as the web process sees it."""

    def __init__(self, process: asyncio.subprocess.Process, address: str, security: Any) -> None:
        self.process, self.address = process, address
        self.security = security
        """distributed's `Security`: the keys and certificates of a client."""

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
            start_new_session=True,  # Ctrl+C in a terminal must reach the web process only
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            # In a thread, since making a key is slow; the process loads its libraries meanwhile.
            security = await asyncio.to_thread(Security.temporary)
            texts = {name: getattr(security, name) for name in security.__slots__}
            texts = {name: text for name, text in texts.items() if isinstance(text, str)}
            process.stdin.write(json.dumps(texts).encode() + b"\n")
            line = await process.stdout.readline()
            if not line:
                raise OSError("the embedded cluster did not start")
            return cls(process, json.loads(line)["address"], security)
        except BaseException:
            process.stdin.close()  # the process ends when it reads this
            await process.wait()
            raise

    async def stop(self) -> None:
        """Close its standard input and wait for its end. Kill it after 10 s."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), timeout=10)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


def main() -> None:
    """Run the embedded cluster until standard input closes. Its first line holds keys and certificates."""
    import dask

    dask.config.set(DASK_CONFIG)  # before the next line, which sets up logging
    from distributed import LocalCluster
    from distributed.scheduler import DEFAULT_EXTENSIONS
    from distributed.security import Security

    parser = argparse.ArgumentParser(prog="python -m twolayer.engine.cluster", description=main.__doc__)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--memory-limit", type=int, required=True, help="bytes, for each worker")
    arguments = parser.parse_args()
    line = sys.stdin.readline()
    if not line:
        return  # closed before it started
    security = Security(require_encryption=True, **json.loads(line))
    # Without spans, of which Dask keeps one for ever for each time in which there was work
    extensions = {name: one for name, one in DEFAULT_EXTENSIONS.items() if name != "spans"}
    with LocalCluster(
        n_workers=arguments.workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        security=security,
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False, "extensions": extensions},
        extensions={},  # of the workers, whose one reports to that of the scheduler
        memory_limit=arguments.memory_limit,
    ) as cluster:
        sys.stdout.write(json.dumps({"address": cluster.scheduler_address}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
