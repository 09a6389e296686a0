"""Write out one cell of a value in numbers: `h[3,7] = Σ_k x[3,k]·w1[k,7] = 0.5·(-1.2) + … = 4.1`.

The cell formulas of `formulas` and `bugs` are evaluated as text: an optional sum, then a term in which
`name[row,column]` stands for a number.
"""

import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.backprop import bugs
from twolayer.training.program import AXES, Values

READABLE = 6
"""The most terms of a sum that are written out; a longer one is shortened in the middle."""

NUMBER = re.compile(r"(?P<array>\w+|\([^()\[\]]+\))\[(?P<row>\w)(?P<shift>-1)?,(?P<column>\w)\]")
"""`name[row,column]` in a formula; the name may be an expression in brackets, the row shifted by one."""


def number(value: Any) -> str:
    """Format a number with four significant digits."""
    return f"{float(value):.4g}"


@dataclass(frozen=True)
class Cells:
    """The cells of one iteration of the program with the bug `planted`."""

    inputs: Values
    values: Values
    learning_rate: float
    planted: str | None = None

    @cached_property
    def _arrays(self) -> Values:
        # w1 and w2 in a formula are the weights before the update
        return {**self.values, "(w2 - η·grad_w2)": self.values["w2"], **self.inputs}

    def _range(self, letter: str) -> int:
        """Return how many values an index has."""
        letters = ("n", "k", "j", "o")
        shape: tuple[int, ...] = self.inputs["x"].shape + self.inputs["w2"].shape
        return shape[letters.index(letter)]

    def _parts(self, name: str) -> tuple[str, list[str], str]:
        """Return a value's formula, the letters that it sums over, and the term."""
        formula = bugs.formula(name, self.planted).cell
        return formula, re.findall(r"Σ_(\w) ", formula), re.sub(r"Σ_\w ", "", formula)

    def cell(self, name: str, row: int, column: int) -> str:
        """Write out the cell (row, column) of the value `name`. The loss has one cell, (0, 0)."""
        at: dict[str, Any] = dict(zip(AXES[name], (row, column), strict=False))
        formula, letters, term = self._parts(name)

        def symbols(match: re.Match[str]) -> str:
            row, column = (at.get(match[part], match[part]) for part in ("row", "column"))
            return f"{match['array']}[{row}{match['shift'] or ''},{column}]"

        sizes = [self._range(letter) for letter in letters]
        count = math.prod(sizes)
        terms = [
            self._term(term, at | dict(zip(letters, np.unravel_index(i, sizes), strict=True)))
            for i in (range(count) if count <= READABLE else (0, 1, count - 1))
        ]
        if count > READABLE:
            terms.insert(2, "⋯")
        head = f"{name}[{row},{column}]" if at else name
        result = number(self.values[name][tuple(at.values())])
        # A formula that is a single number is not repeated as its own result
        return " = ".join(dict.fromkeys((head, NUMBER.sub(symbols, formula), " + ".join(terms), result)))

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

    def factor_names(self, name: str, row: int, column: int) -> list[str]:
        """Return what is multiplied in each term of a cell's sum, with the cell's indices: `w2[3,o]`."""
        at = dict(zip(AXES[name], (str(row), str(column)), strict=True))
        term = self._parts(name)[2]
        found = [(match["array"], match["row"], match["column"]) for match in NUMBER.finditer(term)]
        return [f"{array}[{at.get(row, row)}, {at.get(column, column)}]" for array, row, column in found]

    def factors(self, name: str, row: int, column: int) -> list[NDArray[Any]]:
        """Return the numbers in each term of a cell's single sum, one array (terms,) per factor."""
        at: dict[str, Any] = dict(zip(AXES[name], (row, column), strict=True))
        _formula, (letter,), term = self._parts(name)
        at[letter] = np.arange(self._range(letter))
        return [self._look_up(match, at) for match in NUMBER.finditer(term)]
