"""A two-layer ReLU network trained by gradient descent, its backward pass written by hand.

backend numpy, method fused, dtype float32, seed 0

After the PyTorch tutorial "Learning PyTorch with Examples": h = x·w1, h_relu = max(h, 0),
y_pred = h_relu·w2, loss = Σ (y_pred − y)². Prints each step and its loss, from before its update.

These are the operations of the run in their order: on the same machine, its losses to the last bit.
"""

import os
import sys

for library in ("OPENBLAS", "MKL", "OMP", "VECLIB", "BLIS"):  # before NumPy is loaded
    os.environ[f"{library}_NUM_THREADS"] = "1"

import numpy as np
from scipy.linalg.blas import saxpy as axpy, sdot as dot, sgemm as gemm

np.seterr(over="ignore", invalid="ignore")

N, D_in, H, D_out = 64, 1000, 100, 10
learning_rate = 1e-06
steps = 500

# One fixed random batch and the initial weights, drawn in this order
g = np.random.default_rng(0)
x = g.standard_normal((N, D_in)).astype(np.float32)
y = g.standard_normal((N, D_out)).astype(np.float32)
w1 = g.standard_normal((D_in, H)).astype(np.float32)
w2 = g.standard_normal((H, D_out)).astype(np.float32)

# Arrays that are made once, in the order of Fortran, which BLAS wants. gemm(α, a, b, β, c) writes
# α·a·b + β·c into c. w2 is stored transposed, so that columns of it and of h are hidden units.
minus_y, w2_T = np.asfortranarray(-y), np.asfortranarray(w2.T)
h = np.empty((N, H), x.dtype, order="F")
difference = np.empty_like(minus_y)
x, w1 = np.asfortranarray(x), np.asfortranarray(w1)

# Blocks of hidden units whose part of h fits in the cache, of 64 units at least; one block if h fits
units = -(-H // -(-H // max(64, 65536 // N)))
blocks = [slice(first, first + units) for first in range(0, H, units)]

for t in range(steps):
    # Forward pass: y_pred − y
    gemm(1.0, x, w1, 0.0, h, overwrite_c=True)
    np.copyto(difference, minus_y)
    for b in blocks:
        gemm(1.0, np.maximum(h[:, b], 0), w2_T[:, b], 1.0, difference, trans_b=True, overwrite_c=True)

    # Loss
    loss = dot(difference.ravel("K"), difference.ravel("K"))
    if not np.isfinite(loss):
        print(f"diverged: the loss of step {t} is not finite", file=sys.stderr)
        break
    print(t, float(loss))

    # Backward pass, and the update of w2; grad_h is written over h, and the factor 2 is in the rate
    rate = 2 * learning_rate
    for b in blocks:
        h_relu, negative = np.maximum(h[:, b], 0), h[:, b] < 0
        gemm(1.0, difference, w2_T[:, b], 0.0, h[:, b], overwrite_c=True)
        h[:, b][negative] = 0
        gemm(-rate, difference, h_relu, 1.0, w2_T[:, b], trans_a=True, overwrite_c=True)

    # Weight update
    gemm(-rate, x, h, 1.0, w1, trans_a=True, overwrite_c=True)
