"""A two-layer ReLU network trained by gradient descent, its backward pass written by hand.

backend numba, method tutorial, dtype float32, seed 0

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


@compiled
def predict(x, w1, w2):
    """Return h, h_relu and y_pred, as the tutorial computes them."""
    h = np.dot(x, w1)
    h_relu = np.maximum(h, h.dtype.type(0))
    return h, h_relu, np.dot(h_relu, w2)


@compiled
def square_sum(y_pred, y):
    """Return the loss, as the tutorial computes it."""
    return np.square(y_pred - y).sum()


@compiled
def gradients(x, y, w2, forward):
    """Return the gradients of the loss with respect to w1 and w2, as the tutorial computes them."""
    h, h_relu, y_pred = forward
    zero = h.dtype.type(0)
    grad_y_pred = h.dtype.type(2) * (y_pred - y)
    grad_w2 = np.dot(h_relu.T, grad_y_pred)
    grad_h_relu = np.dot(grad_y_pred, w2.T)
    grad_h = np.where(h < zero, zero, grad_h_relu)
    return np.dot(x.T, grad_h), grad_w2


@compiled
def descend(weight, gradient, rate):
    """weight −= rate · gradient."""
    weight -= rate * gradient


for t in range(steps):
    # Forward pass
    forward = predict(x, w1, w2)

    # Loss
    loss = square_sum(forward[2], y)
    if not np.isfinite(loss):
        print(f"diverged: the loss of step {t} is not finite", file=sys.stderr)
        break
    print(t, float(loss))

    # Backward pass
    grad_w1, grad_w2 = gradients(x, y, w2, forward)

    # Weight update
    rate = x.dtype.type(learning_rate)
    descend(w1, grad_w1, rate)
    descend(w2, grad_w2, rate)
