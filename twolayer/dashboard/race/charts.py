"""The charts of a race: step times, speed-up, phases, roofline, and a sweep.

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


def times(race: Race) -> None:
    """The median time of a step of each contender, with whiskers to the 95th percentile."""
    traces = []
    for s in race.standings:
        median, p95 = s.median * 1e6, s.p95 * 1e6
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": s.contender.name,
                "x": [median],
                "y": [s.contender.name],
                "marker": _marker(race, s),
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [p95 - median],
                    "arrayminus": [0],
                    "color": _colour(s),
                    "thickness": 2,
                    "width": 6,
                },
                "hovertemplate": "%{y}: %{x:.4g} µs<extra></extra>",
            }
        )
    _draw_rows(
        race,
        traces,
        _logarithmic(
            _("time per step (µs)"),
            [1e6 * value for s in race.standings for value in (s.median, s.p95)],
        ),
        key="step_times_chart",
        alt=_("The median time of a step: {times}").format(
            times=", ".join(f"{s.contender.name} {microseconds(s.median)}" for s in race.ranked)
        ),
    )


def speed_ups(race: Race) -> None:
    """How many times as fast as the tutorial's NumPy loop."""
    found = [(s, race.speed_up(s)) for s in race.standings]
    shown = [(s, times_as_fast) for s, times_as_fast in found if times_as_fast is not None]
    highest = max((value for _s, value in shown), default=1.0)
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": s.contender.name,
            "x": [value],
            "y": [s.contender.name],
            "text": [f"{ratio(value)} ×"],
            "textposition": "outside",
            "cliponaxis": False,
            "marker": {"color": _colour(s), "opacity": 0.35 if s.wrong else 1},
            "hovertemplate": "%{y}: %{text}<extra></extra>",
        }
        for s, value in shown
    ]
    _draw_rows(
        race,
        traces,
        {"title": {"text": _("times as fast")}, "range": [0, 1.2 * highest]},
        key="speed_up_chart",
        alt=_("Times as fast as the tutorial’s NumPy loop: {values}").format(
            values=", ".join(f"{s.contender.name} {ratio(value)}" for s, value in shown)
        ),
    )


def phases(race: Race, *, as_shares: bool) -> None:
    """Where the time of a step goes, stacked: in microseconds, or as shares of the step."""
    names = [s.contender.name for s in race.standings]
    traces = []
    for i, phase in enumerate(ALL_PHASES):
        values = [
            100 * s.phases[phase] / s.median if as_shares else 1e6 * s.phases[phase] for s in race.standings
        ]
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": _(PHASE_NAMES[phase]),
                "x": values,
                "y": names,
                "marker": {"color": f"theme:{i}"},
                "hovertemplate": "%{y}: %{x:.3g}" + (" %" if as_shares else " µs"),
            }
        )
    traces.append(
        {
            "type": "scatter",
            "mode": "markers",
            "name": _("the whole step"),
            "x": [100.0 if as_shares else 1e6 * s.median for s in race.standings],
            "y": names,
            "marker": {
                "symbol": "line-ns-open",
                "size": 18,
                "color": "theme:text-color",
                "line": {"width": 2},
            },
            "hovertemplate": "%{y}: %{x:.4g}" + (" %" if as_shares else " µs"),
        }
    )
    title = _("share of the median step (%)") if as_shares else _("time per step (µs)")
    _draw_rows(
        race,
        traces,
        {"title": {"text": title}, "rangemode": "tozero"},
        key="phases_chart",
        alt=_("Stacked bars: how the time of a step divides into its phases"),
        legend=True,
    )


