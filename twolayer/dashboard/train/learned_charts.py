"""Pictures of what a network has learned: a curve, a map, digits, or predicted against true values."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.dashboard.i18n import _
from twolayer.dashboard.plot import figure, plot
from twolayer.dashboard.plot.figure import Part
from twolayer.training import learned
from twolayer.training.config import Config
from twolayer.training.data import own
from twolayer.training.learned import MOST_DIGITS, Picture
from twolayer.training.problem import HeldOut

HEIGHT = 256
SIDE, GAP = 8, 1
"""Pixels of an image, and between two."""
UNITS_A_ROW = 6
ROOM = 7
"""Below the images of digits, for the words, in pixels of the images."""
COLOURS = ((0, "theme:1"), (0.5, "theme:secondary-background-color"), (1, "theme:0"))
EDGE = 1.1
"""The map goes from −EDGE to EDGE."""
LONGEST_NAME = 16
"""Characters of a name beside an axis."""
PLAIN = {"showticklabels": False, "showgrid": False, "zeroline": False, "ticks": ""}


def chart(config: Config, picture: Picture | None) -> None:
    """Draw a picture of what a run of `config` has learned; its axes alone before there is one."""
    make, alt = {
        "curve": (_curve, _("Line chart: the network's output over its input, with its kinks, and the data")),
        "map": (_map, _("Map: the class that the network gives each point, the units' lines, and the data")),
        "digits": (
            _digits,
            _("Images: weights of hidden units, held-out digits with the answers to them, confusion matrix"),
        ),
        "table": (_table, _("Scatter chart: predicted against true values of held-out rows")),
        "confusion": (_confusion, _("Confusion matrix: the true and the predicted classes of held-out rows")),
    }[config.data_set.picture]
    traces, layout = make(config, picture)
    if picture is not None:
        alt += ". " + _("After {step} steps.").format(step=f"{picture.step:,}")
    layout = {"margin": {"l": 44, "r": 8, "t": 20, "b": 36}, "hovermode": "closest", **layout}
    plot.draw(traces, layout, key="learned_chart", alt=alt, height=HEIGHT)


def _curve(config: Config, picture: Picture | None) -> tuple[list[Part], Part]:
    """The fitted curve with its kinks, over the rows that train and those that are held out."""
    traces = [
        figure.scatter(rows.x[:, 0], rows.y[:, 0], "markers", name=name, marker=marker, hoverinfo="skip")
        for rows, name, marker in zip(
            learned.shown_rows(config),
            (_("rows that train"), _("held-out rows")),
            ({"size": 3, "color": "theme:2"}, {"size": 5, "color": "theme:3", "symbol": "circle-open"}),
            strict=True,
        )
    ]
    if picture is not None:
        x, y = learned.places(config), picture.arrays["y"]
        kinks = picture.arrays["kinks"]
        marker = {"size": 8, "symbol": "diamond", "color": "theme:1"}
        traces += [
            figure.scatter(x, y, name=_("network"), line={"width": 2, "color": "theme:0"}),
            figure.scatter(kinks, np.interp(kinks, x, y), "markers", name=_("kinks"), marker=marker),
        ]
    span = float(np.ptp(learned.shown_rows(config)[0].y)) * 0.25
    low, high = (float(f(learned.shown_rows(config)[0].y)) for f in (np.min, np.max))
    return traces, {
        "xaxis": figure.axis("x", range=[-2, 2]),
        "yaxis": figure.axis("y", range=[low - span, high + span]),
    }


def _map(config: Config, picture: Picture | None) -> tuple[list[Part], Part]:
    """The second output less the first as a colour, the lines where units begin, and the rows that train."""
    traces: list[Part] = []
    if picture is not None:
        side, z = learned.places(config), picture.arrays["z"]
        plane = figure.heatmap(
            np.clip(z, -1, 1), {}, x=plot.packed(side), y=plot.packed(side), zmin=-1, zmax=1, opacity=0.6
        )
        x, y = _segments(picture.arrays["lines"])
        traces = [
            plane | {"colorscale": COLOURS, "showscale": False, "hoverinfo": "skip"},
            figure.scatter(
                x, y, line={"width": 1, "color": "theme:text-color"}, opacity=0.35, hoverinfo="skip"
            ),
        ]
    rows = learned.shown_rows(config)[0]
    for number, colour in ((0, "theme:1"), (1, "theme:0")):
        of_class = rows.x[rows.y[:, number] == 1]
        marker = {"size": 4, "color": colour}
        points = figure.scatter(of_class[:, 0], of_class[:, 1], "markers", marker=marker)
        traces.append(points | {"name": config.data_set.classes[number], "hoverinfo": "name"})
    return traces, {
        "xaxis": {"range": [-EDGE, EDGE], "constrain": "domain", **PLAIN},
        "yaxis": {"range": [-EDGE, EDGE], "scaleanchor": "x", **PLAIN},
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
    }


def _segments(lines: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the ends of lines a·x + b·y + c = 0 within the map, with a gap after each."""
    a, b, c = (column[:, None] for column in lines.T)
    ends = np.array([[-2 * EDGE, 2 * EDGE]])
    with np.errstate(all="ignore"):
        flat = np.abs(b) >= np.abs(a)
        x = np.where(flat, ends, -(b * ends + c) / a)
        y = np.where(flat, -(a * ends + c) / b, ends)
    gap = np.full((len(lines), 1), np.nan)
    return np.hstack([x, gap]).ravel(), np.hstack([y, gap]).ravel()


