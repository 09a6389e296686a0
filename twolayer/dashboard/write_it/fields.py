"""What has been written: the lines in the session, in the address, and the hints that were taken."""

import streamlit as st

from twolayer.backprop.exercise import Report
from twolayer.backprop.hints import GRADES
from twolayer.backprop.levels import Exercise, Texts
from twolayer.backprop.packed import pack, unpack
from twolayer.dashboard.common import parameters
from twolayer.training.program import STEPS


def exercise() -> Exercise:
    """Return the exercise that is set on the page."""
    return Exercise(*(parameters.now(name) for name in ("level", "missing", "dialect")))


def texts(exercise: Exercise) -> Texts:
    """Return the open lines as they are written now, and put them into the session's parameters."""
    if st.session_state.get("lines_known") != st.session_state["lines"]:
        _take_over(unpack(st.session_state["lines"]))
    written: dict[str, str] = st.session_state.setdefault("written", {})
    for value in exercise.open:
        key = f"line_{value}"
        if isinstance(st.session_state.get(key), str):
            written[value] = st.session_state[key]
        st.session_state[key] = written.get(value, "")
    st.session_state["lines"] = st.session_state["lines_known"] = pack(written)
    return tuple((value, written.get(value, "")) for value in exercise.open)


def _take_over(lines: dict[str, str]) -> None:
    """Begin with lines that came by the address."""
    for value in STEPS:
        st.session_state.pop(f"line_{value}", None)
    st.session_state["written"], st.session_state["grades"] = lines, {}
    st.session_state["claim"] = st.session_state["solved"]


def start_empty() -> None:
    """Put all lines and hints away."""
    before = {name: st.session_state[name] for name in ("written", "grades", "hints")}
    _take_over({})
    st.session_state.update(lines="", lines_known="", solved="", claim="", hints=0, before=before)


def put_away() -> bool:
    """Return whether there are lines to bring back, and none instead of them yet."""
    before = st.session_state.get("before", {"written": {}})
    return any(before["written"].values()) and not any(st.session_state["written"].values())


def bring_back() -> None:
    """Take the lines and hints back that were put away."""
    before = st.session_state.pop("before")
    _take_over(before["written"])
    lines = pack(before["written"])
    st.session_state.update(before, lines=lines, lines_known=lines, claim="")


def fits_address() -> bool:
    """Return whether the address holds all that is written."""
    return bool(st.session_state["lines"]) or not any(st.session_state["written"].values())


def grade(value: str) -> int:
    """Return how many hints of a line are shown."""
    found: int = st.session_state.setdefault("grades", {}).get(value, 0)
    return found


def take_hint(value: str) -> None:
    """Show one more hint of a line."""
    if grade(value) < GRADES:
        st.session_state["grades"][value] = grade(value) + 1
        st.session_state["hints"] = min(parameters.now("hints") + 1, GRADES * len(STEPS))


def note(report: Report | None, texts: Texts) -> None:
    """Put what is solved into the session's parameters, once these lines have been judged."""
    if report is None or not is_about(report, texts):
        return
    written = any(text.strip() for _value, text in texts)
    st.session_state["solved"] = f"{report.solved}of{len(texts)}" if written else ""


def is_about(report: Report, texts: Texts) -> bool:
    """Return whether a report is about these lines."""
    return texts == tuple((verdict.value, verdict.text) for verdict in report.verdicts)
