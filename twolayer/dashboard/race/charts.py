"""The charts of a race: step times, speedups, phases, roofline, and a sweep.

A method has the same colour in all charts, and a backend or device the same symbol.
"""

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import Any

import numpy as np

from twolayer.dashboard.i18n import _
from twolayer.dashboard.plot import plot
from twolayer.race.contenders import METHODS_IN_A_RACE, Contender
from twolayer.race.plan import Sweep
from twolayer.race.result import Race, Standing
from twolayer.race.verdict import microseconds, ratio
from twolayer.training.messages import N_
from twolayer.training.profiling import ALL as ALL_PHASES

PHASE_NAMES = {
    "forward": N_("forward"),
    "loss": N_("loss"),
    "backward": N_("backward"),
    "update": N_("update"),
    "transfer": N_("transfer"),
}
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "star")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
ROW_HEIGHT = 36
WHISKER = {"type": "data", "symmetric": False, "arrayminus": [0], "thickness": 2, "width": 6}
LEGEND = {
    "showlegend": True,
    "legend": {"orientation": "h", "traceorder": "normal", "y": 1.02, "yanchor": "bottom", "x": 0},
    "margin": {"l": 70, "r": 16, "t": 60, "b": 48},
}


def times(race: Race) -> None:
    """Draw the median time of a step of each contender, with whiskers to the 95th percentile."""
    traces = []
    for s in race.standings:
        whisker = WHISKER | {"array": [1e6 * s.p95 - 1e6 * s.median], "color": _colour(s)}
        hover = "%{y}: %{x:.4g} µs<extra></extra>"
        traces.append(_point(race, s, 1e6 * s.median, s.contender.name, hover) | {"error_x": whisker})
    alt = _("Median step time: {times}").format(
        times=", ".join(f"{s.contender.name} {microseconds(s.median)}" for s in race.ranked)
    )
    ends = [1e6 * value for s in race.standings for value in (s.median, s.p95)]
    _draw_rows(race, traces, _logarithmic(_("time per step (µs)"), ends), key="step_times_chart", alt=alt)


def speedups(race: Race) -> None:
    """Draw the speedup of each contender over the tutorial's NumPy loop."""
    shown = [(s, value) for s in race.standings if (value := race.speedup(s)) is not None]
    highest = max((value for _s, value in shown), default=1.0)
    look = {"textposition": "outside", "cliponaxis": False, "hovertemplate": "%{y}: %{text}<extra></extra>"}
    traces = []
    for s, value in shown:
        colour = {"color": _colour(s), "opacity": 0.35 if s.wrong else 1}
        bar = _bars(s.contender.name, [value], [s.contender.name], colour)
        traces.append(bar | look | {"text": [f"{ratio(value)} ×"]})
    xaxis = {"title": {"text": _("speedup (×)")}, "range": [0, 1.2 * highest]}
    alt = _("Speedup over the tutorial’s NumPy loop: {values}").format(
        values=", ".join(f"{s.contender.name} {ratio(value)}" for s, value in shown)
    )
    _draw_rows(race, traces, xaxis, key="speed_up_chart", alt=alt)


def phases(race: Race, *, as_shares: bool) -> None:
    """Draw where the time of a step goes, stacked: in microseconds, or as shares of the step."""
    names = [s.contender.name for s in race.standings]
    unit, title = (
        (" %", _("share of median step time (%)")) if as_shares else (" µs", _("time per step (µs)"))
    )
    traces = []
    for i, phase in enumerate(ALL_PHASES):
        values = [
            100 * s.phases[phase] / s.median if as_shares else 1e6 * s.phases[phase] for s in race.standings
        ]
        bars = _bars(_(PHASE_NAMES[phase]), values, names, {"color": f"theme:{i}"})
        traces.append(bars | {"hovertemplate": "%{y}: %{x:.3g}" + unit})
    line = {"symbol": "line-ns-open", "size": 18, "color": "theme:text-color", "line": {"width": 2}}
    steps = [100.0 if as_shares else 1e6 * s.median for s in race.standings]
    hover = "%{y}: %{x:.4g}" + unit
    traces.append(_scatter(_("total"), steps, names, hover, mode="markers", marker=line))
    alt = _("Stacked bar chart: step time by phase")
    xaxis = {"title": {"text": title}, "rangemode": "tozero"}
    _draw_rows(race, traces, xaxis, key="phases_chart", alt=alt, legend=True)


def roofline(race: Race) -> None:
    """Draw each contender on the processor under the machine's roofline."""
    roof = race.roofline
    if roof is None:
        return
    shown = [s for s in race.standings if s.contender.device == "cpu"]
    reached = [roof.ridge, *(s.arithmetic_intensity for s in shown)]
    at = np.union1d(np.geomspace(min(reached) / 3, max(reached) * 3, 60), [roof.ridge])
    heights, hover = [roof.at(intensity) for intensity in at], "%{y:.0f} GFLOP/s<extra></extra>"
    line = {"color": "theme:text-color", "width": 2}
    traces = [_scatter(_("roofline"), at.tolist(), heights, hover, mode="lines", line=line)]
    for s in shown:
        hover = f"{s.contender.name}: %{{y:.3g}} GFLOP/s<extra></extra>"
        traces.append(_point(race, s, s.arithmetic_intensity, s.gflops, hover))
    layout = {
        "xaxis": _logarithmic(_("arithmetic intensity (FLOP/byte)"), at.tolist()),
        "yaxis": _logarithmic("GFLOP/s", [roof.at(at[0]), roof.peak, *(s.gflops for s in shown)]),
        "hovermode": "closest",
        "uirevision": "roofline",
        **LEGEND,
    }
    alt = _("Roofline chart: {values}; limits: {peak} GFLOP/s and {bandwidth} GB/s").format(
        values=", ".join(f"{s.contender.name} {s.gflops:.3g} GFLOP/s" for s in shown),
        peak=f"{roof.peak:.0f}",
        bandwidth=f"{roof.gbytes:.0f}",
    )
    plot.draw(traces, layout, key="roofline_chart", alt=alt, height=380)


