"""Bugs to plant in the backward pass, each as one changed line of the reference.

One row of `BUGS` is all that a bug needs: the pages, the check and the tests read everything from it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from twolayer.backprop.cell_formulas import FORMULAS, Formula
from twolayer.training.config import Config
from twolayer.training.messages import N_, Message
from twolayer.training.program import Values, iteration, run


@dataclass(frozen=True)
class Bug:
    """A wrong line in the backward pass."""

    label: str
    """What was done wrong, in a few words, in English."""
    value: str
    """The value that the wrong line computes."""
    line: str
    """The statement that replaces the right one."""
    formula: Formula
    """What the line computes, as it is shown."""
    tensors: tuple[str, ...]
    """The weights whose gradients become wrong."""
    why: str
    """Why the right line is right, in English."""
    impossible: Callable[[Config], Message | None] = lambda _config: None
    """Return why the bug cannot show at the shapes of a config, or None if it can."""


def _no_transpose(config: Config) -> Message | None:
    if config.D_out != config.H:
        return Message.of(
            "grad_y_pred ({N}, {D_out}) @ w2 ({H}, {D_out}) is only defined if H = D_out: here NumPy "
            "itself raises an error.",
            N=config.N,
            H=config.H,
            D_out=config.D_out,
        )
    return Message.of("w2 has a single entry, so it equals its transpose.") if config.H == 1 else None


def _no_neighbour(config: Config) -> Message | None:
    if config.N > 1:
        return None
    return Message.of("There is only one sample, so shifting the rows changes nothing.")


BUGS: Mapping[str, Bug] = MappingProxyType(
    {
        "no_mask": Bug(
            label=N_("Missing ReLU mask"),
            value="grad_h",
            line="grad_h = grad_h_relu",
            formula=Formula("{grad_h_relu}", "grad_h_relu[n,j]"),
            tensors=("w1",),
            why=N_(
                "Where h < 0, ReLU is flat: a small change in h does not change the loss, so the gradient "
                "must be 0."
            ),
        ),
        "no_factor": Bug(
            label=N_("Missing factor 2"),
            value="grad_y_pred",
            line="grad_y_pred = y_pred - y",
            formula=Formula("{y_pred} - {y}", "(y_pred[n,o] - y[n,o])"),
            tensors=("w1", "w2"),
            why=N_(
                "The derivative of d² is 2d. Without the 2, every gradient is half as large. It still "
                "points in the same direction, so training behaves as if the learning rate were halved, "
                "which is easy to miss."
            ),
        ),
        "not_transposed": Bug(
            label=N_("w2 not transposed"),
            value="grad_h_relu",
            line="grad_h_relu = grad_y_pred @ w2",
            formula=Formula(r"{grad_y_pred}\cdot {w2}", "Σ_o grad_y_pred[n,o]·w2[o,j]"),
            tensors=("w1",),
            why=N_(
                "In the backward pass, output o reaches hidden unit j through the same weight w2[j, o] as "
                "in the forward pass, so rows and columns of w2 swap roles: w2ᵀ."
            ),
            impossible=_no_transpose,
        ),
        "grad_w2_for_w2": Bug(
            label=N_("grad_w2 instead of w2"),
            value="grad_h_relu",
            line="grad_h_relu = grad_y_pred @ grad_w2.T",
            formula=Formula(
                r"{grad_y_pred}\cdot {grad_w2:T}",
                "Σ_o grad_y_pred[n,o]·grad_w2[j,o]",
            ),
            tensors=("w1",),
            why=N_(
                "A hidden value reaches output o through the weight w2[j, o], so the gradient comes back "
                "through that weight. grad_w2 has the same shape, so NumPy raises no error."
            ),
        ),
        "wrong_side": Bug(
            label=N_("Mask inverted"),
            value="grad_h",
            line="grad_h = np.where(h > 0, 0, grad_h_relu)",
            formula=Formula(
                r"\begin{{cases}} 0 & {h:name} > 0 \\ {grad_h_relu:name} & {h:name} \le 0 \end{{cases}}",
                "(h[n,j] > 0 ? 0 : grad_h_relu[n,j])",
            ),
            tensors=("w1",),
            why=N_(
                "ReLU passed on the values above 0, so those units must keep their gradient; the others "
                "get 0."
            ),
        ),
        "updated_early": Bug(
            label=N_("w2 updated too early"),
            value="grad_h_relu",
            line="grad_h_relu = grad_y_pred @ (w2 - learning_rate * grad_w2).T",
            formula=Formula(
                r"{grad_y_pred}\cdot ({w2} - \eta\,{grad_w2})^{{\mathsf{{T}}}}",
                "Σ_o grad_y_pred[n,o]·(w2 - η·grad_w2)[j,o]",
            ),
            tensors=("w1",),
            why=N_(
                "All gradients must be taken at the weights that produced this loss. An already updated w2 "
                "belongs to the next step. With a small learning rate the error is small and easy to miss."
            ),
        ),
        "off_by_one": Bug(
            label=N_("Rows shifted by one"),
            value="grad_w2",
            line="grad_w2 = np.roll(h_relu, 1, axis=0).T @ grad_y_pred",
            formula=Formula(
                r"\sum_n {h_relu:name}[n-1]^{{\mathsf{{T}}}}\cdot {grad_y_pred:name}[n]",
                "Σ_n h_relu[n-1,j]·grad_y_pred[n,o]",
            ),
            tensors=("w2",),
            why=N_(
                "Row n of h_relu and row n of grad_y_pred belong to the same sample. Shifted by one row, "
                "each sample's activations are paired with another sample's error."
            ),
            impossible=_no_neighbour,
        ),
    }
)
"""The bugs by their names in the address."""


def possible(config: Config) -> list[str]:
    """Return the bugs that can show at the shapes of `config`."""
    return [name for name, bug in BUGS.items() if bug.impossible(config) is None]


def program(planted: str | None) -> dict[str, str]:
    """Return the statements of an iteration by value, with the bug `planted` if one is named."""
    changed = {BUGS[planted].value: BUGS[planted].line} if planted else {}
    return iteration() | changed


def formulas(planted: str | None) -> Mapping[str, Formula]:
    """Return the formulas of an iteration by value, in the program with the bug `planted`."""
    return {**FORMULAS, BUGS[planted].value: BUGS[planted].formula} if planted else FORMULAS


def drawn(round: int, inputs: Values, config: Config) -> str | None:
    """Draw the bug to guess in a round: one that changes a weight's gradient from these inputs, or None.

    The result depends only on the round, the inputs and the config's seed.
    """
    right = run(program(None), inputs, config.learning_rate)
    showing: list[str | None] = [None]
    for name in possible(config):
        wrong = run(program(name), inputs, config.learning_rate)
        if any(not np.array_equal(wrong[g], right[g]) for g in ("grad_w1", "grad_w2")):
            showing.append(name)
    return showing[int(np.random.default_rng((config.seed, round)).integers(len(showing)))]
