"""Compare gradients that a learner's program gives with PyTorch's autograd and with central differences."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from twolayer.backprop import rounding, snapshot
from twolayer.backprop.check import SAMPLE, STEP
from twolayer.backprop.comparison import Iteration, relative_error, with_differences
from twolayer.backprop.deviation import differs
from twolayer.backprop.exercise import Numbers, in_chain, numbers, read
from twolayer.backprop.levels import Exercise, Texts
from twolayer.backprop.terms import LineError
from twolayer.training.config import Config
from twolayer.training.kernels import UnavailableError, load
from twolayer.training.kernels.numpy import Tutorial
from twolayer.training.messages import Message
from twolayer.training.program import GRADIENTS, SIZES, Values, iteration, run


@dataclass(frozen=True)
class Agreement:
    """One gradient against one reference."""

    gradient: str
    against: str
    """`autograd` or `differences`."""
    compared: int
    wrong: int
    """The number of entries that differ by more than rounding can explain."""
    largest: float
    """The largest relative error."""


@dataclass(frozen=True)
class Proof:
    """The agreement of each gradient that the program gives."""

    agreements: tuple[Agreement, ...]
    no_autograd: Message | None = None
    """Why autograd was not compared."""


def prove(config: Config, at: int, exercise: Exercise, texts: Texts) -> Proof:
    """Check the gradients of a program at one iteration of a run, on a worker.

    Imports PyTorch if it is installed. Raises what `snapshot.take` and `exercise.numbers` raise.
    """
    sizes = {letter: getattr(config, letter) for letter in SIZES.values()}
    written = dict(texts)
    lines = {}
    for value in exercise.open:
        try:
            lines[value] = read(value, written.get(value, ""), exercise.dialect, sizes)
        except LineError:
            continue
    with Tutorial.threads(config.threads):
        given = numbers(snapshot.take(config, at), config.learning_rate)
        return compare(given, lambda forward: in_chain(given, exercise, lines, forward), config.seed)


def compare(given: Numbers, gradients: Callable[[Values], Values], seed: int) -> Proof:
    """Compare gradients with both references.

    `gradients` computes them from known forward values, or from its own if none are known.
    """
    ours = gradients({})
    found = {name: ours[name] for name in GRADIENTS if name in ours}
    one = Iteration(given.inputs, given.right, {**given.right, **found})
    agreements = [
        Agreement(c.gradient, c.against, c.compared, c.wrong, c.largest)
        for c in with_differences(one, STEP, SAMPLE, seed)
        if c.gradient in found
    ]
    try:
        load("torch", "tutorial")
    except UnavailableError as error:
        return Proof(tuple(agreements), error.message)
    from twolayer.training.kernels.autograd import backward

    forward, theirs = backward(given.inputs)
    ours = gradients(forward)
    right = run({name: iteration()[name] for name in ("loss", *GRADIENTS)}, {**given.inputs, **forward}, 0.0)
    weights = {name: given.inputs[name] for name in ("w1", "w2")}
    limits = rounding.of_iteration(given.inputs, {**forward, **right, **weights}, 0.0)
    for name in found:
        apart = differs(ours[name], theirs[name], limits[name])
        largest = float(np.max(relative_error(ours[name], theirs[name]), initial=0.0))
        agreements.append(Agreement(name, "autograd", apart.size, int(apart.sum()), largest))
    return Proof(tuple(agreements))
