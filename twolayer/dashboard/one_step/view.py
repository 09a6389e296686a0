"""Show one step of an iteration: its line, its diagrams, its numbers, and the chain rule."""

from typing import Any, Literal

import streamlit as st

from twolayer.backprop.bugs import BUGS
from twolayer.backprop.one_step import Chosen, Observation
from twolayer.dashboard.common import formulas, iteration, server
from twolayer.dashboard.i18n import _
from twolayer.dashboard.one_step import charts, diagrams, listing
from twolayer.dashboard.one_step.questions import MEANINGS, QUESTIONS, values
from twolayer.training.config import Config
from twolayer.training.program import AXES, SIZES, numpy_statements, torch_statements

SHORT = 6
"""The most rows of a table shown without scrolling."""

CHOSEN = {"n": "sample", "i": "input", "j": "unit", "o": "output"}
"""The session parameter that holds the index of each axis."""


@server.in_turn
def show(seen: Observation, name: str) -> None:
    """Show the step `name` of the iteration."""
    iteration.say_if_diverged(seen.at, seen.diverged_at)
    left, right = st.columns(2, gap="large")
    with left:
        _line(seen, name)
    with right:
        _diagrams(seen, name)
    _value(seen, name)
    _chain(seen)


def _diagrams(seen: Observation, name: str) -> None:
    """Show the computation graph and the network."""
    colours = diagrams.colours()
    dot = diagrams.computation(name, seen.planted, seen.wrong, colours)
    st.graphviz_chart(dot, width="stretch", alt=_("Computational graph; the current line is filled"))
    st.caption(_("Filled: current line. Bold: its inputs. Downward: forward pass. Upward: backward pass."))
    sizes = {size: getattr(seen.config, size) for size in ("D_in", "H", "D_out")}
    dot = diagrams.network(name, sizes, colours)
    st.graphviz_chart(
        dot, width="stretch", alt=_("Network diagram; the part involved in the current line is colored")
    )
    st.caption(_("The network for one sample. Colored: the layer or weights involved in the current line."))


def _line(seen: Observation, name: str) -> None:
    """Show the formula, what it means, and the source."""
    bug = BUGS[seen.planted] if seen.planted else None
    st.latex(formulas.formula(name, seen.config, seen.planted))
    st.markdown(_(MEANINGS[name]))
    if bug is not None and bug.value == name:
        st.error(_("This line contains the planted bug:"), icon=":material/bug_report:")
        st.code(bug.line, language="python", wrap_lines=True)
        st.caption(_("Correct:"))
        st.latex(formulas.formula(name, seen.config))
    elif name in seen.wrong:
        st.warning(
            _("This line is correct, but its input is wrong: the bug is in an earlier line."),
            icon=":material/warning:",
        )
    _questions(seen.config, name)
    st.caption(_("NumPy (reference implementation)"))
    listing.draw(numpy_statements()[name])
    st.caption(_("PyTorch (tutorial kernel)"))
    listing.draw(torch_statements()[name])


def _value(seen: Observation, name: str) -> None:
    """Show the numbers: their range, a picture, and a window of cells."""
    view = seen.views[name]
    figures = (
        ("metric_minimum", _("Minimum"), f"{view.minimum:.4g}"),
        ("metric_maximum", _("Maximum"), f"{view.maximum:.4g}"),
        ("metric_zeros", _("Fraction of zeros"), f"{view.zeros:.1%}"),
    )
    with st.container(horizontal=True, gap="small"):
        for key, title, value in figures:
            with st.container(key=key, border=True, width=150):
                st.metric(title, value)
    if name == "loss":
        listing.line(view.sums[0][0])
        return

    def choose(point: dict[str, Any]) -> None:
        _choose(seen.config, name, point.get("y"), point.get("x"))

    rows, columns = (f"{size:,}" for size in view.shape)
    if view.whole:
        words = _("All {rows} × {columns} entries. Hover over a cell to see how it is computed.")
        st.caption(words.format(rows=rows, columns=columns))
        charts.window(name, view, choose)
    else:
        left, right = st.columns(2, gap="large")
        with left:
            words = _(
                "All {rows} × {columns} entries; each cell is the mean of {high} × {wide} entries. Click "
                "to move the frame."
            )
            high, wide = view.block
            st.caption(words.format(rows=rows, columns=columns, high=high, wide=wide))
            charts.picture(name, view, choose)
        with right:
            words = _(
                "The {rows} × {columns} entries in the frame. Hover over a cell to see how it is computed."
            )
            high, wide = view.window.shape
            st.caption(words.format(rows=high, columns=wide))
            charts.window(name, view, choose)
    row, column = view.chosen
    listing.line(view.sums[row - view.first[0]][column - view.first[1]])


def chosen() -> Chosen:
    """Return the indices of the chosen cell."""
    return Chosen(*(st.session_state[key] for key in CHOSEN.values()))


