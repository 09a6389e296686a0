"""How each operation of a line changes shapes in letters, and what is said where they do not fit."""

from collections.abc import Callable, Mapping

from twolayer.backprop.letters import ONE, Shape, Typed, dimension_words, in_words
from twolayer.backprop.terms import LineError, Term
from twolayer.training.messages import Message

Rule = Callable[..., Typed]


def _together(term: Term, *types: Typed) -> Shape:
    """Return the shape of values that are combined entry by entry."""
    most = max(len(each.shape) for each in types)
    padded = [(ONE,) * (most - len(each.shape)) + each.shape for each in types]
    shape = tuple(next((d for d in column if d != ONE), ONE) for column in zip(*padded, strict=True))
    if any(d not in (ONE, s) for each in padded for d, s in zip(each, shape, strict=True)):
        arrays = [(arg, each) for arg, each in zip(term.args, types, strict=True) if each.shape]
        listed = ", ".join(f"{arg.text} {each.words}" for arg, each in arrays)
        kind = "transpose" if len({frozenset(each.shape) for _arg, each in arrays}) == 1 else None
        words = Message.of("Entry by entry, the shapes must be the same: {shapes}.", shapes=listed)
        if term.op == "mul" and len(arrays) == 2 and _fit(*types):
            words = Message.of(
                "Entry by entry, the shapes must be the same: {shapes}. A matrix product is written {left} @ "
                "{right}.",
                shapes=listed,
                left=_bracketed(term.args[0]),
                right=_bracketed(term.args[1]),
            )
        raise LineError(words, term.span, kind)
    return shape


def _fit(left: Typed, right: Typed) -> bool:
    """Return whether there is a matrix product of two matrices."""
    return len(left.shape) == len(right.shape) == 2 and left.shape[1] == right.shape[0]


def _entrywise(term: Term, *types: Typed) -> Typed:
    shape = _together(term, *types)
    if all(each.kind == "number" for each in types):
        return Typed(shape, "number" if term.op in ("add", "sub", "torch_sub", "mul", "div") else "array")
    masks = all(each.kind == "mask" for each in types)
    if (masks and term.op == "sub") or (
        term.op == "torch_sub" and any(each.kind == "mask" for each in types)
    ):
        raise _no_sign(term)
    return Typed(shape, "mask" if masks and term.op != "div" else "array")


def _no_sign(term: Term) -> LineError:
    return LineError(
        Message.of("{text}: truth values have no minus sign; turn the comparison round.", text=term.text),
        term.span,
    )


def _comparison(term: Term, left: Typed, right: Typed) -> Typed:
    if left.kind == right.kind == "number":
        raise LineError(
            Message.of("{text} compares two numbers: one side must be an array.", text=term.text), term.span
        )
    return Typed(_together(term, left, right), "mask")


def _where(term: Term, mask: Typed, yes: Typed, no: Typed) -> Typed:
    if mask.kind != "mask":
        raise LineError(
            Message.of(
                "{text} is no mask: a condition is a comparison such as h < 0.", text=term.args[0].text
            ),
            term.args[0].span,
        )
    return Typed(_together(term, mask, yes, no), "mask" if yes.kind == no.kind == "mask" else "array")


def _same(term: Term, one: Typed) -> Typed:
    """Return the type of an operation that needs an array and keeps its shape."""
    _need_array(term, one)
    return Typed(one.shape, one.kind if term.op == "copy" else "array")


def _square(_term: Term, one: Typed) -> Typed:
    return Typed(one.shape)


def _sign(term: Term, one: Typed) -> Typed:
    if one.kind == "mask":
        raise _no_sign(term)
    return one


def _power(_term: Term, one: Typed) -> Typed:
    return Typed(one.shape, "number" if one.kind == "number" else "array")


def _transposed(term: Term, one: Typed) -> Typed:
    _need_array(term, one)
    return Typed(one.shape[::-1], one.kind)


def _need_array(term: Term, one: Typed) -> None:
    if one.kind == "number":
        raise _no_array(term)


def _no_array(term: Term) -> LineError:
    words = Message.of("{text} is a number, not an array.", text=term.args[0].text)
    return LineError(words, term.args[0].span)


