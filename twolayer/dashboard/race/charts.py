"""The charts of a race: bars by speed, phases, roofline, and a sweep.

A method has the same colour in all charts, and a backend or device the same symbol.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import ceil, floor, log10

import numpy as np

from twolayer.dashboard.i18n import _
from twolayer.dashboard.plot import figure, plot
from twolayer.race.contenders import BASELINE, METHODS_IN_A_RACE, Contender
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
METHODS = {
    "fused": N_("*fused*: arrays are reused"),
    "gram": N_("*gram*: fewer operations, by way of x·xᵀ"),
}
"""What a method is that the tutorial does not have."""
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "star")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
ROW_HEIGHT = 34
SWEEP_HEIGHT = 380
LEGEND = {
    "showlegend": True,
    "legend": figure.LEGEND | {"traceorder": "normal"},
    "margin": {"l": 70, "r": 16, "t": 60, "b": 48},
}


def explained(text: str, shown: Iterable[Contender]) -> str:
    """Return what the methods of those who are shown are, in half a sentence each, and below it `text`: that
    grows shorter with the first round, and what stands below it would move."""
    methods = {contender.method for contender in shown}
    words = ". ".join(_(words) for method, words in METHODS.items() if method in methods)
    return "  \n".join(filter(None, (words, text)))


def bars(
    seconds: Mapping[Contender, float],
    wrong: Collection[Contender] = (),
    *,
    key: str,
    height: int = 0,
    example: bool = False,
) -> None:
    """Draw the time of a step and the speedup over the tutorial's NumPy loop of each contender, fastest
    first; all in grey for an `example`."""
    ranked = sorted(seconds, key=seconds.__getitem__)
    base, longest = seconds.get(BASELINE), seconds[ranked[-1]]
    names = [contender.name for contender in ranked]
    texts = [
        microseconds(seconds[contender]) + (f" · {ratio(base / seconds[contender])}×" if base else "")
        for contender in ranked
    ]
    faded = [example or contender in wrong for contender in ranked]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [seconds[contender] for contender in ranked],
        "y": names,
        "text": texts,
        "textposition": ["inside" if seconds[who] > 0.5 * longest else "outside" for who in ranked],
        "insidetextanchor": "end",
        "insidetextfont": {"color": [f"theme:{'text' if f else 'background'}-color" for f in faded]},
        "textangle": 0,
        "hoverinfo": "skip",
        "marker": {
            "color": ["theme:7" if example else _colour(contender) for contender in ranked],
            "opacity": [0.35 if f else 1 for f in faded],
        },
    }
    layout = {
        "xaxis": {"visible": False, "range": [0, longest]},
        "yaxis": {"type": "category", "autorange": "reversed", "automargin": True, "showgrid": False},
        "bargap": 0.3,
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "uirevision": key,
    }
    alt = _("Median step time: {times}").format(
        times=", ".join(f"{name} {text}" for name, text in zip(names, texts, strict=True))
    )
    if example:
        alt = _("Example")
    plot.draw([trace], layout, key=key, alt=alt, height=height or ROW_HEIGHT * len(names))


def phases(race: Race, *, as_shares: bool) -> None:
    """Draw where the time of a step goes, stacked: in microseconds, or as shares of the step."""
    ranked = race.ranked
    names = [s.contender.name for s in ranked]
    unit, title = (
        (" %", _("share of median step time (%)")) if as_shares else (" µs", _("time per step (µs)"))
    )
    scales = [100 / s.median if as_shares else 1e6 for s in ranked]
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": _(PHASE_NAMES[phase]),
            "x": [s.phases[phase] * scale for s, scale in zip(ranked, scales, strict=True)],
            "y": names,
            "marker": {"color": f"theme:{i}"},
            "hovertemplate": "%{y}: %{x:.3g}" + unit,
        }
        for i, phase in enumerate(ALL_PHASES)
    ]
    line = {"symbol": "line-ns-open", "size": 18, "color": "theme:text-color", "line": {"width": 2}}
    totals = [s.median * scale for s, scale in zip(ranked, scales, strict=True)]
    hover = "%{y}: %{x:.4g}" + unit
    traces.append(figure.scatter(totals, names, "markers", name=_("total"), marker=line, hovertemplate=hover))
    layout = {
        "xaxis": figure.axis(title, rangemode="tozero"),
        "yaxis": {"type": "category", "autorange": "reversed", "automargin": True},
        "barmode": "stack",
        "bargap": 0.35,
        "hovermode": "closest",
        "uirevision": "phases",
        **LEGEND,
    }
    alt = _("Stacked bar chart: step time by phase")
    plot.draw(traces, layout, key="phases_chart", alt=alt, height=150 + ROW_HEIGHT * len(names))


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
    traces = [figure.scatter(at, heights, name=_("roofline"), line=line, hovertemplate=hover)]
    for s in shown:
        hover = f"{s.contender.name}: %{{y:.3g}} GFLOP/s<extra></extra>"
        look = {"name": s.contender.name, "marker": _marker(race, s), "hovertemplate": hover}
        traces.append(figure.scatter([s.arithmetic_intensity], [s.gflops], "markers", **look))
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
    plot.draw(traces, layout, key="roofline_chart", alt=alt, height=150 + ROW_HEIGHT * len(race.standings))


def sweep(over: Sweep, races: Sequence[Race]) -> None:
    """Draw the time of a step against the size, for each contender. The axis has room for all sizes."""
    traces = []
    for place, s in enumerate(races[0].standings):
        sizes = [getattr(race.config, over.field) for race in races]
        medians = [1e6 * race.standings[place].median for race in races]
        line = {"color": _colour(s.contender), "dash": _of_place(races[0], s.contender, DASHES)}
        look = {"line": line, "marker": _marker(races[0], s), "hovertemplate": "%{y:.4g} µs"}
        traces.append(figure.scatter(sizes, medians, "lines+markers", name=s.contender.name, **look))
    layout = {
        "xaxis": _logarithmic(over.field, over.values),
        "yaxis": _logarithmic(_("time per step (µs)"), _medians(*races)),
        "uirevision": "sweep",
        **LEGEND,
    }
    alt = _("Time per step against {field} (log–log)").format(field=over.field)
    plot.draw(traces, layout, key="sweep_chart", alt=alt, height=SWEEP_HEIGHT)


def _medians(*races: Race) -> list[float]:
    """Return the median step times in microseconds."""
    return [1e6 * s.median for race in races for s in race.standings]


def _logarithmic(title: str, values: Sequence[float]) -> figure.Part:
    """Return a log axis around `values` with full numbers at its ticks (Plotly would write 2 for 200)."""
    low, high = min(values) / 1.3, max(values) * 1.3
    decades = range(floor(log10(low)), ceil(log10(high)) + 1)
    leading = (1, 2, 5) if high / low < 3000 else (1,)
    ticks = [lead * 10.0**decade for decade in decades for lead in leading]
    texts = [f"{tick:,.10g}" for tick in ticks]
    return figure.axis(title, log=True, range=[log10(low), log10(high)], tickvals=ticks, ticktext=texts)


def _colour(contender: Contender) -> str:
    return f"theme:{METHODS_IN_A_RACE.index(contender.method)}"


def _marker(race: Race, standing: Standing) -> figure.Part:
    symbol = _of_place(race, standing.contender, SYMBOLS) + ("-open" if standing.wrong else "")
    return {"color": _colour(standing.contender), "size": 12, "symbol": symbol}


def _of_place(race: Race, contender: Contender, options: Sequence[str]) -> str:
    """Return the option for a contender's backend and device, the same for all methods."""
    places = list(dict.fromkeys((s.contender.backend, s.contender.device) for s in race.standings))
    return options[places.index((contender.backend, contender.device)) % len(options)]
