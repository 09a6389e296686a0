"""The charts of a run: loss and time per step."""

from typing import Any

import numpy as np

from twolayer.config import DEFAULTS
from twolayer.dashboard import plot
from twolayer.dashboard.translations import Translate
from twolayer.run import Run


def loss_chart(_: Translate, run: Run | None, *, logarithmic: bool) -> None:
    """The loss of each step, thinned for the screen."""
    losses = run.losses if run else np.empty(0)
    at = plot.thinned(losses)
    layout = {
        "xaxis": _steps_axis(_, run),
        "yaxis": {
            "title": {"text": _("loss (sum of squared errors)")},
            "type": "log" if logarithmic else "linear",
            "exponentformat": "power",
            **({} if run else {"range": [-6, 8] if logarithmic else [0, 1e8]}),
        },
        "uirevision": f"{run.name if run else ''} {logarithmic}",
    }
    plot.draw(
        [_line(at.astype(np.int32), losses[at], _("loss"))],
        layout,
        key="loss_chart",
        alt=_("Line chart: the loss of each step"),
    )


def time_chart(_: Translate, run: Run | None) -> None:
    """The time of a step in microseconds, as the clock was read on the way."""
    laps = run.laps if run else np.empty((0, 2))
    microseconds = laps[:, 1] * 1e6
    at = plot.thinned(np.ascontiguousarray(microseconds))
    layout = {
        "xaxis": _steps_axis(_, run),
        "yaxis": {"title": {"text": _("time per step (µs)")}, **_calm_range(microseconds)},
        "uirevision": run.name if run else "",
    }
    plot.draw(
        [_line(laps[at, 0].astype(np.int32), microseconds[at].astype(np.float32), _("time per step"))],
        layout,
        key="time_chart",
        alt=_("Line chart: the time of a step in microseconds"),
    )


def _calm_range(microseconds: Any) -> dict[str, Any]:
    """From 0 to the highest point, but not so high that one interruption hides all the rest: what is
    above is cut off on the screen, and a double click shows it."""
    if not len(microseconds):
        return {"range": [0, 1000]}
    usual, highest = float(np.median(microseconds)), float(np.max(microseconds))
    return {"range": [0, min(highest * 1.1, usual * 4)]}


def _steps_axis(_: Translate, run: Run | None) -> dict[str, Any]:
    """The whole run from the first point on, so that nothing moves; what there is, once it broke off."""
    steps = DEFAULTS["steps"] if run is None else run.config.steps
    broke_off = run is not None and run.over and run.step < steps
    return {"title": {"text": _("step")}} | ({"rangemode": "tozero"} if broke_off else {"range": [0, steps]})


def _line(x: Any, y: Any, name: str) -> dict[str, Any]:
    return {"type": "scatter", "mode": "lines", "name": name, "x": plot.packed(x), "y": plot.packed(y)}
