"""A two-layer ReLU network trained by gradient descent, its backward pass written by hand.

backend torch, method tutorial, dtype float32, seed 0

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

# The same numbers as tensors
x, y, w1, w2 = (torch.tensor(array, device=device) for array in (x, y, w1, w2))

for t in range(steps):
    # Forward pass: predicted y
    h = x.mm(w1)
    h_relu = h.clamp(min=0)
    y_pred = h_relu.mm(w2)

    # Loss
    loss = (y_pred - y).pow(2).sum().item()
    if not np.isfinite(loss):
        print(f"diverged: the loss of step {t} is not finite", file=sys.stderr)
        break
    print(t, float(loss))

    # Backward pass: the gradients of the loss with respect to w1 and w2
    grad_y_pred = 2.0 * (y_pred - y)
    grad_w2 = h_relu.t().mm(grad_y_pred)
    grad_h_relu = grad_y_pred.mm(w2.t())
    grad_h = grad_h_relu.clone()
    grad_h[h < 0] = 0
    grad_w1 = x.t().mm(grad_h)

    # Weight update
    w1 -= learning_rate * grad_w1
    w2 -= learning_rate * grad_w2
