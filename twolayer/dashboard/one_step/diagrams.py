"""Draw the current step: which value is computed from which, as the list of the steps, and the network."""

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

import streamlit as st

from twolayer.backprop.bugs import program
from twolayer.dashboard.i18n import _
from twolayer.training.program import GRADIENTS, INPUTS, STEPS, uses

Point = tuple[float, float]

ROW, HALF, CHARACTER = 58, 12, 6.7
"""The distance of two rows, half the height of a box, and the width of a character."""
PLACES: Mapping[str, Point] = {
    name: (x, 16 + row * ROW)
    for name, x, row in (
        ("x", 72, 0),
        ("w1", 14, 1),
        ("h", 72, 1),
        ("grad_h", 158, 1),
        ("grad_w1", 244, 1),
        ("w1′", 244, 0),
        ("h_relu", 72, 2),
        ("grad_h_relu", 158, 2),
        ("w2", 14, 3),
        ("y_pred", 72, 3),
        ("grad_y_pred", 158, 3),
        ("grad_w2", 244, 3),
        ("w2′", 244, 4),
        ("y", 14, 4),
        ("loss", 72, 4),
    )
}
"""The middle of each value: forward down the second column, backward up the third, weights outside."""
HEIGHT = 4 * ROW + 32
LAYER, GAP, RADIUS = 4, 46, 15
"""The most units drawn in a layer (dots stand for the others), their distance, and their radius."""
NODES = {"h": "h", "h_relu": "h", "y_pred": "y", "loss": "y", "grad_y_pred": "y"} | dict.fromkeys(
    ("grad_h_relu", "grad_h"), "h"
)
EDGES = {"h": "w1", "y_pred": "w2", "grad_h_relu": "w2"} | {
    name: name[-2:] for name in ("grad_w1", "grad_w2", "w1", "w2")
}
"""The layer, and the weights between layers, that a step computes or goes through."""

_component = st.components.v2.component(
    "twolayer_diagram",
    html="<figure></figure>",
    css=Path(__file__).with_name("diagrams.css").read_text("utf-8"),
    js=Path(__file__).with_name("diagrams.js").read_text("utf-8"),
)


def computation(show: str, planted: str | None, wrong: Iterable[str]) -> None:
    """Draw which value is computed from which: `show` filled, its inputs bold, wrong values in colour.

    A click on a value goes to its step. The edges come from the program with the bug `planted`.
    """
    statements = program(planted)
    new = {name: f"{name}′" if name in INPUTS else name for name in statements}
    edges = [(used, new[made]) for made, statement in statements.items() for used in uses(statement)]
    bold = {source for source, target in edges if target == new[show]}
    parts = []
    for source, target in edges:
        box = (_half(target), HALF)
        parts.append(_arrow(PLACES[source], PLACES[target], box, now=target == new[show]))
    steps = {label: name for name, label in new.items()}
    for name, (x, y) in PLACES.items():
        marks = "now" if name == new[show] else "used" if name in bold else ""
        marks += " wrong" if name in wrong else ""
        step = f' data-step="{steps[name]}" role="button" tabindex="0"' if name in steps else ""
        half = _half(name)
        parts.append(
            f'<g class="{marks}"{step}><rect x="{x - half:.1f}" y="{y - HALF}" width="{2 * half:.1f}" '
            f'height="{2 * HALF}" rx="5"/><text x="{x}" y="{y + 4}">{name}</text></g>'
        )

    def go() -> None:
        step = st.session_state["diagram"].get("chosen")
        if step in STEPS:
            st.session_state["show"], st.session_state["shown_since"] = step, None

    alt = _("Computational graph; the current line is filled")
    _component(key="diagram", data=_svg(parts, 278, alt), on_chosen_change=go, height=HEIGHT)


def network(show: str, sizes: Mapping[str, int]) -> None:
    """Draw the network for one sample, with the layers and weights of the step `show` in colour.

    `sizes` are D_in, H, D_out. Arrows are reversed in the backward pass.
    """
    places: dict[str, list[tuple[Point, str]]] = {}
    for column, (layer, size) in enumerate(zip("xhy", sizes.values(), strict=True)):
        labels = [*map(str, range(size))] if size <= LAYER else ["0", "1", "2", "", str(size - 1)]
        top = HEIGHT / 2 - (len(labels) - 1) / 2 * GAP
        places[layer] = [((20 + column * 120, top + row * GAP), label) for row, label in enumerate(labels)]
    parts = []
    for weights, before, after in (("w1", "x", "h"), ("w2", "h", "y")):
        now = EDGES.get(show) == weights
        for a in (place for place, unit in places[before] if unit):
            for b in (place for place, unit in places[after] if unit):
                ends = (b, a) if now and show in GRADIENTS else (a, b)
                parts.append(_arrow(*ends, (RADIUS, RADIUS), now=now))
    for layer, units in places.items():
        for (x, y), unit in units:
            circle = f'<circle cx="{x}" cy="{y}" r="{RADIUS}"/>' if unit else ""
            mark = "used" if NODES.get(show) == layer else ""
            label = f"{layer}{unit}" if unit else "⋮"
            parts.append(f'<g class="{mark}">{circle}<text x="{x}" y="{y + 4}">{label}</text></g>')
    alt = _("Network diagram; the part involved in the current line is colored")
    _component(key="network", data=_svg(parts, 280, alt), on_chosen_change=lambda: None, height=HEIGHT)


def _half(name: str) -> float:
    """Return half the width of a value's box."""
    return len(name) * CHARACTER / 2 + 4


def _arrow(start: Point, end: Point, half: Point, *, now: bool) -> str:
    """Return an arrow to the edge of a box with the middle `end` and half the size `half`."""
    across, down = end[0] - start[0], end[1] - start[1]
    share = 1 - min(part / abs(way) for part, way in zip(half, (across, down), strict=True) if way)
    x, y = start[0] + across * share, start[1] + down * share
    mark = "now" if now else "other"
    path = f"M{start[0]} {start[1]}L{x:.1f} {y:.1f}"
    return f'<path class="{mark}" d="{path}" marker-end="url(#{mark})"/>'


def _svg(parts: list[str], width: int, alt: str) -> str:
    tips = "".join(
        f'<marker id="{mark}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="tip {mark}" d="M0 0L8 4L0 8z"/></marker>'
        for mark in ("now", "other")
    )
    inside = f"<defs>{tips}</defs>{''.join(parts)}"
    return f'<svg viewBox="0 0 {width} {HEIGHT}" role="group" aria-label="{escape(alt)}">{inside}</svg>'
