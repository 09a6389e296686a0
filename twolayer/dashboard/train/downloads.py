"""What can be downloaded of a run. Nothing is made before somebody asks for it."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from twolayer.dashboard.common import server, visitors
from twolayer.dashboard.common.history import Entry
from twolayer.dashboard.i18n import _, plain
from twolayer.engine.engine import Engine
from twolayer.engine.job import Job
from twolayer.engine.run import Run
from twolayer.export import run_files, script, tables
from twolayer.training import methods

WEIGHTS_SECONDS = 120.0


def show(entry: Entry) -> None:
    """The downloads of a run, under its name."""
    run = entry.run
    st.subheader(plain(entry.name), anchor=False)
    steps = run.step
    machine = server.engine().capabilities
    file = f"run-{entry.number}"
    table = partial(run_files.table, run)
    _download(_("Losses and timings (CSV)"), partial(_file, tables.csv, table), f"{file}.csv", "text/csv")
    _download(
        _("Losses and timings (Parquet)"),
        partial(_file, tables.parquet, table),
        f"{file}.parquet",
        "application/vnd.apache.parquet",
    )
    _download(
        _("Complete run (JSON)"), partial(run_files.as_json, run, machine), f"{file}.json", "application/json"
    )
    st.caption(_("Weights after {step} steps (recomputed on a worker if needed)").format(step=f"{steps:,}"))
    engine, viewer = server.engine(), visitors.viewer()
    weights = partial(_weights, engine, run, viewer)
    _download(
        "w1, w2 (.npz)", partial(_file, run_files.npz, weights), f"{file}.npz", "application/octet-stream"
    )
    if run_files.has_safetensors():
        _download(
            "w1, w2 (.safetensors)",
            partial(_file, run_files.safetensors, weights),
            f"{file}.safetensors",
            "application/octet-stream",
        )
    st.caption(
        _(
            "This run as a standalone Python script: it needs nothing from this project and prints the "
            "same losses."
        )
    )
    program = script.script(run.config, run.edits, steps)
    _download(_("Export as script"), program, f"run_{entry.number}.py", "text/x-python", primary=True)
    with st.expander(_("View code")):
        st.code(program, language="python")


def _download(
    label: str, data: str | Callable[[], bytes], file_name: str, mime: str, *, primary: bool = False
) -> None:
    st.download_button(
        label,
        data,
        file_name,
        mime,
        key=f"download_{mime}_{file_name}",
        on_click="ignore",
        icon=":material/code:" if primary else ":material/download:",
        type="primary" if primary else "secondary",
        width="stretch",
    )


def _weights(engine: Engine, run: Run, viewer: str) -> dict[str, object]:
    """The weights of a run: of its checkpoint, or of a run that computes it again, chunk by chunk beside
    all others. Called by a download, outside of any script."""
    step, chunk = run.step, engine.checkpoint(run)
    if chunk is None or chunk.step != step:
        again = engine.submit(run.config, viewer, edits=run.edits, pause_at=step)
        _wait(engine, again)
        chunk = engine.checkpoint(again)
        engine.forget(again)
    job = engine.map(
        run_files.weights, [(run.config, chunk)], viewer, memory_bytes=methods.run_bytes(run.config)
    )
    _wait(engine, job)
    weights: dict[str, object] = job.results()[0][1]
    return weights


def _wait(engine: Engine, one: Run | Job) -> None:
    if not one.wait(WEIGHTS_SECONDS) or one.state in ("failed", "stopped"):
        engine.stop(one)
        raise RuntimeError(str(one.message or "the weights could not be computed in time"))


def _file(write: Callable[..., bytes], content: Callable[[], object]) -> bytes:
    return write(content())