def _product(term: Term, left: Typed, right: Typed) -> Typed:
    """Return the type of a matrix product."""
    if term.op == "dot" and not (left.shape and right.shape):
        if term.method and not left.shape:
            raise _no_array(term)
        return Typed(left.shape or right.shape, "mask" if left.kind == right.kind == "mask" else "array")
    for arg, one in zip(term.args, (left, right), strict=True):
        if not one.shape or (term.op == "mm" and len(one.shape) != 2):
            raise LineError(
                Message.of(
                    "A matrix product needs two matrices: {text} is {shape}.", text=arg.text, shape=one.words
                ),
                arg.span,
            )
    inner, other = left.shape[-1], right.shape[-2] if len(right.shape) > 1 else right.shape[0]
    if inner != other:
        raise _inner_letters(term, left, right)
    shape = (*left.shape[:-1], *(right.shape[:-2] + right.shape[-1:] if len(right.shape) > 1 else ()))
    return Typed(shape, "mask" if left.kind == right.kind == "mask" else "array", inner)


def _inner_letters(term: Term, left: Typed, right: Typed) -> LineError:
    """Say which letters differ, and which transpose would fit."""
    first, second = term.args
    one, other = left.shape[-1], right.shape[-2] if len(right.shape) > 1 else right.shape[0]
    fits = None
    if right.shape[-1] == one:
        fits = _the_other_way(second, right)
    elif left.shape[0] == other:
        fits = _the_other_way(first, left)
    message = Message.of(
        "{left} {left_shape} times {right} {right_shape}: the inner letters {one} and {other} differ. {fits}",
        left=first.text,
        left_shape=left.words,
        right=second.text,
        right_shape=right.words,
        one=dimension_words(one),
        other=dimension_words(other),
        fits=fits or "",
    )
    return LineError(message, term.span, "transpose" if fits else None)


def _the_other_way(term: Term, kind: Typed) -> Message:
    text = term.args[0].text if term.op == "T" else f"{_bracketed(term)}.T"
    return Message.of("{text} is {shape}.", text=text, shape=in_words(kind.shape[::-1]))


def _bracketed(term: Term) -> str:
    return term.text if term.op in ("name", "T") or term.text.startswith("(") else f"({term.text})"


def _sum(term: Term, one: Typed) -> Typed:
    axis, keep = term.options.get("axis"), term.options.get("keepdims", False)
    if term.method:
        _need_array(term, one)
    if axis is None:
        return Typed((ONE,) * len(one.shape) if keep else ())
    if not -max(1, len(one.shape)) <= axis < max(1, len(one.shape)):
        raise LineError(
            Message.of(
                "{text} is {shape}: it has no axis {axis}.",
                text=term.args[0].text,
                shape=one.words,
                axis=axis,
            ),
            term.span,
        )
    at = axis % max(1, len(one.shape))
    kept = (ONE,) if keep and one.shape else ()
    return Typed(one.shape[:at] + kept + one.shape[at + 1 :])


def _outer(term: Term, left: Typed, right: Typed) -> Typed:
    if term.op == "torch_outer" and not len(left.shape) == len(right.shape) == 1:
        raise LineError(
            Message.of("torch.outer takes two vectors: for matrices there is a.mm(b)."), term.span
        )
    flat = (tuple(sorted(letter for dimension in one.shape for letter in dimension)) for one in (left, right))
    return Typed(tuple(flat), "mask" if left.kind == right.kind == "mask" else "array")


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("add", "sub", "torch_sub", "mul", "div", "maximum"), _entrywise),
    **dict.fromkeys(("lt", "le", "gt", "ge", "eq", "ne"), _comparison),
    **dict.fromkeys(("neg", "pos"), _sign),
    **dict.fromkeys(("clip", "copy"), _same),
    **dict.fromkeys(("T", "t"), _transposed),
    **dict.fromkeys(("matmul", "dot", "mm"), _product),
    **dict.fromkeys(("outer", "torch_outer"), _outer),
    "pow": _power,
    "square": _square,
    "sum": _sum,
    "where": _where,
}
"""How each operation changes types. What is not here has no value either."""
