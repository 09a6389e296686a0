"""The charts of the Learning-rate page."""

from collections.abc import Callable, Iterator
from math import floor, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.dashboard.i18n import _
from twolayer.dashboard.learning_rate.job import Focus
from twolayer.dashboard.plot import figure, plot
from twolayer.rates import curvature
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
GREY = "theme:7"
Mark = tuple[float, str, str, str]
"""A learning rate, what it is, and the colour and dash of its line."""
ABOVE_FIRST = 100.0
"""Trainings that diverge have no final loss: they stand at this many times the first one."""
LOWEST = -7
TALL = 380
MARGIN = {"l": 70, "r": 16, "t": 40, "b": 48}


def sweep_chart(
    sweep: Sweep,
    found: Advice | None,
    rate: float | None,
    on_click: Callable[[int], None],
    *,
    focus: Focus | None = None,
) -> None:
    """Draw each run of a sweep by learning rate and final loss, with the recommended range, the recommended
    rate, the reader's own, the 2/λmax that the sizes let expect, and a ring around `focus`. Without a `rate`
    all of it is an example in grey. `on_click` gets the index of a clicked run."""
    traces = [_points(sweep, kind, grey=rate is None) for kind in OUTCOMES]
    if focus is not None:
        traces.append(_ring(sweep, focus.config))
    marks: list[Mark] = [(2 / curvature.expected(sweep.grid.base), "≈ 2/λmax", GREY, "dash")]
    shapes = []
    if rate is not None:
        marks.append((rate, _("yours"), "theme:0", "dot"))
    if found is not None and found.rate is not None:
        marks.append((found.rate, _("recommended"), GREY if rate is None else "theme:2", "solid"))
    if found is not None and found.low is not None and found.high is not None:
        band = {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "layer": "below", "line": {"width": 0}}
        shapes.append(band | {"x0": found.low, "x1": found.high, "fillcolor": marks[-1][2], "opacity": 0.12})
    shapes += [figure.line_at("x", at, colour, dash, 1.5) for at, _text, colour, dash in marks]
    rates = sweep.grid.axes[-1].values
    ends = [log10(min(rates)) - 0.1, log10(max(rates)) + 0.1]
    layout = {
        "xaxis": figure.axis(_("learning rate"), log=True, dtick=1, range=ends),
        "yaxis": figure.axis(_("final loss"), log=True, range=_loss_range(sweep)),
        "hovermode": "closest",
        "showlegend": True,
        "legend": figure.LEGEND,
        "shapes": shapes,
        "annotations": [_note(mark, place) for place, mark in enumerate(sorted(marks)[::-1])],
        "uirevision": str(id(sweep)),
        "margin": MARGIN,
    }

    def clicked(point: dict[str, Any]) -> None:
        data = point.get("customdata")
        index = data[0] if isinstance(data, list) and data else None
        if type(index) is int and 0 <= index < sweep.grid.size:
            on_click(index)

    alt = _("Scatter chart: final loss of each training run against its learning rate")
    plot.draw(traces, layout, key="scan_chart", alt=alt, height=TALL, on_click=clicked)


def _loss_range(sweep: Sweep) -> list[float]:
    """Return the ends of the logarithmic axis: known before the first run, and wider only for a run
    that would not be on it."""
    base, rows = sweep.grid.base, sweep.there
    likely = base.N * base.D_out * (1 + base.H * base.D_in / 2)
    first = rows["first"][np.isfinite(rows["first"])].max(initial=3 * likely)
    least = rows["final"][rows["final"] > 0].min(initial=10.0**LOWEST)
    return [min(LOWEST, floor(log10(least))), log10(ABOVE_FIRST * first) + 0.5]


def _points(sweep: Sweep, kind: str, *, grey: bool) -> figure.Part:
    """The trainings with one outcome."""
    rows = sweep.there
    top = ABOVE_FIRST * float(rows["first"][np.isfinite(rows["first"])].max(initial=0.01))
    rows = rows[rows["outcome"] == OUTCOMES.index(kind)]
    seeds, rates = _seeds_and_rates(sweep, rows)
    colour, symbol = LOOKS[kind]
    seed, dead = _("seed"), _("dead units")
    text = f"η = %{{x:.2e}}<br>{seed} %{{customdata[1]}}<br>"
    if kind == DIVERGES:
        text += _("not finite from step {step} on").format(step="%{customdata[2]}")
    else:
        text += f"{_('final loss')} %{{y:.4g}}<br>{dead} %{{customdata[3]}}"
    numbers = np.column_stack([rows["index"], seeds, rows["diverged_at"], rows["dead"]])
    return figure.scatter(
        np.append(rates, np.nan),  # without any point it would have no place in the legend
        np.append(np.full(len(rows), top) if kind == DIVERGES else rows["final"], np.nan),
        "markers",
        uid=kind,
        revision=f"{id(sweep)} {sweep.done}",
        name=_(OUTCOME_NAMES[kind]),
        customdata=numbers.astype(int).tolist(),
        hovertemplate=f"{text}<extra></extra>",
        marker={
            "color": GREY if grey else colour,
            "symbol": symbol,
            "size": 7,
            "opacity": 0.5 if grey else 0.75,
        },
    )


