"""What a run looks like, before there is one: that of the default settings, trained before."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from twolayer.dashboard.common.history import Entry
from twolayer.dashboard.i18n import _
from twolayer.engine.run import Run
from twolayer.training.config import Config
from twolayer.training.training import Chunk

GREY = 8
"""The number whose colour is grey."""


@cache
def run() -> Run:
    """Return the run. Its times are those of an idle core of an AMD EPYC."""
    made = Run("example", Config())
    with np.load(Path(__file__).with_name("example.npz")) as kept:
        losses, laps, scores = (kept[name].astype(float) for name in ("losses", "laps", "held_out"))
    held_out = np.column_stack((scores, np.full(len(scores), np.nan)))  # no classes
    made.receive(Chunk(made.steps, {}, losses, laps, held_out=held_out))
    return made


def or_example(entries: Sequence[Entry], current: Run | None) -> Sequence[Entry]:
    """Return what charts show: `entries`, or the example as long as none of these has losses."""
    nothing_yet = not any(entry.run.step for entry in entries) and (entries or current is None)
    return [Entry(run(), GREY, _("Example"))] if nothing_yet else entries


def is_example(entries: Sequence[Entry]) -> bool:
    """Return whether what is shown is the example."""
    return any(entry.run is run() for entry in entries)
