"""What a learner may write: a line, parsed into terms of a fixed table or refused in a sentence.

A line is text of a stranger. It is split into known tokens, parsed by `ast`, and translated node by node into
`Term`s whose operations are rows of the tables below. Nothing is executed here, and what is not in a table
has no term.
"""

import ast
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from twolayer.backprop.spelling import (
    ATTRIBUTES,
    BINARY,
    COMPARISONS,
    FUNCTIONS,
    LARGEST_EXPONENT,
    LARGEST_NUMBER,
    METHODS,
    MODULES,
    Spelling,
    instead,
    kind_of_name,
    met,
    option,
    set_under_mask,
)
from twolayer.backprop.terms import Line, LineError, Statement, Term, names_before
from twolayer.backprop.tokens import check_tokens
from twolayer.training.messages import Message, shown
from twolayer.training.program import STEPS

LONGEST_LINE = 500
MOST_STATEMENTS = 4
MOST_NODES = 150
DEEPEST = 25


def parse(value: str, text: str, dialect: str) -> Line:
    """Parse the line of `value`: its right-hand side, or whole statements. Raises `LineError`."""
    if len(text) > LONGEST_LINE:
        raise LineError(
            Message.of(
                "The line has {length} characters; {most} are allowed.", length=len(text), most=LONGEST_LINE
            )
        )
    check_tokens(text, dialect)
    try:
        tree = ast.parse(text.strip())
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        at = max(0, (getattr(error, "offset", None) or 1) - 1 + len(text) - len(text.lstrip()))
        raise LineError(
            Message.of("This is not a complete expression: look at brackets and operators."), (at, at + 1)
        ) from None
    if sum(1 for _node in ast.walk(tree)) > MOST_NODES or _depth(tree) > DEEPEST:
        raise LineError(
            Message.of("The line has too many parts: each line of this program needs only a few.")
        )
    return _Reader(value, text, dialect).line(tree)


def _depth(node: ast.AST) -> int:
    """Return how deep a tree is, without recursion: it may be deeper than Python's own limit."""
    depth, level = 0, [node]
    while level:
        depth, level = depth + 1, [child for one in level for child in ast.iter_child_nodes(one)]
    return depth


