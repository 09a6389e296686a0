"""What a first visit shows: what the network is, in a sentence and a diagram with the chosen sizes."""

import streamlit as st

from twolayer.dashboard.i18n import _
from twolayer.training.config import Config

BOX, GAP, HEIGHT = 112, 76, 92


def show(config: Config | None) -> None:
    """Draw the sentence, and beside it the diagram, folded."""
    with st.expander(_("What is this?"), key="what", on_change="rerun") as part:
        if part.open:
            _sentence_and_diagram(config)


def _sentence_and_diagram(config: Config | None) -> None:
    left, right = st.columns([4, 5], gap="medium", vertical_alignment="center")
    with left:
        st.markdown(
            _(
                "A two-layer ReLU network trained with a **hand-written** forward and backward pass, "
                "following the original NumPy and tensor versions of the PyTorch tutorial “Learning "
                "PyTorch with Examples”. Press Train to see the loss and the time per step live. Change "
                "the sizes, backend and learning rate in the sidebar."
            )
        )
    if config is not None:
        alt = _("Diagram: h = x·w1; y_pred = ReLU(h)·w2; the loss compares y_pred with y")
        with right:
            st.image(_diagram(config), width="stretch", alt=alt)


def _diagram(config: Config) -> str:
    """The arrays of the forward pass as boxes with their shapes: an SVG in the colour of the theme."""
    boxes = [
        ("x", f"{config.N} × {config.D_in}", _("fixed batch")),
        ("h", f"{config.N} × {config.H}", _("ReLU: max(h, 0)")),
        ("y_pred", f"{config.N} × {config.D_out}", _("prediction")),
        ("loss", "1", "Σ (y_pred − y)²"),
    ]
    arrows = [
        ("w1", f"{config.D_in} × {config.H}"),
        ("w2", f"{config.H} × {config.D_out}"),
        ("y", f"{config.N} × {config.D_out}"),
    ]
    parts = []
    for number, (name, shape, what) in enumerate(boxes):
        x = 1 + number * (BOX + GAP)
        middle = x + BOX / 2
        parts.append(
            f'<rect x="{x}" y="8" width="{BOX}" height="76" rx="8" class="line" stroke-opacity="0.45"/>'
            f'<text x="{middle}" y="31" font-weight="600" font-size="16">{name}</text>'
            f'<text x="{middle}" y="51" font-size="13">{shape}</text>'
            f'<text x="{middle}" y="71" font-size="12" fill-opacity="0.75">{what}</text>'
        )
    for number, (name, shape) in enumerate(arrows):
        x = 1 + BOX + number * (BOX + GAP)
        middle = x + GAP / 2
        parts.append(
            f'<path d="M{x + 4} 46 H{x + GAP - 5} m-6 -4 l6 4 l-6 4" class="line"/>'
            f'<text x="{middle}" y="38" font-size="14" font-weight="600">{name}</text>'
            f'<text x="{middle}" y="64" font-size="11">{shape}</text>'
        )
    width = 2 + len(boxes) * BOX + len(arrows) * GAP
    colour = st.get_option(f"theme.{st.context.theme.type or 'light'}.textColor")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" text-anchor="middle" '
        f'font-family="sans-serif" fill="{colour}"><style>.line {{ fill: none; stroke: {colour} }}</style>'
        f"{''.join(parts)}</svg>"
    )
