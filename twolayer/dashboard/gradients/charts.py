"""The charts of the Gradients page."""

from typing import Any

import numpy as np

from twolayer.backprop.check import Check
from twolayer.backprop.comparison import BANDS, Comparison
from twolayer.dashboard.i18n import _
from twolayer.dashboard.plot import plot

LOWEST = 1e-17
"""What stands for an error of exactly 0 where the scale is logarithmic."""


def error_picture(comparison: Comparison) -> None:
    """Where the gradient is off: the relative error of each entry, or the largest of each block."""
    with np.errstate(divide="ignore"):
        exponent = np.log10(np.maximum(comparison.errors, LOWEST)).astype(np.float32)
    rows, columns = comparison.block
    trace = {
        "type": "heatmap",
        "z": plot.packed(exponent),
        "x0": 0,
        "dx": columns,
        "y0": 0,
        "dy": rows,
        "zmin": -16,
        "zmax": 0,
        "colorscale": [[0, "theme:secondary-background-color"], [0.55, "theme:4"], [1, "theme:1"]],
        "colorbar": {
            "title": {"text": _("relative error")},
            "tickvals": [-16, -12, -7, -4, -2, 0],
            "ticktext": ["1e-16", "1e-12", "1e-7", "1e-4", "1e-2", "1"],
            "thickness": 12,
        },
        "hovertemplate": f"{comparison.gradient}[%{{y}}, %{{x}}]<br>10^%{{z:.1f}}<extra></extra>",
        "hoverongaps": False,
        "xgap": 1 if exponent.size < 900 else 0,
        "ygap": 1 if exponent.size < 900 else 0,
    }
    axis = _rows_and_columns(comparison.gradient)
    layout = {
        "xaxis": {"title": {"text": axis[1]}, "showgrid": False},
        "yaxis": {"title": {"text": axis[0]}, "autorange": "reversed", "showgrid": False},
        "hovermode": "closest",
        "margin": {"l": 60, "r": 8, "t": 16, "b": 48},
    }
    plot.draw(
        [trace],
        layout,
        key="error_picture",
        alt=_("Heat map: the relative error of each entry of {gradient}").format(
            gradient=comparison.gradient
        ),
    )


def agreement_scatter(comparison: Comparison) -> None:
    """One gradient against the other: right entries lie on the line."""
    row, column, ours, theirs = comparison.points.T
    ends = [float(np.min(theirs, initial=0.0)), float(np.max(theirs, initial=0.0))]
    names = {"autograd": _("by autograd"), "differences": _("by differences")}
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": ends,
            "y": ends,
            "line": {"color": "theme:border-color", "width": 2},
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "x": plot.packed(np.ascontiguousarray(theirs)),
            "y": plot.packed(np.ascontiguousarray(ours)),
            "text": [
                f"{comparison.gradient}[{r}, {c}]"
                for r, c in zip(row.astype(int), column.astype(int), strict=True)
            ],
            "marker": {"size": 6, "opacity": 0.7, "color": "theme:0"},
            "hovertemplate": "%{text}<br>%{y:.6g}<br>%{x:.6g}<extra></extra>",
        },
    ]
    layout = {
        "xaxis": {"title": {"text": names[comparison.against]}, "exponentformat": "power", "nticks": 5},
        "yaxis": {"title": {"text": _("by hand")}, "exponentformat": "power", "nticks": 6},
        "hovermode": "closest",
    }
    plot.draw(
        traces,
        layout,
        key="agreement_scatter",
        alt=_("Scatter chart: the gradient by hand against the one that it is compared with"),
    )


def valley(check: Check) -> None:
    """The error of the differences over their step, rounding on the left, kinks on the right."""
    steps = [each.step for each in check.valley]
    curves = (
        (_("largest, kinks and all"), "largest_with_kinks", "theme:1", "dot"),
        (_("largest, kinks left out"), "largest", "theme:0", "solid"),
        (_("median, kinks left out"), "median", "theme:2", "solid"),
    )
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": steps,
            "y": [_drawable(getattr(each, part)) for each in check.valley],
            "line": {"color": colour, "dash": dash, "width": 2},
            "marker": {"size": 5},
        }
        for name, part, colour, dash in curves
    ]
    layout = {
        "xaxis": {"title": {"text": _("step of the difference")}, "type": "log", "exponentformat": "power"},
        "yaxis": {"title": {"text": _("relative error")}, "type": "log", "exponentformat": "power"},
        "showlegend": True,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "margin": {"l": 70, "r": 16, "t": 60, "b": 48},
        "shapes": [
            {
                "type": "line",
                "x0": check.step,
                "x1": check.step,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"color": "theme:text-color", "dash": "dash", "width": 1},
            },
            *(
                {
                    "type": "line",
                    "x0": 0,
                    "x1": 1,
                    "xref": "paper",
                    "y0": threshold,
                    "y1": threshold,
                    "line": {"color": "theme:border-color", "width": 1},
                }
                for threshold, _words in BANDS
                if threshold
            ),
        ],
    }
    plot.draw(
        traces,
        layout,
        key="valley",
        alt=_("Line chart: the error of the differences for each step, lowest between rounding and kinks"),
    )


def _drawable(error: float) -> float | None:
    """An error on a logarithmic scale; nothing where none was measured."""
    return max(error, LOWEST) if np.isfinite(error) else None


def _rows_and_columns(gradient: str) -> tuple[str, str]:
    return {"grad_w1": ("i (D_in)", "j (H)"), "grad_w2": ("j (H)", "o (D_out)")}[gradient]
