"""What a network has learned of a data set: its score on held-out rows, and a picture from its weights.

Both are computed where the weights are, between the steps or after them, and never change a run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.training import data, kernels
from twolayer.training.config import RANDOM, Config
from twolayer.training.problem import Array, HeldOut, Problem

GRID = 64
"""Points along each side of a decision map."""
CURVE = 200
"""Points of a fitted curve."""
MOST_UNITS = 24
"""Hidden units that a picture shows: those with the largest weights."""
MOST_DIGITS = 10
MOST_ROWS = 300
"""Rows that a picture shows as points."""
BLOCK_BYTES = 1 << 18
"""Bytes of h that a picture takes at a time."""
PIXELS = 64
"""Inputs of a digit but for the column of ones."""


@dataclass(frozen=True)
class Picture:
    """What a network has learned after `step` steps: small arrays, by name."""

    step: int
    arrays: Mapping[str, NDArray[Any]]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(array.nbytes for array in self.arrays.values())


def score(kernel: type[kernels.Kernel], problem: Problem, state: kernels.State) -> tuple[float, float]:
    """Return the mean loss per entry on the held-out rows, and the share of rows whose class is right.

    The class is the largest output, the first of equal ones. It means nothing where there are no classes.
    """
    held_out = problem.held_out
    assert held_out is not None
    y_pred = np.maximum(kernel.hidden_of_held_out(problem, state), 0) @ state["w2"]
    right = y_pred.argmax(axis=1) == held_out.y.argmax(axis=1)
    return float(np.square(y_pred - held_out.y).mean(dtype=np.float64)), float(right.mean())


def has_classes(config: Config) -> bool:
    """Return whether the rows of a run's data belong to classes."""
    return config.data != RANDOM and bool(config.data_set.classes)


def picture(config: Config, held_out: HeldOut, w1: Array, w2: Array, step: int) -> Picture:
    """Return a picture of what weights w1 (D_in, H) and w2 (H, D_out) have learned of a data set.

    - a curve: `y` at `CURVE` places, and the places of the `kinks`;
    - a map: `z`, the second output less the first on a grid, and `lines`, a·x + b·y + c = 0 of each unit;
    - digits: the weights of some `units` (units, pixels), and of held-out rows the `outputs` of the first
      ones and the `confusion` of all, (true, predicted);
    - a table: the `outputs` for held-out rows;
    - a confusion matrix: the `confusion` of held-out rows, as for digits.
    """
    with np.errstate(all="ignore"):
        arrays = _DRAW[config.data_set.picture](held_out, w1, w2)
    return Picture(step, {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()})


def places(config: Config) -> Array:
    """Return where a picture has its points: the inputs of a curve, or the two coordinates of a map."""
    return _curve_places() if config.data_set.picture == "curve" else _side()


def shown_rows(config: Config) -> tuple[HeldOut, HeldOut]:
    """Return rows that train, and rows that are held out: as many as a picture shows. Raises `DataError`."""
    x, y = data.table(config.data, config.table)
    order = np.random.default_rng(config.seed).permutation(len(x))
    both = (order[: config.N][:MOST_ROWS], order[config.N :][:MOST_ROWS])
    first, second = (HeldOut(x[rows].astype(config.dtype), y[rows].astype(config.dtype)) for rows in both)
    return first, second


def _outputs(x: Array, w1: Array, w2: Array) -> Array:
    """Return the outputs for x (M, D_in), of so many rows at a time that h stays in the cache."""
    rows = max(1, BLOCK_BYTES // w1[0].nbytes)
    return np.concatenate([np.maximum(x[i : i + rows] @ w1, 0) @ w2 for i in range(0, len(x), rows)])


def _strongest(w1: Array, w2: Array) -> NDArray[np.intp]:
    """Return the units with the largest weights, the largest first."""
    size = np.linalg.norm(w1, axis=0) * np.linalg.norm(w2, axis=1)
    return np.argsort(-size, kind="stable")[:MOST_UNITS]


def _curve_places() -> Array:
    return np.linspace(-2, 2, CURVE, dtype=np.float32)


def _curve(_held_out: HeldOut, w1: Array, w2: Array) -> dict[str, Array]:
    x = np.column_stack([_curve_places(), np.ones(CURVE)]).astype(w1.dtype)
    kinks = -w1[1] / w1[0]
    return {"y": _outputs(x, w1, w2)[:, 0], "kinks": kinks[np.abs(kinks) < x[-1, 0]]}


def _side() -> Array:
    return np.linspace(-1.1, 1.1, GRID, dtype=np.float32)


@lru_cache(maxsize=2)
def _grid(dtype: str) -> Array:
    a, b = np.meshgrid(_side(), _side())
    return np.column_stack([a.ravel(), b.ravel(), np.ones(a.size)]).astype(dtype)


def _map(_held_out: HeldOut, w1: Array, w2: Array) -> dict[str, Array]:
    outputs = _outputs(_grid(w1.dtype.name), w1, w2)
    return {
        "z": (outputs[:, 1] - outputs[:, 0]).reshape(GRID, GRID),
        "lines": w1[:, _strongest(w1, w2)].T,
    }


def _digits(held_out: HeldOut, w1: Array, w2: Array) -> dict[str, Array]:
    outputs = _outputs(held_out.x, w1, w2)
    return {
        "units": w1[:PIXELS, _strongest(w1, w2)].T,
        "outputs": outputs[:MOST_DIGITS],
        "confusion": _counts(held_out, outputs),
    }


def _counts(held_out: HeldOut, outputs: Array) -> Array:
    """Return how many rows of each class were said to be of each class: (true, predicted)."""
    classes = held_out.y.shape[1]
    pairs = held_out.y.argmax(axis=1) * classes + outputs.argmax(axis=1)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes).astype(outputs.dtype)


def _confusion(held_out: HeldOut, w1: Array, w2: Array) -> dict[str, Array]:
    return {"confusion": _counts(held_out, _outputs(held_out.x, w1, w2))}


def _table(held_out: HeldOut, w1: Array, w2: Array) -> dict[str, Array]:
    return {"outputs": _outputs(held_out.x[:MOST_ROWS], w1, w2)}


_DRAW = {"curve": _curve, "map": _map, "digits": _digits, "table": _table, "confusion": _confusion}
