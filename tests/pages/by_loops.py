"""The iteration and what pages say of it by plain loops, from the formulas alone: nothing of the product."""

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Values = dict[str, Any]
LETTERS = {"x": "ni", "y": "no", "w1": "ij", "w2": "jo", "h": "nj", "h_relu": "nj", "y_pred": "no"} | {
    "grad_y_pred": "no",
    "grad_w2": "jo",
    "grad_h_relu": "nj",
    "grad_h": "nj",
    "grad_w1": "ij",
}
"""The axes of each value: samples n, inputs i, hidden units j, outputs o."""


def drawn(N: int, D_in: int, H: int, D_out: int, seed: int) -> Values:
    """The random data and initial weights of a seed, and the sizes by their letters."""
    random = np.random.default_rng(seed)
    shapes = {"x": (N, D_in), "y": (N, D_out), "w1": (D_in, H), "w2": (H, D_out)}
    return {name: random.standard_normal(shape) for name, shape in shapes.items()}


def sizes(values: Mapping[str, Any]) -> dict[str, int]:
    return dict(zip("nijo", values["x"].shape + values["w2"].shape, strict=True))


def filled(values: Values, axes: str, cell: Callable[..., float]) -> Array:
    """An array whose entries are those of a function of their indices."""
    ranges = [range(sizes(values)[letter]) for letter in axes]
    return np.array([cell(*at) for at in product(*ranges)], float).reshape([len(r) for r in ranges])


def terms(values: Values, name: str) -> tuple[str, Callable[..., tuple[float, ...]]]:
    """The letter that an entry of a value sums over, and the factors of a term, by row, column and it."""
    v = values
    return {
        "h": ("i", lambda n, j, i: (v["x"][n, i], v["w1"][i, j])),
        "y_pred": ("j", lambda n, o, j: (v["h_relu"][n, j], v["w2"][j, o])),
        "grad_w2": ("n", lambda j, o, n: (v["h_relu"][n, j], v["grad_y_pred"][n, o])),
        "grad_h_relu": ("o", lambda n, j, o: (v["grad_y_pred"][n, o], v["w2"][j, o])),
        "grad_w1": ("n", lambda i, j, n: (v["x"][n, i], v["grad_h"][n, j])),
    }[name]


def summed(values: Values, name: str) -> Array:
    """An array of sums of products."""
    letter, factors = terms(values, name)
    each = range(sizes(values)[letter])
    return filled(values, LETTERS[name], lambda *at: sum(float(np.prod(factors(*at, k))) for k in each))


def iteration(given: Values, planted: str | None = None) -> Values:
    """All values of an iteration; `planted` may be `no_mask` or `no_factor`."""
    v = dict(given)
    v["h"] = summed(v, "h")
    v["h_relu"] = filled(v, "nj", lambda n, j: max(v["h"][n, j], 0.0))
    v["y_pred"] = summed(v, "y_pred")
    apart = filled(v, "no", lambda n, o: v["y_pred"][n, o] - v["y"][n, o])
    v["loss"] = sum(float(one) ** 2 for one in apart.flat)
    v["grad_y_pred"] = apart if planted == "no_factor" else 2 * apart
    v["grad_w2"] = summed(v, "grad_w2")
    v["grad_h_relu"] = summed(v, "grad_h_relu")
    v["grad_h"] = filled(
        v, "nj", lambda n, j: v["grad_h_relu"][n, j] if v["h"][n, j] >= 0 or planted == "no_mask" else 0.0
    )
    v["grad_w1"] = summed(v, "grad_w1")
    return v


def after(given: Values, steps: int, rate: float) -> Values:
    """The data, and the weights after so many steps."""
    for _ in range(steps):
        v = iteration(given)
        given = given | {w: given[w] - rate * v[f"grad_{w}"] for w in ("w1", "w2")}
    return given


def moved(given: Values, name: str, way: Any, step: float) -> tuple[Values, Values]:
    """The iterations from weights a step to both sides along a direction, or along one entry."""
    by = np.zeros(given[name].shape)
    by[...] = way
    above, below = (iteration(given | {name: given[name] + s * by}) for s in (step, -step))
    return above, below


def entries(array: Array) -> Iterator[tuple[tuple[int, int], Array]]:
    """The indices of an array, each with an array that is 1 there and 0 elsewhere."""
    for at in np.ndindex(array.shape):
        one = np.zeros(array.shape)
        one[at] = 1.0
        yield at, one


def differences(given: Values, name: str, step: float) -> tuple[Array, NDArray[np.bool_]]:
    """The central difference of each entry of w1 or w2, and whether a hidden unit changes its sign."""
    found, crossed = np.zeros(given[name].shape), np.zeros(given[name].shape, bool)
    for at, one in entries(given[name]):
        above, below = moved(given, name, one, step)
        found[at] = (above["loss"] - below["loss"]) / (2 * step)
        crossed[at] = any((a < 0) != (b < 0) for a, b in zip(above["h"].flat, below["h"].flat, strict=True))
    return found, crossed


def relative_error(a: float, b: float) -> float:
    return abs(a - b) / max(abs(a), abs(b)) if a or b else 0.0
