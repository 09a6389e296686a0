"""Show the result of a gradient check."""

import streamlit as st

from twolayer.backprop import latex
from twolayer.backprop.bugs import BUGS, program
from twolayer.backprop.check import STEPS, Check
from twolayer.backprop.comparison import DIRECTIONS, Comparison
from twolayer.dashboard.common import formulas, iteration, parameters, server
from twolayer.dashboard.gradients import charts, guessing
from twolayer.dashboard.i18n import _, say
from twolayer.training.messages import N_
from twolayer.training.program import GRADIENTS

AGAINST = {"autograd": N_("PyTorch autograd"), "differences": N_("Central differences")}


@server.in_turn
def show(check: Check, *, hidden: bool, live: bool = False) -> None:
    """Show the result of a check; with `hidden`, not which formula is wrong, since that is to be guessed.

    With `live` the result of another check is to come, and this one stays until then.
    """
    iteration.say_if_diverged(check.at, check.diverged_at)
    of_weights = (c for c in check.comparisons if c.gradient in ("grad_w1", "grad_w2"))
    compared = sorted(of_weights, key=lambda c: (c.against, c.gradient))
    if compared:
        with st.container(key="verdict"):
            _verdict(check, hidden=hidden)
        _chips(check, hidden=hidden, live=live)
        left, right = st.columns(2, gap="medium")
        with left:
            _lines(check, hidden=hidden)
        with right:
            shown = _scatter(compared)
    for why in (check.no_autograd, check.no_differences):
        if why is not None:
            st.info(say(why))
    if compared:
        _tables(check, compared, shown)
    _steps(check)


FORMULA = 72
"""Height of a formula in pixels: its letters come later than the rest."""


def _verdict(check: Check, *, hidden: bool) -> None:
    if not hidden and st.session_state.get("guess"):
        guessing.response(check)
    elif check.wrong:
        st.error(_what_is_wrong(check, hidden=hidden), icon=":material/error:")
    elif hidden:
        st.success(_("All differences are within rounding error."), icon=":material/check_circle:")
    elif check.planted is None:
        right = _("The backward pass is correct: all differences are within rounding error.")
        st.success(right, icon=":material/check_circle:")
    elif check.changed:
        st.warning(
            _("The bug changes the gradients by less than rounding error, so no check can detect it here.")
        )
    else:
        st.warning(
            _(
                "The bug is active but has no effect at these weights: it changes no value. Try another "
                "seed or iteration."
            )
        )


def _what_is_wrong(check: Check, *, hidden: bool) -> str:
    names = ", ".join(f"**{name}**" for name in check.wrong_tensors)
    said = _("Wrong: gradient of the loss with respect to {names}.").format(names=names)
    if not names:
        said = _(
            "An intermediate gradient is wrong, but it does not show: the gradients of both weight matrices "
            "are 0 here."
        )
    look = _(
        "Check the line that computes **{formula}**: its inputs agree with the reference, but its result "
        "does not."
    )
    return said if hidden else f"{said} {look.format(formula=check.formula)}"


def _chips(check: Check, *, hidden: bool, live: bool) -> None:
    """Show whether each gradient is right, in the order of the backward pass."""
    with st.container(horizontal=True, gap="small", key="trail"):
        for name in GRADIENTS:
            if hidden and name not in ("grad_w1", "grad_w2"):
                st.badge(name, icon=":material/question_mark:", color="gray")
            elif name in check.wrong:
                st.badge(name, icon=":material/close:", color="red")
            else:
                st.badge(name, icon=":material/check:", color="green")
        if live:
            st.badge(_("Checking…"), icon=":material/hourglass_empty:", color="gray")


def _lines(check: Check, *, hidden: bool) -> None:
    """Show the right line and the planted one below it, or the whole backward pass if none is to be shown."""
    if check.planted is None or hidden:
        st.caption(_("The backward pass, as the tutorial writes it"))
        formulas.code("\n".join(program(None)[name] for name in GRADIENTS))
        return
    bug = BUGS[check.planted]
    for words, planted in ((_("Right"), None), (_("With the bug"), check.planted)):
        st.caption(words)
        with st.container(height=FORMULA, border=False, gap=None):
            formulas.draw(latex.formula(bug.value, check.config, planted))
        formulas.code(program(planted)[bug.value])
    st.markdown(_(bug.why))


def _scatter(compared: list[Comparison]) -> Comparison:
    """Draw a gradient against a reference, a wrong one unless another is chosen. Return the comparison."""
    named = {f"{c.gradient}: {_(AGAINST[c.against])}": c for c in sorted(compared, key=lambda c: not c.wrong)}
    label = _("Gradient and reference")
    # Without a key it begins anew where another gradient is wrong
    chosen = st.selectbox(label, list(named), label_visibility="collapsed")
    comparison = named.get(chosen, compared[0])  # a browser may send what is not among the options
    charts.agreement_scatter(comparison, _(AGAINST[comparison.against]))
    words = _("Each point is one entry ({count} of {compared} are shown); points on the line agree.")
    st.caption(words.format(count=len(comparison.points), compared=f"{comparison.compared:,}"))
    return comparison


