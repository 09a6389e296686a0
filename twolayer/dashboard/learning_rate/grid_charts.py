"""The maps of a grid: the recommended rate over its sizes, and the final losses."""

from math import log10
from typing import Any

import numpy as np

from twolayer.dashboard.i18n import _
from twolayer.dashboard.learning_rate.job import Search
from twolayer.dashboard.plot import figure, plot
from twolayer.rates.outcomes import DIVERGES, OUTCOMES
from twolayer.rates.sweep import Sweep

HEIGHT = 430


def band_chart(search: Search) -> None:
    """The recommended learning rate over the one or two sizes of a grid, as far as it is known."""
    sweep = search.sweep
    outer = [axis for axis in sweep.grid.axes if axis.field not in ("learning_rate", "seed")]
    across, down = outer[0], outer[1] if len(outer) > 1 else None
    shape = (len(down.values) if down else 1, len(across.values))
    rates, texts = np.full(shape, np.nan), np.full(shape, "", dtype=object)
    hovers = texts.copy()
    for places, found in search.bands.items():
        cell = (places[1] if down else 0, places[0])
        if found.rate is None:
            texts[cell] = "–"
            continue
        rates[cell] = log10(found.rate)
        texts[cell] = f"{found.rate:.1e}".replace("e-0", "e-")
        band = "" if found.low is None else f" ({found.low:.3g} – {found.high:.3g})"
        hovers[cell] = f"{found.rate:.2g}{band}"
    _heatmap(
        (rates, texts, hovers),
        ([str(value) for value in across.values], [str(value) for value in down.values] if down else [""]),
        (across.field, down.field if down else ""),
        title="log₁₀ η",
        alt=_("Heat map: recommended learning rate by network size"),
    )


def loss_map(sweep: Sweep, layer: int) -> None:
    """The final losses, relative to the first, over the last two axes of a grid; `layer` is the place on
    the first axis where there are three."""
    grid = sweep.grid
    ratios = np.full(grid.size, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios[sweep.there["index"]] = np.log10(sweep.there["final"] / sweep.there["first"])
    diverged = np.zeros(grid.size, bool)
    diverged[sweep.there["index"]] = sweep.there["outcome"] == OUTCOMES.index(DIVERGES)
    ratios[diverged] = np.nan
    shaped, lost = ratios.reshape(grid.shape), diverged.reshape(grid.shape)
    if len(grid.shape) == 3:
        shaped, lost = shaped[layer], lost[layer]
    shaped, lost = np.atleast_2d(shaped), np.atleast_2d(lost)
    axes = grid.axes[-2:]
    names = [[_value(value) for value in axis.values] for axis in axes]
    rows = names[0] if len(axes) > 1 else [""]
    with np.errstate(over="ignore"):
        hovers = np.where(lost, "×", np.char.mod("%.2e", 10**shaped))
    _heatmap(
        (shaped, np.where(lost, "×", ""), hovers),
        (names[-1], rows),
        (axes[-1].field, axes[0].field if len(axes) > 1 else ""),
        title=_("log₁₀(final loss / initial loss)"),
        alt=_("Heat map: final loss relative to the initial loss over two fields; × marks divergence"),
    )


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _heatmap(
    cells: tuple[Any, Any, Any],
    places: tuple[list[str], list[str]],
    names: tuple[str, str],
    *,
    title: str,
    alt: str,
) -> None:
    """Draw a heat map of (values, texts, hover texts), each (rows, columns); NaN leaves a cell empty."""
    z, texts, hovers = cells
    trace = figure.heatmap(
        [[None if np.isnan(value) else float(value) for value in row] for row in z],
        {"title": {"text": title, "side": "right"}},
        x=places[0],
        y=places[1],
        text=texts.tolist(),
        texttemplate="%{text}",
        textfont={"size": 11},
        hovertext=hovers.tolist(),
        hovertemplate=f"{names[0]} %{{x}}, {names[1]} %{{y}}: %{{hovertext}}<extra></extra>",
        colorscale="Viridis",
        xgap=1 if len(places[0]) > 12 else 2,
        ygap=1 if len(places[1]) > 12 else 2,
        hoverongaps=False,
    )
    layout = {
        "xaxis": figure.axis(names[0], type="category"),
        "yaxis": figure.axis(names[1], type="category"),
        "hovermode": "closest",
        "uirevision": f"{names}",
    }
    plot.draw([trace], layout, key="grid_chart", alt=alt, height=HEIGHT)
