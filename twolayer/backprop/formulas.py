"""The formula of each value of an iteration, for people: as LaTeX and for a single cell.

Both are templates in the letters of `program.AXES`, so they read the same in every language.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Formula:
    """How one value is computed."""

    latex: str
    """A format string: `{w2}` is a value with its shape, `{w2:T}` transposed, `{w2:name}` the name alone."""
    cell: str
    """One cell, as `cell_formulas` evaluates it: `Σ_k x[n,k]·w1[k,j]`."""


FORMULAS: Mapping[str, Formula] = {
    "h": Formula(r"{x}\cdot {w1}", "Σ_k x[n,k]·w1[k,j]"),
    "h_relu": Formula(r"\max({h},\, 0)", "max(h[n,j], 0)"),
    "y_pred": Formula(r"{h_relu}\cdot {w2}", "Σ_j h_relu[n,j]·w2[j,o]"),
    "loss": Formula(r"\sum_{{n,\,o}} ({y_pred} - {y})^2", "Σ_n Σ_o (y_pred[n,o] - y[n,o])²"),
    "grad_y_pred": Formula(r"2\,({y_pred} - {y})", "2·(y_pred[n,o] - y[n,o])"),
    "grad_w2": Formula(r"{h_relu:T}\cdot {grad_y_pred}", "Σ_n h_relu[n,j]·grad_y_pred[n,o]"),
    "grad_h_relu": Formula(r"{grad_y_pred}\cdot {w2:T}", "Σ_o grad_y_pred[n,o]·w2[j,o]"),
    "grad_h": Formula(
        r"\begin{{cases}} 0 & {h:name} < 0 \\ {grad_h_relu:name} & {h:name} \ge 0 \end{{cases}}",
        "(h[n,j] < 0 ? 0 : grad_h_relu[n,j])",
    ),
    "grad_w1": Formula(r"{x:T}\cdot {grad_h}", "Σ_n x[n,i]·grad_h[n,j]"),
    "w1": Formula(r"{w1} - \eta\,{grad_w1}", "w1[i,j] - η·grad_w1[i,j]"),
    "w2": Formula(r"{w2} - \eta\,{grad_w2}", "w2[j,o] - η·grad_w2[j,o]"),
}
"""The formulas of the correct program, by value."""
