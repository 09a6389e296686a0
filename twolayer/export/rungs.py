"""Rungs: the ways of the tutorial to write one run as a program, from NumPy by hand up, one row each."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from twolayer.training import methods
from twolayer.training.config import Config
from twolayer.training.messages import N_

SCRIPTS = Path(__file__).with_name("scripts")
BACKWARD = re.compile(r"^ *# Backward pass.*\n", re.MULTILINE)
"""The comment above the lines that compute the gradients, in every program."""


@dataclass(frozen=True)
class Rung:
    """A way to write a run."""

    label: str
    """Its name, in English."""
    file: str
    """Its program in `scripts/`; one that is by hand has a program for each method."""
    replaces: str = ""
    """The code that computes the gradients in place of the lines by hand; empty if it is by hand."""
    agrees: Mapping[str, float] = field(default_factory=dict)
    """How far its losses were from those of the run at most, relative, by dtype; empty: the same bits."""
    anchor: str = "for t in range(steps):\n"
    """The line behind which a change of the learning rate is written."""
    change: str = "    if t == {step}:  # changed on the way\n        learning_rate = {value!r}\n\n"

    def path(self, config: Config) -> Path:
        """Return the file of the program for the method of `config`."""
        return SCRIPTS / self.file.format(method=methods.used(config))

    @property
    def by_hand(self) -> bool:
        """Whether the backward pass is written by hand."""
        return not self.replaces


_ROUNDING = {"float64": 1e-11, "float32": 1e-3}
ABOVE = 1e-4
"""Losses are compared while they are above this share of the first one: later ones are mostly rounding."""

RUNGS: Mapping[str, Rung] = {
    "numpy": Rung("NumPy", "numpy_{method}.py"),
    "torch": Rung(N_("PyTorch tensors"), "torch_{method}.py"),
    "autograd": Rung(
        N_("PyTorch autograd"),
        "torch_autograd.py",
        replaces="loss.backward()",
        agrees=_ROUNDING,
    ),
    "nn": Rung(
        "torch.nn + optim.SGD",
        "torch_nn.py",
        replaces="loss.backward()",
        agrees=_ROUNDING,
        change="    if t == {step}:  # changed on the way\n"
        '        optimizer.param_groups[0]["lr"] = {value!r}\n\n',
    ),
    "jax": Rung(
        "JAX",
        "jax_scan.py",
        replaces="jax.value_and_grad(loss_of)",
        agrees=_ROUNDING,
        anchor="rates = np.full(steps, learning_rate, x.dtype)\n",
        change="rates[{step}:] = {value!r}  # changed on the way\n",
    ),
    "numba": Rung("Numba", "numba_{method}.py"),
}
"""The names of the rungs, and what each is. The first ones are called as the backends are."""


def rungs(config: Config) -> dict[str, Rung]:
    """Return the rungs that have a program for `config`."""
    return {name: rung for name, rung in RUNGS.items() if rung.path(config).exists()}


def backward_lines(program: str) -> range:
    """Return the numbers of the lines, from 1, that compute the gradients in a program."""
    found = BACKWARD.search(program)
    assert found, "every program names its backward pass"
    before = program[: found.end()].count("\n")
    lines = program[found.end() :].split("\n\n")[0].count("\n") + 1
    return range(before + 1, before + 1 + lines)
