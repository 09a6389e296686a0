"""A two-layer ReLU network with a backward pass of one's own, which this script checks before it trains.

dtype float32, seed 0

The check compares the gradients with central differences of the loss along random directions, in float64.
"""

import numpy as np
import torch

N, D_in, H, D_out = 64, 1000, 100, 10
learning_rate = 1e-06
steps = 500

# One fixed random batch and the initial weights, drawn in this order
g = np.random.default_rng(0)
x = g.standard_normal((N, D_in)).astype(np.float64)
y = g.standard_normal((N, D_out)).astype(np.float64)
w1 = g.standard_normal((D_in, H)).astype(np.float64)
w2 = g.standard_normal((H, D_out)).astype(np.float64)
x64, y64, w1_64, w2_64 = (torch.from_numpy(array) for array in (x, y, w1, w2))


def iteration(x, y, w1, w2):
    """Return the loss, both gradients, and the new weights."""
    # Begin of the program
    h = x.mm(w1)
    h_relu = h.clamp(min=0)
    y_pred = h_relu.mm(w2)
    loss = (y_pred - y).pow(2).sum()
    grad_y_pred = 2.0 * (y_pred - y)
    grad_w2 = h_relu.t().mm(grad_y_pred)
    grad_h_relu = grad_y_pred.mm(w2.t())
    grad_h = torch.where(h < 0, 0, grad_h_relu)
    grad_w1 = x.t().mm(grad_h)
    w1 = w1 - learning_rate * grad_w1
    w2 = w2 - learning_rate * grad_w2
    # End of the program
    return loss, (grad_w1, grad_w2), (w1, w2)


def check():
    """Return the largest error along eight directions in each of w1 and w2, relative to a usual entry."""
    gradients = iteration(x64, y64, w1_64, w2_64)[1]
    largest = 0.0
    for place, gradient in enumerate(gradients):
        size = float(torch.linalg.norm(gradient)) / (gradient.shape[0] * gradient.shape[1]) ** 0.5
        for _ in range(8):
            way = torch.from_numpy(g.standard_normal(tuple(gradient.shape)))
            way /= torch.linalg.norm(way)
            both = []
            for step in (1e-4, -1e-4):
                weights = [w1_64, w2_64]
                weights[place] = weights[place] + step * way
                both.append((x64.mm(weights[0]).clamp(min=0).mm(weights[1]) - y64).square().sum())
            slope, quotient = torch.sum(gradient * way), (both[0] - both[1]) / 2e-4
            largest = max(largest, abs(slope - quotient) / (size or 1.0))
    return largest


error = check()
verdict = "right" if error < 1e-4 else "WRONG"
print(f"# gradients: {verdict}, largest error against central differences {error:.1e}")

x, y, w1, w2 = (array.to(torch.float32) for array in (x64, y64, w1_64, w2_64))
for t in range(steps):
    loss, _gradients, (w1, w2) = iteration(x, y, w1, w2)
    if not torch.isfinite(loss):
        break
    print(t, float(loss))
