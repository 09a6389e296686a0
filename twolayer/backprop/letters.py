"""Shapes in letters: each expression is typed over N, D_in, H and D_out before anything is computed.

A dimension is a product of letters, 1 if there is none. Two dimensions fit if they have the same letters,
whatever the sizes of a run are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from twolayer.training.messages import Message
from twolayer.training.program import AXES, SIZES

Dimension = tuple[str, ...]
Shape = tuple[Dimension, ...]
ONE: Dimension = ()


@dataclass(frozen=True)
class Typed:
    """What is known of a value before it is computed."""

    shape: Shape
    kind: str = "array"
    """`array` of numbers, `mask` of truth values, or `number`, which is no array."""
    inner: Dimension = ONE
    """Of a product: the dimension that it sums over."""

    @property
    def words(self) -> str | Message:
        """The shape for people."""
        return in_words(self.shape)


NUMBER = Typed((), "number")
VALUES: Mapping[str, Typed] = {
    **{name: Typed(tuple((SIZES[axis],) for axis in axes)) for name, axes in AXES.items()},
    "learning_rate": NUMBER,
}
"""The type of each value of an iteration."""


def in_words(shape: Shape) -> str | Message:
    """Return a shape such as (N, D_out)."""
    if not shape:
        return Message.of("a single number")
    if len(shape) == 1:
        return f"({dimension_words(shape[0])},)"
    return f"({', '.join(map(dimension_words, shape))})"


def dimension_words(dimension: Dimension) -> str:
    """Return a dimension such as N or N·H."""
    return "·".join(dimension) or "1"


def entries(shape: Shape, sizes: Mapping[str, int]) -> int:
    """Return the number of entries of a shape at the sizes of a run."""
    return prod(sizes[letter] for dimension in shape for letter in dimension)
