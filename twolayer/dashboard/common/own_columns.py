"""The columns of the visitor's own file: which are targets and inputs, and what is left out."""

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

import streamlit as st

from twolayer.dashboard.common import parameters
from twolayer.dashboard.i18n import _, plain
from twolayer.training.data.cells import MOST_INPUTS
from twolayer.training.data.choosing import MOST_MISSING, Column
from twolayer.training.data.own import KINDS, Choices, OwnTable
from twolayer.training.data.reading import Reading
from twolayer.training.messages import N_

MOST_NAMED = 8
WHATS = {
    "number": N_("numeric"),
    "category": N_("categorical"),
    "text": N_("text"),
    "constant": N_("constant"),
    "empty": N_("empty"),
}
AUTOMATIC = "automatic"
KIND_LABELS = {AUTOMATIC: N_("Automatic"), "classes": N_("Classification"), "regression": N_("Regression")}


@dataclass(frozen=True)
class Upload:
    """What was uploaded, and what is wanted of it."""

    number: str
    """The uploader's own number of the upload."""
    content: bytes
    name: str
    wanted: Choices

    @property
    def digest(self) -> str:
        """The digest of the file."""
        return sha256(self.content).hexdigest()[:16]


def want(upload: Upload, wanted: Choices) -> Upload:
    """Want these columns of a file from now on."""
    upload = Upload(upload.number, upload.content, upload.name, wanted)
    st.session_state["own_upload"] = upload
    st.session_state["own_answered"] = parameters.now("table")
    return upload


def choices(upload: Upload, reading: Reading) -> None:
    """Draw the choice of targets, inputs and kind."""
    chosen = reading.table.shape.choices if reading.table is not None else upload.wanted
    drawn = (upload.number, chosen)
    if st.session_state.get("own_drawn") != drawn or "own_targets" not in st.session_state:
        st.session_state["own_targets"], st.session_state["own_inputs"] = (
            [k for k in columns if k <= len(reading.columns)] for columns in (chosen.targets, chosen.inputs)
        )
        st.session_state["own_kind"] = upload.wanted.kind or AUTOMATIC
    st.session_state["own_drawn"] = drawn
    labels = {k: _label(k, column) for k, column in enumerate(reading.columns, 1)}
    with st.expander(_("Columns"), key="own_columns", expanded=reading.table is None):
        for key, label in (("own_targets", _("Targets")), ("own_inputs", _("Inputs"))):
            words = parameters.words(key, labels)
            st.multiselect(
                label,
                list(labels),
                st.session_state[key],
                format_func=words,
                key=key,
                on_change=partial(_choose, key),
            )
        kinds = {kind: _(KIND_LABELS[kind]) for kind in (AUTOMATIC, *KINDS)}
        words = parameters.words("own_kind", kinds)
        st.segmented_control(
            _("Type of problem"),
            list(kinds),
            format_func=words,
            default=st.session_state["own_kind"],
            required=True,
            key="own_kind",
            on_change=partial(_choose, "own_kind"),
        )


def _label(number: int, column: Column) -> str:
    """What a column is, for its choice."""
    text = _("{number}. {name} ({what}, {values} distinct)")
    return text.format(
        number=number, name=column.name[:40], what=_(WHATS[column.what]), values=f"{column.values:,}"
    )


def _choose(changed: str) -> None:
    """Want what is chosen now. With other targets, the inputs are all others again."""
    upload: Upload | None = st.session_state.get("own_upload")
    if upload is None:
        return
    targets, inputs = (
        tuple(sorted(column for column in _meant(key) or () if isinstance(column, int)))
        for key in ("own_targets", "own_inputs")
    )
    kind = next((kind for kind in KINDS if kind == _meant("own_kind")), None)
    if changed == "own_targets" and targets != st.session_state["own_drawn"][1].targets:
        inputs = ()
    want(upload, Choices(targets, tuple(k for k in inputs if k not in targets), kind))


def _meant(key: str) -> Any:
    return parameters.meant(key, st.session_state.get(key))


def report(upload: Upload, reading: Reading, table: OwnTable) -> list[str]:
    """What was read, and what of it was left out."""
    left = reading.rows - table.shape.rows
    said = [_("{file}: {rows} rows.").format(file=plain(upload.name[:40]), rows=f"{reading.rows:,}")]
    if left:
        said.append(_("Rows with missing values, left out: {count}.").format(count=f"{left:,}"))
    texts = {
        "constant": _("Constant columns, left out: {names}."),
        "empty": _("Empty columns, left out: {names}."),
        "text": _("Columns with too many different values for a category, left out: {names}."),
        "missing": _("Columns with more than half of their values missing, left out: {names}."),
        "more": _("Columns beyond the {most} inputs that are allowed, left out: {names}."),
    }
    left_out = _left_out(upload, reading, table)
    for why, text in texts.items():
        names = [column.name[:40] for column in left_out.get(why, ())]
        if names:
            more = "" if len(names) <= MOST_NAMED else f" … (+{len(names) - MOST_NAMED})"
            said.append(text.format(names=plain(", ".join(names[:MOST_NAMED])) + more, most=MOST_INPUTS))
    return said


def _left_out(upload: Upload, reading: Reading, table: OwnTable) -> dict[str, list[Column]]:
    """Return the columns that are neither target nor input though nobody chose so, by why."""
    chosen = table.shape.choices
    found: dict[str, list[Column]] = defaultdict(list)
    width = 0
    for k, column in enumerate(reading.columns, 1):
        missing = column.missing > MOST_MISSING * reading.rows
        if column.usable and not missing and k not in chosen.targets:
            width += 1 if column.what == "number" else column.values
        if k in (*chosen.targets, *chosen.inputs):
            continue
        if not column.usable:
            found[column.what].append(column)
        elif not upload.wanted.inputs:  # what varies, but not in the complete rows, is constant
            found["missing" if missing else "more" if width > MOST_INPUTS else "constant"].append(column)
    return found