def sweep(over: Sweep, races: Sequence[Race]) -> None:
    """Draw the time of a step against the size, for each contender. The axis has room for all sizes."""
    field = over.field
    traces = []
    for contender in [s.contender for s in races[0].standings]:
        points = [(getattr(race.config, field), race.find(contender)) for race in races]
        there = [(size, s) for size, s in points if s is not None]
        first = there[0][1]
        sizes, medians = [size for size, _s in there], [1e6 * s.median for _size, s in there]
        line = {"color": _colour(first), "dash": _of_place(races[0], contender, DASHES)}
        look = {"mode": "lines+markers", "line": line, "marker": _marker(races[0], first)}
        traces.append(_scatter(contender.name, sizes, medians, "%{y:.4g} µs", **look))
    layout = {
        "xaxis": _logarithmic(field, over.values),
        "yaxis": _logarithmic(_("time per step (µs)"), _medians(*races)),
        "uirevision": "sweep",
        **LEGEND,
    }
    alt = _("Time per step against {field} (log–log)").format(field=field)
    plot.draw(traces, layout, key="sweep_chart", alt=alt, height=420)


def compared(here: Race, there: Race) -> None:
    """Draw the medians of two machines, a row for each contender that ran on either."""
    traces = []
    for i, (race, name) in enumerate(((here, _("this server")), (there, _("file")))):
        marker = {"size": 12, "symbol": SYMBOLS[i], "color": f"theme:{i}"}
        names = [s.contender.name for s in race.standings]
        hover = "%{y}: %{x:.4g} µs"
        traces.append(_scatter(name, _medians(race), names, hover, mode="markers", marker=marker))
    contenders = {s.contender.name for race in (here, there) for s in race.standings}
    layout = {
        "xaxis": _logarithmic(_("time per step (µs)"), _medians(here, there)),
        "yaxis": {"automargin": True, "autorange": "reversed"},
        "hovermode": "closest",
        "uirevision": "compared",
        **LEGEND,
    }
    height = 130 + ROW_HEIGHT * len(contenders)
    alt = _("Median step time on this server and in the file")
    plot.draw(traces, layout, key="compared_chart", alt=alt, height=height)


def _medians(*races: Race) -> list[float]:
    """Return the median step times in microseconds."""
    return [1e6 * s.median for race in races for s in race.standings]


def _scatter(name: str, x: list[Any], y: list[Any], hover: str, **look: Any) -> dict[str, Any]:
    return {"type": "scatter", "name": name, "x": x, "y": y, "hovertemplate": hover, **look}


def _point(race: Race, s: Standing, x: float, y: float | str, hover: str) -> dict[str, Any]:
    return _scatter(s.contender.name, [x], [y], hover, mode="markers", marker=_marker(race, s))


def _bars(name: str, x: list[float], y: list[str], marker: dict[str, Any]) -> dict[str, Any]:
    return {"type": "bar", "orientation": "h", "name": name, "x": x, "y": y, "marker": marker}


def _draw_rows(
    race: Race,
    traces: list[dict[str, Any]],
    xaxis: dict[str, Any],
    *,
    key: str,
    alt: str,
    legend: bool = False,
) -> None:
    """Draw a chart with a row for each contender, always in the same order."""
    names = [s.contender.name for s in race.standings]
    layout = {
        "xaxis": xaxis,
        "yaxis": {
            "type": "category",
            "categoryorder": "array",
            "categoryarray": names,
            "range": [len(names) - 0.4, -0.6],
            "automargin": True,
        },
        "barmode": "stack",
        "bargap": 0.35,
        "hovermode": "closest",
        "uirevision": key,
        **(LEGEND if legend else {}),
    }
    height = (150 if legend else 90) + ROW_HEIGHT * len(names)
    plot.draw(traces, layout, key=key, alt=alt, height=height)


def _logarithmic(title: str, values: Sequence[float]) -> dict[str, Any]:
    """Return a log axis around `values` with full numbers at its ticks (Plotly would write 2 for 200)."""
    low, high = min(values) / 1.3, max(values) * 1.3
    decades = range(floor(log10(low)), ceil(log10(high)) + 1)
    leading = (1, 2, 5) if high / low < 3000 else (1,)
    ticks = [lead * 10.0**decade for decade in decades for lead in leading]
    return {
        "title": {"text": title},
        "type": "log",
        "range": [log10(low), log10(high)],
        "tickvals": ticks,
        "ticktext": [f"{tick:,.10g}" for tick in ticks],
    }


def _colour(standing: Standing) -> str:
    return f"theme:{METHODS_IN_A_RACE.index(standing.contender.method)}"


def _marker(race: Race, standing: Standing) -> dict[str, Any]:
    return {
        "color": _colour(standing),
        "size": 12,
        "symbol": _of_place(race, standing.contender, SYMBOLS) + ("-open" if standing.wrong else ""),
    }


def _of_place(race: Race, contender: Contender, options: Sequence[str]) -> str:
    """Return the option for a contender's backend and device, the same for all methods."""
    places = list(dict.fromkeys((s.contender.backend, s.contender.device) for s in race.standings))
    return options[places.index((contender.backend, contender.device)) % len(options)]
