"""A two-layer ReLU network trained by gradient descent, its backward pass written by hand.

backend numba, method fused, dtype float32, seed 0

After the PyTorch tutorial "Learning PyTorch with Examples": h = x·w1, h_relu = max(h, 0),
y_pred = h_relu·w2, loss = Σ (y_pred − y)². Prints each step and its loss, from before its update.
Compiling takes some seconds at the start.
"""

import os
import sys

for library in ("OPENBLAS", "MKL", "OMP", "VECLIB", "BLIS"):  # before NumPy is loaded
    os.environ[f"{library}_NUM_THREADS"] = "1"

import numpy as np
from numba import njit

N, D_in, H, D_out = 64, 1000, 100, 10
learning_rate = 1e-06
steps = 500

# One fixed random batch and the initial weights, drawn in this order
g = np.random.default_rng(0)
x = g.standard_normal((N, D_in)).astype(np.float32)
y = g.standard_normal((N, D_out)).astype(np.float32)
w1 = g.standard_normal((D_in, H)).astype(np.float32)
w2 = g.standard_normal((H, D_out)).astype(np.float32)

compiled = njit(fastmath={"contract"}, error_model="numpy")  # sums keep their order
LANES = 16  # partial sums of a sum


# Products are BLAS's, which np.dot calls. h, y_pred and what belongs to them are transposed: row j of h is a
# hidden unit. With few outputs BLAS multiplies such matrices up to twice as fast.


@compiled
def forward(start, factor, y, w, w2, h, h_relu, difference):
    """Compute h, h_relu = max(h, 0) and the difference y_pred − y."""
    start, y, zero = start.ravel(), y.ravel(), h.dtype.type(0)
    np.dot(w, factor, h)
    h_flat, h_relu_flat, difference_flat = h.ravel(), h_relu.ravel(), difference.ravel()
    for i in range(h.size):
        h_flat[i] += start[i]
        h_relu_flat[i] = zero if h_flat[i] <= zero else h_flat[i]  # NaN stays
    np.dot(w2.T, h_relu, difference)
    for i in range(y.size):
        difference_flat[i] -= y[i]


@compiled
def sum_of_squares(difference):
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
def backward(x, w2, h, h_relu, difference, grad_h, grad_w1, grad_w2):
    """Compute half of each gradient."""
    np.dot(w2, difference, grad_h)
    np.dot(h_relu, difference.T, grad_w2)
    signs, passed, zero = h.ravel(), grad_h.ravel(), h.dtype.type(0)
    for i in range(h.size):
        passed[i] = zero if signs[i] < zero else passed[i]
    np.dot(grad_h, x, grad_w1)


@compiled
def update(weights, gradient, rate):
    """weights −= rate · gradient."""
    numbers, changes = weights.ravel(), gradient.ravel()
    for i in range(numbers.size):
        numbers[i] -= rate * changes[i]


factor, y_T = np.ascontiguousarray(x.T), np.ascontiguousarray(y.T)
w1_T = np.ascontiguousarray(w1.T)
start = np.zeros((H, N), x.dtype)
h, h_relu, grad_h = np.empty_like(start), np.empty_like(start), np.empty_like(start)
difference, grad_w1, grad_w2 = np.empty_like(y_T), np.empty_like(w1_T), np.empty_like(w2)

for t in range(steps):
    # Forward pass: y_pred − y
    forward(start, factor, y_T, w1_T, w2, h, h_relu, difference)

    # Loss
    loss = sum_of_squares(difference)
    if not np.isfinite(loss):
        print(f"diverged: the loss of step {t} is not finite", file=sys.stderr)
        break
    print(t, float(loss))

    # Backward pass; the factor 2 of grad_y_pred is in the rate
    rate = x.dtype.type(2 * learning_rate)
    backward(x, w2, h, h_relu, difference, grad_h, grad_w1, grad_w2)

    # Weight update
    update(w1_T, grad_w1, rate)
    update(w2, grad_w2, rate)
