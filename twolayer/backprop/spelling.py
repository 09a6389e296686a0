"""How the operations of a learner's line are spelled in NumPy and in PyTorch: the only way to a function."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from twolayer.training.messages import Message

LARGEST_NUMBER = 1e9
LARGEST_EXPONENT = 10

DIALECTS = ("numpy", "torch")
MODULES: Mapping[str, str] = {"numpy": "np", "torch": "torch"}

BINARY: Mapping[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.MatMult: "matmul",
}
COMPARISONS: Mapping[type[ast.cmpop], str] = {
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Eq: "eq",
    ast.NotEq: "ne",
}
ATTRIBUTES: Mapping[str, str] = {"T": "T"}


@dataclass(frozen=True)
class Spelling:
    """How a function or method is called. A method's own array counts among its arrays."""

    op: str
    example: str
    arrays: int = 1
    positional: tuple[str, ...] = ()
    """Options that may stand without their name, in this order."""
    options: Mapping[str, str] = field(default_factory=dict)
    """The operation's option by the name that it has here."""


_AXIS = {"axis": "axis", "keepdims": "keepdims"}
_DIM = {**_AXIS, "dim": "axis", "keepdim": "keepdims"}
_ENDS = {"min": "min", "max": "max"}

METHODS: Mapping[str, Mapping[str, Spelling]] = {
    "numpy": {
        "dot": Spelling("dot", "a.dot(b)", 2),
        "sum": Spelling("sum", "a.sum(axis=0, keepdims=True)", 1, ("axis",), _AXIS),
        "clip": Spelling("clip", "a.clip(0, None)", 1, ("min", "max"), _ENDS),
        "copy": Spelling("copy", "a.copy()"),
    },
    "torch": {
        "mm": Spelling("mm", "a.mm(b)", 2),
        "t": Spelling("t", "a.t()"),
        "sum": Spelling("sum", "a.sum(dim=0, keepdim=True)", 1, ("axis", "keepdims"), _DIM),
        "clamp": Spelling("clip", "a.clamp(min=0)", 1, ("min", "max"), _ENDS),
        "clip": Spelling("clip", "a.clip(min=0)", 1, ("min", "max"), _ENDS),
        "pow": Spelling("pow", "a.pow(2)", 1, ("exponent",), {"exponent": "exponent"}),
        "clone": Spelling("copy", "a.clone()"),
    },
}
FUNCTIONS: Mapping[str, Mapping[str, Spelling]] = {
    "numpy": {
        "maximum": Spelling("maximum", "np.maximum(a, 0)", 2),
        "where": Spelling("where", "np.where(a < 0, 0, b)", 3),
        "sum": Spelling("sum", "np.sum(a, axis=0)", 1, ("axis",), _AXIS),
        "square": Spelling("square", "np.square(a)"),
        "outer": Spelling("outer", "np.outer(a, b)", 2),
        "dot": Spelling("dot", "np.dot(a, b)", 2),
        "clip": Spelling("clip", "np.clip(a, 0, None)", 1, ("min", "max"), _ENDS),
    },
    "torch": {
        "where": Spelling("where", "torch.where(a < 0, 0, b)", 3),
        "sum": Spelling("sum", "torch.sum(a, dim=0)", 1, ("axis", "keepdims"), _DIM),
        "square": Spelling("square", "torch.square(a)"),
        "outer": Spelling("torch_outer", "torch.outer(a, b)", 2),
        "mm": Spelling("mm", "torch.mm(a, b)", 2),
        "clamp": Spelling("clip", "torch.clamp(a, min=0)", 1, ("min", "max"), _ENDS),
    },
}