def _choose(config: Config, name: str, row: Any, column: Any) -> None:
    """Choose the clicked cell. The browser's input is not trusted."""
    for axis, place in zip(AXES[name], (row, column), strict=True):
        try:
            index = round(float(place))
        except (TypeError, ValueError, OverflowError):
            continue
        st.session_state[CHOSEN[axis]] = min(max(index, 0), getattr(config, SIZES[axis]) - 1)


def indices(config: Config) -> None:
    """Draw the inputs for the indices of the chosen cell."""
    fields = (
        ("sample", _("Sample n"), config.N),
        ("input", _("Input i"), config.D_in),
        ("unit", _("Hidden unit j"), config.H),
        ("output", _("Output o"), config.D_out),
    )
    with st.container(horizontal=True, gap="small"):
        for key, title, size in fields:
            if st.session_state[key] > size - 1:
                st.session_state[key] = size - 1
            st.number_input(title, 0, size - 1, st.session_state[key], key=key, width=150)


def _questions(config: Config, name: str) -> None:
    """Show the questions about this line and their answers."""
    for question in QUESTIONS.get(name, ()):
        with st.expander(_(question.asked)):
            st.markdown(_(question.answer).format(**values(config)))


def _chain(seen: Observation) -> None:
    """Show the chain rule for the chosen entry of w1, in numbers."""
    n, i, j = seen.chosen.n, seen.chosen.i, seen.chosen.j
    chain = seen.chain
    st.subheader(_("Chain rule for w1[{i}, {j}]").format(i=i, j=j), anchor=False)
    st.latex(
        r"\frac{\partial\,\mathtt{loss}}{\partial\,\mathtt{w1}[i,j]} = \sum_n "
        r"\underbrace{\mathtt{x}[n,i]}_{\partial \mathtt{h}/\partial \mathtt{w1}}\;\cdot\;"
        r"\underbrace{[\mathtt{h}[n,j] \ge 0]}_{\partial \mathtt{h\_relu}/\partial \mathtt{h}}\;\cdot\;"
        r"\sum_o \underbrace{\mathtt{w2}[j,o]}_{\partial \mathtt{y\_pred}/\partial \mathtt{h\_relu}}\;\cdot\;"
        r"\underbrace{2\,(\mathtt{y\_pred}-\mathtt{y})[n,o]}"
        r"_{\partial \mathtt{loss}/\partial \mathtt{y\_pred}}"
    )
    if seen.planted is not None and seen.changed and "w1" in BUGS[seen.planted].tensors:
        bug = BUGS[seen.planted]
        st.info(
            _(
                "This is the correct chain rule. The numbers below are not: they are those of the program "
                "with the planted bug, `{line}`."
            ).format(line=bug.line),
            icon=":material/bug_report:",
        )
    st.caption(_("Sample {n}: from the outputs back to hidden unit {j}").format(n=n, j=j))
    titles = ("o", "y_pred", "y", "grad_y_pred", chain.factor, f"grad_y_pred · {chain.factor}")
    st.dataframe(_table(chain.outputs, titles), hide_index=True, height=_height(len(chain.outputs)))
    if chain.other_outputs:
        st.caption(_("Only the first rows are shown ({count} more).").format(count=chain.other_outputs))
    st.caption(_("Sum over samples: from hidden unit {j} to the weight from input {i}").format(i=i, j=j))
    titles = ("n", f"x[n, {i}]", f"h[n, {j}]", "grad_h_relu", "grad_h", "x·grad_h")
    st.dataframe(_table(chain.samples, titles), hide_index=True, height=_height(len(chain.samples)))
    if chain.other_samples:
        st.caption(
            _("Largest contributions only; the other {count} add up to {sum}.").format(
                count=chain.other_samples, sum=f"{chain.other_sum:.4g}"
            )
        )
    st.markdown(
        _(
            "The last column sums to **grad_w1[{i}, {j}] = {total}**. Subtracting {rate} × this gradient "
            "changes w1[{i}, {j}] from {before} to **{after}**."
        ).format(
            i=i,
            j=j,
            total=f"{chain.total:.6g}",
            rate=f"{seen.config.learning_rate:g}",
            before=f"{chain.before:.8g}",
            after=f"{chain.after:.8g}",
        )
    )


def _height(rows: int) -> int | Literal["content"]:
    """Return the height of a table; a long one scrolls."""
    return 250 if rows > SHORT else "content"


def _table(rows: Any, titles: tuple[str, ...]) -> dict[str, Any]:
    """Return columns of numbers by title; the first is an index. Negative zeros become 0."""
    first, *others = titles
    return {first: rows[:, 0].astype(int)} | {
        title: [f"{value + 0.0:.5g}" for value in rows[:, place + 1]] for place, title in enumerate(others)
    }
