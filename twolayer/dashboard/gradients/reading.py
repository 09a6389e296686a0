"""How to read a gradient check: relative errors, and the kink of ReLU."""

import streamlit as st

from twolayer.backprop.comparison import BANDS
from twolayer.dashboard.i18n import _


def show() -> None:
    """Show what the page is for and how to read it, closed at first."""
    with st.expander(_("What is this?"), key="help", on_change="rerun") as fold:
        if fold.open:
            st.markdown("\n\n".join((_purpose(), _errors(), _kinks(), _at_zero())))


def _purpose() -> str:
    return _(
        "Is the hand-written backward pass **correct**? This page checks its gradients against PyTorch's "
        "autograd and against finite differences of the loss. Plant a bug and see which check catches it."
    )


def _errors() -> str:
    how = _(
        "The relative error of two numbers a and b is |a − b| / max(|a|, |b|). It measures how many "
        "significant digits agree, regardless of scale; if both are 0, it is 0. Stanford's CS231n course "
        "suggests these thresholds:"
    )
    above, below = _("above {threshold}"), _("below that")
    ranges = [above.format(threshold=f"{threshold:g}") if threshold else below for threshold, _w in BANDS]
    lines = [f"- {place}: {_(words)}" for place, (_t, words) in zip(ranges, BANDS, strict=True)]
    return how + "\n\n" + "\n".join(lines)


def _kinks() -> str:
    return _(
        "Kinks make these thresholds less strict: if the difference straddles the kink of a ReLU, the "
        "quotient mixes the slopes of both sides and says nothing about the gradient. Here such entries are "
        "detected by the sign change of h and excluded, so the rest can be judged strictly: **wrong** means "
        "that an entry differs by more than rounding can explain in sums of this length. A correct backward "
        "pass is therefore never flagged, even where a gradient near 0 has few correct digits left, and bugs "
        "far below 1e-7 are still found."
    )


def _at_zero() -> str:
    return f"**{_('What if h is exactly 0?')}** " + _(
        "ReLU has no derivative there. The tutorial's mask (h < 0) and PyTorch's `clamp(min=0)` let the "
        "gradient through at h = 0; `torch.relu` and `nn.ReLU` block it. Random data practically never shows "
        "it, but x = [[1, 1]], w1 = [[1], [-1]], w2 = [[1]], y = [[1]] does: h is 0, and grad_w1 is "
        "[[-2], [-2]] by the mask and by `clamp`, but [[0], [0]] by `relu`."
    )
