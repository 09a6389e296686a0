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


# Matrices are stored in panels of some columns, a panel's rows one after the other, padded with 0: 64 columns
# where these are samples or inputs, so that row j of h is a hidden unit, and 16 where they are outputs.
PANEL, OUTPUTS, BLOCK, LANES = 64, 16, 4, 16


def in_panels(matrix, columns=PANEL):
    height, width = matrix.shape
    padded = np.pad(matrix, [(0, -height % BLOCK), (0, -width % columns)])
    by_panel = padded.reshape(len(padded), -1, columns).transpose(1, 0, 2)
    return np.ascontiguousarray(by_panel).reshape(len(by_panel), -1)


def multiply_add(width):
    """Return a function that multiplies panels of `width` columns."""

    @compiled
    def multiply_add(a, down, right, b, out):
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
def add_product(a, b, out):
    """out += a·b for all panels of a, and for a panel of b and of `out`, all of 64 columns."""
    size = PANEL * PANEL
    for q in range(len(a)):
        multiply_add_64(a[q], PANEL, 1, b[q * size : (q + 1) * size], out)


@compiled
def copy(panel, to):
    """Copy a panel. Numba's own assignment takes several times as long."""
    for i in range(panel.size):
        to[i] = panel[i]


@compiled
def clear(panel):
    """Set a panel to 0, as fast."""
    for i in range(panel.size):
        panel[i] = 0


@compiled
def forward(start, factor, minus_y, w, w2, h, h_relu, difference):
    """Compute h, h_relu = max(h, 0) and the difference w2ᵀ·h_relu − y."""
    zero, size = h.dtype.type(0), OUTPUTS * PANEL
    for p in range(len(h)):
        copy(start[p], h[p])
        add_product(w, factor[p], h[p])
        copy(minus_y[p], difference[p])
        for i in range(h.shape[1]):
            h_relu[p, i] = zero if h[p, i] <= zero else h[p, i]  # NaN stays
        for q in range(len(w2)):
            multiply_add_64(w2[q], 1, OUTPUTS, h_relu[p], difference[p, q * size : (q + 1) * size])


@compiled
def sum_of_squares(difference):
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
def backward(w2, difference, h, rate, grad_h, change):
    """Add rate · grad_h to `change`; nothing is added where h < 0."""
    zero, size = h.dtype.type(0), OUTPUTS * PANEL
    for p in range(len(h)):
        clear(grad_h)
        for q in range(len(w2)):
            multiply_add_64(w2[q], OUTPUTS, 1, difference[p, q * size : (q + 1) * size], grad_h)
        for i in range(grad_h.size):
            change[p, i] += zero if h[p, i] < zero else rate * grad_h[i]


@compiled
def transpose(difference, difference_T):
    """Write the rows of `difference` to the columns of `difference_T`."""
    for p in range(len(difference)):
        for o in range(difference.shape[1] // PANEL):
            row = difference[p, o * PANEL : (o + 1) * PANEL]
            column = difference_T[o // OUTPUTS, p * PANEL * OUTPUTS + o % OUTPUTS :]
            for n in range(PANEL):
                column[n * OUTPUTS] = row[n]


@compiled
def update_w2(h_relu, difference, difference_T, rate, grad_w2, w2):
    """w2 −= rate · h_reluᵀ·difference, the whole sum at once."""
    transpose(difference, difference_T)
    size = PANEL * OUTPUTS
    for q in range(len(w2)):
        clear(grad_w2)
        for p in range(len(h_relu)):
            multiply_add_16(h_relu[p], PANEL, 1, difference_T[q, p * size : (p + 1) * size], grad_w2)
        for i in range(grad_w2.size):
            w2[q, i] -= rate * grad_w2[i]


@compiled
def update_w1(change, x, grad_w1, w):
    """w1 += change·x, the whole sum at once."""
    for p in range(len(w)):
        clear(grad_w1)
        add_product(change, x[p], grad_w1)
        for i in range(grad_w1.size):
            w[p, i] += grad_w1[i]


factor, x, w = in_panels(x.T), in_panels(x), in_panels(w1.T)
start = np.zeros((len(factor), w.shape[1]), x.dtype)
minus_y, w2 = in_panels(-y.T), in_panels(w2, OUTPUTS)
h, h_relu, grad_h = np.zeros_like(start), np.zeros_like(start), np.zeros_like(start[0])
difference, grad_w2 = np.zeros_like(minus_y), np.zeros_like(w2[0])
difference_T = in_panels(np.zeros((PANEL * len(minus_y), D_out), x.dtype), OUTPUTS)
change, grad_w1 = np.zeros_like(start), np.zeros_like(w[0])

for t in range(steps):
    # Forward pass: y_pred − y
    forward(start, factor, minus_y, w, w2, h, h_relu, difference)

    # Loss
    loss = sum_of_squares(difference)
    if not np.isfinite(loss):
        print(f"diverged: the loss of step {t} is not finite", file=sys.stderr)
        break
    print(t, float(loss))

    # Backward pass; the factor 2 of grad_y_pred is in the rate
    rate = x.dtype.type(2 * learning_rate)
    change[:] = 0
    backward(w2, difference, h, -rate, grad_h, change)

    # Weight update
    update_w2(h_relu, difference, difference_T, rate, grad_w2, w2)
    update_w1(change, x, grad_w1, w)
