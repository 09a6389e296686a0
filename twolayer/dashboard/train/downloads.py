"""What can be downloaded of a run. Nothing is made before somebody asks for it."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from twolayer.dashboard.common import server, visitors
from twolayer.dashboard.common.history import Entry
from twolayer.dashboard.i18n import _, plain
from twolayer.export import files, weights


def show(entry: Entry) -> None:
    """The downloads of a run, under its name."""
    run = entry.run
    st.subheader(plain(entry.name), anchor=False)
    steps = run.step
    machine = server.engine().capabilities
    file = f"run-{entry.number}"
    table = partial(files.run_rows, run)
    if steps <= files.MOST_TEXT_STEPS:
        _download(_("Losses and timings (CSV)"), partial(_file, files.csv, table), f"{file}.csv", "text/csv")
    else:
        st.caption(
            _(
                "A run of more than {most} steps has its losses in Parquet only: as CSV or JSON they would "
                "be many times as large. pandas, Polars, DuckDB and R read Parquet."
            ).format(most=f"{files.MOST_TEXT_STEPS:,}")
        )
    _download(
        _("Losses and timings (Parquet)"),
        partial(_file, files.parquet, table),
        f"{file}.parquet",
        "application/vnd.apache.parquet",
    )
    complete = _("Complete run (JSON)") if steps <= files.MOST_TEXT_STEPS else _("Run without losses (JSON)")
    _download(complete, partial(files.run_json, run, machine), f"{file}.json", "application/json")
    _weights(entry, steps)


def _weights(entry: Entry, steps: int) -> None:
    run, file = entry.run, f"run-{entry.number}"
    st.caption(_("Weights after {step} steps (recomputed on a worker if needed)").format(step=f"{steps:,}"))
    engine, visitor = server.engine(), visitors.token()
    arrays = partial(weights.of_run, engine, run, visitor)
    _download("w1, w2 (.npz)", partial(_file, weights.npz, arrays), f"{file}.npz", "application/octet-stream")
    if weights.writable("safetensors"):
        _download(
            "w1, w2 (.safetensors)",
            partial(_file, weights.safetensors, arrays),
            f"{file}.safetensors",
            "application/octet-stream",
        )
    if weights.writable("onnx") and weights.fit_onnx(run.config):
        _download(
            _("Network (.onnx)"),
            partial(_file, weights.onnx, arrays),
            f"{file}.onnx",
            "application/octet-stream",
        )
    st.caption(
        _(
            "For `torch.nn.Linear`, transpose w1 and w2 (its weight has the shape outputs × inputs) and set "
            "`bias=False`, since this network has no biases. In the `state_dict` they are transposed already."
        )
    )
    if weights.writable("safetensors"):
        _download(
            "state_dict (.safetensors)",
            lambda: weights.safetensors(weights.state_dict(arrays())),
            f"{file}-state_dict.safetensors",
            "application/octet-stream",
        )
        with st.expander(_("Load in PyTorch")):
            st.code(weights.loading(run.config, f"{file}-state_dict.safetensors"), language="python")


def _download(label: str, data: Callable[[], bytes], file_name: str, mime: str) -> None:
    st.download_button(
        label,
        data,
        file_name,
        mime,
        key=f"download_{mime}_{file_name}",
        on_click="ignore",
        icon=":material/download:",
        width="stretch",
    )


def _file(write: Callable[..., bytes], content: Callable[[], object]) -> bytes:
    return write(content())