def _tables(check: Check, compared: list[Comparison], shown: Comparison) -> None:
    """Show a row for each comparison, those along random directions, and where the one shown is off."""
    with st.expander(_("Tables and map of the errors"), key="tables", on_change="rerun") as fold:
        if not fold.open:
            return
        _figures(check, compared)
        st.caption(_picture_says(shown))
        charts.error_picture(shown)
        st.caption(_("Largest errors"))
        worst = shown.worst
        st.dataframe(
            {
                _("Entry"): [f"{shown.gradient}[{e.index[0]}, {e.index[1]}]" for e in worst],
                _("Hand-written"): [f"{e.ours:.9g}" for e in worst],
                _(AGAINST[shown.against]): [f"{e.theirs:.9g}" for e in worst],
                _("Relative error"): [error(e.error) for e in worst],
                _("Verdict"): [_("wrong") if e.wrong else _("rounding error") for e in worst],
            },
            hide_index=True,
            height="content",
        )


def _figures(check: Check, compared: list[Comparison]) -> None:
    rows = {
        _("Gradient"): [c.gradient for c in compared],
        _("Reference"): [_(AGAINST[c.against]) for c in compared],
        _("Wrong entries"): [c.wrong for c in compared],
        _("Max. relative error"): [error(c.largest) for c in compared],
        _("Median relative error"): [error(c.median) for c in compared],
        _("Cosine similarity"): [f"{c.cosine:.9f}" for c in compared],
        _("Entries compared"): [f"{c.compared:,} / {c.shape[0] * c.shape[1]:,}" for c in compared],
        _("Skipped (kinks)"): [c.kinks for c in compared],
    }
    st.dataframe(rows, hide_index=True)
    along = check.directions
    if along:
        agree = sum(not direction.wrong for _name, direction in along)
        st.caption(
            _(
                "Directional check: along {count} random directions through all of w1 or all of w2, "
                "{agree} agree to rounding. Each costs only two forward passes. Steps are shortened to "
                "avoid kinks; the smallest is {step}."
            ).format(count=len(along), agree=agree, step=error(min(d.step for _name, d in along)))
        )
    left_out = 2 * DIRECTIONS - len(along) if not check.no_differences else 0
    if left_out:
        st.caption(
            _("{count} directions skipped: a hidden unit is exactly at its kink (h = 0).").format(
                count=left_out
            )
        )


def _picture_says(comparison: Comparison) -> str:
    rows, columns = comparison.block
    if (rows, columns) == (1, 1):
        return _("Relative error of each compared entry.")
    return _("Relative error; each cell shows the maximum of {rows} × {columns} entries.").format(
        rows=rows, columns=columns
    )


def _steps(check: Check) -> None:
    """Let the step size and the precision be chosen, and show why there is a best step size."""
    with st.expander(_("Step size h and precision"), key="step_size", on_change="rerun") as fold:
        if not fold.open:
            return
        left, right = st.columns([2, 1], gap="large")
        with left:
            steps = [parameters.shown_step(step) for step in STEPS]
            step = st.session_state["difference_step"]
            st.select_slider(
                _("Difference step size"), steps, step, key="difference_step", persist_state="page"
            )
        with right:
            dtype = st.session_state["check_dtype"]
            st.segmented_control(
                _("Check precision"),
                ["float64", "float32"],
                default=dtype,
                required=True,
                key="check_dtype",
                persist_state="page",
            )
        if check.valley:
            _valley(check)


def _valley(check: Check) -> None:
    st.markdown(
        _(
            "A central difference has two sources of error. If h is small, the two losses are almost equal "
            "and their difference is mostly **rounding error**. If h is large, a hidden unit may change "
            "sign in between, and the loss has a **kink** there. Between kinks the loss is exactly "
            "quadratic in each single weight, and for a quadratic the central difference is exact. There "
            "is no truncation error, so without kinks the error only decreases as h grows."
        )
    )
    charts.valley(check)
    here = next((each for each in check.valley if each.step == check.settings.step), None)
    if here is not None:
        st.caption(
            _(
                "Measured on {sample} entries of w1. At h = {step}, {kinks} of them cross a kink; these "
                "are counted but excluded from the check."
            ).format(sample=here.sample, step=f"{here.step:g}", kinks=here.kinks)
        )


def error(value: float) -> str:
    """Format a relative error or a step with two digits."""
    return f"{value:.2g}".replace("e-0", "e-")
