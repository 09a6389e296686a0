"""The lines of a script that make its data and initial weights."""

import ast
import inspect
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

from twolayer.training import data
from twolayer.training.config import RANDOM, Config

RANDOM_BATCH = """# One fixed random batch and the initial weights, drawn in this order
g = np.random.default_rng(0)
x = g.standard_normal((N, D_in)).astype(np.float32)
y = g.standard_normal((N, D_out)).astype(np.float32)
w1 = g.standard_normal((D_in, H)).astype(np.float32)
w2 = g.standard_normal((H, D_out)).astype(np.float32)
"""
"""As all programs have it: what is replaced for other data and initial weights."""

OF_A_DATA_SET = """


# The data set, its rows in an order drawn from the seed; the first N train
g = np.random.default_rng(0)
x, y = {name}()
order = g.permutation(len(x))[:N]
x, y = x[order].astype(np.float32), y[order].astype(np.float32)

# The initial weights
w1 = g.standard_normal((D_in, H)).astype(np.float32)
w2 = g.standard_normal((H, D_out)).astype(np.float32)
"""


def batch(config: Config) -> str:
    """Return the lines that make x, y, w1 and w2, for the seed 0 and float32: both are filled in later."""
    text = RANDOM_BATCH
    if config.data != RANDOM:
        make = data.loader(config.data)
        text = _definitions(make) + OF_A_DATA_SET.format(name=make.__name__)
    if config.init == "he":
        for size in ("D_in", "H"):
            drawn = f"g.standard_normal(({size}, {'H' if size == 'D_in' else 'D_out'}))"
            text = text.replace(drawn, f"({drawn} * np.sqrt(2 / {size}))")
    return text


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
