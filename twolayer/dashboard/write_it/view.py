"""Draw the lines of the exercise, a verdict beside each, and what is solved."""

from html import escape
from typing import Any

import streamlit as st

from twolayer.backprop.exercise import Report, Verdict
from twolayer.backprop.expressions import LONGEST_LINE
from twolayer.backprop.hints import GRADES, hint
from twolayer.backprop.levels import SOLUTIONS, Exercise, Texts
from twolayer.backprop.proof import Proof
from twolayer.backprop.sentences import details, headline
from twolayer.backprop.spelling import DIALECTS
from twolayer.dashboard.common import formulas, server
from twolayer.dashboard.common.widgets import choice, segments
from twolayer.dashboard.i18n import _, say
from twolayer.dashboard.write_it import fields
from twolayer.training.messages import N_, Message
from twolayer.training.program import GRADIENTS, STEPS

LEVEL_NAMES = {"1": N_("One line"), "2": N_("Backward pass"), "3": N_("Everything")}
DIALECT_NAMES = {"numpy": "NumPy", "torch": "PyTorch"}
_GREEN, _RED = (f"color:color-mix(in srgb, currentColor 40%, {c})" for c in ("#188038", "#d93025"))
STYLES = {"right": f"font-weight:600;{_GREEN}", "empty": "opacity:0.8"}
"""By state. A colour is mixed with that of text, to be readable on light and dark."""
SIGNS = {"right": "✓", "wrong": "✗", "refused": "✗", "empty": "·"}
_NAME = "padding-top:0.5rem; font-size:0.85rem; white-space:nowrap"
_VERDICT = "padding-top:0.4rem; font-size:0.9rem; line-height:1.35; overflow-wrap:anywhere"


def bar(report: Report | None, texts: Texts) -> None:
    """Draw the choices of the exercise, the buttons, and how many lines are right."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="choices"):
        levels = {name: _(words) for name, words in LEVEL_NAMES.items()}
        segments("level", _("To write"), list(levels), levels, label_visibility="collapsed")
        if st.session_state["level"] == "1":
            choice("missing", _("Missing line"), width=150, label_visibility="collapsed")
        segments("dialect", _("Spelling"), DIALECTS, DIALECT_NAMES, label_visibility="collapsed")
        st.button(_("Check"), key="check", type="primary", help=_("Or press Enter in a line"))
        if fields.put_away():
            st.button(_("Bring back my lines"), key="bring_back", on_click=fields.bring_back)
        else:
            st.button(_("Start empty"), key="start_empty", on_click=fields.start_empty)
        with st.container(key="solved_words", width="content"):
            st.markdown(_solved(report, texts), width="content")


def _solved(report: Report | None, texts: Texts) -> str:
    """Say how many lines are right, with how many hints."""
    solved = report.solved if report is not None and fields.is_about(report, texts) else None
    if solved is None:
        return _("Checking…")
    hints = st.session_state["hints"]
    words = (
        _("**{solved} of {total}** right, hints: {hints}")
        if hints
        else _("**{solved} of {total}** right, no hint used")
    )
    said = words.format(solved=solved, total=len(texts), hints=hints)
    return f":material/check_circle: :green[{said}]" if solved == len(texts) else said


@server.in_turn
def rows(exercise: Exercise, texts: Texts, report: Report | None) -> None:
    """Draw the program: given lines as code, open ones as fields, each with a verdict and a hint below.

    The hints come after all lines, so that Tab leads from line to line; the style sheet puts each below its
    own line.
    """
    verdicts = {verdict.value: verdict for verdict in report.verdicts} if report else {}
    written, given = dict(texts), []
    begin = "" if any(text.strip() for text in written.values()) else _begin()
    with st.container(key="program", gap="small"):
        for value in STEPS:
            if value not in exercise.open:
                given.append(f"{value} = {SOLUTIONS[exercise.dialect][value]}")
                continue
            with st.container(key=f"row_{value}", gap="small"):
                _given(given)
                _row(value, written[value], verdicts.get(value), begin, exercise.dialect)
            given, begin = [], ""
        if given:
            with st.container(key="row_end"):
                _given(given)
        _hints(exercise, report)


def _given(lines: list[str]) -> None:
    """Draw lines that are not to be written."""
    if lines:
        formulas.code("\n".join(lines))


def _begin() -> str:
    return _("Write what stands to the right of the equals sign, and press Enter. A hint is below the line.")


def _row(value: str, text: str, verdict: Verdict | None, begin: str, dialect: str) -> None:
    name, field, result = st.columns([1.25, 4, 4.75], vertical_alignment="top", gap="small")
    with name:
        st.html(f'<div style="{_NAME}"><code>{value} =</code></div>')
    with field:
        st.text_input(
            f"{value} =",
            st.session_state[f"line_{value}"],
            key=f"line_{value}",
            max_chars=LONGEST_LINE,
            label_visibility="collapsed",
            autocomplete="off",
        )
    with result, st.container(key=f"verdict_{value}"):
        st.html(_verdict(value, text, verdict, dialect, begin))


def words(message: Message) -> str:
    """Return a message in the visitor's language as plain text, not as Markdown."""

    def shown(given: Any) -> Any:
        return words(given) if isinstance(given, Message) else given

    return _(message.template).format(**{name: shown(given) for name, given in message.values})


