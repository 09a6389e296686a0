"""Plotly in a Streamlit page without a flicker: one component for the charts of the whole app.

`st.plotly_chart` builds a new plot for every change of its data. This component keeps one node and
calls `Plotly.react` on it. The library is the one in the installed plotly package, put beside the
app at start and served from there.
"""

import base64
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from time import monotonic
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from tsdownsample import MinMaxDownsampler

from twolayer.dashboard.i18n import _
from twolayer.training.messages import N_

LOG = logging.getLogger(__name__)
ROOT = Path(__file__).parents[3]
HEIGHT = 340
MOST_POINTS = 1000
MOST_ROWS = 200
WORDS = (
    N_("Download plot as a PNG"),
    N_("Zoom"),
    N_("Pan"),
    N_("Zoom in"),
    N_("Zoom out"),
    N_("Autoscale"),
    N_("Reset axes"),
    N_("Double-click to zoom back out"),
    N_("Double-click on legend to isolate one trace"),
    N_("Taking snapshot - this may take a few seconds"),
    N_("Snapshot succeeded"),
    N_("Sorry, there was a problem downloading your snapshot!"),
)
"""Plotly's own English words that a reader meets."""
SENT_WHOLE_SECONDS = 1.0
"""For this long after its first sending a trace is sent whole with each message."""
_CANNOT_LOAD = "plotting_library_cannot_load"

_DRAWING = Path(__file__).with_name("plot.js").read_bytes()
_DRAWING_NAME = f"plot-{hashlib.sha256(_DRAWING).hexdigest()[:12]}.js"
_LOADER = Template(Path(__file__).with_name("loader.js").read_text("utf-8")).substitute(drawing=_DRAWING_NAME)
_component = st.components.v2.component(
    "twolayer_plot",
    html='<div class="plot" role="figure" tabindex="0"></div>',
    js=_LOADER,
    isolate_styles=False,
)


@cache
def library() -> str | None:
    """Put the plotting library and what draws with it beside the app, once; the library's address. None
    if that cannot be written."""
    name = f"plotly-{version('plotly')}.min.js"
    try:
        _put(_DRAWING_NAME, lambda: _DRAWING)
        _put(name, files("plotly").joinpath("package_data", "plotly.min.js").read_bytes)
    except OSError as error:
        LOG.warning("static/ cannot be written (%s): charts are drawn anew on each change", error)
        return None
    return f"app/static/{name}"


def scripts() -> tuple[str, ...]:
    """Addresses of all that a browser will fetch for the charts."""
    address = library()
    return (f"app/static/{_DRAWING_NAME}", address) if address else ()


def _put(name: str, content: Callable[[], bytes]) -> None:
    """A file in static/, unless it is there."""
    path = ROOT / "static" / name
    if path.exists():
        return
    path.parent.mkdir(exist_ok=True)
    # Complete under its name or not there at all, even if two servers start at once.
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content())
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def packed(array: NDArray[Any]) -> dict[str, str]:
    """An array as Plotly's typed-array specification: a third of the size of its decimals."""
    return {
        "dtype": f"{array.dtype.kind}{array.dtype.itemsize}",
        "bdata": base64.b64encode(array.tobytes()).decode(),
        **({"shape": ", ".join(map(str, array.shape))} if array.ndim > 1 else {}),
    }


