"""Export a sweep as a table."""

from dataclasses import asdict

import numpy as np
import pyarrow as pa

from twolayer.rates.outcomes import OUTCOMES
from twolayer.rates.sweep import Sweep


def table(sweep: Sweep) -> pa.Table:
    """Return one row per completed training: all fields of its Config, and its results."""
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
