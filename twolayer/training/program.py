"""One iteration as its source files have it: which line makes which value, and from what.

What a page shows as the program is the program: the lines are found by parsing the source of
`reference.py` and of the PyTorch kernel, whose text is read without importing PyTorch.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from twolayer.training import kernels, reference

INPUTS = ("x", "y", "w1", "w2")
STEPS = (
    "h",
    "h_relu",
    "y_pred",
    "loss",
    "grad_y_pred",
    "grad_w2",
    "grad_h_relu",
    "grad_h",
    "grad_w1",
    "w1",
    "w2",
)
"""What an iteration computes, in its order. The last two are the weights after the update."""
GRADIENTS = ("grad_y_pred", "grad_w2", "grad_h_relu", "grad_h", "grad_w1")
"""The backward pass, in its order."""


@dataclass(frozen=True)
class Place:
    """Where a value is made: a function's source, and in it the statements that make the value."""

    source: str
    lines: tuple[int, ...]
    """Numbers of the source's lines, from 0."""

    @property
    def text(self) -> str:
        """The lines alone."""
        all_lines = self.source.splitlines()
        return textwrap.dedent("\n".join(all_lines[i] for i in self.lines))


@cache
def numpy_places() -> Mapping[str, Place]:
    """Where `reference.py` makes each value of `STEPS`."""
    functions = (reference.forward, reference.backward, reference.iteration)
    return _places(inspect.getsource(function) for function in functions)


@cache
def torch_places() -> Mapping[str, Place]:
    """Where the PyTorch kernel `Tutorial` makes each value of `STEPS`."""
    text = Path(kernels.__file__).with_name("torch.py").read_text(encoding="utf-8")
    classes = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef))
    tutorial = next(node for node in classes if node.name == "Tutorial")
    step = next(node for node in tutorial.body if isinstance(node, ast.FunctionDef) and node.name == "step")
    lines = text.splitlines(keepends=True)[step.lineno - 1 : step.end_lineno]
    return _places(["".join(lines)])


def program(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """The statement that makes each value, in the order of `STEPS`; with `changes` in their places."""
    return {name: numpy_places()[name].text for name in STEPS} | dict(changes or {})


def uses(statement: str) -> tuple[str, ...]:
    """The values that a statement reads, in the order of the iteration."""
    read = {
        node.id
        for node in ast.walk(ast.parse(statement))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    return tuple(name for name in dict.fromkeys(INPUTS + STEPS) if name in read)


def _places(sources: Iterator[str] | list[str]) -> Mapping[str, Place]:
    found: dict[str, Place] = {}
    for text in sources:
        source = textwrap.dedent(text)
        function = ast.parse(source).body[0]
        assert isinstance(function, ast.FunctionDef)
        lines: dict[str, list[int]] = {}
        for statement in function.body:
            name = _made_by(statement)
            if name in STEPS:
                lines.setdefault(name, []).extend(range(statement.lineno - 1, statement.end_lineno or 0))
        found |= {name: Place(source, tuple(numbers)) for name, numbers in lines.items()}
    assert set(found) == set(STEPS), "each value of an iteration is made on lines of its own"
    return found


def _made_by(statement: ast.stmt) -> str:
    """The name that a statement assigns to, wholly or in part; empty for any other statement."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)] | [ast.Subscript(value=ast.Name(id=name))]):
            return name
        case ast.AugAssign(target=ast.Name(id=name)):
            return name
    return ""
