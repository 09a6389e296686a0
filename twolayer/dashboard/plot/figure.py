"""The parts that charts share, as Plotly's plain dictionaries."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from twolayer.dashboard.plot.plot import packed

Part = dict[str, Any]

LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"}
"""A legend above the chart."""


def axis(title: str, *, log: bool = False, **more: Any) -> Part:
    """Return an axis with powers of ten as its numbers where it is logarithmic."""
    return {"title": {"text": title}, **({"type": "log", "exponentformat": "power"} if log else {}), **more}


def scatter(x: Any, y: Any, mode: str = "lines", **more: Any) -> Part:
    """Return a trace of points or a curve. Arrays are packed; other sequences go as they are."""
    x, y = (packed(np.ascontiguousarray(v)) if isinstance(v, np.ndarray) else v for v in (x, y))
    return {"type": "scatter", "mode": mode, "x": x, "y": y, **more}


def line_at(axis: str, value: float, colour: str, dash: str = "solid", width: float = 1) -> Part:
    """Return a line across the chart at a value of the axis `x` or `y`."""
    other = "y" if axis == "x" else "x"
    ends = {f"{axis}0": value, f"{axis}1": value, f"{other}0": 0, f"{other}1": 1, f"{other}ref": "paper"}
    return {"type": "line", **ends, "line": {"color": colour, "dash": dash, "width": width}}


def frame(x0: float, y0: float, x1: float, y1: float) -> Part:
    """Return a rectangle that marks cells of a heat map."""
    corners = {"x0": x0, "x1": x1, "y0": y0, "y1": y1}
    return {"type": "rect", **corners, "line": {"color": "theme:text-color", "width": 2}}


def heatmap(z: Any, colorbar: Mapping[str, Any], **more: Any) -> Part:
    """Return a heat map with a narrow colour bar."""
    z = packed(np.ascontiguousarray(z)) if isinstance(z, np.ndarray) else z
    return {"type": "heatmap", "z": z, "colorbar": {"thickness": 12, **colorbar}, **more}