def _digits(config: Config, picture: Picture | None) -> tuple[list[Part], Part]:
    """Held-out digits with what was said of them; weights of hidden units, and the confusion matrix."""
    held_out = learned.shown_rows(config)[1]
    ink = [[0, "theme:background-color"], [1, "theme:text-color"]]
    traces = [_images(held_out.x[:MOST_DIGITS, : SIDE * SIDE], MOST_DIGITS, "2", colorscale=ink)]
    titles = ((0, _("weights of hidden units")), (0.66, _("confusion matrix")))
    notes = [_note(x, 0.69, text, xref="paper", yref="paper", xanchor="left", size=11) for x, text in titles]
    if picture is not None:
        units, confusion = picture.arrays["units"], picture.arrays["confusion"]
        most = float(np.nanmax(np.abs(units), initial=1e-9))
        matrix = {
            "colorscale": [[0, "theme:background-color"], [1, "theme:0"]],
            "customdata": plot.packed(confusion),
            "hovertemplate": _("true %{y}, predicted %{x}: %{customdata}") + "<extra></extra>",
        }
        traces += [
            _images(units, UNITS_A_ROW, "", colorscale=COLOURS, zmin=-most, zmax=most),
            figure.heatmap(np.sqrt(confusion), {}, xaxis="x3", yaxis="y3", showscale=False, **matrix),
        ]
        notes += _answers(held_out, picture.arrays["outputs"])
    ticks = {"tickvals": list(range(10)), "showgrid": False, "zeroline": False, "tickfont": {"size": 9}}
    title = {"text": _("predicted class"), "font": {"size": 11}, "standoff": 4}
    return traces, {
        "xaxis": {"domain": [0, 0.58], **PLAIN},
        "yaxis": {"domain": [0, 0.62], "autorange": "reversed", **PLAIN},
        "xaxis2": {"domain": [0, 1], "anchor": "y2", **PLAIN},
        "yaxis2": {"domain": [0.74, 1], "anchor": "x2", "range": [SIDE + ROOM, -0.5], **PLAIN},
        "xaxis3": {"domain": [0.66, 1], "anchor": "y3", "title": title, **ticks},
        "yaxis3": {"domain": [0, 0.62], "anchor": "x3", "autorange": "reversed", **ticks},
        "annotations": notes,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 36},
    }


def _note(x: float, y: float, text: str, size: int, **place: str) -> Part:
    """Return words in a picture, below a place."""
    return {
        "x": x,
        "y": y,
        "text": text,
        "font": {"size": size},
        "yanchor": "top",
        "showarrow": False,
    } | place


