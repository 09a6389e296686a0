"""Show the result of a gradient check."""

from collections.abc import Iterable

import streamlit as st

from twolayer.backprop.bugs import BUGS, program
from twolayer.backprop.check import Check
from twolayer.backprop.comparison import DIRECTIONS, Comparison
from twolayer.dashboard.common import formulas, iteration, server
from twolayer.dashboard.gradients import charts, reading
from twolayer.dashboard.i18n import _, say
from twolayer.training.messages import N_
from twolayer.training.program import GRADIENTS

AGAINST = {"autograd": N_("PyTorch autograd"), "differences": N_("Central differences")}


@server.in_turn
def show(check: Check, *, hidden: bool) -> None:
    """Show the result of a check; with `hidden`, not which formula is wrong, since that is to be guessed."""
    iteration.say_if_diverged(check.at, check.diverged_at)
    if check.comparisons:
        _verdict(check, hidden=hidden)
    for why in (check.no_autograd, check.no_differences):
        if why is not None:
            st.info(say(why))
    if check.comparisons:
        _figures(check)
        _where(check)
    _steps(check)
    reading.show()


def _verdict(check: Check, *, hidden: bool) -> None:
    with st.container(key="verdict"):
        if not check.wrong:
            _right(check, hidden=hidden)
            return
        tensors = check.wrong_tensors
        if tensors:
            names = ", ".join(f"**{name}**" for name in tensors)
            said = _("Wrong: gradient of the loss with respect to {names}.").format(names=names)
        else:
            said = _(
                "An intermediate gradient is wrong, but it does not show: the gradients of both weight "
                "matrices are 0 here."
            )
        if hidden:
            st.error(said, icon=":material/error:")
            return
        formula = check.formula
        assert formula is not None
        look = _(
            "Check the line that computes **{formula}**: its inputs agree with the reference, but its "
            "result does not."
        )
        st.error(" ".join((said, look.format(formula=formula))), icon=":material/error:")
        _trail(check.wrong)
        for words, bug in ((_("Expected"), None), (_("Actual"), check.planted)):
            st.caption(words)
            st.latex(formulas.formula(formula, check.config, bug))
            st.code(program(bug)[formula], language="python", wrap_lines=True)
        if check.planted is not None:
            st.markdown(_(BUGS[check.planted].why))


def _right(check: Check, *, hidden: bool) -> None:
    if check.planted is not None and not check.changed and not hidden:
        st.info(
            _(
                "The bug is active but has no effect at these weights: it changes no value. Try another "
                "seed or iteration."
            )
        )
        return
    if check.planted is not None and not hidden:
        st.warning(
            _("The bug changes the gradients by less than rounding error, so no check can detect it here.")
        )
        return
    st.success(
        _(
            "The backward pass is correct: all differences are within rounding error. Plant a bug and see "
            "whether the check catches it."
        )
        if not hidden
        else _("All differences are within rounding error."),
        icon=":material/check_circle:",
    )


def _trail(wrong: Iterable[str]) -> None:
    """Show whether each of the five gradients is right, in the order in which they are computed."""
    with st.container(horizontal=True, gap="small", key="trail"):
        for name in GRADIENTS:
            icon = ":material/close:" if name in wrong else ":material/check:"
            st.badge(name, icon=icon, color="red" if name in wrong else "green")


def _figures(check: Check) -> None:
    """Show a row for each comparison of w1 and w2, and the comparisons along random directions."""
    pairs = [(gradient, against) for against in AGAINST for gradient in ("grad_w1", "grad_w2")]
    compared = [c for c in (check.comparison(*pair) for pair in pairs) if c is not None]
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
    with st.container(key="figures"):
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


def _where(check: Check) -> None:
    """Show where one gradient is off: two pictures, and the worst entries."""
    st.subheader(_("Where the gradients differ"), anchor=False)
    with st.container(horizontal=True):
        tensor = st.segmented_control(
            _("Gradient"),
            ["grad_w1", "grad_w2"],
            default="grad_w1",
            required=True,
            key="picture_of",
            label_visibility="collapsed",
        )
        there = [name for name in AGAINST if check.comparison("grad_w1", name) is not None]
        against = st.segmented_control(
            _("Reference"),
            there,
            format_func={name: _(AGAINST[name]) for name in there}.__getitem__,
            default=there[0],
            required=True,
            key=f"against_{'_'.join(there)}",
            label_visibility="collapsed",
        )
    comparison = check.comparison(tensor, against)
    if comparison is None:  # a browser may send what is not among the options
        return
    left, right = st.columns(2, gap="medium")
    with left:
        st.caption(_picture_says(comparison))
        charts.error_picture(comparison)
    with right:
        st.caption(
            _("Each point is one of {count} entries; points on the line agree.").format(
                count=len(comparison.points)
            )
        )
        charts.agreement_scatter(comparison)
    st.caption(_("Largest errors"))
    worst = comparison.worst
    st.dataframe(
        {
            _("Entry"): [f"{comparison.gradient}[{e.index[0]}, {e.index[1]}]" for e in worst],
            _("Hand-written"): [f"{e.ours:.9g}" for e in worst],
            _(AGAINST[comparison.against]): [f"{e.theirs:.9g}" for e in worst],
            _("Relative error"): [error(e.error) for e in worst],
            _("Verdict"): [_("wrong") if e.wrong else _("rounding error") for e in worst],
        },
        hide_index=True,
        height="content",
    )


def _picture_says(comparison: Comparison) -> str:
    rows, columns = comparison.block
    if (rows, columns) == (1, 1):
        return _("Relative error of each compared entry.")
    return _("Relative error; each cell shows the maximum of {rows} × {columns} entries.").format(
        rows=rows, columns=columns
    )


def _steps(check: Check) -> None:
    if not check.valley:
        return
    st.subheader(_("Choosing the step size h"), anchor=False)
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
    return f"{value:.1e}" if value else "0"