def _seeds_and_rates(sweep: Sweep, rows: NDArray[np.void]) -> Iterator[NDArray[Any]]:
    places = np.unravel_index(rows["index"], sweep.grid.shape)
    return (np.array(axis.values)[at] for axis, at in zip(sweep.grid.axes, places, strict=True))


def _ring(sweep: Sweep, config: Config) -> figure.Part:
    """A ring around the training that is looked at, if it is one of the sweep's and did not diverge."""
    rows = sweep.there[sweep.there["diverged_at"] < 0]
    seeds, rates = _seeds_and_rates(sweep, rows)
    rows = rows[(seeds == config.seed) & (rates == config.learning_rate)]
    return figure.scatter(
        np.full(len(rows), config.learning_rate),
        rows["final"].astype(float),
        "markers",
        customdata=[],
        hoverinfo="skip",
        showlegend=False,
        marker={"symbol": "circle-open", "size": 16, "color": "theme:text-color", "line": {"width": 2}},
    )


def _note(mark: Mark, place: int) -> figure.Part:
    """A word at a line: at the right of the highest one, at the left of the others, one below the other."""
    rate, text, colour, _dash = mark
    side = {"xanchor": "right", "xshift": -3} if place else {"xanchor": "left", "xshift": 3}
    # Plotly wants the logarithm here
    at = {"x": log10(rate), "y": 1 - 0.08 * max(0, place - 1), "yref": "paper", "yanchor": "top"}
    look = {"showarrow": False, "font": {"color": colour}, "bgcolor": "theme:background-color"}
    return {"text": text, **at, **side, **look}


def loss_chart(focus: Focus) -> None:
    """The losses of the training that is looked at; the first steps at length."""
    losses = focus.run.losses
    at = plot.thinned(losses)
    y_axis = figure.axis(_("loss"), log=True, **({} if len(losses) else {"range": [-6, 8]}))
    layout = {"xaxis": _step_axis(focus), "yaxis": y_axis, "uirevision": focus.run.name}
    trace = _curve(at, losses[at], _("loss"), color="theme:0")
    plot.draw([trace], layout, key="focus_loss_chart", alt=_("Line chart: loss at each step"))


def curvature_chart(focus: Focus) -> None:
    """λmax along the training that is looked at, and 2/η."""
    curve, limit = focus.curve, 2 / focus.config.learning_rate
    values = np.append(curve["value"], limit)
    wide = bool(values.max() > 30 * max(values.min(), 1e-300))
    ends = np.array([0, focus.config.steps])
    traces = [
        _curve(curve["step"], curve["value"], "λmax", color="theme:1") | {"mode": "lines+markers"},
        _curve(ends, np.full(2, limit), "2/η", color="theme:0", dash="dash"),
    ]
    layout = {
        "xaxis": _step_axis(focus),
        "yaxis": figure.axis("λmax", log=wide, exponentformat="power", rangemode="tozero"),
        "showlegend": True,
        "legend": figure.LEGEND,
        "uirevision": f"{focus.run.name} {wide}",
        "margin": MARGIN,
    }
    alt = _("Line chart: largest Hessian eigenvalue λmax during training, and 2/η")
    plot.draw(traces, layout, key="curvature_chart", alt=alt)


def _curve(steps: NDArray[np.integer], y: NDArray[Any], name: str, **line: str) -> figure.Part:
    """A curve over steps, on the axis of `_step_axis`."""
    hover = f"{_('step')} %{{customdata}}: %{{y:.4g}}"
    at = {"customdata": steps.tolist(), "hovertemplate": hover}
    return figure.scatter(steps + 1.0, y.astype(float), name=name, line=line, **at)


def _step_axis(focus: Focus) -> figure.Part:
    """A logarithmic axis that begins at step 0: step s stands at s + 1 and is labelled s."""
    steps = focus.config.steps
    ticks = [0, *(first * 10**power for power in range(7) for first in (1, 3) if first * 10**power <= steps)]
    return figure.axis(
        _("step (log scale)"),
        log=True,
        tickvals=[step + 1 for step in ticks],
        ticktext=[f"{step:,}" for step in ticks],
        range=[-0.03, log10(steps + 1) + 0.03],
    )
