"""The heat maps of the One step page: a value as a whole, and a window of its cells."""

from collections.abc import Callable
from typing import Any

import numpy as np

from twolayer.backprop.one_step import View
from twolayer.dashboard.i18n import _
from twolayer.dashboard.plot import figure, plot
from twolayer.training.program import AXES

SCALE = [[0, "theme:0"], [0.5, "theme:background-color"], [1, "theme:1"]]
"""One colour below 0, another above, and the background at 0."""
OPACITY = 0.55
"""Of cells with numbers: in the colour of the text they have a contrast of 4.7 at least, in both themes."""


def picture(name: str, view: View, on_click: Callable[[dict[str, Any]], None]) -> None:
    """Draw a whole value as block means. The window is framed, and a click moves it."""
    rows, columns = view.block
    high, wide = view.window.shape
    top, left = view.first
    trace = _heat(
        view.picture,
        name=name,
        x0=(columns - 1) / 2,
        dx=columns,
        y0=(rows - 1) / 2,
        dy=rows,
        hovertemplate=f"{name}[%{{y:.0f}}, %{{x:.0f}}]<br>%{{z:.4g}}<extra></extra>",
    )
    frame = figure.frame(left - 0.5, top - 0.5, left + wide - 0.5, top + high - 0.5)
    alt = _("Heat map of {name}").format(name=name)
    plot.draw([trace], _layout(name, frame), key="picture", alt=alt, on_click=on_click)


def window(name: str, view: View, on_click: Callable[[dict[str, Any]], None]) -> None:
    """Draw some cells with their numbers. Hovering shows how a cell was computed, a click chooses it."""
    rows, columns = view.window.shape
    top, left = view.first
    row, column = (chosen - first for chosen, first in zip(view.chosen, view.first, strict=True))
    # A sum is broken into several lines, so that it fits beside the pointer on a phone
    sums = [[text.replace(" = ", "<br>= ").replace(" + ", "<wbr> + ") for text in line] for line in view.sums]
    trace = _heat(
        view.window,
        name=name,
        x=[str(left + place) for place in range(columns)],
        y=[str(top + place) for place in range(rows)],
        text=[[short(value) for value in line] for line in view.window],
        texttemplate="%{text}",
        textfont={"size": 10 if columns > 5 else 13, "color": "theme:text-color"},
        opacity=OPACITY,
        customdata=sums,
        hovertemplate="%{customdata}<extra></extra>",
        showscale=False,
        xgap=1,
        ygap=1,
    )
    layout = _layout(name, figure.frame(column - 0.5, row - 0.5, column + 0.5, row + 0.5))
    for axis in ("xaxis", "yaxis"):
        layout[axis] |= {"type": "category", "tickmode": "linear"}
    alt = _("Heat map of part of {name}, with values").format(name=name)
    plot.draw([trace], layout, key="window", alt=alt, on_click=on_click)


def short(value: float) -> str:
    """Format a number in few characters, for a cell: `-0.699`, `1947`, `61.3k`, `-0.0012`, `1.2e-4`."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if 9999.5 <= abs(value) < 1e12 and abs(value) >= 0.9995 * size:
            return f"{value / size:.3g}{unit}"
    if 1e3 <= abs(value) < 9999.5:
        return f"{value:.0f}"
    return f"{value + 0.0:.{3 if abs(value) >= 0.01 else 2}g}".replace("e-0", "e-").replace("e+", "e")


def _heat(values: Any, **more: Any) -> dict[str, Any]:
    size = float(np.max(np.abs(values), initial=0.0, where=np.isfinite(values))) or 1.0
    return figure.heatmap(
        values, {"exponentformat": "power"}, zmin=-size, zmax=size, colorscale=SCALE, **more
    )


def _layout(name: str, shape: dict[str, Any]) -> dict[str, Any]:
    rows, columns = AXES[name] or ("", "")
    return {
        "xaxis": figure.axis(columns, showgrid=False, side="top"),
        "yaxis": figure.axis(rows, showgrid=False, autorange="reversed"),
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "namelength": -1},
        "shapes": [shape],
        "margin": {"l": 44, "r": 8, "t": 44, "b": 8},
    }
