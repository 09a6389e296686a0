"""The charts of the Learning-rate page."""

from collections.abc import Callable
from math import log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.dashboard.i18n import _
from twolayer.dashboard.learning_rate.job import Focus
from twolayer.dashboard.plot import plot
from twolayer.rates.advice import Advice
from twolayer.rates.outcomes import CONVERGES, DEAD, DIVERGES, OUTCOME_NAMES, OUTCOMES, RISES, SLOW
from twolayer.rates.sweep import Sweep
from twolayer.training.config import Config

LOOKS = {
    CONVERGES: ("theme:2", "circle"),
    SLOW: ("theme:4", "diamond"),
    DEAD: ("theme:3", "square"),
    DIVERGES: ("theme:5", "triangle-up"),
    RISES: ("theme:6", "cross"),
}
"""Colour and symbol of an outcome: the symbols are for those who do not see the colours apart."""
ABOVE_FIRST = 100.0
"""Trainings that diverge have no final loss: they stand at this many times the first one."""
TALL = 430
LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"}


def sweep_chart(
    sweep: Sweep | None,
    found: Advice | None,
    rate: float,
    threshold: float | None,
    focus: Focus | None,
    on_click: Callable[[int], None],
) -> None:
    """Draw each run of a sweep by learning rate and final loss, with the recommended range, the rate that is
    set, 2/λmax at initialization and a ring around `focus`. `on_click` gets the index of a clicked run."""
    traces = [] if sweep is None else [_points(sweep, kind) for kind in OUTCOMES]
    if sweep is not None and focus is not None:
        traces.append(_ring(sweep, focus.config))
    marks: list[dict[str, Any]] = [_line_at(rate, "theme:0", "dot")]
    notes = [_note(rate, "η", "theme:0", left=threshold is not None and rate < threshold)]
    if threshold is not None and np.isfinite(threshold):
        marks.append(_line_at(threshold, "theme:7", "dash"))
        notes.append(_note(threshold, "2/λmax", "theme:7", left=threshold <= rate))
    if found is not None and found.low is not None and found.high is not None:
        band = {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "layer": "below", "line": {"width": 0}}
        marks.append(band | {"x0": found.low, "x1": found.high, "fillcolor": "theme:2", "opacity": 0.12})
    layout = {
        "xaxis": {
            "title": {"text": _("learning rate")},
            "type": "log",
            "exponentformat": "power",
            "dtick": 1,
            **_rate_range(sweep),
        },
        "yaxis": {
            "title": {"text": _("final loss")},
            "type": "log",
            "exponentformat": "power",
            **({"range": [-7, 10]} if sweep is None or not sweep.done else {}),
        },
        "hovermode": "closest",
        "showlegend": sweep is not None,
        "legend": LEGEND,
        "shapes": marks,
        "annotations": notes,
        "uirevision": str(id(sweep)),
        "margin": {"l": 70, "r": 16, "t": 44, "b": 48},
    }

    def clicked(point: dict[str, Any]) -> None:
        data = point.get("customdata")
        index = data[0] if isinstance(data, list) and data else None
        if sweep is not None and type(index) is int and 0 <= index < sweep.grid.size:
            on_click(index)

    plot.draw(
        traces,
        layout,
        key="scan_chart",
        alt=_("Scatter chart: final loss of each training run against its learning rate"),
        height=TALL,
        on_click=clicked,
    )


def _points(sweep: Sweep, kind: str) -> dict[str, Any]:
    """The trainings with one outcome."""
    grid, rows = sweep.grid, sweep.there
    first = rows["first"][np.isfinite(rows["first"])]
    top = ABOVE_FIRST * float(first.max()) if len(first) else 1.0
    rows = rows[rows["outcome"] == OUTCOMES.index(kind)]
    places = np.unravel_index(rows["index"], grid.shape)
    rates, seeds = (
        np.array(grid.axes[axis].values)[places[axis]]
        for axis in (grid.position("learning_rate"), grid.position("seed"))
        if axis is not None
    )
    colour, symbol = LOOKS[kind]
    seed, dead = _("seed"), _("dead units")
    text = f"η = %{{x:.2e}}<br>{seed} %{{customdata[1]}}<br>"
    if kind == DIVERGES:
        text += _("not finite from step {step} on").format(step="%{customdata[2]}")
    else:
        text += f"{_('final loss')} %{{y:.4g}}<br>{dead} %{{customdata[3]}}"
    numbers = np.column_stack([rows["index"], seeds, rows["diverged_at"], rows["dead"]])
    return {
        "type": "scatter",
        "mode": "markers",
        "uid": kind,
        "revision": f"{id(sweep)} {sweep.done}",
        "name": _(OUTCOME_NAMES[kind]),
        "x": plot.packed(rates.astype(float)),
        "y": plot.packed(np.full(len(rows), top) if kind == DIVERGES else rows["final"].astype(float)),
        "customdata": numbers.astype(int).tolist(),
        "hovertemplate": f"{text}<extra></extra>",
        "marker": {"color": colour, "symbol": symbol, "size": 7, "opacity": 0.75},
    }


