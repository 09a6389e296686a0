"""The loops of the Numba backend: the steps of each method, compiled.

Products are BLAS's, which `np.dot` calls. All that lies between two of them is one pass over the arrays.
`fused` and `gram` keep h, y_pred and what belongs to them transposed: row j of h is a hidden unit, and the
samples lie one after the other. With few outputs BLAS multiplies such matrices up to twice as fast.

The compiled code is kept in `__pycache__`, the user's folder for caches, or `NUMBA_CACHE_DIR`, else nowhere.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

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


class Arrays(NamedTuple):
    """What a step of `fused` and `gram` reads and writes, all in C order."""

    start: Array
    """(H, N): what h is before the product is added: 0, or h_start of the dual form."""
    factor: Array
    """What `w` is multiplied by: xᵀ (D_in, N), or −K (N, N)."""
    x: Array
    """(N, D_in); for `fused`."""
    y: Array
    """(D_out, N)."""
    w: Array
    """w1 (H, D_in), or S (H, N)."""
    w2: Array
    """(H, D_out), as in the tutorial."""
    h: Array
    h_relu: Array
    grad_h: Array
    """(H, N), like h and h_relu."""
    difference: Array
    """(D_out, N): y_pred − y."""
    grad_w1: Array
    """(H, D_in); for `fused`."""
    grad_w2: Array
    """(H, D_out)."""


@compiled
def forward(n):  # type: ignore[no-untyped-def]
    """Compute h, h_relu = max(h, 0) and the difference y_pred − y."""
    start, h, h_relu = n.start.ravel(), n.h.ravel(), n.h_relu.ravel()
    difference, y, zero = n.difference.ravel(), n.y.ravel(), n.h.dtype.type(0)
    np.dot(n.w, n.factor, n.h)
    for i in range(h.size):
        h[i] += start[i]
        h_relu[i] = zero if h[i] <= zero else h[i]  # NaN stays
    np.dot(n.w2.T, n.h_relu, n.difference)
    for i in range(y.size):
        difference[i] -= y[i]


@compiled
def sum_of_squares(difference):  # type: ignore[no-untyped-def]
    """Return the loss, summed in the dtype of `difference`."""
    numbers, sums = difference.ravel(), np.zeros(LANES, difference.dtype)
    whole = numbers.size // LANES * LANES
    for i in range(0, whole, LANES):
        for n in range(LANES):
            sums[n] += numbers[i + n] * numbers[i + n]
    loss = sums[0]
    for n in range(1, LANES):
        loss += sums[n]
    for i in range(whole, numbers.size):
        loss += numbers[i] * numbers[i]
    return loss


@compiled
def backward(n):  # type: ignore[no-untyped-def]
    """Compute half of grad_w2, and half of grad_h, which is not yet 0 where h < 0."""
    np.dot(n.w2, n.difference, n.grad_h)
    np.dot(n.h_relu, n.difference.T, n.grad_w2)


@compiled
def backward_fused(n):  # type: ignore[no-untyped-def]
    """Compute half of each gradient."""
    backward(n)
    h, grad_h, zero = n.h.ravel(), n.grad_h.ravel(), n.h.dtype.type(0)
    for i in range(h.size):
        grad_h[i] = zero if h[i] < zero else grad_h[i]
    np.dot(n.grad_h, n.x, n.grad_w1)


@compiled
def backward_gram(n, rate):  # type: ignore[no-untyped-def]
    """Compute half of grad_w2, and add rate · grad_h to S."""
    backward(n)
    S, h, grad_h, zero = n.w.ravel(), n.h.ravel(), n.grad_h.ravel(), n.h.dtype.type(0)
    for i in range(h.size):
        S[i] += zero if h[i] < zero else rate * grad_h[i]


@compiled
def update(weights, gradient, rate):  # type: ignore[no-untyped-def]
    """weights −= rate · gradient."""
    numbers, changes = weights.ravel(), gradient.ravel()
    for i in range(numbers.size):
        numbers[i] -= rate * changes[i]


@compiled
def train_fused(n, rate, losses):  # type: ignore[no-untyped-def]
    """Take a step for each entry of `losses`, which gets its loss."""
    for t in range(losses.size):
        forward(n)
        losses[t] = sum_of_squares(n.difference)
        backward_fused(n)
        update(n.w, n.grad_w1, rate)
        update(n.w2, n.grad_w2, rate)


@compiled
def train_gram(n, rate, losses):  # type: ignore[no-untyped-def]
    """Take a step for each entry of `losses`, which gets its loss."""
    for t in range(losses.size):
        forward(n)
        losses[t] = sum_of_squares(n.difference)
        backward_gram(n, rate)
        update(n.w2, n.grad_w2, rate)


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