_SAME: Mapping[str, Mapping[str, str]] = {
    "numpy": {
        **{"mm": "a @ b", "matmul": "a @ b", "t": "a.T", "transpose": "a.T", "clone": "a.copy()"},
        **{"clamp": "a.clip(0, None)", "relu": "np.maximum(a, 0)", "pow": "a ** 2", "power": "a ** 2"},
        **{"mean": "a.sum()", "average": "a.sum()", "multiply": "a * b", "torch": "np", "and": "mask * mask"},
        **{
            "maximum": "np.maximum(a, 0)",
            "where": "np.where(a < 0, 0, b)",
            "sum": "a.sum()",
            "&": "mask * mask",
        },
        **{"subtract": "a - b", "astype": "mask * a", "float": "mask * a", "square": "np.square(a)"},
        **{"max": "np.maximum(a, 0)", "if": "np.where(a < 0, 0, b)", "zeros_like": "0 * a", "^": "a ** 2"},
    },
    "torch": {
        **{"dot": "a.mm(b)", "matmul": "a @ b", "transpose": "a.t()", "copy": "a.clone()"},
        **{"maximum": "a.clamp(min=0)", "relu": "a.clamp(min=0)", "power": "a ** 2", "np": "torch"},
        **{
            "mean": "a.sum()",
            "multiply": "a * b",
            "astype": "mask * a",
            "float": "mask * a",
            "item": "a.sum()",
        },
        **{"where": "torch.where(a < 0, 0, b)", "sum": "a.sum()", "&": "mask * mask", "and": "mask * mask"},
        **{"max": "a.clamp(min=0)", "if": "torch.where(a < 0, 0, b)", "zeros_like": "0 * a", "^": "a ** 2"},
    },
}
"""What does here what others spell differently."""


def instead(met: str, dialect: str) -> Message:
    """Say what is there in place of what was met."""
    words = re.findall(r"[A-Za-z_]\w*", met, re.ASCII) or [met.strip()]
    same = _SAME[dialect].get(words[-1]) or _SAME[dialect].get(words[0])
    if same:
        return Message.of("Here it is written {same}.", same=same)
    rows = (*METHODS[dialect].values(), *FUNCTIONS[dialect].values())
    return Message.of(
        "A line is made of names of values, numbers, + - * / ** @, comparisons, brackets, a.T, {examples}.",
        examples=", ".join(row.example for row in rows),
    )


def met(node: ast.expr) -> str:
    """Return what a node that is not in the tables is called by those who write it."""
    match node:
        case ast.Attribute(attr=name):
            return f".{name}"
        case ast.Call(func=ast.Name(id=name)):
            return f"{name}()"
        case ast.Constant(value=value):
            return str(value)
        case ast.Subscript():
            return "[ ]"
        case ast.Compare():
            return "a < b < c" if len(node.ops) > 1 else "in, is"
    return {ast.BoolOp: "and, or", ast.UnaryOp: "not", ast.IfExp: "if"}.get(
        type(node), type(node).__name__.lower()
    )


def set_under_mask(value: str, dialect: str, begin: str, index: ast.expr, number: str = "0") -> Message:
    """Say how entries of `value` under a mask are set, by an example that begins with a copy of `begin`."""
    mask = ast.unparse(index) if isinstance(index, ast.Compare) else "h < 0"
    begin = begin or {"h_relu": "h", "grad_h": "grad_h_relu"}.get(value, "")
    copy = f"{begin}.{'copy' if dialect == 'numpy' else 'clone'}()" if begin else "…"
    return Message.of(
        "Entries under a mask are set after a semicolon, once {value} has a value: {example}",
        value=value,
        example=f"{copy}; {value}[{mask}] = {number}",
    )


def kind_of_name(met: str) -> str | None:
    """Return the kind of the mistake that a name outside the language stands for, if it stands for one."""
    return "mean" if re.search(r"\b(mean|average)\b", met) else None


def option(key: str, node: ast.expr) -> float | bool | None:
    """Return an option that is written out. Raises `ValueError` for one that the operation cannot have."""
    minus = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
    inner = node.operand if isinstance(node, ast.UnaryOp) and minus else node
    if not isinstance(inner, ast.Constant):
        raise ValueError
    value = inner.value
    if key == "keepdims" and isinstance(value, bool) and not minus:
        return value
    if value is None and not minus and key not in ("keepdims", "exponent"):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    number = -value if minus else value
    if key == "axis" and number in (0, 1, -1, -2) and isinstance(value, int):
        return int(number)
    if key == "exponent" and 0 <= number <= LARGEST_EXPONENT:
        return float(number)
    if key in ("min", "max") and abs(number) <= LARGEST_NUMBER:
        return float(number)
    raise ValueError
