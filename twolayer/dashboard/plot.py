"""Plotly in a Streamlit page without a flicker: one component for the charts of the whole app.

`st.plotly_chart` builds a new plot for every change of its data. This component keeps one node and
calls `Plotly.react` on it. The library is the one in the installed plotly package, put beside the
app at start and served from there.
"""

import base64
import json
import logging
import os
import tempfile
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from tsdownsample import MinMaxDownsampler

LOG = logging.getLogger(__name__)
ROOT = Path(__file__).parents[2]
HEIGHT = 340
MOST_POINTS = 1000

_HTML = '<div class="plot" role="img" tabindex="0"></div>'
_JS = Path(__file__).with_name("plot.js").read_text(encoding="utf-8")
_component = st.components.v2.component("twolayer_plot", html=_HTML, js=_JS, isolate_styles=False)


@cache
def library() -> str | None:
    """Put the plotting library beside the app, once; its address. None if it cannot be written."""
    name = f"plotly-{version('plotly')}.min.js"
    path = ROOT / "static" / name
    try:
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            source = files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
            # Complete under its name or not there at all, even if two servers start at once.
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                file.write(source)
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
    except OSError as error:
        LOG.warning("static/ cannot be written (%s): charts are drawn anew on each change", error)
        return None
    return f"app/static/{name}"


def packed(array: NDArray[Any]) -> dict[str, str]:
    """An array as Plotly's typed-array specification: a third of the size of its decimals."""
    return {
        "dtype": f"{array.dtype.kind}{array.dtype.itemsize}",
        "bdata": base64.b64encode(array.tobytes()).decode(),
    }


def thinned(y: NDArray[np.float64], most: int = MOST_POINTS) -> NDArray[np.intp]:
    """Indices of at most `most` points that keep each stretch's minimum and maximum, so that a
    single spike survives; the first and the last point are always among them."""
    if len(y) <= most:
        return np.arange(len(y))
    inner = MinMaxDownsampler().downsample(y, n_out=(most - 2) // 2 * 2)
    return np.union1d(inner.astype(np.intp), [0, len(y) - 1])


def draw(traces: list[dict[str, Any]], layout: dict[str, Any], *, key: str, alt: str) -> None:
    """Draw a chart in a container with the key `key`, the same node for as long as the page lives.

    `traces` and `layout` are Plotly's, as plain dictionaries.
    """
    layout = {
        "margin": {"l": 70, "r": 16, "t": 16, "b": 48},
        "showlegend": False,
        "hovermode": "x unified",
        **layout,
    }
    address = library()
    with st.container(key=key):
        if address is None:
            figure = {"data": traces, "layout": {**layout, "height": HEIGHT}}
            st.plotly_chart(figure, key=f"{key}_plot", alt=alt)
        else:
            data = {"script": address, "traces": traces, "layout": layout, "height": HEIGHT, "alt": alt}
            # As bytes: Streamlit looks through a dictionary for data frames, which takes longer than all else
            _component(key=f"{key}_plot", data=json.dumps(data).encode(), height=HEIGHT)
