"""The levels of the exercise: which lines are to be written, and a right line for each."""

from collections.abc import Mapping
from dataclasses import dataclass

from twolayer.training.program import GRADIENTS, STEPS, iteration

LEVELS = ("1", "2", "3")
"""One line of the backward pass is missing; the backward pass; forward pass, backward pass and update."""
SOLUTIONS: Mapping[str, Mapping[str, str]] = {
    "numpy": {name: statement.partition(" = ")[2] for name, statement in iteration().items()},
    "torch": {
        "h": "x.mm(w1)",
        "h_relu": "h.clamp(min=0)",
        "y_pred": "h_relu.mm(w2)",
        "loss": "(y_pred - y).pow(2).sum()",
        "grad_y_pred": "2.0 * (y_pred - y)",
        "grad_w2": "h_relu.t().mm(grad_y_pred)",
        "grad_h_relu": "grad_y_pred.mm(w2.t())",
        "grad_h": "torch.where(h < 0, 0, grad_h_relu)",
        "grad_w1": "x.t().mm(grad_h)",
        "w1": "w1 - learning_rate * grad_w1",
        "w2": "w2 - learning_rate * grad_w2",
    },
}
"""A right line for each value, by dialect."""


@dataclass(frozen=True)
class Exercise:
    """Which lines are to be written, and how they are spelled."""

    level: str = "2"
    missing: str = "grad_h"
    """The missing line of level 1."""
    dialect: str = "numpy"

    @property
    def open(self) -> tuple[str, ...]:
        """The values whose lines are to be written, in the order of the iteration."""
        return {"1": (self.missing,), "2": GRADIENTS, "3": STEPS}[self.level]


Texts = tuple[tuple[str, str], ...]
"""Values, and the lines that were written for them."""
