"""The lines of a script that make its data and initial weights."""

import ast
import inspect
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

from twolayer.training import data
from twolayer.training.config import RANDOM, Config
from twolayer.training.data import DataError, columns, own
from twolayer.training.data.own import CSV

_RANDOM_BATCH = """# One fixed random batch and the initial weights, drawn in this order
g = np.random.default_rng({seed})
x = g.standard_normal((N, D_in)).astype(np.{dtype})
y = g.standard_normal((N, D_out)).astype(np.{dtype})
w1 = g.standard_normal((D_in, H)).astype(np.{dtype})
w2 = g.standard_normal((H, D_out)).astype(np.{dtype})
"""

_OF_A_DATA_SET = """


# The data set, its rows in an order drawn from the seed; the first N train
g = np.random.default_rng({seed})
{table}
order = g.permutation(len(x))[:N]
x, y = x[order].astype(np.{dtype}), y[order].astype(np.{dtype})

# The initial weights
w1 = g.standard_normal((D_in, H)).astype(np.{dtype})
w2 = g.standard_normal((H, D_out)).astype(np.{dtype})
"""


def batch(config: Config) -> str:
    """Return the lines of a program that make x, y, w1 and w2; all programs have the default ones."""
    text, made, table = _RANDOM_BATCH, "", ""
    if config.data != RANDOM:
        made, table = _own(config) if config.data == CSV else _built_in(config)
        text = _OF_A_DATA_SET
    if config.init == "he":
        for size in ("D_in", "H"):
            drawn = f"g.standard_normal(({size}, {'H' if size == 'D_in' else 'D_out'}))"
            text = text.replace(drawn, f"({drawn} * np.sqrt(2 / {size}))")
    text = text.replace("{seed}", str(config.seed)).replace("{dtype}", config.dtype)
    return made + text.replace("{table}", table).rstrip()  # last: a file and its columns may have any name


def _built_in(config: Config) -> tuple[str, str]:
    """Return the definitions of a data set, and the lines that make its table."""
    make = data.loader(config.data)
    return _definitions(make), f"x, y = {make.__name__}()"


def _own(config: Config) -> tuple[str, str]:
    """Return the definitions for a table of one's own, and the lines that read it from its file. Raises
    `DataError` without the table."""
    table = own.find(config.table)
    if table is None:
        raise DataError(data.MISSING_TABLE)
    chosen, source = table.shape.choices, table.source
    names = ({k - 1: table.columns[k - 1] for k in which} for which in (chosen.inputs, chosen.targets))
    lines = [
        f"rows = rows_of({source.file!r}, {source.delimiter!r}, {source.encoding!r})",
        *(f"{which} = {named!r}" for which, named in zip(("inputs", "targets"), names, strict=True)),
        f"x, y = table_of(rows, list(inputs), list(targets), classes={chosen.kind == 'classes'})",
    ]
    return _definitions(columns.rows_of, columns.table_of), "\n".join(lines)


def _definitions(*functions: Callable[..., Any]) -> str:
    """Return what a script needs to call functions of `training.data`: imports, and definitions."""
    needed = dict.fromkeys(each for function in functions for each in _functions(function))
    sources = [inspect.getsource(each).rstrip() for each in needed]
    names = {
        node.id for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)
    }
    imports = [
        ast.unparse(node)
        for node in ast.parse(inspect.getsource(inspect.getmodule(functions[0]) or functions[0])).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        and not ast.unparse(node).startswith(("import numpy", "from numpy", "from twolayer"))
        and any((alias.asname or alias.name) in names for alias in node.names)
    ]
    head = "\n".join([*imports, *([""] if imports else []), "Array = Numbers = np.ndarray"])
    return "\n\n\n".join([head, *sources])


def _functions(function: Any) -> Iterator[FunctionType]:
    """Yield a function after those that it calls, all of this project."""
    called = (function.__globals__.get(name) for name in _names(function.__code__))
    for other in called:
        if isinstance(other, FunctionType) and other.__module__.startswith(data.__name__):
            yield from _functions(other)
    yield function


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names that a function uses, and the functions within it."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)
