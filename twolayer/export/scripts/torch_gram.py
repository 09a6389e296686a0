"""A two-layer ReLU network trained by gradient descent, its backward pass written by hand.

backend torch, method gram, dtype float32, seed 0

After the PyTorch tutorial "Learning PyTorch with Examples": h = x·w1, h_relu = max(h, 0),
y_pred = h_relu·w2, loss = Σ (y_pred − y)². Prints each step and its loss, from before its update.

These are the operations of the run in their order: on the same machine, its losses to the last bit.
"""

import sys

import numpy as np
import torch

np.seterr(over="ignore")
torch.set_num_threads(1)
device = torch.device("cpu")

N, D_in, H, D_out = 64, 1000, 100, 10
learning_rate = 1e-06
steps = 500

# One fixed random batch and the initial weights, drawn in this order
g = np.random.default_rng(0)
x = g.standard_normal((N, D_in)).astype(np.float32)
y = g.standard_normal((N, D_out)).astype(np.float32)
w1 = g.standard_normal((D_in, H)).astype(np.float32)
w2 = g.standard_normal((H, D_out)).astype(np.float32)

# The dual form: the batch is fixed, so w1 = w1_start − xᵀ·S, and h = h_start − K·S needs x no more.
# Its constants are products in float64, rounded once.
K = (x.astype(np.float64) @ x.astype(np.float64).T).astype(x.dtype)
h_start = (x.astype(np.float64) @ w1.astype(np.float64)).astype(x.dtype) + 0
S = np.zeros_like(h_start)

# The same numbers as tensors
K, h_start, S, y, w2 = (torch.tensor(array, device=device) for array in (K, h_start, S, y, w2))

# Tensors that are made once. y_pred − y and w2 are stored transposed, which is faster.
y_T, w2_T = y.t().contiguous(), w2.t().contiguous()
h = torch.empty(N, H, dtype=y.dtype, device=device)
h_relu, grad_h, difference_T = torch.empty_like(h), torch.empty_like(h), torch.empty_like(y_T)

for t in range(steps):
    # Forward pass: y_pred − y
    torch.addmm(h_start, K, S, alpha=-1, out=h)
    torch.clamp(h, min=0, out=h_relu)
    torch.addmm(y_T, w2_T, h_relu.t(), beta=-1, out=difference_T)

    # Loss
    loss = torch.dot(difference_T.view(-1), difference_T.view(-1)).item()
    if not np.isfinite(loss):
        print(f"diverged: the loss of step {t} is not finite", file=sys.stderr)
        break
    print(t, float(loss))

    # Backward pass; the factor 2 of grad_y_pred is in the rate
    rate = 2 * learning_rate
    torch.mm(difference_T.t(), w2_T, out=grad_h)
    grad_h.masked_fill_(h < 0, 0.0)

    # Weight update
    w2_T.addmm_(difference_T, h_relu, alpha=-rate)
    S.add_(grad_h, alpha=rate)