class _Reader:
    """Translates the tree of one line into terms."""

    def __init__(self, value: str, text: str, dialect: str) -> None:
        self.value, self.text, self.dialect = value, text, dialect
        self.names: Collection[str] = names_before(value)
        self._before = len(text) - len(text.lstrip())
        rows = text.strip().split("\n")
        self._rows = [sum(len(row) + 1 for row in rows[:index]) for index in range(len(rows))]

    def line(self, tree: ast.Module) -> Line:
        """Return the line of a tree. Raises `LineError`."""
        if not tree.body:
            raise LineError(Message.of("The line is empty."))
        if len(tree.body) > MOST_STATEMENTS:
            raise LineError(Message.of("A line has at most {most} statements.", most=MOST_STATEMENTS))
        return Line(self.value, tuple(self._statements(tree.body)))

    def _statements(self, body: list[ast.stmt]) -> Iterator[Statement]:
        for index, node in enumerate(body):
            yield self._statement(node, first=index == 0)
            self.names = {*self.names, self.value}

    def _statement(self, node: ast.stmt, *, first: bool) -> Statement:
        match node:
            case ast.Expr(value=ast.Compare(left=ast.BinOp()) as value):
                found = Message.of(
                    "A comparison is made last, after + - * / @, and gives only 0 and 1: put it into "
                    "brackets, as in a * (h > 0)."
                )
                raise self._error(value, found)
            case ast.Expr(value=value) if first:
                return Statement(self.term(value), source=f"{self.value} = {ast.unparse(value)}")
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == self.value:
                return Statement(self.term(value), source=ast.unparse(node))
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name), slice=mask)], value=value) if (
                name == self.value and name in self.names
            ):
                return Statement(self.term(value), self.term(mask), ast.unparse(node))
            case ast.AugAssign(target=ast.Name(id=name) as target, value=value) if (
                name == self.value and name in self.names and type(node.op) in BINARY
            ):
                load = ast.copy_location(ast.Name(name, ast.Load()), target)
                whole = ast.copy_location(ast.BinOp(load, node.op, value), node)
                return Statement(self.term(whole), source=ast.unparse(node))
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name), slice=mask)], value=value):
                begin = name if name in self.names else ""
                words = set_under_mask(self.value, self.dialect, begin, mask, ast.unparse(value))
                raise self._error(node, words)
        raise self._error(
            node,
            Message.of(
                "This line computes {value}: write an expression, {value} = an expression, or, once it has a "
                "value, {value}[a mask] = a number.",
                value=self.value,
            ),
        )

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Return the place of a node in the line. All its characters are ASCII."""
        first, last = getattr(node, "lineno", 1) - 1, (getattr(node, "end_lineno", 1) or 1) - 1
        start = self._before + self._rows[first] + getattr(node, "col_offset", 0)
        return start, self._before + self._rows[last] + (getattr(node, "end_col_offset", 0) or 0)

    def _error(self, node: ast.AST, message: Message, kind: str | None = None) -> LineError:
        return LineError(message, self.span(node), kind)

    def _not_here(self, node: ast.AST, met: str) -> LineError:
        words = Message.of(
            "{met} is not part of this language. {instead}",
            met=shown(met),
            instead=instead(met, self.dialect),
        )
        return self._error(node, words, kind_of_name(met))

    def _made(self, node: ast.AST, op: str, *args: Term, **more: Any) -> Term:
        start, end = self.span(node)
        return Term(op, args, self.text[start:end], (start, end), **more)

    def term(self, node: ast.expr) -> Term:
        """Return the term of an expression. Raises `LineError` for one that is not in the tables."""
        match node:
            case ast.Name(id=name):
                return self._name(node, name)
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return self._number(node, float(number))
            case ast.BinOp(op=ast.Pow(), left=left, right=right):
                return self._power(node, self.term(left), right)
            case ast.BinOp(op=op, left=left, right=right) if type(op) in BINARY:
                name = "torch_sub" if (self.dialect, type(op)) == ("torch", ast.Sub) else BINARY[type(op)]
                return self._made(node, name, self.term(left), self.term(right))
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
                return self._made(node, "neg" if isinstance(sign, ast.USub) else "pos", self.term(operand))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARISONS:
                return self._made(node, COMPARISONS[type(op)], self.term(left), self.term(right))
            case ast.Attribute(value=value, attr=name) if name in ATTRIBUTES and not self._module(value):
                return self._made(node, ATTRIBUTES[name], self.term(value))
            case ast.Call(func=ast.Attribute(value=value, attr=name)):
                return self._call(node, value, name)
            case ast.Subscript(value=ast.Name(id=name), slice=mask):
                begin = name if name in self.names else ""
                raise self._error(node, set_under_mask(self.value, self.dialect, begin, mask))
            case ast.Call(func=ast.Constant() | ast.BinOp() as factor, args=[_]):
                found = Message.of(
                    "A product is written with *: {factor} * ( … )", factor=ast.unparse(factor)
                )
                raise self._error(node, found)
        raise self._not_here(node, met(node))

    def _name(self, node: ast.AST, name: str) -> Term:
        if name in self.names:
            return self._made(node, "name", value=name)
        if name in STEPS:
            later = Message.of(
                "{name} is not known yet: its line comes after that of {value}.", name=name, value=self.value
            )
            raise self._error(
                node,
                later if name != self.value else Message.of("{name} is what this line computes.", name=name),
            )
        raise self._error(
            node,
            Message.of(
                "There is no value {met}. Here are: {names}.",
                met=shown(name),
                names=", ".join(names_before(self.value)),
            ),
        )

    def _number(self, node: ast.AST, number: float) -> Term:
        if not abs(number) <= LARGEST_NUMBER:
            raise self._error(node, Message.of("Numbers go up to {most:g} here.", most=LARGEST_NUMBER))
        return self._made(node, "number", value=number)

    def _power(self, node: ast.AST, base: Term, exponent: ast.expr) -> Term:
        try:
            return self._made(node, "pow", base, options={"exponent": option("exponent", exponent)})
        except ValueError:
            words = Message.of("An exponent is a number from 0 to {most} here.", most=LARGEST_EXPONENT)
            raise self._error(exponent, words) from None

    def _module(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in MODULES.values() and node.id not in self.names

    def _call(self, node: ast.Call, owner: ast.expr, name: str) -> Term:
        of_module = self._module(owner)
        known: Mapping[str, Spelling] = (FUNCTIONS if of_module else METHODS)[self.dialect]
        if of_module and isinstance(owner, ast.Name) and owner.id != MODULES[self.dialect]:
            raise self._not_here(owner, owner.id)
        if name not in known:
            raise self._not_here(node, f"{ast.unparse(owner)}.{name}" if of_module else f".{name}()")
        row = known[name]
        given = node.args if of_module else [owner, *node.args]
        options = self._options(node, row, given[row.arrays :])
        if options is None or len(given) < row.arrays:
            raise self._error(node, Message.of("It is used like this: {example}", example=row.example))
        terms = map(self.term, given[: row.arrays])
        return self._made(node, row.op, *terms, method=not of_module, options=options)

    def _options(self, node: ast.Call, row: Spelling, given: list[ast.expr]) -> dict[str, Any] | None:
        """Return the options of a call, None if they are not as in the table."""
        options = dict(zip(row.positional, given, strict=False))
        named = {row.options.get(word.arg or "", ""): word.value for word in node.keywords}
        if len(given) > len(row.positional) or "" in named or options.keys() & named.keys():
            return None
        try:
            read = {key: option(key, value) for key, value in (options | named).items()}
        except ValueError:
            return None
        needed = {"pow": ["exponent"], "clip": ["min", "max"]}.get(row.op, [])
        lacks = needed and all(read.get(key) is None for key in needed)
        return None if lacks or len(read) < len(named) else read
