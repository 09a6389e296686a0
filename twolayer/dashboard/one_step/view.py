"""Show one step of an iteration: its line, its numbers, its diagrams, and the chain rule."""

from typing import Any, Literal

import streamlit as st

from twolayer.backprop import latex
from twolayer.backprop.bugs import BUGS
from twolayer.backprop.one_step import Chosen, Observation
from twolayer.dashboard.common import formulas, iteration, server
from twolayer.dashboard.i18n import _
from twolayer.dashboard.one_step import charts, diagrams
from twolayer.dashboard.one_step.questions import MEANINGS, SLOPES, asked, derivation, is_product, values
from twolayer.training.config import BACKENDS, Config
from twolayer.training.program import AXES, SIZES, numpy_statements, torch_statements

SHORT = 6
"""The most rows of a table shown without scrolling."""

FORMULA = 136
"""The height of a formula in numbers and in letters, in pixels: what is below keeps its place from line to
line."""

CHOSEN = {"n": "sample", "i": "input", "j": "unit", "o": "output"}
"""The session parameter that holds the index of each axis."""


@server.in_turn
def show(seen: Observation, name: str) -> None:
    """Show the step `name` of the iteration."""
    iteration.say_if_diverged(seen.at, seen.diverged_at)
    left, middle, right = st.columns([8, 10, 9])
    with left, st.container(key="line"):
        _line(seen, name)
    with middle, st.container(key="numbers"):
        _numbers(seen, name)
    with right:
        diagrams.computation(name, seen.planted, seen.wrong)
        st.caption(_("Click a value to see its line. Bold: what the line reads."))
    with st.container(key="derivation"):
        if name in SLOPES:
            formulas.draw(derivation(name))
    for question in asked(name, seen.config):
        with st.expander(_(question.asked)):
            st.markdown(_(question.answer).format(**values(seen.config)))
    if name != "loss":
        _whole(seen, name)
    i, j = seen.chosen.i, seen.chosen.j
    title = _("Chain rule for w1[{i}, {j}]").format(i=i, j=j)
    with st.expander(title, key="chain", on_change="rerun") as fold:
        if fold.open:
            _chain(seen)
    _help(seen.config, name)


def _line(seen: Observation, name: str) -> None:
    """Show the formula, what it means, and the source."""
    bug = BUGS[seen.planted] if seen.planted else None
    with st.container(height=FORMULA, border=False, gap=None):
        formulas.draw(latex.formula(name, seen.config, seen.planted))
        if is_product(name):
            formulas.draw(latex.formula(name))
    if bug is not None and bug.value == name:
        st.error(_("This line contains the planted bug:"), icon=":material/bug_report:")
        formulas.code(bug.line)
        st.caption(_("Correct:"))
        formulas.draw(latex.formula(name, seen.config))
    elif name in seen.wrong:
        st.warning(
            _("This line is correct, but its input is wrong: the bug is in an earlier line."),
            icon=":material/warning:",
        )
    st.markdown(_(MEANINGS[name]))
    for backend, statements in (("numpy", numpy_statements()), ("torch", torch_statements())):
        st.caption(BACKENDS[backend])
        formulas.code(statements[name].text)


def _numbers(seen: Observation, name: str) -> None:
    """Show the range of a value, a window of its cells, and how the chosen one is computed."""
    view = seen.views[name]
    if name == "loss":
        st.subheader(_plain(view.maximum), anchor=False)
        formulas.code(view.sums[0][0])
        return
    words = _("{rows} × {columns}, from {low} to {high}; {zeros} zeros")
    rows, columns = (f"{size:,}" for size in view.shape)
    low, high = _plain(view.minimum), _plain(view.maximum)
    about = words.format(rows=rows, columns=columns, low=low, high=high, zeros=f"{view.zeros:.1%}")
    if not view.whole:
        high, wide = view.window.shape
        about += ". " + _("Below, {high} × {wide} cells of it; all under “The whole of it”.").format(
            high=high, wide=wide
        )
    st.caption(about)
    charts.window(name, view, lambda point: _choose(seen.config, name, point))
    row, column = view.chosen
    formulas.code(view.sums[row - view.first[0]][column - view.first[1]])


def _whole(seen: Observation, name: str) -> None:
    """Show the whole value as a picture, and let a cell be chosen by its indices."""
    with st.expander(_("The whole of it, and a cell by its indices"), key="whole", on_change="rerun") as fold:
        if not fold.open:
            return
        _indices(seen.config)
        view = seen.views[name]
        words = _("Each cell is the mean of {high} × {wide} entries. Click to move the frame.")
        st.caption(words.format(high=view.block[0], wide=view.block[1]))
        charts.picture(name, view, lambda point: _choose(seen.config, name, point))


def _help(config: Config, name: str) -> None:
    """Show what the page is for and the network, closed at first."""
    with st.expander(_("What is this?"), key="help", on_change="rerun") as fold:
        if not fold.open:
            return
        st.markdown(
            _(
                "One training iteration, **line by line**: the formula, the code, the actual values in this "
                "run, and where each value comes from. Use the arrow keys to move from line to line."
            )
        )
        diagrams.network(name, {size: getattr(config, size) for size in ("D_in", "H", "D_out")})
        st.caption(
            _("The network for one sample. Colored: the layer or weights involved in the current line.")
        )


def chosen() -> Chosen:
    """Return the indices of the chosen cell."""
    return Chosen(*(st.session_state[key] for key in CHOSEN.values()))


def _choose(config: Config, name: str, point: dict[str, Any]) -> None:
    """Choose the clicked cell. The browser's input is not trusted."""
    for axis, along in zip(AXES[name], ("y", "x"), strict=True):
        try:
            index = round(float(point[along]))
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
        st.session_state[CHOSEN[axis]] = min(max(index, 0), getattr(config, SIZES[axis]) - 1)


def _indices(config: Config) -> None:
    """Draw the inputs for the indices of the chosen cell."""
    titles = (_("Sample n"), _("Input i"), _("Hidden unit j"), _("Output o"))
    with st.container(horizontal=True, gap="small"):
        for (axis, key), title in zip(CHOSEN.items(), titles, strict=True):
            last = getattr(config, SIZES[axis]) - 1
            if st.session_state[key] > last:
                st.session_state[key] = last
            st.number_input(title, 0, last, st.session_state[key], key=key, width=150, persist_state="page")


def _chain(seen: Observation) -> None:
    """Show the chain rule for the chosen entry of w1, in numbers."""
    n, i, j = seen.chosen.n, seen.chosen.i, seen.chosen.j
    chain = seen.chain
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


def _plain(value: float) -> str:
    """Format a number with four digits, a large one without an exponent."""
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e12 else f"{value:.4g}"


def _height(rows: int) -> int | Literal["content"]:
    """Return the height of a table; a long one scrolls."""
    return 250 if rows > SHORT else "content"


def _table(rows: Any, titles: tuple[str, ...]) -> dict[str, Any]:
    """Return columns of numbers by title; the first is an index. Negative zeros become 0."""
    first, *others = titles
    return {first: rows[:, 0].astype(int)} | {
        title: [f"{value + 0.0:.5g}" for value in rows[:, place + 1]] for place, title in enumerate(others)
    }
