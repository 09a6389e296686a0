"""Export a run: its losses and timings as a table, everything about it as JSON."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from twolayer.engine.run import Run
from twolayer.training import methods
from twolayer.training.capabilities import Capabilities

VERSION = 1
PIECE = 10_000
_LOSSES = "the losses"


def table(run: Run) -> pa.Table:
    """Return one row per step: `step`, `loss` from before its update, and `microseconds`, the mean of the
    few steps between two readings of the clock."""
    losses, laps = run.losses, run.laps
    steps = np.arange(len(losses))
    of_lap = np.searchsorted(laps[:, 0], steps, side="right")
    times = np.append(laps[:, 1] * 1e6, np.nan)[np.minimum(of_lap, len(laps))]
    return pa.table({"step": steps, "loss": losses, "microseconds": times})


def as_json(run: Run, found: Capabilities | None) -> bytes:
    """Return everything about a run as JSON: its Config, its edits, the machine it ran on, its results."""
    environment: dict[str, Any] = {}
    if found is not None:
        machine = found.machine
        environment = {
            "processor": machine.processor,
            "cores": machine.cores,
            "memory_bytes": machine.memory_bytes,
            "blas": machine.blas,
            "versions": dict(machine.versions),
        }
    losses = run.losses
    text = json.dumps(
        {
            "version": VERSION,
            "config": asdict(run.config),
            "method_used": methods.used(run.config),
            "edits": [asdict(edit) for edit in run.edits],
            "environment": environment,
            "results": {
                "state": run.state,
                "steps": len(losses),
                "diverged_at": run.diverged_at,
                "seconds": run.seconds,
                "median_step_seconds": run.step_seconds if run.step else None,
                "losses": _LOSSES,
                "dead_units": [[int(step), int(count)] for step, count in run.dead],
            },
        },
        allow_nan=False,
    )
    before, after = text.split(json.dumps(_LOSSES))
    # In pieces, since other threads can run between two of them
    pieces = (json.dumps(losses[i : i + PIECE].tolist())[1:-1] for i in range(0, len(losses), PIECE))
    return f"{before}[{', '.join(pieces)}]{after}".encode()
