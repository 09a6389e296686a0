"""The loops of the Numba backend: one step of each method, compiled.

A matrix is stored in *panels*: 64 columns at a time, the rows of a panel one after the other in one flat
array, padded with 0. The columns are the samples: row j of h is a hidden unit. With a constant length of a
row the compiler needs no remainders and no tests of which rows overlap.

The compiled code is kept in `__pycache__`, the user's folder for caches, or `NUMBA_CACHE_DIR`, else nowhere.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

PANEL = 64
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


@compiled
def multiply_add(a, b, out):  # type: ignore[no-untyped-def]
    """out += a·b for a panel of each, flat: a (rows, 64), b (inner, 64), out (rows, 64). Of the columns of a
    as many count as b has rows."""
    for r in range(0, out.size // PANEL, BLOCK):
        rows = out[r * PANEL : (r + BLOCK) * PANEL]
        a0 = a[r * PANEL : (r + 1) * PANEL]
        a1 = a[(r + 1) * PANEL : (r + 2) * PANEL]
        a2 = a[(r + 2) * PANEL : (r + 3) * PANEL]
        a3 = a[(r + 3) * PANEL : (r + 4) * PANEL]
        for m in range(0, b.size // PANEL, BLOCK):
            a00, a01, a02, a03 = a0[m], a0[m + 1], a0[m + 2], a0[m + 3]
            a10, a11, a12, a13 = a1[m], a1[m + 1], a1[m + 2], a1[m + 3]
            a20, a21, a22, a23 = a2[m], a2[m + 1], a2[m + 2], a2[m + 3]
            a30, a31, a32, a33 = a3[m], a3[m + 1], a3[m + 2], a3[m + 3]
            factors = b[m * PANEL : (m + BLOCK) * PANEL]
            for n in range(PANEL):
                b0, b1 = factors[n], factors[PANEL + n]
                b2, b3 = factors[2 * PANEL + n], factors[3 * PANEL + n]
                rows[n] = rows[n] + a00 * b0 + a01 * b1 + a02 * b2 + a03 * b3
                rows[PANEL + n] = rows[PANEL + n] + a10 * b0 + a11 * b1 + a12 * b2 + a13 * b3
                rows[2 * PANEL + n] = rows[2 * PANEL + n] + a20 * b0 + a21 * b1 + a22 * b2 + a23 * b3
                rows[3 * PANEL + n] = rows[3 * PANEL + n] + a30 * b0 + a31 * b1 + a32 * b2 + a33 * b3


@compiled
def add_product(a, b, out):  # type: ignore[no-untyped-def]
    """out += a·b, all in panels: the columns of a are the rows of b."""
    size = PANEL * PANEL
    for p in range(len(out)):
        for q in range(len(a)):
            multiply_add(a[q], b[p, q * size : (q + 1) * size], out[p])


@compiled
def transpose(panels, transposed):  # type: ignore[no-untyped-def]
    """Write the rows of `panels` to the columns of `transposed`."""
    for p in range(len(panels)):
        first = p * PANEL * PANEL
        for r in range(0, panels.shape[1] // PANEL, BLOCK):
            rows = panels[p, r * PANEL : (r + BLOCK) * PANEL]
            columns = transposed[r // PANEL, first + r % PANEL :]
            for n in range(min(PANEL, (transposed.shape[1] - first) // PANEL)):
                columns[n * PANEL] = rows[n]
                columns[n * PANEL + 1] = rows[PANEL + n]
                columns[n * PANEL + 2] = rows[2 * PANEL + n]
                columns[n * PANEL + 3] = rows[3 * PANEL + n]


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
    w2_T: Array
    """(D_out, H), the panels by hidden units."""
    h: Array
    h_relu: Array
    h_relu_T: Array
    """(N, H), the panels by hidden units."""
    difference: Array
    """y_pred − y."""
    change: Array
    """For `fused`: what is added to w1 is this times x."""


@compiled
def forward(n):  # type: ignore[no-untyped-def]
    """Compute h, h_relu = max(h, 0) and the difference w2ᵀ·h_relu − y."""
    zero = n.h.dtype.type(0)
    n.h[:] = n.start
    add_product(n.w, n.factor, n.h)
    for p in range(len(n.h)):
        for i in range(n.h.shape[1]):
            n.h_relu[p, i] = zero if n.h[p, i] <= zero else n.h[p, i]  # NaN stays
    n.difference[:] = n.minus_y
    add_product(n.w2_T, n.h_relu, n.difference)


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
    """Add rate · grad_h to `change`, four rows of a panel at a time; nothing is added where h < 0."""
    zero = n.h.dtype.type(0)
    size, whole = BLOCK * PANEL, PANEL * PANEL
    grad_h = np.empty(size, n.h.dtype)
    for p in range(len(n.h)):
        for i in range(0, n.h.shape[1], size):
            grad_h[:] = zero
            for q in range(len(n.w2)):
                multiply_add(n.w2[q, i : i + size], n.difference[p, q * whole : (q + 1) * whole], grad_h)
            of_change, of_h = change[p, i : i + size], n.h[p, i : i + size]
            for k in range(size):
                of_change[k] += zero if of_h[k] < zero else rate * grad_h[k]


@compiled
def backward_into_change(n, rate):  # type: ignore[no-untyped-def]
    """Set `change` to −rate · grad_h."""
    n.change[:] = n.h.dtype.type(0)
    backward(n, -rate, n.change)


@compiled
def update_w2(n, rate):  # type: ignore[no-untyped-def]
    """w2 −= rate · h_reluᵀ·difference, the whole sum at once."""
    transpose(n.h_relu, n.h_relu_T)
    grad_w2 = np.empty((1, n.w2_T.shape[1]), n.h.dtype)
    for q in range(len(n.w2_T)):
        grad_w2[:] = n.h.dtype.type(0)
        add_product(n.difference, n.h_relu_T[q : q + 1], grad_w2)
        for i in range(grad_w2.size):
            n.w2_T[q, i] -= rate * grad_w2[0, i]
    transpose(n.w2_T, n.w2)


@compiled
def update_w1(n):  # type: ignore[no-untyped-def]
    """w1 += change·x, the whole sum at once."""
    total = np.empty((1, n.w.shape[1]), n.h.dtype)
    for p in range(len(n.w)):
        total[:] = n.h.dtype.type(0)
        add_product(n.change, n.x[p : p + 1], total)
        for i in range(total.size):
            n.w[p, i] += total[0, i]


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
