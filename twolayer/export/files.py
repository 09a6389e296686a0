"""Files of a run or a sweep: a table as CSV or Parquet, everything about a run as JSON.

A table of a run is made and written in blocks, so that a file takes little more memory than its bytes. As
text, the losses of a long run would be too large for the memory of a server: they are in Parquet alone.
"""

import io
import json
from dataclasses import asdict
from typing import Any, TypeAlias

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
MOST_TEXT_STEPS = 500_000
"""Longer runs have their losses in Parquet alone: in CSV, a step takes some 43 bytes."""
BLOCK_ROWS = 1 << 15
PIECE = 10_000
_LOSSES = "the losses"
_STEPS = pa.schema([("step", pa.int64()), ("loss", pa.float64()), ("microseconds", pa.float64())])
_ENCODINGS = {"step": "DELTA_BINARY_PACKED", "loss": "BYTE_STREAM_SPLIT"}
"""Columns of many different numbers; all others have a dictionary."""

Rows: TypeAlias = pa.Table | pa.RecordBatchReader
"""A table as a whole, or as batches that are made when they are written."""


def csv(rows: Rows) -> bytes:
    """Return rows as CSV, with the column names in the first line. Every number reads back exactly."""
    file = io.BytesIO()
    with pyarrow.csv.CSVWriter(file, rows.schema) as writer:
        _write(writer, rows)
    return file.getvalue()


def parquet(rows: Rows) -> bytes:
    """Return rows as Parquet."""
    file = io.BytesIO()
    encodings = {name: of_it for name, of_it in _ENCODINGS.items() if name in rows.schema.names}
    with pyarrow.parquet.ParquetWriter(
        file,
        rows.schema,
        compression="zstd",
        column_encoding=encodings,
        use_dictionary=[name for name in rows.schema.names if name not in encodings],
    ) as writer:
        _write(writer, rows)
    return file.getvalue()


def _write(writer: Any, rows: Rows) -> None:
    for batch in rows.to_reader() if isinstance(rows, pa.Table) else rows:
        writer.write_batch(batch)


def run_rows(run: Run) -> pa.RecordBatchReader:
    """Return one row per step: `step`, `loss` from before its update, and `microseconds`, the mean of the
    few steps between two readings of the clock."""
    losses, laps = run.losses, run.laps
    times = np.append(laps[:, 1] * 1e6, np.nan)

    def block(start: int) -> pa.RecordBatch:
        steps = np.arange(start, min(start + BLOCK_ROWS, len(losses)))
        of_lap = np.searchsorted(laps[:, 0], steps, side="right")
        columns = (steps, losses[steps[0] : steps[-1] + 1], times[np.minimum(of_lap, len(laps))])
        return pa.record_batch(list(map(pa.array, columns)), schema=_STEPS)

    blocks = (block(start) for start in range(0, len(losses), BLOCK_ROWS))
    return pa.RecordBatchReader.from_batches(_STEPS, blocks)


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
    """Return everything about a run as JSON: its Config, its edits, the machine it ran on, its results.

    Of a run of more than `MOST_TEXT_STEPS` steps, `losses` is null.
    """
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
    if len(losses) > MOST_TEXT_STEPS:
        results["losses"] = None
        return json.dumps(everything, allow_nan=False).encode()
    before, after = json.dumps(everything, allow_nan=False).split(json.dumps(_LOSSES))
    # In pieces, since other threads can run between two of them
    pieces = (json.dumps(losses[i : i + PIECE].tolist())[1:-1] for i in range(0, len(losses), PIECE))
    return f"{before}[{', '.join(pieces)}]{after}".encode()
