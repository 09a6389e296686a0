"""The charts of the runs that are shown: loss, time per step, dead hidden units."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from html import escape
from typing import Any

import numpy as np

from twolayer.dashboard.common.history import Entry
from twolayer.dashboard.i18n import _
from twolayer.dashboard.plot import figure, plot
from twolayer.dashboard.train import example, points
from twolayer.dashboard.train.points import Points
from twolayer.engine.run import Run
from twolayer.rates.outcomes import written
from twolayer.training.config import DEFAULTS

COLOURS = 8
DASHES = ("solid", "dash", "dot", "dashdot")
TALL, SMALL = 400, 192
SMALL_MARGIN = {"l": 70, "r": 16, "t": 8, "b": 40}
CORNER = {
    **{"xref": "paper", "x": 1, "xanchor": "right", "yref": "paper", "y": 1, "yanchor": "top"},
    **{"showarrow": False, "font": {"size": 12}, "bgcolor": "theme:background-color"},
}
"""A note in the corner of a chart, below its tools."""


def loss_chart(entries: Sequence[Entry], current: Run | None, *, logarithmic: bool, by_seconds: bool) -> None:
    """The losses of the shown runs, thinned for the screen. A run that was changed has a line where, one
    that diverged a cross at its last finite loss."""
    axis = "s" if by_seconds else "step"
    traces, is_example = [], example.is_example(entries)
    for entry in entries:
        traces.append(_line(entry, f"{entry.run.step} {axis}", partial(points.losses, entry.run, by_seconds)))
        if len(entry.run.held_out):
            traces.append(_held_out_line(entry, f"{len(entry.run.held_out)} {axis}", by_seconds))
        if entry.run.state == "diverged" and entry.run.step:
            text = _("diverged at step {step}").format(step=f"{entry.run.diverged_at:,}")
            cross = _line(entry, axis, partial(points.last_loss, entry.run, by_seconds))
            marker = {"symbol": "x", "size": 11, "color": _colour(entry)}
            traces.append(
                cross
                | {"uid": f"{entry.run.name} end", "mode": "markers", "marker": marker, "showlegend": False}
                | {"hovertemplate": f"{text}<extra></extra>"}
            )
    layout = {
        "xaxis": _axis(entries, by_seconds=by_seconds),
        "yaxis": {
            "title": {"text": _("loss (sum of squared errors)")},
            "type": "log" if logarithmic else "linear",
            "exponentformat": "power",
            "tickformat": ".1~e" if logarithmic else "",
            **({"dtick": "D2"} if logarithmic and _few_decades(entries) else {}),
            **({} if not is_example else _idle_range(logarithmic=logarithmic)),
        },
        "uirevision": f"{current.name if current else ''} {logarithmic} {axis}",
        "showlegend": len(entries) > 1,
        "legend": figure.LEGEND | {"uirevision": "kept"},
        **_changes(entries, by_seconds=by_seconds),
    }
    alt = _("Line chart: loss at each step")
    if is_example:
        text = _("Example, not computed here: the default settings")
        layout["annotations"] = [CORNER | {"text": text, "y": 0.98}]
        alt += f". {text}"
    if current is not None and current.step:
        first, last = (written(current.losses[at]) for at in (0, -1))
        alt += ". " + _("From {first} to {last}.").format(first=first, last=last)
    plot.draw(traces, layout, key="loss_chart", alt=alt, height=TALL)


def time_chart(entries: Sequence[Entry], current: Run | None, *, height: int) -> None:
    """The running median of the time of a step in microseconds, and a band from the 10th to the 90th
    percentile."""
    timed = [entry for entry in entries if len(entry.run.laps)]
    traces = [trace for entry in timed for trace in _median_and_band(entry)]
    end, highest = points.calm_ends([entry.run for entry in timed])
    note = _("up to {most} µs ↑").format(most=f"{highest:,.0f}") if highest > end else ""
    if example.is_example(entries):
        note = _("Example")
    layout = {
        "xaxis": _axis(entries),
        "yaxis": figure.axis(_("µs per step"), range=[0, end]),
        "uirevision": current.name if current else "",
        "margin": SMALL_MARGIN | {"t": 24},
        "title": {
            "text": _("running median, 10th–90th percentile"),
            "font": {"size": 12},
            "xref": "paper",
            "x": 0,
            "y": 0.99,
        },
        "annotations": [CORNER | {"text": note}] if note else [],
    }
    alt = _(
        "Line chart: running median of the time per step in microseconds, and a band from the 10th to the "
        "90th percentile"
    )
    plot.draw(traces, layout, key="time_chart", alt=alt, height=height)


def _median_and_band(entry: Entry) -> Iterator[dict[str, Any]]:
    state = str(len(entry.run.laps))
    band = {"fill": "toself", "fillcolor": _colour(entry), "opacity": 0.25, "hoverinfo": "skip"}
    yield _line(entry, state, partial(points.median, entry.run))
    yield _line(entry, state, partial(points.band, entry.run), 0) | {"uid": f"{entry.run.name} band"} | band


def dead_chart(entries: Sequence[Entry], current: Run | None) -> None:
    """How many hidden units are active for no sample of the batch, over the steps."""
    traces = [_line(entry, str(len(entry.run.dead)), partial(points.dead, entry.run)) for entry in entries]
    most = max((entry.run.config.H for entry in entries), default=DEFAULTS["H"])
    layout = {
        "xaxis": _axis(entries),
        "yaxis": figure.axis(_("dead units"), range=[-0.04 * most, 1.04 * most]),
        "uirevision": current.name if current else "",
        "margin": SMALL_MARGIN,
    }
    alt = _("Line chart: number of dead hidden units (inactive for every sample)")
    plot.draw(traces, layout, key="dead_chart", alt=alt, height=SMALL)


def _line(entry: Entry, state: str, curve: Callable[[], Points], width: int = 2) -> dict[str, Any]:
    """A curve of a run. `state` tells whether it is the one that was sent before."""
    dash = DASHES[(entry.number - 1) // COLOURS % len(DASHES)]

    def make() -> dict[str, Any]:
        x, y = curve()
        return {"x": plot.packed(x.astype(np.float32)), "y": plot.packed(points.small(y))}

    return {
        "type": "scatter",
        "mode": "lines",
        "uid": entry.run.name,
        "legendgroup": entry.run.name,
        "revision": f"{state} {entry.name}",
        "name": escape(entry.name),
        "line": {"color": _colour(entry), "dash": dash, "width": width},
        "make": make,
    }


def _held_out_line(entry: Entry, state: str, by_seconds: bool) -> dict[str, Any]:
    """The held-out loss of a run, on the axis of its losses: as if as many rows were held out as train."""
    held_out = _line(entry, state, partial(points.held_out, entry.run, by_seconds), 1)
    name = {"uid": f"{entry.run.name} held out", "name": escape(f"{entry.name}: {_('held out')}")}
    line = {"color": _colour(entry), "dash": "dot", "width": 1.5}
    return held_out | name | {"line": line, "showlegend": False}


def _colour(entry: Entry) -> str:
    return f"theme:{(entry.number - 1) % COLOURS}"


def _changes(entries: Sequence[Entry], *, by_seconds: bool) -> dict[str, Any]:
    """A dotted line with the new rate where a shown run was given one."""
    shapes, notes = [], []
    for entry in entries:
        for edit in entry.run.edits:
            if edit.field != "learning_rate":
                continue
            x = float(points.place(entry.run, np.array([edit.step]), by_seconds)[0])
            shapes.append(figure.line_at("x", x, _colour(entry), "dot"))
            note = {"x": x, "yref": "paper", "y": 1, "yanchor": "top", "xanchor": "left", "showarrow": False}
            notes.append(note | {"text": f" η = {edit.value!r}", "font": {"size": 11}})
    return {"shapes": shapes, "annotations": notes}


def _few_decades(entries: Sequence[Entry]) -> bool:
    """Whether a tick at each of 1, 2 and 5 is not too many: for each number it would be, and one at each
    power of ten too few."""
    ends = [(e.run.losses.min(), e.run.losses.max()) for e in entries if e.run.step]
    lowest, highest = (
        min((low for low, _high in ends), default=0),
        max((high for _low, high in ends), default=0),
    )
    return bool(0 < highest < 1e4 * lowest)


def _idle_range(*, logarithmic: bool) -> dict[str, Any]:
    return {"range": [-6, 8] if logarithmic else [0, 1e8]}


def _axis(entries: Sequence[Entry], *, by_seconds: bool = False) -> dict[str, Any]:
    """The whole runs from the first point on, so that nothing moves; what there is, once they broke off."""
    if by_seconds:
        return figure.axis(_("compute time (s)"), rangemode="tozero")
    ends = [entry.run.step if entry.run.over else entry.run.steps for entry in entries]
    return figure.axis(_("step"), range=[0, max(ends, default=DEFAULTS["steps"]) or 1])