def roofline(race: Race) -> None:
    """Each contender on the processor under the two ceilings of the machine."""
    roof = race.ceiling
    if roof is None:
        return
    shown = [s for s in race.standings if s.contender.device == "cpu"]
    reached = [s.intensity for s in shown]
    at = np.geomspace(min([roof.ridge, *reached]) / 3, max([roof.ridge, *reached]) * 3, 60)
    at = np.union1d(at, [roof.ridge])
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": _("ceiling"),
            "x": at.tolist(),
            "y": [roof.at(intensity) for intensity in at],
            "line": {"color": "theme:text-color", "width": 2},
            "hovertemplate": "%{y:.0f} GFLOP/s<extra></extra>",
        }
    ]
    for s in shown:
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": s.contender.name,
                "x": [s.intensity],
                "y": [s.gflops],
                "marker": _marker(race, s),
                "hovertemplate": f"{s.contender.name}: %{{y:.3g}} GFLOP/s<extra></extra>",
            }
        )
    layout = {
        "xaxis": _logarithmic(_("operations per byte"), at.tolist()),
        "yaxis": _logarithmic("GFLOP/s", [roof.at(at[0]), roof.peak, *(s.gflops for s in shown)]),
        "hovermode": "closest",
        "uirevision": "roofline",
        **_legend(),
    }
    alt = _("Roofline: {values}, under {peak} GFLOP/s and {bandwidth} GB/s").format(
        values=", ".join(f"{s.contender.name} {s.gflops:.3g} GFLOP/s" for s in shown),
        peak=f"{roof.peak:.0f}",
        bandwidth=f"{roof.gbytes:.0f}",
    )
    plot.draw(traces, layout, key="roofline_chart", alt=alt, height=380)


def sweep(over: Sweep, races: Sequence[Race]) -> None:
    """The time of a step against the size, for each contender. The axis has room for all sizes."""
    field = over.field
    traces = []
    for contender in [s.contender for s in races[0].standings]:
        points = [(getattr(race.config, field), race.find(contender)) for race in races]
        there = [(size, s) for size, s in points if s is not None]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": contender.name,
                "x": [size for size, _s in there],
                "y": [1e6 * s.median for _size, s in there],
                "marker": _marker(races[0], there[0][1]),
                "line": {"color": _colour(there[0][1]), "dash": _of_place(races[0], contender, DASHES)},
                "hovertemplate": "%{y:.4g} µs",
            }
        )
    layout = {
        "xaxis": _logarithmic(field, over.values),
        "yaxis": _logarithmic(
            _("time per step (µs)"), [1e6 * s.median for race in races for s in race.standings]
        ),
        "uirevision": "sweep",
        **_legend(),
    }
    plot.draw(
        traces,
        layout,
        key="sweep_chart",
        alt=_("Time per step against {field}, both on logarithmic axes").format(field=field),
        height=420,
    )


def compared(here: Race, there: Race) -> None:
    """The medians of two machines, a row for each contender that ran on one of them."""
    traces = []
    for i, (race, name) in enumerate(((here, _("here")), (there, _("in the file")))):
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [1e6 * s.median for s in race.standings],
                "y": [s.contender.name for s in race.standings],
                "marker": {"size": 12, "symbol": SYMBOLS[i], "color": f"theme:{i}"},
                "hovertemplate": "%{y}: %{x:.4g} µs",
            }
        )
    contenders = {s.contender.name for race in (here, there) for s in race.standings}
    layout = {
        "xaxis": _logarithmic(
            _("time per step (µs)"), [1e6 * s.median for race in (here, there) for s in race.standings]
        ),
        "yaxis": {"automargin": True, "autorange": "reversed"},
        "hovermode": "closest",
        "uirevision": "compared",
        **_legend(),
    }
    height = 130 + ROW_HEIGHT * len(contenders)
    alt = _("The median time of a step here and in the file")
    plot.draw(traces, layout, key="compared_chart", alt=alt, height=height)


def _draw_rows(
    race: Race,
    traces: list[dict[str, Any]],
    xaxis: dict[str, Any],
    *,
    key: str,
    alt: str,
    legend: bool = False,
) -> None:
    """A chart with a row for each contender, always in the same order."""
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
        **(_legend() if legend else {}),
    }
    height = (150 if legend else 90) + ROW_HEIGHT * len(names)
    plot.draw(traces, layout, key=key, alt=alt, height=height)


def _logarithmic(title: str, values: Sequence[float]) -> dict[str, Any]:
    """A log axis around `values` whose labels can be read without knowing that 2 stands for 200."""
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


def _legend() -> dict[str, Any]:
    return {
        "showlegend": True,
        "legend": {"orientation": "h", "traceorder": "normal", "y": 1.02, "yanchor": "bottom", "x": 0},
        "margin": {"l": 70, "r": 16, "t": 60, "b": 48},
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
    """The same option for all methods on one backend and device."""
    places = list(dict.fromkeys((s.contender.backend, s.contender.device) for s in race.standings))
    return options[places.index((contender.backend, contender.device)) % len(options)]
