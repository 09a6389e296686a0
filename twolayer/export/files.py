"""Files of a run or a sweep: a table as CSV or Parquet, everything about a run as JSON."""

import io
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from twolayer.engine.run import Run
from twolayer.rates.outcomes import OUTCOMES
from twolayer.rates.sweep import Sweep
from twolayer.training import methods
from twolayer.training.capabilities import Capabilities

VERSION = 1
PIECE = 10_000
_LOSSES = "the losses"


def csv(table: pa.Table) -> bytes:
    """Return the table as CSV, with the column names in the first line. Every number reads back exactly."""
    file = io.BytesIO()
    pyarrow.csv.write_csv(table, file)
    return file.getvalue()


def parquet(table: pa.Table) -> bytes:
    """Return the table as Parquet."""
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file)
    return file.getvalue()


def run_table(run: Run) -> pa.Table:
    """Return one row per step: `step`, `loss` from before its update, and `microseconds`, the mean of the
    few steps between two readings of the clock."""
    losses, laps = run.losses, run.laps
    steps = np.arange(len(losses))
    of_lap = np.searchsorted(laps[:, 0], steps, side="right")
    times = np.append(laps[:, 1] * 1e6, np.nan)[np.minimum(of_lap, len(laps))]
    return pa.table({"step": steps, "loss": losses, "microseconds": times})


def sweep_table(sweep: Sweep) -> pa.Table:
    """Return one row per completed training: all fields of its Config, and its results."""
    rows, grid = sweep.there, sweep.grid
    columns = {field: [value] * len(rows) for field, value in asdict(grid.base).items()}
    for axis, at in zip(grid.axes, np.unravel_index(rows["index"], grid.shape), strict=True):
        columns[axis.field] = [axis.values[i] for i in at]
    lost = ~np.isfinite(rows["final"])
    results = {
        "outcome": pa.array([OUTCOMES[kind] for kind in rows["outcome"]], pa.string()),
        "first_loss": pa.array(rows["first"], mask=lost),
        "final_loss": pa.array(rows["final"], mask=lost),
        "highest_loss": pa.array(rows["highest"], mask=lost),
        "diverged_at": pa.array(rows["diverged_at"], mask=rows["diverged_at"] < 0),
        "dead_units": pa.array(rows["dead"], mask=rows["diverged_at"] >= 0),
    }
    return pa.table(columns | results)


def _or_none(value: float) -> float | None:
    """Return a number as JSON has it: none for one that is not finite."""
    return value if np.isfinite(value) else None


def run_json(run: Run, found: Capabilities | None) -> bytes:
    """Return everything about a run as JSON: its Config, its edits, the machine it ran on, its results."""
    described = ("processor", "cores", "memory_bytes", "blas")
    environment: dict[str, Any] = {}
    if found is not None:
        environment = {name: getattr(found.machine, name) for name in described}
        environment["versions"] = dict(found.machine.versions)
    losses = run.losses
    results = {
        "state": run.state,
        "steps": len(losses),
        "diverged_at": run.diverged_at,
        "seconds": run.seconds,
        "median_step_seconds": run.step_seconds if run.step else None,
        "losses": _LOSSES,
        "dead_units": run.dead.astype(int).tolist(),
        "held_out": [[int(step), *map(_or_none, scores)] for step, *scores in run.held_out.tolist()],
    }
    everything = {
        "version": VERSION,
        "config": asdict(run.config),
        "method_used": methods.used(run.config),
        "edits": [asdict(edit) for edit in run.edits],
        "environment": environment,
        "results": results,
    }
    before, after = json.dumps(everything, allow_nan=False).split(json.dumps(_LOSSES))
    # In pieces, since other threads can run between two of them
    pieces = (json.dumps(losses[i : i + PIECE].tolist())[1:-1] for i in range(0, len(losses), PIECE))
    return f"{before}[{', '.join(pieces)}]{after}".encode()
