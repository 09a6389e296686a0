"""What a parsed line is: statements of terms, whose operations are rows of fixed tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from twolayer.training.messages import Message, MessageError
from twolayer.training.program import INPUTS, STEPS

NUMBERS = ("learning_rate",)
"""Names in scope that are numbers, not arrays."""


class LineError(MessageError):
    """Why a line cannot be taken: `span` is its place in the line, `kind` that of the mistake, if known."""

    def __init__(self, message: Message, span: tuple[int, int] = (0, 0), kind: str | None = None) -> None:
        super().__init__(message)
        self.span, self.kind = span, kind


@dataclass(frozen=True)
class Term:
    """An operation of the table on other terms."""

    op: str
    args: tuple["Term", ...] = ()
    text: str = ""
    """What was written."""
    span: tuple[int, int] = (0, 0)
    """Its first character in the line, and the one after its last."""
    value: Any = None
    """Of a name or a number: itself."""
    method: bool = False
    """Whether it is written as a method of its first term."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of a sum: axis and keepdims; of a clip: min and max; of a power: exponent."""


@dataclass(frozen=True)
class Statement:
    """One statement of a line: the value becomes that of a term, or only where a mask is true."""

    term: Term
    mask: Term | None = None
    source: str = ""
    """The whole statement, as Python writes it."""


@dataclass(frozen=True)
class Line:
    """A parsed line: the statements that compute one value of the iteration."""

    value: str
    statements: tuple[Statement, ...]

    @property
    def text(self) -> str:
        """The line as Python writes it, a statement in each row."""
        return "\n".join(statement.source for statement in self.statements)

    @property
    def names(self) -> set[str]:
        """The names of the values that it uses."""
        terms = [term for one in self.statements for term in (one.term, one.mask) if term is not None]
        found = set()
        while terms:
            term = terms.pop()
            terms += term.args
            if term.op == "name":
                found.add(str(term.value))
        return found


def names_before(value: str) -> tuple[str, ...]:
    """Return the names that the line of `value` may use: inputs, and values of lines above it."""
    return (*INPUTS, *STEPS[: STEPS.index(value)], *NUMBERS)
