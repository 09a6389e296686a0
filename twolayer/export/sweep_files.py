"""The trainings of a sweep as a table: CSV and Parquet, through Arrow."""

import io
from dataclasses import asdict
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from twolayer.rates.outcomes import OUTCOMES
from twolayer.rates.sweep import Sweep


def table(sweep: Sweep) -> pa.Table:
    """A row for each training that is done: all fields of its Config, and what came of it."""
    rows, grid = sweep.there, sweep.grid
    places = np.unravel_index(rows["index"], grid.shape)
    columns = {field: [value] * len(rows) for field, value in asdict(grid.base).items()}
    for axis, at in zip(grid.axes, places, strict=True):
        columns[axis.field] = [axis.values[i] for i in at]
    finite = np.isfinite(rows["final"])
    results = {
        "outcome": pa.array([OUTCOMES[kind] for kind in rows["outcome"]], pa.string()),
        "first_loss": pa.array(rows["first"], mask=~finite),
        "final_loss": pa.array(rows["final"], mask=~finite),
        "highest_loss": pa.array(rows["highest"], mask=~finite),
        "diverged_at": pa.array(rows["diverged_at"], mask=rows["diverged_at"] < 0),
        "dead_units": pa.array(rows["dead"], mask=rows["diverged_at"] >= 0),
    }
    return pa.table(columns | results)


def write_csv(sweep: Sweep, file: BinaryIO) -> None:
    """Write the table as CSV, with the names of the columns in the first line."""
    csv.write_csv(table(sweep), file)


def write_parquet(sweep: Sweep, file: BinaryIO) -> None:
    """Write the table as Parquet."""
    parquet.write_table(table(sweep), file)


def as_csv(sweep: Sweep) -> bytes:
    """The table as the content of a CSV file."""
    file = io.BytesIO()
    write_csv(sweep, file)
    return file.getvalue()


def as_parquet(sweep: Sweep) -> bytes:
    """The table as the content of a Parquet file."""
    file = io.BytesIO()
    write_parquet(sweep, file)
    return file.getvalue()
