"""Compute parsed lines over NumPy arrays, operation by operation from one table. No code is executed.

PyTorch's spelling is computed by NumPy too.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.backprop.letters import Typed, entries, in_words
from twolayer.backprop.shapes import Step
from twolayer.backprop.terms import NUMBERS, Line, LineError, Term
from twolayer.training.messages import Message
from twolayer.training.program import AXES, SIZES, Values

MOST_WORK = 20
"""A line may take so many times the operations of its iteration's largest product."""

OPERATIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "add": np.add,
        "sub": np.subtract,
        "torch_sub": np.subtract,
        "mul": np.multiply,
        "div": np.divide,
        "matmul": np.matmul,
        "mm": np.matmul,
        "dot": np.dot,
        "lt": np.less,
        "le": np.less_equal,
        "gt": np.greater,
        "ge": np.greater_equal,
        "eq": np.equal,
        "ne": np.not_equal,
        "neg": np.negative,
        "pos": np.positive,
        "pow": lambda a, exponent: np.power(a, exponent),
        "T": np.transpose,
        "t": np.transpose,
        "copy": np.copy,
        "square": np.square,
        "maximum": np.maximum,
        "where": np.where,
        "outer": np.outer,
        "torch_outer": np.outer,
        "sum": lambda a, axis=None, keepdims=False: np.sum(a, axis=axis, keepdims=keepdims),
        "clip": lambda a, min=None, max=None: np.clip(a, min, max),
    }
)
"""The functions by operation: the only ones that a line can reach."""


def evaluate(term: Term, names: Mapping[str, Any]) -> Any:
    """Return the value of a term that has been typed."""
    if term.op == "name":
        return names[str(term.value)]
    if term.op == "number":
        return term.value
    found = OPERATIONS[term.op](*(evaluate(each, names) for each in term.args), **term.options)
    # A number stays one of Python's, which leaves the precision of arrays as it is
    return float(found) if term.op in _OF_NUMBERS and _all_numbers(term) else found


_OF_NUMBERS = {"add", "sub", "torch_sub", "mul", "div", "neg", "pos", "pow"}


def _all_numbers(term: Term) -> bool:
    if term.op == "name":
        return term.value in NUMBERS
    return term.op == "number" or (term.op in _OF_NUMBERS and all(map(_all_numbers, term.args)))


def compute(line: Line, names: Mapping[str, Any], dtype: Any) -> NDArray[Any]:
    """Return the value of a typed line, in a precision. The arrays of `names` stay as they are."""
    names = dict(names)
    with np.errstate(all="ignore"):
        for statement in line.statements:
            found = evaluate(statement.term, names)
            if statement.mask is not None:
                found = np.where(evaluate(statement.mask, names), found, names[line.value])
            names[line.value] = found
        return np.asarray(names[line.value], dtype)


def run(
    lines: Mapping[str, Line], inputs: Values, learning_rate: float, known: Values
) -> dict[str, NDArray[Any]]:
    """Compute the lines in order, each from what those before it gave, and return each value by name.

    `known` are values that are taken as they are.
    """
    dtype = inputs["x"].dtype
    values: dict[str, NDArray[Any]] = dict(known)
    for name, line in lines.items():
        values[name] = compute(line, {"learning_rate": learning_rate, **inputs, **values}, dtype)
    return values


def check_size(steps: list[Step], sizes: Mapping[str, int]) -> None:
    """Raise `LineError` for a line that computes far more, or larger arrays, than the iteration does."""
    largest = max(entries(tuple((SIZES[axis],) for axis in axes), sizes) for axes in AXES.values())
    for term, found in steps:
        if entries(found.shape, sizes) > largest:
            raise LineError(
                Message.of(
                    "{text} would be {shape}: {count} entries, more than any value of this iteration has.",
                    text=term.text,
                    shape=in_words(found.shape),
                    count=f"{entries(found.shape, sizes):,}",
                ),
                term.span,
            )
    product = sizes["H"] * max(sizes["N"] * sizes["D_in"], sizes["N"] * sizes["D_out"])
    if sum(_work(found, sizes) for _term, found in steps) > MOST_WORK * product + 10**6:
        raise LineError(Message.of("The line computes far more than this iteration needs."))


def _work(found: Typed, sizes: Mapping[str, int]) -> int:
    return entries(found.shape, sizes) * entries((found.inner,), sizes)
