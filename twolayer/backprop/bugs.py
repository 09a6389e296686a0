"""Mistakes that people make in this backward pass, each as one changed line of the reference.

The one table that both pages, the check and the tests read. The lines are planted in the program of
`listing`, which is then run as it stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.training import program as listing
from twolayer.training.config import Config
from twolayer.training.messages import N_, Message

Values = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Fault:
    """A mistake in one formula."""

    label: str
    """What was done wrong, in a few words, in English."""
    formula: str
    """The value whose formula is wrong: the one to look at."""
    line: str
    """What stands in the place of its line."""
    tensors: tuple[str, ...]
    """The weights whose gradients go wrong with it."""
    why: str
    """Why the right line is the right one, in English."""


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "no_mask": Fault(
            N_("The mask is forgotten"),
            "grad_h",
            "grad_h = grad_h_relu",
            ("w1",),
            N_(
                "Where h < 0 the ReLU was flat: nothing that happens to h there changes the loss, so the "
                "gradient has to be 0 there."
            ),
        ),
        "no_factor": Fault(
            N_("The factor 2 is forgotten"),
            "grad_y_pred",
            "grad_y_pred = y_pred - y",
            ("w1", "w2"),
            N_(
                "The derivative of a square d² is 2·d. Without the 2 every gradient is half as long: it "
                "still points downhill, so training works and nobody notices."
            ),
        ),
        "not_transposed": Fault(
            N_("w2 instead of its transpose"),
            "grad_h_relu",
            "grad_h_relu = grad_y_pred @ w2",
            ("w1",),
            N_(
                "Going back, output o reaches hidden unit j by the same weight w2[j, o] as going forward, so "
                "rows and columns change roles."
            ),
        ),
        "wrong_side": Fault(
            N_("The mask is on the wrong sign"),
            "grad_h",
            "grad_h = np.where(h > 0, 0, grad_h_relu)",
            ("w1",),
            N_("The units that were passed on are those above 0: they must keep their gradient."),
        ),
        "updated_early": Fault(
            N_("w2 is updated before grad_h_relu needs it"),
            "grad_h_relu",
            "grad_h_relu = grad_y_pred @ (w2 - learning_rate * grad_w2).T",
            ("w1",),
            N_(
                "The gradient belongs to the weights that made this loss. A w2 that has moved already "
                "belongs to the next step. With a small learning rate the error is small, and hard to see."
            ),
        ),
        "off_by_one": Fault(
            N_("Off by one row"),
            "grad_w2",
            "grad_w2 = np.roll(h_relu, 1, axis=0).T @ grad_y_pred",
            ("w2",),
            N_(
                "Row n of h_relu and row n of grad_y_pred belong to the same sample: shifted by one, each "
                "sample is blamed for the error of its neighbour."
            ),
        ),
    }
)
"""The mistakes by their names in the address."""


def impossible(name: str, config: Config) -> Message | None:
    """Why the mistake cannot show at the shapes of `config`, or None where it can."""
    if name == "not_transposed" and config.D_out != config.H:
        return Message.of(
            "grad_y_pred ({N}, {D_out}) times w2 ({H}, {D_out}) has no meaning unless H = D_out: "
            "NumPy itself refuses this mistake.",
            N=config.N,
            H=config.H,
            D_out=config.D_out,
        )
    if name == "not_transposed" and config.H == 1:
        return Message.of("w2 is a single number, which is its own transpose.")
    if name == "off_by_one" and config.N == 1:
        return Message.of("There is only one row, and it is its own neighbour.")
    return None


def possible(config: Config) -> list[str]:
    """The mistakes that can show at the shapes of `config`."""
    return [name for name in FAULTS if impossible(name, config) is None]


def program(name: str | None) -> dict[str, str]:
    """The statement that makes each value of an iteration, with the mistake planted."""
    if name is None:
        return listing.program()
    fault = FAULTS[name]
    return listing.program({fault.formula: fault.line})


def run(statements: Mapping[str, str], inputs: Values, learning_rate: float) -> dict[str, NDArray[Any]]:
    """Run one iteration from `inputs` x, y, w1, w2: each value that it computes, by name.

    The statements are the project's own, from `program`. The inputs stay as they are, and the values
    have their dtype.
    """
    names: dict[str, Any] = {"np": np, "learning_rate": learning_rate, **inputs}
    values = {}
    with np.errstate(over="ignore", invalid="ignore"):
        for name, statement in statements.items():
            exec(statement, names)
            values[name] = np.asarray(names[name])
    return values


def drawn(round: int, inputs: Values, config: Config) -> str | None:
    """The mistake to be guessed in this round: one that shows at these weights, or none at all.

    The same round on the same weights hides the same mistake.
    """
    right = run(program(None), inputs, config.learning_rate)
    showing: list[str | None] = [None]
    for name in possible(config):
        wrong = run(program(name), inputs, config.learning_rate)
        if any(not np.array_equal(wrong[g], right[g]) for g in ("grad_w1", "grad_w2")):
            showing.append(name)
    return showing[int(np.random.default_rng((config.seed, round)).integers(len(showing)))]
