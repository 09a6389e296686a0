"""Data sets that are computed. Each function makes one table: inputs x, and outputs y.

An ejected script has the text of these functions, so they use NumPy and each other alone.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Numbers = NDArray[np.generic]


def with_ones(*columns: Array) -> Array:
    """Return inputs as a table whose last column is 1, in the place of a bias."""
    return np.column_stack([*columns, np.ones(len(columns[0]))])


def one_hot(classes: Numbers, count: int) -> Array:
    """Return a row for each class number: 1 in the column of the class, 0 in the others."""
    return np.asarray(np.eye(count)[classes.astype(int)])


def teacher() -> tuple[Array, Array]:
    """The outputs of a network of 8 hidden units for standard normal inputs."""
    g = np.random.default_rng(1)
    x = g.standard_normal((600, 20))
    w1 = g.standard_normal((20, 8)) * np.sqrt(2 / 20)
    w2 = g.standard_normal((8, 3)) * np.sqrt(2 / 8)
    return x, np.maximum(x @ w1, 0) @ w2


def sine() -> tuple[Array, Array]:
    """One period of a sine at 250 even places."""
    angle = np.linspace(-np.pi, np.pi, 250)
    return with_ones(angle / angle.std()), np.sin(angle)[:, None]


def step() -> tuple[Array, Array]:
    """0 below 0, and 1 above, at 250 even places."""
    x = np.linspace(-1, 1, 250)
    return with_ones(x), (x > 0).astype(float)[:, None]


def xor() -> tuple[Array, Array]:
    """Points of a square; class 1 where both coordinates have the same sign."""
    a, b = np.random.default_rng(2).uniform(-1, 1, (2, 500))
    return with_ones(a, b), one_hot(a * b > 0, 2)


def circles() -> tuple[Array, Array]:
    """A disc (class 1) inside a ring."""
    g = np.random.default_rng(3)
    inner = np.arange(500) % 2
    radius = np.where(inner, g.uniform(0, 0.45, 500), g.uniform(0.6, 1, 500))
    angle = g.uniform(0, 2 * np.pi, 500)
    return with_ones(radius * np.cos(angle), radius * np.sin(angle)), one_hot(inner, 2)


def moons() -> tuple[Array, Array]:
    """Two half circles hooked into each other, with some noise."""
    g = np.random.default_rng(4)
    lower = np.arange(500) % 2
    angle = g.uniform(0, np.pi, 500)
    a = np.where(lower, 1 - np.cos(angle), np.cos(angle)) + 0.08 * g.standard_normal(500)
    b = np.where(lower, 0.5 - np.sin(angle), np.sin(angle)) + 0.08 * g.standard_normal(500)
    return with_ones((a - 0.5) / 1.75, (b - 0.25) / 1.75), one_hot(lower, 2)


def spiral() -> tuple[Array, Array]:
    """Two arms of one and a quarter turns, with some noise."""
    g = np.random.default_rng(5)
    arm = np.arange(500) % 2
    along = np.sqrt(g.uniform(0.01, 1, 500))
    angle = 2.5 * np.pi * along + np.pi * arm
    a = along * np.sin(angle) + 0.02 * g.standard_normal(500)
    b = along * np.cos(angle) + 0.02 * g.standard_normal(500)
    return with_ones(a, b), one_hot(arm, 2)