def _verdict(value: str, text: str, verdict: Verdict | None, dialect: str, begin: str = "") -> str:
    """Return a verdict as HTML, which screen readers are told when it changes; of an empty page `begin`."""
    parts, role = [], "status"
    if verdict is None or verdict.text != text:
        parts.append(f"<span>{escape(_('Checking…'))}</span>")
    else:
        style = STYLES.get(verdict.state, f"font-weight:600;{_RED}")
        said = escape(begin or words(headline(verdict)))
        if verdict.state != "empty":
            role = "alert"  # the element is a new one each time: a status would not be read out
        sign = f'<span aria-hidden="true">{SIGNS[verdict.state]}</span>'
        parts.append(f'<span style="{style}">{sign} {said}</span>')
        if verdict.state == "refused":
            parts.append(_place(verdict))
        parts += (escape(words(one)) for one in details(verdict))
        parts += (f"<small>{escape(words(one))}</small>" for one in verdict.products[:2])
    for grade in range(1, fields.grade(value) + 1):
        number = escape(_("Hint {grade}:").format(grade=grade))
        parts.append(f"<em>{number} {escape(words(hint(value, grade, dialect)))}</em>")
    inner = "<br>".join(filter(None, parts))
    name = f'<span style="position:absolute;clip-path:inset(50%);width:1px;height:1px">{value}: </span>'
    return f'<div role="{role}" style="{_VERDICT}">{name}{inner}</div>'


def _place(verdict: Verdict) -> str:
    """Return the line with the place that the sentence is about marked."""
    start, end = verdict.span
    text = verdict.text
    if not 0 <= start < end <= len(text) or (start, end) == (0, len(text)):
        return ""
    return f"<code>{escape(text[:start])}<mark>{escape(text[start:end])}</mark>{escape(text[end:])}</code>"


def _hints(exercise: Exercise, report: Report | None) -> None:
    """Draw a button for the next hint of each line that is not right."""
    right = {v.value for v in report.verdicts if v.state == "right"} if report else set()
    for value in exercise.open:
        if value not in right and fields.grade(value) < GRADES:
            label = _("Hint for {value} ({grade} of {most})").format(
                value=value, grade=fields.grade(value) + 1, most=GRADES
            )
            st.button(label, key=f"hint_{value}", on_click=fields.take_hint, args=(value,))


def notes(report: Report | None, texts: Texts) -> None:
    """Say that all lines are right, and what the address says of the result."""
    if report is None or not fields.is_about(report, texts):
        return
    if report.solved == len(texts):
        done = _("All lines are right. Now train with them.") if len(texts) > 1 else _("The line is right.")
        st.success(done, icon=":material/check_circle:")
    claim = st.session_state.get("claim")
    if claim and claim != st.session_state["solved"]:
        words = _("The link says {claim}, but its lines do not: here they were checked anew.")
        st.warning(words.format(claim=claim))
    if not fields.fits_address():
        st.warning(_("The lines are too long for the address: a link to this page would be without them."))
    elif report.solved == len(texts):
        st.caption(
            _(
                "The address of this page holds your lines and this result, for whoever you send it to. It "
                "is not signed: anybody can type it. But whoever opens it sees the lines checked anew; only "
                "the number of hints has to be believed."
            )
        )


def proof(found: Proof | None) -> None:
    """Show whether each gradient agrees with PyTorch's autograd and with central differences."""
    if found is None or not found.agreements:
        return
    with st.container(horizontal=True, gap="small", key="proof", vertical_alignment="center"):
        for name in GRADIENTS:
            ours = [one for one in found.agreements if one.gradient == name]
            if ours:
                wrong = any(one.wrong for one in ours)
                if wrong:
                    st.badge(name, icon=":material/close:", color="red")
                else:
                    st.badge(name, icon=":material/check:", color="green")
    most = max(one.compared for one in found.agreements if one.against == "differences")
    wrong = any(one.wrong for one in found.agreements)
    how = _outcome(wrong=wrong) + " " + _compared(found).format(most=most)
    agree = [one.largest for one in found.agreements if not one.wrong]
    if agree:
        how += " " + _("Largest relative error where they agree: {largest}.").format(
            largest=f"{max(agree):.1g}"
        )
    st.caption(how + " " + _("All lines are judged at the first iteration of the run."))
    if found.no_autograd is not None:
        st.caption(say(found.no_autograd))


def _outcome(*, wrong: bool) -> str:
    if wrong:
        return _("Computed one after another, your lines give wrong gradients: those marked ✗.")
    return _("Computed one after another, your lines give right gradients.")


def _compared(found: Proof) -> str:
    if found.no_autograd is not None:
        return _("They were compared with central differences in up to {most} entries of each.")
    return _(
        "They were compared with PyTorch's autograd in every entry, and with central differences in up to "
        "{most} entries of each."
    )
