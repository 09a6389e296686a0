"""The loops of the Numba backend: one step of each method, compiled.

A matrix is stored in *panels*: some columns at a time, the rows of a panel one after the other in one flat
array, padded with 0. A panel has 64 columns where these are samples or inputs, so that row j of h is a hidden
unit, and 16 where they are outputs, of which there are few. With a constant length of a row the compiler
needs no remainders and no tests of which rows overlap.

The compiled code is kept in `__pycache__`, the user's folder for caches, or `NUMBA_CACHE_DIR`, else nowhere.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

PANEL = 64
OUTPUTS = 16
"""Columns of a panel of outputs."""
BLOCK = 4
"""Rows that a product takes at a time: 4 × 4 factors stay in registers."""
LANES = 16
"""Partial sums of a sum over samples."""


def compiled(function: Callable[..., Any]) -> Any:
    """Return `function`, compiled for the types of its first call.

    The compiler may join a product and a sum. It may not reorder sums: how it did would depend on where a
    function is inlined, and on whether it comes from the cache.
    """
    options = {"fastmath": {"contract"}, "error_model": "numpy", "nogil": True}
    try:
        return njit(function, cache=True, **options)
    except RuntimeError:  # no folder for the cache can be written
        return njit(function, **options)


def multiply_add(width: int) -> Any:
    """Return a function that multiplies panels of `width` columns."""

    @compiled
    def multiply_add(a, down, right, b, out):  # type: ignore[no-untyped-def]
        """out += a·b for panels b (inner, width) and out (rows, width), both flat. Entry (i, j) of a is
        a[i · down + j · right]."""
        for r in range(0, out.size // width, BLOCK):
            rows = out[r * width : (r + BLOCK) * width]
            for m in range(0, b.size // width, BLOCK):
                factors = b[m * width : (m + BLOCK) * width]
                i = r * down + m * right
                a00, a01, a02, a03 = a[i], a[i + right], a[i + 2 * right], a[i + 3 * right]
                i += down
                a10, a11, a12, a13 = a[i], a[i + right], a[i + 2 * right], a[i + 3 * right]
                i += down
                a20, a21, a22, a23 = a[i], a[i + right], a[i + 2 * right], a[i + 3 * right]
                i += down
                a30, a31, a32, a33 = a[i], a[i + right], a[i + 2 * right], a[i + 3 * right]
                for n in range(width):
                    b0, b1 = factors[n], factors[width + n]
                    b2, b3 = factors[2 * width + n], factors[3 * width + n]
                    rows[n] += a00 * b0 + a01 * b1 + a02 * b2 + a03 * b3
                    rows[width + n] += a10 * b0 + a11 * b1 + a12 * b2 + a13 * b3
                    rows[2 * width + n] += a20 * b0 + a21 * b1 + a22 * b2 + a23 * b3
                    rows[3 * width + n] += a30 * b0 + a31 * b1 + a32 * b2 + a33 * b3

    return multiply_add


multiply_add_64, multiply_add_16 = multiply_add(PANEL), multiply_add(OUTPUTS)


@compiled
def add_product(a, b, out):  # type: ignore[no-untyped-def]
    """out += a·b for all panels of a, and for a panel of b and of `out`, all of 64 columns."""
    size = PANEL * PANEL
    for q in range(len(a)):
        multiply_add_64(a[q], PANEL, 1, b[q * size : (q + 1) * size], out)


@compiled
def copy(panel, to):  # type: ignore[no-untyped-def]
    """Copy a panel. Numba's own assignment takes several times as long."""
    for i in range(panel.size):
        to[i] = panel[i]


@compiled
def clear(panel):  # type: ignore[no-untyped-def]
    """Set a panel to 0, as fast."""
    for i in range(panel.size):
        panel[i] = 0


class Arrays(NamedTuple):
    """What a step of `fused` and `gram` reads and writes, all in panels."""

    start: Array
    """What h is before the product is added: 0, or h_start of the dual form."""
    factor: Array
    """What `w` is multiplied by: xᵀ, or −K."""
    x: Array
    """For `fused`: x by its inputs."""
    minus_y: Array
    w: Array
    """w1, or S."""
    w2: Array
    """(H, D_out), the panels by outputs."""
    h: Array
    h_relu: Array
    difference: Array
    """y_pred − y, the panels by samples."""
    difference_T: Array
    """The panels by outputs, with rows for all columns of `difference`."""
    change: Array
    """For `fused`: what is added to w1 is this times x."""
    grad_h: Array
    """A panel."""
    grad_w1: Array
    """A panel."""
    grad_w2: Array
    """A panel."""


@compiled
def forward(n):  # type: ignore[no-untyped-def]
    """Compute h, h_relu = max(h, 0) and the difference w2ᵀ·h_relu − y."""
    zero, size = n.h.dtype.type(0), OUTPUTS * PANEL
    for p in range(len(n.h)):
        copy(n.start[p], n.h[p])
        add_product(n.w, n.factor[p], n.h[p])
        copy(n.minus_y[p], n.difference[p])
        for i in range(n.h.shape[1]):
            n.h_relu[p, i] = zero if n.h[p, i] <= zero else n.h[p, i]  # NaN stays
        for q in range(len(n.w2)):
            multiply_add_64(n.w2[q], 1, OUTPUTS, n.h_relu[p], n.difference[p, q * size : (q + 1) * size])


