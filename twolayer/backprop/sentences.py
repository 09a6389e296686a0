"""A verdict in sentences, the same on the page and on the command line."""

from collections.abc import Iterator

from twolayer.backprop.bugs import BUGS
from twolayer.backprop.deviation import Where
from twolayer.backprop.exercise import Verdict
from twolayer.backprop.kinds import KINDS
from twolayer.training.messages import Message


def headline(verdict: Verdict) -> Message:
    """Return the verdict in a few words."""
    match verdict.state:
        case "empty":
            return Message.of("Nothing is written yet.")
        case "right" if verdict.chain is False:
            if not verdict.sources:
                return Message.of("This line is right; its wrong value comes from a line above.")
            lines = ", ".join(verdict.sources)
            return Message.of("This line is right; its wrong value comes from {lines}.", lines=lines)
        case "right":
            return Message.of("Right, {shape}.", shape=verdict.shape)
        case "refused" if verdict.kind is None:
            return Message.of("This line does not work yet.")
    if verdict.kind is None:
        return Message.of("Wrong.")
    return _wrong(verdict, verdict.kind)


def _wrong(verdict: Verdict, kind: str) -> Message:
    """Name the kind of a mistake; a reversed sign with another one makes two."""
    ratio, two = verdict.ratio or 0.0, verdict.value == BUGS["no_factor"].value
    if two and ratio == 0.5:
        return Message.of("Wrong: the factor 2 is missing.")
    if two and ratio == -0.5:
        return Message.of("Wrong: the sign is reversed, and the factor 2 is missing.")
    if ratio < 0 and kind != "sign":
        also = Message(KINDS[kind].label)
        return Message.of("Wrong: the sign is reversed, and {also}.", also=also)
    return Message.of("Wrong: {kind}.", kind=Message(KINDS[kind].label))


def details(verdict: Verdict) -> Iterator[Message]:
    """Yield what there is to say of a line that is not right, the most important first."""
    if verdict.state == "refused" and verdict.message is not None:
        yield verdict.message
    if verdict.state != "wrong":
        return
    if verdict.kind is not None:
        yield from _of_kind(verdict, verdict.kind)
    if verdict.where is not None:
        yield from _where(verdict.value, verdict.where)
    if verdict.chain:
        yield Message.of(
            "Computed from your own lines, its value is right all the same: it undoes the mistake of a line "
            "above."
        )


def _of_kind(verdict: Verdict, kind: str) -> Iterator[Message]:
    if verdict.ratio is not None and verdict.value in ("w1", "w2"):
        yield Message.of("The change is {ratio:g} times the right one.", ratio=verdict.ratio)
    elif verdict.ratio is not None and kind != "sign":
        yield Message.of("Every entry is {ratio:g} times the right one.", ratio=verdict.ratio)
    if kind != "factor" and not (kind == "sign" and verdict.value in ("w1", "w2")):
        yield Message(KINDS[kind].says)
    for bug in KINDS[kind].bugs:
        if BUGS[bug].value == verdict.value and (bug != "no_factor" or verdict.ratio == 0.5):
            yield Message(BUGS[bug].why)


def _where(value: str, where: Where) -> Iterator[Message]:
    if 1 < where.count == where.total:
        yield Message.of("All {total} entries differ.", total=f"{where.total:,}")
    elif where.count < where.total:
        yield Message.of(
            "{count} of {total} entries differ.", count=f"{where.count:,}", total=f"{where.total:,}"
        )
    if where.rows:
        yield Message.of("They fill whole rows: {rows}.", rows=", ".join(map(str, where.rows)))
    if where.columns:
        yield Message.of("They fill whole columns: {columns}.", columns=", ".join(map(str, where.columns)))
    for index, ours, right in where.cells[:1]:
        yield Message.of(
            "For example, {entry} is {ours:.6g}; the right value is {right:.6g}.",
            entry=f"{value}[{', '.join(map(str, index))}]" if index else value,
            ours=ours,
            right=right,
        )
