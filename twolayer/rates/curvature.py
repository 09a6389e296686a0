"""Sharpness: the largest eigenvalue λmax of the Hessian of the loss, by Hessian-vector products.

Gradient descent on a quadratic converges only while learning_rate < 2/λmax. The Hessian with respect to
w1 and w2 is not formed: `hessian_product` differentiates the tutorial's lines along a direction
(Pearlmutter, "Fast Exact Multiplication by the Hessian", 1994), and the Lanczos method finds λmax. All in
float64.

x occurs only in x·w1, so a rotation of its columns changes no eigenvalue: for N < D_in, x is replaced by
the triangle L (N, N) of x = L·Qᵀ. The dimensions that this drops have the eigenvalue 0, and λmax is never
below 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray

from twolayer.training import data, methods, training
from twolayer.training.config import RANDOM, Config
from twolayer.training.kernels.numpy import Tutorial
from twolayer.training.pace import hessian_product_seconds
from twolayer.training.problem import Array, make_problem

TOLERANCE = 1e-5
SMALL = 48
"""Up to so many weights the Hessian is formed, column by column."""
BASIS = 20
"""Vectors of the Lanczos method."""
PRODUCTS = 40
"""Hessian-vector products that a point takes, for estimates."""
ROWS = 200
"""Rows of a data set from which `expected` is computed."""
FEWEST_POINTS, MOST_POINTS = 3, 40
FOLLOW_SECONDS, TASK_SECONDS = 60.0, 1.0

ROW = np.dtype([("step", "i8"), ("loss", "f8"), ("value", "f8"), ("residual", "f8"), ("dead", "i8")])
"""λmax of a run after `step` updates, the loss there, and the hidden units active for no row of the batch."""


@dataclass(frozen=True)
class Curvature:
    """The largest eigenvalue of the Hessian of the loss at a point."""

    value: float
    """λmax, the largest algebraic one."""
    residual: float
    """‖H·v − λmax·v‖ of its unit vector v: a bound of the distance to an eigenvalue."""
    products: int
    """Hessian-vector products that were computed."""
    loss: float

    @property
    def threshold(self) -> float:
        """2/λmax: the learning rate above which gradient descent on the quadratic here diverges."""
        return 2 / self.value if self.value > 0 else np.inf


def hessian_product(x: Array, y: Array, w1: Array, w2: Array, v1: Array, v2: Array) -> tuple[Array, Array]:
    """Multiply the Hessian of the loss at w1 (D_in, H), w2 (H, D_out) by the direction v1, v2 (same shapes).

    Below each line of the tutorial stands its derivative along the direction, named `d_…`. ReLU is linear
    on either side of 0: its second derivative is 0.
    """
    h = x @ w1
    d_h = x @ v1
    h_relu = np.maximum(h, 0)
    d_h_relu = np.where(h < 0, 0, d_h)
    y_pred = h_relu @ w2
    d_y_pred = d_h_relu @ w2 + h_relu @ v2

    grad_y_pred = 2 * (y_pred - y)
    d_grad_y_pred = 2 * d_y_pred
    # grad_w2 = h_reluᵀ·grad_y_pred
    d_grad_w2 = d_h_relu.T @ grad_y_pred + h_relu.T @ d_grad_y_pred
    # grad_h_relu = grad_y_pred·w2ᵀ
    d_grad_h_relu = d_grad_y_pred @ w2.T + grad_y_pred @ v2.T
    d_grad_h = np.where(h < 0, 0, d_grad_h_relu)
    # grad_w1 = xᵀ·grad_h
    d_grad_w1 = x.T @ d_grad_h
    return d_grad_w1, d_grad_w2


def largest_eigenvalue(config: Config) -> Curvature:
    """Compute λmax at the start of the run of `config`."""
    problem = make_problem(_in_float64(config))
    with Tutorial.threads(config.threads):
        return _Curve(problem.x, problem.y).at(problem.w1, problem.w2)


def along(config: Config, steps: Sequence[int]) -> NDArray[np.void]:
    """Compute λmax after each of these numbers of updates (rising) of the run of `config`.

    The run is that of `config`, with its rounding; λmax is computed in float64. Returns rows of `ROW`, up to
    the first loss that is not finite.
    """
    problem = training.prepare(config)
    x, y = (array.astype(np.float64) for array in (problem.x, problem.y))
    curve, chunk, rows = _Curve(x, y), training.start(config, problem), []
    for step in steps:
        if step > chunk.step:
            chunk = training.advance(config, problem, chunk, step - chunk.step)
        if chunk.diverged_at is not None:
            break
        with Tutorial.threads(config.threads), np.errstate(over="ignore", invalid="ignore"):
            w1, w2 = (w.astype(np.float64) for w in training.weights(config, problem, chunk))
            found, active = curve.at(w1, w2), (x @ w1 > 0).any(axis=0)
        if not np.isfinite(found.value):
            break
        rows.append((step, found.loss, found.value, found.residual, np.count_nonzero(~active)))
    return np.array(rows, dtype=ROW)


def milestones(steps: int, count: int) -> list[int]:
    """Return at most `count` numbers of updates from 0 to `steps`, denser at the start, where λmax moves."""
    return sorted({round(at) - 1 for at in np.geomspace(1, steps + 1, count)})


def tasks(config: Config) -> list[tuple[Config, list[int]]]:
    """Divide the run of `config` into arguments of `along` of a few seconds at most each.

    Slow points are fewer. Each task trains from the start again, which costs little.
    """
    each = PRODUCTS * hessian_product_seconds(config)
    count = int(min(MOST_POINTS, max(FEWEST_POINTS, FOLLOW_SECONDS / each)))
    steps = milestones(config.steps, count)
    together = max(1, int(min(len(steps) / 4, TASK_SECONDS / each)))
    return [(config, steps[i : i + together]) for i in range(0, len(steps), together)]


def expected(config: Config) -> float:
    """Estimate λmax at the start from the sizes and the data alone; for large N it is mostly N·H·D_in/π.

    The loss is quadratic in the outputs, so its Hessian is mostly 2·Jᵀ·J, where J is the Jacobian of the
    outputs with respect to the weights, and 2·J·Jᵀ has the same eigenvalues. The part of w2 is
    h_relu·h_reluᵀ: on average H·D_in/2 on the diagonal and H·D_in/(2π) off it. The part of w1 is x·xᵀ, at
    most (√N + √D_in)², times w2ᵀ·w2, at most H·(1 + √(2·D_out/H))², over the active units: half of them for
    one row of x, a quarter for two. All for standard normal data and weights; `_of_data` for a data set.
    """
    N, D_in, H = config.N, config.D_in, config.H
    if config.data == RANDOM:
        by_w2 = H * D_in * (1 + (N - 1) / pi)
        by_w1 = H / 2 * ((sqrt(N) + sqrt(D_in)) ** 2 + D_in)
    else:
        by_w1, by_w2 = (2 * H * value for value in _of_data(config.data, config.table, N))
    by_w1 *= (1 + sqrt(2 * config.D_out / H)) ** 2
    if config.init == "he":  # the squares of the weights that each part has
        by_w1, by_w2 = by_w1 * 2 / H, by_w2 * 2 / D_in
    return by_w2 + by_w1


@lru_cache(maxsize=256)
def _of_data(name: str, table: str, N: int) -> tuple[float, float]:
    """Return the largest eigenvalues of the expected x·xᵀ, each entry times the probability that a unit is
    active for both rows, and of the expected h_relu·h_reluᵀ, for one unit with standard normal weights
    and N rows of a data set (Cho and Saul, "Kernel Methods for Deep Learning", 2009).

    They are those of `ROWS` rows at most, in proportion.
    """
    x = data.table(name, table)[0]
    x = x[:: -(-len(x) // ROWS)]
    norms = np.linalg.norm(x, axis=1)
    products, lengths = x @ x.T, np.outer(norms, norms)
    angle = np.arccos(np.clip(products / lengths, -1, 1))
    both = products * (pi - angle) / (2 * pi)
    of_w1, of_w2 = (
        float(np.linalg.eigvalsh(m)[-1]) * N / len(x)
        for m in (both, both + lengths * np.sin(angle) / (2 * pi))
    )
    return of_w1, of_w2


def memory_bytes(config: Config) -> int:
    """Estimate the peak memory of `largest_eigenvalue` and `along`."""
    rank = min(config.N, config.D_in)
    weights = rank * config.H + config.H * config.D_out
    products = config.N * (8 * config.H + 4 * config.D_out)
    return methods.run_bytes(_in_float64(config)) + 8 * (
        (BASIS + 6) * weights + products + 2 * config.N * config.D_in + config.D_in * config.H
    )


def _in_float64(config: Config) -> Config:
    return replace(config, backend="numpy", device="cpu", method="auto", dtype="float64")


class _Curve:
    """The curvature of the loss for x (N, D_in) and y (N, D_out)."""

    def __init__(self, x: Array, y: Array) -> None:
        self.x, self.y, self.Q = x, y, None
        if x.shape[0] < x.shape[1]:
            self.Q, R = np.linalg.qr(x.T)
            self.x = R.T

    def at(self, w1: Array, w2: Array) -> Curvature:
        """Compute λmax at w1, w2."""
        w1 = w1 if self.Q is None else self.Q.T @ w1
        x, y = self.x, self.y
        size, products = w1.size + w2.size, 0

        def product(v: Array) -> Array:
            nonlocal products
            products += 1
            v1, v2 = v[: w1.size].reshape(w1.shape), v[w1.size :].reshape(w2.shape)
            return np.concatenate([part.ravel() for part in hessian_product(x, y, w1, w2, v1, v2)])

        loss = float(np.sum((np.maximum(x @ w1, 0) @ w2 - y) ** 2))
        start = np.random.default_rng(0).standard_normal(size)
        first = product(start)
        if not (np.isfinite(loss) and np.isfinite(first).all()):
            return Curvature(np.nan, np.nan, products, loss)
        if not first.any():  # every unit is dead: the loss is flat
            return Curvature(0.0, 0.0, products, loss)
        if size <= SMALL:
            columns = np.array([product(unit) for unit in np.eye(size)])
            values, vectors = np.linalg.eigh((columns + columns.T) / 2)
        else:
            # Here, since a page that only asks for the costs of this needs no sparse matrices.
            from scipy.sparse.linalg import LinearOperator, eigsh

            hessian = LinearOperator((size, size), matvec=product, dtype=np.float64)
            values, vectors = eigsh(hessian, 1, which="LA", ncv=BASIS, tol=TOLERANCE, v0=start)
        value, vector = float(values[-1]), vectors[:, -1]
        return Curvature(value, float(np.linalg.norm(product(vector) - value * vector)), products, loss)