def _answers(held_out: HeldOut, outputs: NDArray[Any]) -> list[Part]:
    """Return what was said of each digit, under its image: right or wrong, and how large the output is."""
    notes = []
    for number, output in enumerate(outputs):
        said, true = int(np.argmax(output)), int(np.argmax(held_out.y[number]))
        text = f"{'✓' if said == true else '✗'} {said}<br>{output[said]:.1f}"
        middle = number * (SIDE + GAP) + (SIDE - 1) / 2
        notes.append(_note(middle, SIDE - 0.5, text, 9, xref="x2", yref="y2"))
    return notes


def _images(images: NDArray[Any], a_row: int, axes: str, **more: Any) -> Part:
    """Return images (count, 64) side by side in rows as one heat map."""
    rows = -(-len(images) // a_row)
    sheet = np.full((rows * (SIDE + GAP) - GAP, a_row * (SIDE + GAP) - GAP), np.nan, np.float32)
    for number, image in enumerate(images):
        top, left = (place * (SIDE + GAP) for place in divmod(number, a_row))
        sheet[top : top + SIDE, left : left + SIDE] = image.reshape(SIDE, SIDE)
    place = {"xaxis": f"x{axes}", "yaxis": f"y{axes}", "showscale": False, "hoverinfo": "skip"}
    return figure.heatmap(sheet, {}, **place, **more)


def _table(config: Config, picture: Picture | None) -> tuple[list[Part], Part]:
    """Predicted against true values of held-out rows, one colour for each output."""
    true = learned.shown_rows(config)[1].y
    names = _outputs(config)
    low, high = float(true.min()), float(true.max())
    traces = [figure.scatter([low, high], [low, high], line={"color": "theme:border-color", "dash": "dash"})]
    traces[0] |= {"hoverinfo": "skip", "showlegend": False}
    for k, name in enumerate(names if picture is not None else ()):
        outputs = picture.arrays["outputs"][:, k] if picture is not None else ()
        marker = {"size": 5, "color": f"theme:{k}", "opacity": 0.7}
        traces.append(figure.scatter(true[:, k], outputs, "markers", name=name, marker=marker))
    span = 0.25 * (high - low)
    return traces, {
        "xaxis": figure.axis(_("true"), range=[low - span, high + span]),
        "yaxis": figure.axis(_("predicted"), range=[low - span, high + span]),
        "showlegend": True,
        "legend": figure.LEGEND | {"font": {"size": 10}},
    }


def _outputs(config: Config) -> Sequence[str]:
    """Return what the outputs are called."""
    table = own.find(config.table)
    if table is not None:
        return [escape(name[:LONGEST_NAME]) for name in table.outputs]
    return config.data_set.classes or [f"y{k}" for k in range(config.D_out)]


def _confusion(config: Config, picture: Picture | None) -> tuple[list[Part], Part]:
    """How many held-out rows of each class were given which class."""
    names = _outputs(config)
    traces: list[Part] = []
    if picture is not None:
        confusion = picture.arrays["confusion"]
        matrix = {
            "colorscale": [[0, "theme:background-color"], [1, "theme:0"]],
            "customdata": plot.packed(confusion),
            "hovertemplate": _("true %{y}, predicted %{x}: %{customdata}") + "<extra></extra>",
        }
        traces = [figure.heatmap(np.sqrt(confusion), {}, showscale=False, **matrix)]
    ticks = {
        "tickvals": list(range(len(names))),
        "ticktext": names,
        "showgrid": False,
        "zeroline": False,
        "tickfont": {"size": 9},
        "range": [-0.5, len(names) - 0.5],
    }
    return traces, {
        "xaxis": {"title": {"text": _("predicted class")}, **ticks},
        "yaxis": {"title": {"text": _("true")}, **ticks, "range": [len(names) - 0.5, -0.5]},
        "margin": {"l": 80, "r": 8, "t": 8, "b": 44},
    }
