"""The formula of each value of an iteration, and any cell of it in numbers.

Formulas are templates in the letters of `program.AXES`, so they read the same in every language. That of a
cell is evaluated as text, `h[3,7] = Σ_k x[3,k]·w1[k,7] = 0.5·(-1.2) + … = 4.1`: an optional sum, then a
term in which `name[row,column]` stands for a number.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.training.program import AXES, Values

READABLE = 6
"""The most terms of a sum that are written out; a longer one is shortened in the middle."""

NUMBER = re.compile(r"(?P<array>\w+|\([^()\[\]]+\))\[(?P<row>\w)(?P<shift>-1)?,(?P<column>\w)\]")
"""`name[row,column]` in a formula; the name may be an expression in brackets, the row shifted by one."""


@dataclass(frozen=True)
class Formula:
    """How one value is computed."""

    latex: str
    """A format string: `{w2}` is a value with its shape, `{w2:T}` transposed, `{w2:name}` the name alone."""
    cell: str
    """One cell, as `Cells` evaluates it: `Σ_k x[n,k]·w1[k,j]`."""


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


def number(value: Any) -> str:
    """Format a number with four significant digits."""
    return f"{float(value):.4g}"


@dataclass(frozen=True)
class Cells:
    """The cells of one iteration of the program with these formulas."""

    inputs: Values
    values: Values
    learning_rate: float
    formulas: Mapping[str, Formula]

    @cached_property
    def _arrays(self) -> Values:
        # w1 and w2 in a formula are the weights before the update
        return {**self.values, "(w2 - η·grad_w2)": self.values["w2"], **self.inputs}

    def _sum(self, name: str) -> tuple[dict[str, int], str]:
        """Return the letters that a value's formula sums over, with their ranges, and the term."""
        ranges = dict(zip("nkjo", self.inputs["x"].shape + self.inputs["w2"].shape, strict=True))
        formula = self.formulas[name].cell
        letters = re.findall(r"Σ_(\w) ", formula)
        return {letter: ranges[letter] for letter in letters}, re.sub(r"Σ_\w ", "", formula)

    def cell(self, name: str, row: int, column: int) -> str:
        """Write out the cell (row, column) of the value `name`. The loss has one cell, (0, 0)."""
        at: dict[str, Any] = dict(zip(AXES[name], (row, column), strict=False))
        sizes, term = self._sum(name)

        def symbols(match: re.Match[str]) -> str:
            row, column = (at.get(match[part], match[part]) for part in ("row", "column"))
            return f"{match['array']}[{row}{match['shift'] or ''},{column}]"

        count, shape = math.prod(sizes.values()), tuple(sizes.values())
        terms = [
            self._term(term, at | dict(zip(sizes, np.unravel_index(i, shape), strict=True)))
            for i in (range(count) if count <= READABLE else (0, 1, count - 1))
        ]
        if count > READABLE:
            terms.insert(2, "⋯")
        head = f"{name}[{row},{column}]" if at else name
        result = number(self.values[name][tuple(at.values())])
        # A formula that is a single number is not repeated as its own result
        formula = NUMBER.sub(symbols, self.formulas[name].cell)
        return " = ".join(dict.fromkeys((head, formula, " + ".join(terms), result)))

    def _term(self, term: str, at: dict[str, Any]) -> str:
        """Fill in the numbers; negative ones get brackets in a product and after a minus."""

        def fill(match: re.Match[str]) -> str:
            value = self._look_up(match, at)
            tight = term[: match.start()].endswith(("·", "- ")) or term[match.end() :].startswith("·")
            return f"({number(value)})" if tight and value < 0 else number(value)

        return NUMBER.sub(fill, term).replace("η", number(self.learning_rate))

    def _look_up(self, match: re.Match[str], at: dict[str, Any]) -> Any:
        shift = 1 if match["shift"] else 0  # the row before the first is the last, as in np.roll
        return self._arrays[match["array"]][at[match["row"]] - shift, at[match["column"]]]

    def factors(self, name: str, row: int, column: int) -> dict[str, NDArray[Any]]:
        """Return the numbers (terms,) that are multiplied in a cell's sum, by their names: `w2[3, o]`."""
        cell: dict[str, Any] = dict(zip(AXES[name], (row, column), strict=True))
        sizes, term = self._sum(name)
        at = cell | {letter: np.arange(size) for letter, size in sizes.items()}
        found = {}
        for match in NUMBER.finditer(term):
            indices = (str(cell.get(match[part], match[part])) for part in ("row", "column"))
            found[f"{match['array']}[{', '.join(indices)}]"] = self._look_up(match, at)
        return found