def thinned(y: NDArray[np.float64], most: int = MOST_POINTS) -> NDArray[np.intp]:
    """Indices of at most `most` points that keep each stretch's minimum and maximum, so that a
    single spike survives; the first and the last point are always among them."""
    if len(y) <= most:
        return np.arange(len(y))
    inner = MinMaxDownsampler().downsample(y, n_out=(most - 2) // 2 * 2)
    return np.union1d(inner.astype(np.intp), [0, len(y) - 1])


def draw(
    traces: list[dict[str, Any]],
    layout: dict[str, Any],
    *,
    key: str,
    alt: str,
    height: int = HEIGHT,
    on_click: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Draw a chart with the key `key`, the same node for as long as the page lives.

    `traces` and `layout` are Plotly's, as plain dictionaries. A colour may be `theme:2`, the third of the
    theme's chart colours, or `theme:border-color`, its variable of that name. A trace with a `uid` and
    a `revision` that the browser has is not sent again; if it is a function, under `make`, that is not even
    called. `on_click` is given the point that was clicked, as the browser tells it: `trace` (its name),
    `point` (its index), `x`, `y`, `customdata`.
    """
    layout = {
        "margin": {"l": 70, "r": 16, "t": 16, "b": 48},
        "showlegend": False,
        "hovermode": "x unified",
        **layout,
    }
    address = library()
    if address is None or st.session_state.get(_CANNOT_LOAD):
        drawn = [{k: v for k, v in _made(trace).items() if k != "revision"} for trace in traces]
        figure = _coloured({"data": drawn, "layout": {**layout, "height": height}})
        st.plotly_chart(figure, key=key, alt=alt)
        return
    language = st.session_state.get("lang", "en")
    data = {
        "name": key,
        "script": address,
        "traces": _unsent(traces, key),
        "layout": layout,
        "height": height,
        "alt": alt,
        "clickable": on_click is not None,
        "locale": language,
        "words": None if language == "en" else {word: _(word) for word in WORDS},
        "toolbar": _("Chart tools"),
    }

    def clicked() -> None:
        point = st.session_state[key].get("clicked")
        if on_click is not None and isinstance(point, dict):
            on_click(point)

    # As bytes: Streamlit looks through a dictionary for data frames, which takes longer than all else
    _component(
        key=key,
        data=json.dumps(data).encode(),
        height=height,
        on_clicked_change=clicked,
        on_missing_change=lambda: st.session_state.pop(f"{key}_sent", None),
        on_failed_change=_use_streamlits_own,
    )


def numbers(tables: Callable[[], dict[str, dict[str, NDArray[Any]]]], *, key: str, ready: bool) -> None:
    """Draw a button that shows the numbers of charts as tables, for those who cannot see them.

    `tables` is called once the button is pressed, which it can be when they are `ready`. Each table has a
    title and columns of one length, of which rows are picked as `thinned` does by the last column.
    """
    with st.popover(
        _("Data table"),
        icon=":material/table_rows:",
        key=f"{key}_numbers",
        on_change="rerun",
        type="tertiary",
        disabled=not ready,
    ) as opened:
        for title, columns in tables().items() if opened.open and ready else ():
            at = thinned(np.ascontiguousarray(list(columns.values())[-1], dtype=float), MOST_ROWS)
            st.caption(title)
            st.dataframe({name: column[at] for name, column in columns.items()}, hide_index=True, height=320)


def _unsent(traces: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """The traces, those that the browser has already as references to them. A busy one draws only the last
    of the messages that come together: a trace is sent whole for a while. Should it lack one after all, it
    asks for everything again."""
    now, has, sent, message = monotonic(), st.session_state.get(f"{key}_sent", {}), {}, []
    for trace in traces:
        uid, revision = trace.get("uid"), trace.get("revision")
        known, since = has.get(uid, (None, now))
        if uid is not None:
            sent[uid] = revision, since if known == revision else now
        if uid is not None and known == revision and now - since > SENT_WHOLE_SECONDS:
            message.append({"uid": uid, "revision": revision, "kept": True})
        else:
            message.append(_made(trace))
    st.session_state[f"{key}_sent"] = sent
    return message


def _made(trace: dict[str, Any]) -> dict[str, Any]:
    """A trace with what its function makes."""
    rest = dict(trace)
    make: Callable[[], dict[str, Any]] = rest.pop("make", dict)
    return rest | make()


def _use_streamlits_own() -> None:
    LOG.warning("a browser cannot load the plotting library: its charts are drawn anew on each change")
    st.session_state[_CANNOT_LOAD] = True
    st.rerun()  # the timers are declared there


def slowest_redraw() -> float:
    """Seconds between redraws that the charts bear."""
    return 1.0 if library() is None or st.session_state.get(_CANNOT_LOAD) else 0.0


def _coloured(value: Any) -> Any:
    """`value` with the theme's colours in the place of their names, for Streamlit's own charts."""
    if isinstance(value, str) and value.startswith("theme:"):
        name = value.removeprefix("theme:")
        colours = st.get_option(f"theme.{st.context.theme.type or 'light'}.chartCategoricalColors")
        return colours[int(name) % len(colours)] if name.isdigit() else None
    if isinstance(value, list):
        return [_coloured(item) for item in value]
    return {k: _coloured(v) for k, v in value.items()} if isinstance(value, dict) else value
