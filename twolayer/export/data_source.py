"""The lines of a script that make its data and initial weights."""

import ast
import inspect
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

from twolayer.training import data
from twolayer.training.config import RANDOM, Config

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
x, y = {name}()
order = g.permutation(len(x))[:N]
x, y = x[order].astype(np.{dtype}), y[order].astype(np.{dtype})

# The initial weights
w1 = g.standard_normal((D_in, H)).astype(np.{dtype})
w2 = g.standard_normal((H, D_out)).astype(np.{dtype})
"""


def batch(config: Config) -> str:
    """Return the lines of a program that make x, y, w1 and w2; all programs have the default ones."""
    text, made = _RANDOM_BATCH, ""
    if config.data != RANDOM:
        make = data.loader(config.data)
        text, made = _OF_A_DATA_SET.replace("{name}", make.__name__), _definitions(make)
    if config.init == "he":
        for size in ("D_in", "H"):
            drawn = f"g.standard_normal(({size}, {'H' if size == 'D_in' else 'D_out'}))"
            text = text.replace(drawn, f"({drawn} * np.sqrt(2 / {size}))")
    return made + text.replace("{seed}", str(config.seed)).replace("{dtype}", config.dtype).rstrip()


def _definitions(function: Callable[[], Any]) -> str:
    """Return what a script needs to call a function of `training.data`: imports, and definitions."""
    sources = [inspect.getsource(f).rstrip() for f in _functions(function)]
    names = {
        node.id for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)
    }
    imports = [
        ast.unparse(node)
        for node in ast.parse(inspect.getsource(inspect.getmodule(function) or function)).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        and not ast.unparse(node).startswith(("import numpy", "from numpy", "from twolayer"))
        and any((alias.asname or alias.name) in names for alias in node.names)
    ]
    head = "\n".join([*imports, *([""] if imports else []), "Array = Numbers = np.ndarray"])
    return "\n\n\n".join([head, *sources])


def _functions(function: Any) -> Iterator[FunctionType]:
    """Yield a function after those that it calls, all of this project."""
    called = (function.__globals__.get(name) for name in function.__code__.co_names)
    for other in called:
        if isinstance(other, FunctionType) and other.__module__.startswith(data.__name__):
            yield from _functions(other)
    yield function
