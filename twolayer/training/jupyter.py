"""A run in a Jupyter notebook: a progress bar while it trains, and its result as a picture.

Outside a notebook nothing of this is used, and Plotly is imported only for a figure.
"""

import sys
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twolayer.training.kernels import UnavailableError, why_missing

if TYPE_CHECKING:
    from twolayer.training.training import Result

WIDTH, HEIGHT = 480, 120
MOST_POINTS = 2000


def progress() -> Callable[[int, int], None] | None:
    """Return a function that shows how many of so many steps are done; None outside a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if not hasattr(shell, "kernel"):  # a terminal has none
        return None
    from IPython.display import ProgressBar

    bars: list[Any] = []

    def show(done: int, total: int) -> None:
        if not bars:
            bars.append(ProgressBar(total))
            bars[0].display()
        bars[0].total = total
        bars[0].progress = done  # which draws it

    return show


def figure(result: "Result") -> Any:
    """Return the loss of each step as a Plotly figure. Raises `UnavailableError` without Plotly."""
    missing = why_missing("plotly")
    if missing is not None:
        raise UnavailableError(missing)
    import plotly.graph_objects as go

    steps = _some(len(result.losses))
    drawn = go.Figure(go.Scatter(x=steps, y=result.losses[steps], name="loss"))
    drawn.update_layout(title=summary(result), xaxis_title="step", yaxis_title="loss", yaxis_type="log")
    return drawn


def html(result: "Result") -> str:
    """Return a result as HTML: a sentence, and the curve of the loss on a logarithmic scale."""
    return f"<p>{escape(summary(result))}</p>{_curve(result.losses)}"


def summary(result: "Result") -> str:
    """Return a result in a sentence."""
    losses = result.losses
    end = "" if result.diverged_at is None else f", diverged at step {result.diverged_at}"
    if not len(losses):
        return f"{result.method}: no steps{end}"
    return (
        f"{result.method}: {len(losses):,} steps in {result.seconds:.3g} s, "
        f"loss {losses[0]:.4g} → {losses[-1]:.4g}{end}"
    )


def _some(count: int) -> NDArray[np.intp]:
    """Return the indices of at most `MOST_POINTS` of `count` steps, the first and the last among them."""
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, MOST_POINTS)).astype(np.intp))


def _curve(losses: NDArray[np.float64]) -> str:
    """Return the logarithm of the losses as an SVG; nothing if there is no curve to draw."""
    steps = _some(len(losses))
    steps = steps[losses[steps] > 0]
    if len(steps) < 2:
        return ""
    levels = np.log10(losses[steps])
    x = WIDTH * (steps - steps[0]) / (steps[-1] - steps[0])
    y = HEIGHT * (levels.max() - levels) / max(np.ptp(levels), 1e-9)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    return (
        f'<svg viewBox="-4 -4 {WIDTH + 8} {HEIGHT + 8}" width="{WIDTH}" role="img" '
        f'aria-label="loss by step, logarithmic"><polyline points="{points}" fill="none" '
        f'stroke="#1d5fc4" stroke-width="2"/></svg>'
    )
