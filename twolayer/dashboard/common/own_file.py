"""A file of the visitor's own: uploaded, read by a worker, its columns chosen. It stays in their session.

The address has the choices and a digest of the file; who opens it elsewhere is asked for the file.
"""

import streamlit as st
from starlette.formparsers import MultiPartParser
from streamlit.runtime.scriptrunner import get_script_run_ctx

from twolayer.dashboard.common import jobs, own_columns, parameters, visitors
from twolayer.dashboard.i18n import _, plain, say
from twolayer.training.config import field_of
from twolayer.training.data import own
from twolayer.training.data.cells import MOST_BYTES, MOST_COLUMNS, MOST_ROWS
from twolayer.training.data.own import CSV, Choices, OwnTable, Shape
from twolayer.training.data.reading import Reading, read

READING_BYTES = 64 * 1024**2
"""What reading the largest file takes."""


def is_wanted() -> bool:
    """Return whether the data are a file of the visitor's own that is not here."""
    return bool(parameters.now("data") == CSV and find(parameters.now("table")) is None)


def find(name: str | None) -> OwnTable | None:
    """Return the visitor's table of this name: the one in the session, or that of an earlier run. Without a
    name, return the table that is the data of the controls."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return None
    if name is None:
        name = parameters.now("table") if parameters.now("data") == CSV else ""
    if not name:
        return None
    runs = (entry.run.table for entry in visitors.history().entries)
    tables = (st.session_state.get("own_table"), *runs)
    return next((table for table in tables if table is not None and table.name == name), None)


own.found_by(find)
MultiPartParser.spool_max_size = 2 * MOST_BYTES  # a larger upload, by itself from 1 MB on, is written to disk


def draw() -> None:
    """Draw the uploader, and of an uploaded file what it has and what is chosen of it."""
    label = _("CSV or TSV file (first line: column names; at most {size} MB, {rows} rows, {columns} columns)")
    uploaded = st.file_uploader(
        label.format(size=MOST_BYTES // 1024**2, rows=f"{MOST_ROWS:,}", columns=MOST_COLUMNS),
        ["csv", "tsv", "txt"],
        key="own_file",
        max_upload_size=MOST_BYTES // 1024**2,
        help=_(
            "The file is kept in memory only, and nobody else can reach it. It is gone with this session; a "
            "run that was trained on it keeps its data for as long as the run is kept."
        ),
    )
    upload: own_columns.Upload | None = st.session_state.get("own_upload")
    if uploaded is not None and (upload is None or upload.number != uploaded.file_id):
        upload = _taken(uploaded.file_id, uploaded.getvalue(), uploaded.name)
    shape = own.shape_of(parameters.now("table"))
    if upload is None or (shape is not None and shape.digest != upload.digest):
        _say_what_is_here(shape)
        return
    if shape is not None and shape.name != st.session_state.get("own_answered"):
        upload = own_columns.want(upload, shape.choices)  # the address names other choices
    question = jobs.ask("own_file", read, (upload.content, upload.name, upload.wanted), READING_BYTES)
    if question.live:
        _wait(question)
        if question.answer is not None and question.answer.digest == upload.digest:
            own_columns.choices(upload, question.answer)  # those before stay where they are
    elif question.failure is not None:
        st.session_state["table"] = ""
        st.error(say(question.failure))
    elif question.answer is not None:
        _answered(upload, question.answer)


def _taken(number: str, content: bytes, name: str) -> own_columns.Upload:
    """Keep a new upload. If the address is of another file, its choices mean nothing here."""
    upload = own_columns.Upload(number, content, name, Choices())
    shape = own.shape_of(parameters.now("table"))
    if shape is not None and shape.digest != upload.digest:
        st.session_state["table"] = ""
    return own_columns.want(
        upload, shape.choices if shape is not None and shape.digest == upload.digest else Choices()
    )


def _say_what_is_here(shape: Shape | None) -> None:
    """Say which file is used although it was not uploaded here, or which one is asked for."""
    table = find(shape.name) if shape is not None else None
    if table is not None:
        text = _("Used as in an earlier run: {file}. To choose other columns, upload it again.")
        st.caption(text.format(file=plain(table.source.file)))
    elif shape is not None:
        text = _(
            "This link is for a file that is not here: {rows} complete rows, {D_in} inputs, {D_out} outputs, "
            "digest {digest}. Upload that file to go on."
        )
        st.info(text.format(rows=f"{shape.rows:,}", D_in=shape.D_in, D_out=shape.D_out, digest=shape.digest))
    else:
        st.info(_("Upload a file to train on it."))


def _wait(question: jobs.Question) -> None:
    st.caption(_("Reading the file…"))

    @st.fragment(run_every=jobs.REDRAW_SECONDS)
    def wait() -> None:
        if not question.live:
            st.rerun()

    wait()


def _answered(upload: own_columns.Upload, reading: Reading) -> None:
    """Use the table that was read, and draw the choice of its columns."""
    table = reading.table
    if table is None:
        st.session_state["table"] = ""
    elif table.name != parameters.now("table") or find(table.name) is None:
        _use(table)
    if reading.refusal is not None:
        st.error(say(reading.refusal))
    own_columns.choices(upload, reading)
    if table is not None:
        st.caption(" ".join(own_columns.report(upload, reading, table)))


def _use(table: OwnTable) -> None:
    """Make a table the data of the controls."""
    if table.name != parameters.now("table"):
        st.session_state["table"] = st.session_state["own_answered"] = table.name
        for size in ("N", "D_in", "D_out"):
            st.session_state[size] = field_of(CSV, size, table.name).default
    st.session_state["own_table"] = table
    for key in [key for key in st.session_state if str(key).startswith("refusal_")]:
        st.session_state[key] = None  # they asked for the file
