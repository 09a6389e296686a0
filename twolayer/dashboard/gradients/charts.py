"""The charts of the Gradients page."""

import numpy as np

from twolayer.backprop.check import Check
from twolayer.backprop.comparison import BANDS, Comparison
from twolayer.dashboard.i18n import _
from twolayer.dashboard.plot import figure, plot

AXES = {"grad_w1": ("i (D_in)", "j (H)"), "grad_w2": ("j (H)", "o (D_out)")}
LOWEST = 1e-17
"""Stands for an error of exactly 0 on a logarithmic scale."""


def error_picture(comparison: Comparison) -> None:
    """Draw the relative error of each entry of a gradient, or the largest of each block."""
    with np.errstate(divide="ignore"):
        exponent = np.log10(np.maximum(comparison.errors, LOWEST)).astype(np.float32)
    rows, columns = comparison.block
    gap = 1 if exponent.size < 900 else 0
    trace = figure.heatmap(
        exponent,
        {
            "title": {"text": _("relative error")},
            "tickvals": [-16, -12, -7, -4, -2, 0],
            "ticktext": ["1e-16", "1e-12", "1e-7", "1e-4", "1e-2", "1"],
        },
        x0=0,
        dx=columns,
        y0=0,
        dy=rows,
        zmin=-16,
        zmax=0,
        colorscale=[[0, "theme:secondary-background-color"], [0.55, "theme:4"], [1, "theme:1"]],
        hovertemplate=f"{comparison.gradient}[%{{y}}, %{{x}}]<br>10^%{{z:.1f}}<extra></extra>",
        hoverongaps=False,
        xgap=gap,
        ygap=gap,
    )
    of_rows, of_columns = AXES[comparison.gradient]
    layout = {
        "xaxis": figure.axis(of_columns, showgrid=False),
        "yaxis": figure.axis(of_rows, autorange="reversed", showgrid=False),
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


def agreement_scatter(comparison: Comparison, reference: str) -> None:
    """Draw one gradient against the `reference`, named for people: correct entries lie on the line."""
    row, column, ours, theirs = comparison.points.T
    ends = [float(np.min(theirs, initial=0.0)), float(np.max(theirs, initial=0.0))]
    entries = zip(row.astype(int), column.astype(int), strict=True)
    traces = [
        figure.scatter(ends, ends, line={"color": "theme:7", "width": 2}, hoverinfo="skip"),
        figure.scatter(
            theirs,
            ours,
            "markers",
            text=[f"{comparison.gradient}[{r}, {c}]" for r, c in entries],
            marker={"size": 6, "opacity": 0.7, "color": "theme:0"},
            hovertemplate="%{text}<br>%{y:.6g}<br>%{x:.6g}<extra></extra>",
        ),
    ]
    layout = {
        "xaxis": figure.axis(reference, exponentformat="power", nticks=5),
        "yaxis": figure.axis(_("hand-written"), exponentformat="power", nticks=6),
        "hovermode": "closest",
    }
    plot.draw(
        traces,
        layout,
        key="agreement_scatter",
        height=300,
        alt=_("Scatter chart: hand-written gradient against the reference gradient"),
    )


def valley(check: Check) -> None:
    """Draw the error of the differences over their step: rounding on the left, kinks on the right."""
    steps = [each.step for each in check.valley]
    curves = (
        (_("maximum, including kinks"), "largest_with_kinks", "theme:1", "dot"),
        (_("maximum, excluding kinks"), "largest", "theme:0", "solid"),
        (_("median, excluding kinks"), "median", "theme:2", "solid"),
    )
    traces = [
        figure.scatter(
            steps,
            [_drawable(getattr(each, part)) for each in check.valley],
            "lines+markers",
            name=name,
            line={"color": colour, "dash": dash, "width": 2},
            marker={"size": 5},
        )
        for name, part, colour, dash in curves
    ]
    layout = {
        "xaxis": figure.axis(_("difference step size h"), log=True),
        "yaxis": figure.axis(_("relative error"), log=True),
        "showlegend": True,
        "legend": figure.LEGEND,
        "margin": {"l": 70, "r": 16, "t": 60, "b": 48},
        "shapes": [
            figure.line_at("x", check.settings.step, "theme:text-color", "dash"),
            *(figure.line_at("y", low, "theme:border-color") for low, _words in BANDS if low),
        ],
    }
    plot.draw(
        traces,
        layout,
        key="valley",
        alt=_(
            "Line chart: relative error of the central differences against the step size, lowest between "
            "the rounding and the kink regimes"
        ),
    )


def _drawable(error: float) -> float | None:
    """Return an error for a logarithmic scale, or None if none was measured."""
    return max(error, LOWEST) if np.isfinite(error) else None
