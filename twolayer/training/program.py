"""The source of one iteration as data: its statements, what each makes, and in which phase.

The pages, the profiler, the planted bugs and the diagnosis of a divergence all read the source that
is parsed here. The PyTorch kernel is read as text, so PyTorch is not imported.
"""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.training import kernels, reference

Values = Mapping[str, NDArray[Any]]
"""Arrays by the names that the program gives them."""

AXES: Mapping[str, tuple[str, ...]] = {
    "x": ("n", "i"),
    "y": ("n", "o"),
    "w1": ("i", "j"),
    "w2": ("j", "o"),
    "h": ("n", "j"),
    "h_relu": ("n", "j"),
    "y_pred": ("n", "o"),
    "loss": (),
    "grad_y_pred": ("n", "o"),
    "grad_w2": ("j", "o"),
    "grad_h_relu": ("n", "j"),
    "grad_h": ("n", "j"),
    "grad_w1": ("i", "j"),
}
"""The letters of each value's row and column index."""
SIZES: Mapping[str, str] = {"n": "N", "i": "D_in", "j": "H", "o": "D_out"}
"""The config field that gives the range of each index."""

INPUTS = ("x", "y", "w1", "w2")
GRADIENTS = ("grad_y_pred", "grad_w2", "grad_h_relu", "grad_h", "grad_w1")
"""The values of the backward pass, in the order in which they are computed."""
STEPS = ("h", "h_relu", "y_pred", "loss", *GRADIENTS, "w1", "w2")
"""The values of an iteration, in the order in which they are computed. The last two are the new weights."""

PHASES: Mapping[str, str] = {
    "# Forward pass": "forward",
    "# Loss": "loss",
    "# Backward pass": "backward",
    "# Weight update": "update",
}
"""The start of the comment that opens each phase, and the phase's name, in the order of a step."""


@dataclass(frozen=True)
class Statement:
    """The consecutive lines of a function that compute one value."""

    value: str
    """The name assigned to; empty if the lines assign to no single name."""
    source: str
    """The function's whole source."""
    lines: tuple[int, ...]
    """Line numbers in the source, from 0."""
    phase: str
    """A phase of `PHASES`, from the last such comment above; empty before the first."""

    @property
    def text(self) -> str:
        """The lines themselves, without indentation."""
        all_lines = self.source.splitlines()
        return textwrap.dedent("\n".join(all_lines[i] for i in self.lines))


def parse(source: str) -> list[Statement]:
    """Return the top-level statements of a function, given its source.

    Consecutive statements that assign to the same name are one.
    """
    source = textwrap.dedent(source)
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    all_lines = [line.strip() for line in source.splitlines()]
    found: list[Statement] = []
    phase, end = "", 0
    for node in function.body:
        for line in all_lines[end : node.lineno - 1]:
            phase = next((name for mark, name in PHASES.items() if line.startswith(mark)), phase)
        end = node.end_lineno or node.lineno
        value, lines = _assigned(node), tuple(range(node.lineno - 1, end))
        if value and found and found[-1].value == value:
            lines = found.pop().lines + lines
        found.append(Statement(value, source, lines, phase))
    return found


def _assigned(node: ast.stmt) -> str:
    """Return the name that a statement assigns to, as a whole or in part; empty for other statements."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)] | [ast.Subscript(value=ast.Name(id=name))]):
            return name
        case ast.AugAssign(target=ast.Name(id=name)):
            return name
    return ""


@cache
def numpy_statements() -> Mapping[str, Statement]:
    """Return the statement of `reference.py` that computes each value of `STEPS`, in that order."""
    functions = (reference.forward, reference.backward, reference.iteration)
    return _by_value(*(inspect.getsource(function) for function in functions))


@cache
def torch_statements() -> Mapping[str, Statement]:
    """Return the statement of the PyTorch kernel `Tutorial` that computes each value of `STEPS`."""
    text = Path(kernels.__file__).with_name("torch.py").read_text(encoding="utf-8")
    classes = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}
    functions = (node for node in classes["Tutorial"].body if isinstance(node, ast.FunctionDef))
    step = next(node for node in functions if node.name == "step")
    return _by_value(ast.get_source_segment(text, step, padded=True) or "")


def _by_value(*sources: str) -> Mapping[str, Statement]:
    found = {statement.value: statement for source in sources for statement in parse(source)}
    return {name: found[name] for name in STEPS}


def iteration() -> dict[str, str]:
    """Return the text of the reference's statements by the values that they compute, in order."""
    return {name: statement.text for name, statement in numpy_statements().items()}


def run(statements: Mapping[str, str], inputs: Values, learning_rate: float) -> dict[str, NDArray[Any]]:
    """Execute the statements of an iteration in order and return each value by name.

    The inputs x, y, w1, w2 are not modified; the values have their dtype. The statements must be the
    project's own, from `iteration` or with a planted bug: they are executed as they are.
    """
    names: dict[str, Any] = {"np": np, "learning_rate": learning_rate, **inputs}
    values = {}
    with np.errstate(over="ignore", invalid="ignore"):
        for name, statement in statements.items():
            exec(statement, names)
            values[name] = np.asarray(names[name])
    return values


def uses(statement: str) -> tuple[str, ...]:
    """Return the values that a statement reads, in the order of the iteration."""
    read = {
        node.id
        for node in ast.walk(ast.parse(statement))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    return tuple(name for name in dict.fromkeys(INPUTS + STEPS) if name in read)