def _ring(sweep: Sweep, config: Config) -> dict[str, Any]:
    """A ring around the training that is looked at, if it is one of the sweep's and did not diverge."""
    wanted = [vars(config)[axis.field] for axis in sweep.grid.axes]
    at = np.empty(0, int)
    if all(value in axis.values for value, axis in zip(wanted, sweep.grid.axes, strict=True)):
        places = [axis.values.index(value) for value, axis in zip(wanted, sweep.grid.axes, strict=True)]
        at = np.array([np.ravel_multi_index(places, sweep.grid.shape)])
    rows = sweep.rows[at]
    rows = rows[(rows["index"] >= 0) & (rows["diverged_at"] < 0)]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": plot.packed(np.full(len(rows), config.learning_rate)),
        "y": plot.packed(rows["final"].astype(float)),
        "customdata": [],
        "hoverinfo": "skip",
        "showlegend": False,
        "marker": {"symbol": "circle-open", "size": 16, "color": "theme:text-color", "line": {"width": 2}},
    }


def _rate_range(sweep: Sweep | None) -> dict[str, Any]:
    if sweep is None:
        return {}
    axis = sweep.grid.position("learning_rate")
    rates = sweep.grid.axes[axis or 0].values
    return {"range": [log10(min(rates)) - 0.1, log10(max(rates)) + 0.1]}


def _line_at(rate: float, colour: str, dash: str) -> dict[str, Any]:
    line = {"color": colour, "width": 1.5, "dash": dash}
    return {"type": "line", "x0": rate, "x1": rate, "yref": "paper", "y0": 0, "y1": 1, "line": line}


def _note(rate: float, text: str, colour: str, *, left: bool) -> dict[str, Any]:
    """A word at a line, on its left or right. Plotly wants the logarithm here, and the value for the line."""
    place: dict[str, Any] = {"x": log10(rate), "y": 1.0, "yref": "paper", "yanchor": "top"}
    place |= {"xanchor": "right" if left else "left"}
    return place | {"text": text, "showarrow": False, "font": {"color": colour}}


def loss_chart(focus: Focus | None) -> None:
    """The losses of the training that is looked at; the first steps at length."""
    losses = focus.run.losses if focus else np.empty(0)
    at = plot.thinned(losses)
    trace = _curve(at, losses[at], _("loss"), "theme:0")
    y_axis = {"title": {"text": _("loss")}, "type": "log", "exponentformat": "power"}
    layout = {
        "xaxis": _step_axis(focus),
        "yaxis": y_axis | ({} if len(losses) else {"range": [-6, 8]}),
        "uirevision": focus.run.name if focus else "",
    }
    plot.draw([trace], layout, key="focus_loss_chart", alt=_("Line chart: loss at each step"))


def curvature_chart(focus: Focus | None) -> None:
    """λmax along the training that is looked at, and 2/η."""
    traces, values = [], np.empty(0)
    if focus is not None and len(focus.curve):
        curve, limit = focus.curve, 2 / focus.config.learning_rate
        values = curve["value"]
        both = np.array([0, focus.config.steps])
        traces = [
            _curve(curve["step"], values, "λmax", "theme:1") | {"mode": "lines+markers"},
            _curve(both, np.full(2, limit), "2/η", "theme:0")
            | {"line": {"color": "theme:0", "dash": "dash"}},
        ]
        values = np.append(values, limit)
    wide = len(values) > 0 and values.max() > 30 * max(values.min(), 1e-300)
    layout = {
        "xaxis": _step_axis(focus),
        "yaxis": {
            "title": {"text": "λmax"},
            "type": "log" if wide else "linear",
            "exponentformat": "power",
            **({"rangemode": "tozero"} if len(values) and not wide else {}),
            **({"range": [0, 3e6]} if not len(values) else {}),
        },
        "showlegend": bool(traces),
        "legend": LEGEND,
        "uirevision": f"{focus.run.name if focus else ''} {wide}",
        "margin": {"l": 70, "r": 16, "t": 36, "b": 48},
    }
    alt = _("Line chart: largest Hessian eigenvalue λmax during training, and 2/η")
    plot.draw(traces, layout, key="curvature_chart", alt=alt)


def _curve(steps: NDArray[np.integer], y: Any, name: str, colour: str) -> dict[str, Any]:
    """A curve over steps, on the axis of `_step_axis`."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": plot.packed(steps + 1.0),
        "y": plot.packed(np.ascontiguousarray(y, dtype=float)),
        "customdata": steps.tolist(),
        "hovertemplate": f"{_('step')} %{{customdata}}: %{{y:.4g}}",
        "line": {"color": colour},
    }


def _step_axis(focus: Focus | None) -> dict[str, Any]:
    """A logarithmic axis that begins at step 0: step s stands at s + 1 and is labelled s."""
    steps = focus.config.steps if focus else 500
    ticks = [0, *(first * 10**power for power in range(7) for first in (1, 3) if first * 10**power <= steps)]
    return {
        "title": {"text": _("step (log scale)")},
        "type": "log",
        "tickvals": [step + 1 for step in ticks],
        "ticktext": [f"{step:,}" for step in ticks],
        "range": [-0.03, log10(steps + 1) + 0.03],
    }


def threshold(config: Config, focus: Focus | None) -> float | None:
    """2/λmax at the start of the training that is looked at, if it is of these sizes and known."""
    sizes = ("N", "D_in", "H", "D_out")
    if focus is None or any(getattr(focus.config, name) != getattr(config, name) for name in sizes):
        return None
    first = [float(row["value"]) for row in focus.curve[:1] if row["step"] == 0 and row["value"] > 0]
    return 2 / first[0] if first else None
