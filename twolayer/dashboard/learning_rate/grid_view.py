"""What the Learning-rate page says of a grid."""

import numpy as np
import streamlit as st

from twolayer.dashboard.common import jobs, parameters, server
from twolayer.dashboard.i18n import _
from twolayer.dashboard.learning_rate import grid_charts
from twolayer.dashboard.learning_rate.job import Search
from twolayer.dashboard.learning_rate.view import downloads, progress


@server.in_turn
def grid() -> None:
    """The grid as it is now: progress, map, files."""
    search = jobs.current("grid")
    if search is not None:
        search.update()
    progress(search)
    if search is None:
        return
    grid = search.sweep.grid
    fields = [axis.field for axis in grid.axes]
    sizes = [name for name in fields if name not in ("learning_rate", "seed")]
    shows_bands = "learning_rate" in fields and len(sizes) in (1, 2)
    views = {"band": _("Recommended learning rate"), "loss": _("Final loss")}
    view = "loss"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if shows_bands:
            view = st.segmented_control(
                _("View"),
                list(views),
                format_func=parameters.words("view", views),
                default="band",
                required=True,
                key="view",
            )
        layer = 0
        if view == "loss" and len(grid.shape) == 3:
            axis = grid.axes[0]
            layer = st.selectbox(
                axis.field,
                range(len(axis.values)),
                format_func=lambda place: str(axis.values[place]),
                key="layer",
            )
        downloads(search.sweep, "grid")
    if view == "band":
        grid_charts.band_chart(search)
    else:
        grid_charts.loss_map(search.sweep, min(layer, grid.shape[0] - 1))
    st.caption(jobs.awaited(search.job) or _of_grid(search))


def _of_grid(search: Search) -> str:
    sweep = search.sweep
    finite = np.isfinite(sweep.there["final"])
    return _(
        "λmax at initialization grows roughly like N·H·D_in/π (it does not depend on D_out), so the usable "
        "learning rates shrink in proportion. {done} runs, {diverged} diverged."
    ).format(done=f"{sweep.done:,}", diverged=f"{int((~finite | (sweep.there['diverged_at'] >= 0)).sum()):,}")
