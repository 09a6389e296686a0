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
# α·a·b + β·c into c.
y, w2 = np.asfortranarray(y), np.asfortranarray(w2)
h = np.empty((N, H), x.dtype, order="F")
h_relu, grad_h = np.empty_like(h), np.empty_like(h)
difference = np.empty_like(y)
x, w1 = np.asfortranarray(x), np.asfortranarray(w1)

for t in range(steps):
    # Forward pass: y_pred − y
    gemm(1.0, x, w1, 0.0, h, overwrite_c=True)
    np.maximum(h, 0, out=h_relu)
    np.copyto(difference, y)
    gemm(1.0, h_relu, w2, -1.0, difference, overwrite_c=True)

    # Loss
    loss = dot(difference.ravel("K"), difference.ravel("K"))
    if not np.isfinite(loss):
        print(f"diverged: the loss of step {t} is not finite", file=sys.stderr)
        break
    print(t, float(loss))

    # Backward pass; the factor 2 of grad_y_pred is in the rate
    rate = 2 * learning_rate
    gemm(1.0, difference, w2, 0.0, grad_h, trans_b=True, overwrite_c=True)
    grad_h[h < 0] = 0

    # Weight update
    gemm(-rate, h_relu, difference, 1.0, w2, trans_a=True, overwrite_c=True)
    gemm(-rate, x, grad_h, 1.0, w1, trans_a=True, overwrite_c=True)
