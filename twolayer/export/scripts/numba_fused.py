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


# Matrices are stored in panels of 64 columns, a panel's rows one after the other, padded with 0. The
# columns are the samples: row j of h is a hidden unit.
PANEL, BLOCK, LANES = 64, 4, 16


def in_panels(matrix):
    height, width = matrix.shape
    padded = np.pad(matrix, [(0, -height % BLOCK), (0, -width % PANEL)])
    by_panel = padded.reshape(len(padded), -1, PANEL).transpose(1, 0, 2)
    return np.ascontiguousarray(by_panel).reshape(len(by_panel), -1)


@compiled
def multiply_add(a, b, out):
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
def add_product(a, b, out):
    """out += a·b, all in panels: the columns of a are the rows of b."""
    size = PANEL * PANEL
    for p in range(len(out)):
        for q in range(len(a)):
            multiply_add(a[q], b[p, q * size : (q + 1) * size], out[p])


@compiled
def transpose(panels, transposed):
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


@compiled
def forward(start, factor, minus_y, w, w2_T, h, h_relu, difference):
    """Compute h, h_relu = max(h, 0) and the difference w2ᵀ·h_relu − y."""
    zero = h.dtype.type(0)
    h[:] = start
    add_product(w, factor, h)
    for p in range(len(h)):
        for i in range(h.shape[1]):
            h_relu[p, i] = zero if h[p, i] <= zero else h[p, i]  # NaN stays
    difference[:] = minus_y
    add_product(w2_T, h_relu, difference)


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
def backward(w2, difference, h, rate, change):
    """Add rate · grad_h to `change`, four rows of a panel at a time; nothing is added where h < 0."""
    zero = h.dtype.type(0)
    size, whole = BLOCK * PANEL, PANEL * PANEL
    grad_h = np.empty(size, h.dtype)
    for p in range(len(h)):
        for i in range(0, h.shape[1], size):
            grad_h[:] = zero
            for q in range(len(w2)):
                multiply_add(w2[q, i : i + size], difference[p, q * whole : (q + 1) * whole], grad_h)
            of_change, of_h = change[p, i : i + size], h[p, i : i + size]
            for k in range(size):
                of_change[k] += zero if of_h[k] < zero else rate * grad_h[k]


@compiled
def update_w2(h_relu, h_relu_T, difference, rate, w2, w2_T):
    """w2 −= rate · h_reluᵀ·difference, the whole sum at once."""
    transpose(h_relu, h_relu_T)
    grad_w2 = np.empty((1, w2_T.shape[1]), w2.dtype)
    for q in range(len(w2_T)):
        grad_w2[:] = w2.dtype.type(0)
        add_product(difference, h_relu_T[q : q + 1], grad_w2)
        for i in range(grad_w2.size):
            w2_T[q, i] -= rate * grad_w2[0, i]
    transpose(w2_T, w2)


@compiled
def update_w1(change, x, w):
    """w1 += change·x, the whole sum at once."""
    total = np.empty((1, w.shape[1]), w.dtype)
    for p in range(len(w)):
        total[:] = w.dtype.type(0)
        add_product(change, x[p : p + 1], total)
        for i in range(total.size):
            w[p, i] += total[0, i]


factor, x, w = in_panels(x.T), in_panels(x), in_panels(w1.T)
start = np.zeros((len(factor), w.shape[1]), x.dtype)
minus_y, w2, w2_T = in_panels(-y.T), in_panels(w2), in_panels(w2.T)
h, h_relu = np.zeros_like(start), np.zeros_like(start)
h_relu_T = in_panels(np.zeros((N, H), x.dtype))
difference, change = np.zeros_like(minus_y), np.zeros_like(start)

for t in range(steps):
    # Forward pass: y_pred − y
    forward(start, factor, minus_y, w, w2_T, h, h_relu, difference)

    # Loss
    loss = sum_of_squares(difference)
    if not np.isfinite(loss):
        print(f"diverged: the loss of step {t} is not finite", file=sys.stderr)
        break
    print(t, float(loss))

    # Backward pass; the factor 2 of grad_y_pred is in the rate
    rate = x.dtype.type(2 * learning_rate)
    change[:] = 0
    backward(w2, difference, h, -rate, change)

    # Weight update
    update_w2(h_relu, h_relu_T, difference, rate, w2, w2_T)
    update_w1(change, x, w)
