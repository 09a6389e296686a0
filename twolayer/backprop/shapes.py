"""Type a parsed line in letters, before anything of it is computed."""

from collections.abc import Mapping

from twolayer.backprop.letters import NUMBER, VALUES, Typed
from twolayer.backprop.shape_rules import RULES
from twolayer.backprop.terms import Line, LineError, Term
from twolayer.training.messages import Message

Step = tuple[Term, Typed]


def typed(term: Term, steps: list[Step] | None = None, names: Mapping[str, Typed] = VALUES) -> Typed:
    """Return the type of a term. Add each operation to `steps`. Raises `LineError` if shapes do not fit."""
    if term.op == "name":
        return names[str(term.value)]
    if term.op == "number":
        return NUMBER
    found = RULES[term.op](term, *(typed(each, steps, names) for each in term.args))
    if steps is not None:
        steps.append((term, found))
    return found


def of_line(line: Line) -> tuple[Typed, list[Step]]:
    """Return the type of a line's value and of all operations on the way. Raises `LineError`."""
    steps: list[Step] = []
    names, alias = dict(VALUES), None
    for statement in line.statements:
        found = typed(statement.term, steps, names)
        if statement.mask is None:
            names[line.value], alias = found, _alias(statement.term)
            continue
        if alias not in (None, line.value):
            words = Message.of(
                "{value} and {name} are one and the same array here, so {name} would change too: begin with "
                "a copy of it.",
                value=line.value,
                name=alias,
            )
            raise LineError(words, statement.mask.span)
        _check_mask(line.value, names[line.value], statement.mask, typed(statement.mask, steps, names))
        if found.shape:
            words = Message.of(
                "The entries under a mask are set to one number, not to {shape}.", shape=found.words
            )
            raise LineError(words, statement.term.span)
    return names[line.value], steps


def _alias(term: Term) -> str | None:
    """Return the name of the array that a term is another name of."""
    while term.op in ("T", "t"):
        term = term.args[0]
    return str(term.value) if term.op == "name" else None


def _check_mask(value: str, target: Typed, mask: Term, where: Typed) -> None:
    if where.kind != "mask" or where.shape != target.shape:
        words = Message.of(
            "In the brackets stands a mask of the same shape, such as h < 0: {value} is {shape}, {text} is "
            "{other}.",
            value=value,
            shape=target.words,
            text=mask.text,
            other=where.words,
        )
        raise LineError(words, mask.span)
