"""Draw diagrams of the current step in DOT: the network and the computation graph."""

from collections.abc import Iterable, Mapping

import streamlit as st

from twolayer.backprop.bugs import program
from twolayer.training import program as listing

PLACES: Mapping[str, tuple[float, float]] = {
    "x": (1, 4),
    "w1": (0, 3),
    "h": (1, 3),
    "grad_h": (2, 3),
    "grad_w1": (3, 3),
    "w1′": (3, 4),
    "h_relu": (1, 2),
    "grad_h_relu": (2, 2),
    "w2": (0, 1),
    "y_pred": (1, 1),
    "grad_y_pred": (2, 1),
    "grad_w2": (3, 1),
    "w2′": (3, 0),
    "y": (0, 0),
    "loss": (1, 0),
}
"""Column and row of each value: forward down the second column, backward up the third, weights outside."""

WIDE, HIGH = 1.45, 0.85
"""Inches between columns and between rows."""
LAYER = 4
"""The most units drawn in a layer; dots stand for the others."""


def colours() -> dict[str, str]:
    """Return the theme's colours by their role in a diagram."""
    theme = f"theme.{st.context.theme.type or 'light'}"
    categorical = st.get_option(f"{theme}.chartCategoricalColors")
    return {
        "text": st.get_option(f"{theme}.textColor"),
        "back": st.get_option(f"{theme}.backgroundColor"),
        "line": st.get_option(f"{theme}.borderColor"),
        "now": st.get_option(f"{theme}.primaryColor"),
        "wrong": categorical[1],
    }


def _dot(lines: Iterable[str], colours: Mapping[str, str]) -> str:
    head = (
        'graph [layout=neato, splines=true, bgcolor="transparent", pad=0.1]',
        'node [fontname="Source Code Pro, monospace", fontsize=13, height=0.42, margin="0.08,0.04", '
        f'fontcolor="{colours["text"]}", color="{colours["line"]}"]',
        f'edge [color="{colours["line"]}", arrowsize=0.7]',
    )
    return "\n".join(("digraph {", *head, *lines, "}"))


def computation(show: str, planted: str | None, wrong: Iterable[str], colours: Mapping[str, str]) -> str:
    """Draw which value is computed from which: `show` filled, its inputs bold, wrong values in colour.

    The edges come from the statements of the program with the bug `planted`.
    """
    statements = program(planted)
    edges = [
        (used, made if made not in listing.INPUTS else f"{made}′")
        for made, statement in statements.items()
        for used in listing.uses(statement)
    ]
    here = f"{show}′" if show in listing.INPUTS else show
    used = {source for source, target in edges if target == here}
    wrong = set(wrong)
    lines = []
    for name, (x, y) in PLACES.items():
        style = {"shape": "box", "style": "rounded", "label": name}
        if name in wrong:
            style |= {"color": colours["wrong"], "fontcolor": colours["wrong"], "penwidth": "1.5"}
        if name in used:
            style |= {"color": colours["now"], "penwidth": "2.5"}
        if name == here:
            filled = colours["wrong"] if name in wrong else colours["now"]
            style |= {"style": "rounded,filled", "fillcolor": filled, "color": filled, "fontcolor": "#ffffff"}
        lines.append(_node(name, x * WIDE, y * HIGH, style))
    for source, target in edges:
        bold = f' [color="{colours["now"]}", penwidth=2.5]' if target == here else ""
        lines.append(f'"{source}" -> "{target}"{bold}')
    return _dot(lines, colours)


def _node(name: str, x: float, y: float, style: Mapping[str, str]) -> str:
    attributes = ", ".join(f'{key}="{value}"' for key, value in style.items())
    return f'"{name}" [pos="{x:.2f},{y:.2f}!", {attributes}]'


NODES = {"h": ("h",), "h_relu": ("h",), "y_pred": ("y",), "loss": ("y",)} | {
    "grad_y_pred": ("y",),
    "grad_h_relu": ("h",),
    "grad_h": ("h",),
}
EDGES = {
    "h": "w1",
    "y_pred": "w2",
    "grad_w2": "w2",
    "grad_h_relu": "w2",
    "grad_w1": "w1",
    "w1": "w1",
    "w2": "w2",
}
"""The layers, and the weights between layers, that a step computes."""


def network(show: str, sizes: Mapping[str, int], colours: Mapping[str, str]) -> str:
    """Draw the network for one sample, with the layers and weights of the step `show` in colour.

    `sizes` are D_in, H, D_out. Arrows are reversed in the backward pass.
    """
    layers = {"x": sizes["D_in"], "h": sizes["H"], "y": sizes["D_out"]}
    backward = show in listing.GRADIENTS
    lines, drawn = [], {}
    for column, (layer, size) in enumerate(layers.items()):
        units = list(range(min(size, LAYER)))
        if size > LAYER:
            units = [*range(LAYER - 1), size - 1]
        drawn[layer] = units
        now = layer in NODES.get(show, ())
        for place, unit in enumerate(units):
            style = {"shape": "circle", "width": "0.5", "fixedsize": "true", "label": f"{layer}{unit}"}
            style["fontsize"] = "11"
            if now:
                style |= {"color": colours["now"], "penwidth": "2.5"}
            y = _height(place, len(units), size)
            lines.append(_node(f"{layer}{unit}", column * 1.9, y, style))
        if size > LAYER:
            gap = (_height(LAYER - 2, LAYER, size) + _height(LAYER - 1, LAYER, size)) / 2
            lines.append(_node(f"{layer}…", column * 1.9, gap, {"shape": "plaintext", "label": "⋮"}))
    for weights, source, target in (("w1", "x", "h"), ("w2", "h", "y")):
        now = EDGES.get(show) == weights
        drawing = f'color="{colours["now"]}", penwidth=1.8' if now else "penwidth=0.8"
        drawing += ", dir=back" if now and backward else ""
        lines += [f'"{source}{a}" -> "{target}{b}" [{drawing}]' for a in drawn[source] for b in drawn[target]]
    return _dot(lines, colours)


def _height(place: int, count: int, size: int) -> float:
    """Return the y of a unit: centred, with a gap before the last unit of a large layer."""
    gap = 0.5 if size > LAYER else 0.0
    y = (count - 1) / 2 - place
    return 0.72 * (y + gap / 2 if place < count - 1 or not gap else y - gap / 2)
