"""The exercise: write lines of an iteration, and have each checked by itself and in the chain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.backprop import kinds, rounding, snapshot
from twolayer.backprop.deviation import Where, differs, where
from twolayer.backprop.expressions import parse
from twolayer.backprop.interpreter import check_size, compute
from twolayer.backprop.letters import VALUES, in_words
from twolayer.backprop.levels import SOLUTIONS, Exercise, Texts
from twolayer.backprop.shapes import of_line, typed
from twolayer.backprop.snapshot import Snapshot
from twolayer.backprop.terms import Line, LineError
from twolayer.training.config import Config
from twolayer.training.kernels.numpy import Tutorial
from twolayer.training.messages import Message, MessageError
from twolayer.training.program import SIZES, STEPS, Values, iteration, run


@dataclass(frozen=True)
class Verdict:
    """What was found about one line."""

    value: str
    text: str
    state: str
    """`empty`, `refused` (it has no value of the right shape), `wrong` or `right`."""
    shape: str | Message = ""
    products: tuple[Message, ...] = ()
    """The shapes of its matrix products, in letters."""
    message: Message | None = None
    span: tuple[int, int] = (0, 0)
    """The place in the text that the message is about."""
    kind: str | None = None
    ratio: float | None = None
    where: Where | None = None
    chain: bool | None = None
    """Whether it is right in the chain too; None if it cannot be computed there."""
    sources: tuple[str, ...] = ()
    """Of a right line whose value is wrong in the chain: the wrong lines that this comes from, if known."""


@dataclass(frozen=True)
class Report:
    """What was found about a program."""

    config: Config
    at: int
    diverged_at: int | None
    exercise: Exercise
    verdicts: tuple[Verdict, ...]

    @property
    def solved(self) -> int:
        """The number of lines that are right."""
        return sum(verdict.state == "right" for verdict in self.verdicts)

    @property
    def runs(self) -> bool:
        """Whether every line has a value of the right shape, so that the program can train."""
        return all(verdict.state in ("right", "wrong") for verdict in self.verdicts)


@dataclass(frozen=True)
class Numbers:
    """The numbers of one iteration in float64: its inputs, its right values, and their rounding errors."""

    inputs: Values
    right: Values
    limits: Values
    learning_rate: float

    def before(self, value: str) -> dict[str, NDArray[Any]]:
        """Return the right values that the line of `value` may use."""
        return {**self.inputs, **{name: self.right[name] for name in STEPS[: STEPS.index(value)]}}


def numbers(taken: Snapshot, learning_rate: float) -> Numbers:
    """Return the numbers of an iteration. Raises `MessageError` if they overflow."""
    inputs = {name: array.astype(np.float64, copy=False) for name, array in taken.inputs.items()}
    right = run(iteration(), inputs, learning_rate)
    if not all(np.isfinite(value).all() for value in right.values()):
        raise MessageError.of("Values overflow at this iteration: choose an earlier one.")
    return Numbers(inputs, right, rounding.of_iteration(inputs, right, learning_rate), learning_rate)


def check(config: Config, at: int, exercise: Exercise, texts: Texts) -> Report:
    """Check the lines of a program at one iteration of a run, on a worker.

    Raises what `snapshot.take` and `numbers` raise.
    """
    with Tutorial.threads(config.threads):
        taken = snapshot.take(config, at)
        verdicts = examine(numbers(taken, config.learning_rate), exercise, dict(texts), config)
    return Report(config, taken.at, taken.diverged_at, exercise, verdicts)


def examine(
    given: Numbers, exercise: Exercise, texts: Mapping[str, str], config: Config
) -> tuple[Verdict, ...]:
    """Return a verdict on each open line, by itself and in the chain."""
    found, lines = [], {}
    sizes = {letter: getattr(config, letter) for letter in SIZES.values()}
    for value in exercise.open:
        try:
            line = read(value, texts.get(value, ""), exercise.dialect, sizes)
        except LineError as error:
            state = "refused" if texts.get(value, "").strip() else "empty"
            refused = Verdict(
                value, texts.get(value, ""), state, message=error.message, span=error.span, kind=error.kind
            )
            found.append(refused)
            continue
        lines[value] = line
        found.append(_by_itself(given, line, texts[value]))
    chain = in_chain(given, exercise, lines)
    return with_sources([with_chain(verdict, given, chain.get(verdict.value)) for verdict in found], lines)


def read(value: str, text: str, dialect: str, sizes: Mapping[str, int]) -> Line:
    """Parse and type a line, and check its cost at the sizes of a run. Raises `LineError`."""
    line = parse(value, text, dialect)
    found, steps = of_line(line)
    if found.shape != VALUES[value].shape:
        of = {"value": value, "right": VALUES[value].words, "found": found.words}
        words = Message.of("{value} must have the shape {right}; the line gives {found}.", **of)
        if not VALUES[value].shape:
            words = Message.of("{value} must be a single number; the line gives {found}.", **of)
        raise LineError(words, line.statements[-1].term.span, kinds.of_shape(value, found))
    check_size(steps, sizes)
    return line


def products(line: Line) -> tuple[Message, ...]:
    """Say the shapes of the matrix products of a line that has been typed, in letters."""
    _found, steps = of_line(line)
    names = VALUES if line.value in ("w1", "w2") else {**VALUES, line.value: VALUES[line.value]}
    said = []
    for term, result in steps:
        if term.op in ("matmul", "mm", "dot") and result.inner:
            left, right = (typed(arg, names=names) for arg in term.args)
            said.append(
                Message.of(
                    "{text} is {left} · {right} = {result}",
                    text=term.text,
                    left=left.words,
                    right=right.words,
                    result=in_words(result.shape),
                )
            )
    return tuple(said)


def _by_itself(given: Numbers, line: Line, text: str) -> Verdict:
    """Judge a line from right values."""
    names = {"learning_rate": given.learning_rate, **given.before(line.value)}
    verdict = judge(given, line.value, compute(line, names, np.float64))
    return replace(verdict, text=text, products=products(line))


def judge(given: Numbers, value: str, ours: NDArray[Any]) -> Verdict:
    """Judge a value of the right shape that was computed from right values."""
    right, shape = given.right[value], VALUES[value].words
    apart = differs(ours, right, given.limits[value])
    if not apart.any():
        return Verdict(value, "", "right", shape)
    kind, ratio = kinds.of_values(value, ours, right, given.before(value), given.learning_rate)
    return Verdict(value, "", "wrong", shape, kind=kind, ratio=ratio, where=where(apart, ours, right))


def in_chain(
    given: Numbers, exercise: Exercise, lines: Mapping[str, Line], forward: Values | None = None
) -> dict[str, NDArray[Any]]:
    """Run the program up to the first line that cannot be computed, and return its values.

    The values of `forward` are taken as they are.
    """
    values: dict[str, NDArray[Any]] = dict(forward or {})
    for name in STEPS:
        if name in values:
            continue
        if name in exercise.open and name not in lines:
            break
        names = {"learning_rate": given.learning_rate, **given.inputs, **values}
        line = lines.get(name) or parse(name, SOLUTIONS[exercise.dialect][name], exercise.dialect)
        values[name] = compute(line, names, np.float64)
    return values


def with_chain(verdict: Verdict, given: Numbers, ours: NDArray[Any] | None) -> Verdict:
    """Return the verdict with whether a value that was computed in the chain is right too."""
    if ours is None:
        return verdict
    right = not differs(ours, given.right[verdict.value], given.limits[verdict.value]).any()
    return replace(verdict, chain=right)


def with_sources(verdicts: Sequence[Verdict], lines: Mapping[str, Line]) -> tuple[Verdict, ...]:
    """Return the verdicts; a right line that is wrong in the chain names the lines that this comes from."""
    sources: dict[str, tuple[str, ...]] = {}
    for verdict in verdicts:
        if verdict.chain is False:
            used = lines[verdict.value].names
            above = [source for name, found in sources.items() if name in used for source in found]
            wrong = verdict.state == "wrong"
            sources[verdict.value] = (verdict.value,) if wrong else tuple(dict.fromkeys(above))
    return tuple(
        replace(one, sources=sources.get(one.value, ())) if one.state == "right" else one for one in verdicts
    )
