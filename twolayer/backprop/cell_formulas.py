"""How one cell of a value was made, spelled out with its numbers: `h[3,7] = Σ_k x[3,k]·w1[k,7] = …`.

In the letters of the formulas alone, so that it reads the same in every language: n a sample, k an
input, j a hidden unit, o an output, η the learning rate.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = Mapping[str, NDArray[Any]]

READABLE = 6
"""A sum of more terms is cut short in its middle."""


def number(value: Any) -> str:
    """Four significant digits."""
    return f"{float(value):.4g}"


def factor(value: Any) -> str:
    """A number in a product or after a minus: with brackets where it is negative."""
    return f"({number(value)})" if value < 0 else number(value)


def products(left: NDArray[Any], right: NDArray[Any]) -> str:
    """a·b + c·d + …"""
    return _sum(len(left), lambda i: f"{factor(left[i])}·{factor(right[i])}")


def _sum(count: int, term: Callable[[int], str]) -> str:
    if count <= READABLE:
        return " + ".join(term(i) for i in range(count))
    return " + ".join([term(0), term(1), "⋯", term(count - 1)])


@dataclass(frozen=True)
class Speller:
    """The cells of one iteration, as the mistake `planted` of `faults.FAULTS` lets them be."""

    inputs: Values
    values: Values
    learning_rate: float
    planted: str | None = None

    def cell(self, name: str, row: int, column: int) -> str:
        """How the cell (row, column) of the value `name` was made. The loss has one cell, (0, 0)."""
        if name == "loss":
            return " = ".join([name, *self._loss(), number(self.values[name])])
        made = self._updated(name, row, column) if name in self.inputs else getattr(self, name)(row, column)
        return " = ".join([f"{name}[{row},{column}]", *made, number(self.values[name][row, column])])

    def h(self, n: int, j: int) -> tuple[str, ...]:
        return f"Σ_k x[{n},k]·w1[k,{j}]", products(self.inputs["x"][n], self.inputs["w1"][:, j])

    def h_relu(self, n: int, j: int) -> tuple[str, ...]:
        return f"max(h[{n},{j}], 0)", f"max({number(self.values['h'][n, j])}, 0)"

    def y_pred(self, n: int, o: int) -> tuple[str, ...]:
        return f"Σ_j h_relu[{n},j]·w2[j,{o}]", products(self.values["h_relu"][n], self.inputs["w2"][:, o])

    def _loss(self) -> tuple[str, ...]:
        y_pred, y = self.values["y_pred"].ravel(), self.inputs["y"].ravel()
        terms = _sum(len(y), lambda i: f"({number(y_pred[i])} - {factor(y[i])})²")
        return "Σ_n Σ_o (y_pred[n,o] - y[n,o])²", terms

    def grad_y_pred(self, n: int, o: int) -> tuple[str, ...]:
        two = "" if self.planted == "no_factor" else "2·"
        y_pred, y = self.values["y_pred"][n, o], self.inputs["y"][n, o]
        return f"{two}(y_pred[{n},{o}] - y[{n},{o}])", f"{two}({number(y_pred)} - {factor(y)})"

    def grad_w2(self, j: int, o: int) -> tuple[str, ...]:
        h_relu, row = self.values["h_relu"][:, j], "n"
        if self.planted == "off_by_one":
            h_relu, row = np.roll(h_relu, 1), "n-1"
        terms = products(h_relu, self.values["grad_y_pred"][:, o])
        return f"Σ_n h_relu[{row},{j}]·grad_y_pred[n,{o}]", terms

    def grad_h_relu(self, n: int, j: int) -> tuple[str, ...]:
        name = {"not_transposed": f"w2[o,{j}]", "updated_early": f"(w2 - η·grad_w2)[{j},o]"}
        weight = name.get(self.planted or "", f"w2[{j},o]")
        terms = products(self.values["grad_y_pred"][n], self.weights_back(j))
        return f"Σ_o grad_y_pred[{n},o]·{weight}", terms

    def weights_back(self, j: int) -> NDArray[Any]:
        """The weights (D_out,) by which the outputs' gradients reach hidden unit j."""
        w2 = self.values["w2"] if self.planted == "updated_early" else self.inputs["w2"]
        weights: NDArray[Any] = w2[:, j] if self.planted == "not_transposed" else w2[j]
        return weights

    def grad_h(self, n: int, j: int) -> tuple[str, ...]:
        passed = f"grad_h_relu[{n},{j}]"
        if self.planted == "no_mask":
            return (passed,)
        sign = ">" if self.planted == "wrong_side" else "<"
        h, gradient = number(self.values["h"][n, j]), number(self.values["grad_h_relu"][n, j])
        return f"(h[{n},{j}] {sign} 0 ? 0 : {passed})", f"({h} {sign} 0 ? 0 : {gradient})"

    def grad_w1(self, i: int, j: int) -> tuple[str, ...]:
        terms = products(self.inputs["x"][:, i], self.values["grad_h"][:, j])
        return f"Σ_n x[n,{i}]·grad_h[n,{j}]", terms

    def _updated(self, name: str, row: int, column: int) -> tuple[str, ...]:
        before, gradient = self.inputs[name][row, column], self.values[f"grad_{name}"][row, column]
        at = f"[{row},{column}]"
        numbers = f"{number(before)} - {number(self.learning_rate)}·{factor(gradient)}"
        return f"{name}{at} - η·grad_{name}{at}", numbers