@compiled
def sum_of_squares(difference):  # type: ignore[no-untyped-def]
    """Return the loss, summed in the dtype of `difference`."""
    sums = np.zeros(LANES, difference.dtype)
    for p in range(len(difference)):
        for i in range(0, difference.shape[1], LANES):
            for n in range(LANES):
                sums[n] += difference[p, i + n] * difference[p, i + n]
    loss = sums[0]
    for n in range(1, LANES):
        loss += sums[n]
    return loss


@compiled
def backward(n, rate, change):  # type: ignore[no-untyped-def]
    """Add rate · grad_h to `change`; nothing is added where h < 0."""
    zero, size = n.h.dtype.type(0), OUTPUTS * PANEL
    for p in range(len(n.h)):
        clear(n.grad_h)
        for q in range(len(n.w2)):
            multiply_add_64(n.w2[q], OUTPUTS, 1, n.difference[p, q * size : (q + 1) * size], n.grad_h)
        for i in range(n.grad_h.size):
            change[p, i] += zero if n.h[p, i] < zero else rate * n.grad_h[i]


@compiled
def backward_into_change(n, rate):  # type: ignore[no-untyped-def]
    """Set `change` to −rate · grad_h."""
    for p in range(len(n.change)):
        clear(n.change[p])
    backward(n, -rate, n.change)


@compiled
def transpose(difference, difference_T):  # type: ignore[no-untyped-def]
    """Write the rows of `difference` to the columns of `difference_T`."""
    for p in range(len(difference)):
        for o in range(difference.shape[1] // PANEL):
            row = difference[p, o * PANEL : (o + 1) * PANEL]
            column = difference_T[o // OUTPUTS, p * PANEL * OUTPUTS + o % OUTPUTS :]
            for n in range(PANEL):
                column[n * OUTPUTS] = row[n]


@compiled
def update_w2(n, rate):  # type: ignore[no-untyped-def]
    """w2 −= rate · h_reluᵀ·difference, the whole sum at once."""
    transpose(n.difference, n.difference_T)
    size = PANEL * OUTPUTS
    for q in range(len(n.w2)):
        clear(n.grad_w2)
        for p in range(len(n.h_relu)):
            difference = n.difference_T[q, p * size : (p + 1) * size]
            multiply_add_16(n.h_relu[p], PANEL, 1, difference, n.grad_w2)
        for i in range(n.grad_w2.size):
            n.w2[q, i] -= rate * n.grad_w2[i]


@compiled
def update_w1(n):  # type: ignore[no-untyped-def]
    """w1 += change·x, the whole sum at once."""
    for p in range(len(n.w)):
        clear(n.grad_w1)
        add_product(n.change, n.x[p], n.grad_w1)
        for i in range(n.grad_w1.size):
            n.w[p, i] += n.grad_w1[i]


@compiled
def train_fused(n, rate, losses):  # type: ignore[no-untyped-def]
    """Take a step for each entry of `losses`, which gets its loss."""
    for t in range(losses.size):
        forward(n)
        losses[t] = sum_of_squares(n.difference)
        backward_into_change(n, rate)
        update_w2(n, rate)
        update_w1(n)


@compiled
def train_gram(n, rate, losses):  # type: ignore[no-untyped-def]
    """Take a step for each entry of `losses`, which gets its loss."""
    for t in range(losses.size):
        forward(n)
        losses[t] = sum_of_squares(n.difference)
        backward(n, rate, n.w)
        update_w2(n, rate)


@compiled
def predict(x, w1, w2):  # type: ignore[no-untyped-def]
    """Return h, h_relu and y_pred, as the tutorial computes them."""
    h = np.dot(x, w1)
    h_relu = np.maximum(h, h.dtype.type(0))
    return h, h_relu, np.dot(h_relu, w2)


@compiled
def square_sum(y_pred, y):  # type: ignore[no-untyped-def]
    """Return the loss, as the tutorial computes it."""
    return np.square(y_pred - y).sum()


@compiled
def gradients(x, y, w2, forward):  # type: ignore[no-untyped-def]
    """Return the gradients of the loss with respect to w1 and w2, as the tutorial computes them."""
    h, h_relu, y_pred = forward
    zero = h.dtype.type(0)
    grad_y_pred = h.dtype.type(2) * (y_pred - y)
    grad_w2 = np.dot(h_relu.T, grad_y_pred)
    grad_h_relu = np.dot(grad_y_pred, w2.T)
    grad_h = np.where(h < zero, zero, grad_h_relu)
    return np.dot(x.T, grad_h), grad_w2


@compiled
def descend(weight, gradient, rate):  # type: ignore[no-untyped-def]
    """weight −= rate · gradient."""
    weight -= rate * gradient


@compiled
def train_tutorial(arrays, rate, losses):  # type: ignore[no-untyped-def]
    """Take a step for each entry of `losses`, which gets its loss."""
    x, y, w1, w2 = arrays
    for t in range(losses.size):
        forward = predict(x, w1, w2)
        losses[t] = square_sum(forward[2], y)
        grad_w1, grad_w2 = gradients(x, y, w2, forward)
        descend(w1, grad_w1, rate)
        descend(w2, grad_w2, rate)
