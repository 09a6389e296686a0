"""A two-layer ReLU network trained by gradient descent, its backward pass written by hand: as a notebook.

dtype float32, seed 0

Each `# %%` begins a cell.
"""

# %% setup
import os

for library in ("OPENBLAS", "MKL", "OMP", "VECLIB", "BLIS"):  # before NumPy is loaded
    os.environ[f"{library}_NUM_THREADS"] = "1"

import numpy as np
import plotly.graph_objects as go

np.seterr(over="ignore", invalid="ignore")

N, D_in, H, D_out = 64, 1000, 100, 10
learning_rate = 1e-06
steps = 500

# %% data
# One fixed random batch and the initial weights, drawn in this order
g = np.random.default_rng(0)
x = g.standard_normal((N, D_in)).astype(np.float32)
y = g.standard_normal((N, D_out)).astype(np.float32)
w1 = g.standard_normal((D_in, H)).astype(np.float32)
w2 = g.standard_normal((H, D_out)).astype(np.float32)


# %% forward
def forward(x, w1, w2):
    h = x.dot(w1)
    h_relu = np.maximum(h, 0)
    y_pred = h_relu.dot(w2)
    return h, h_relu, y_pred


def loss_of(x, y, w1, w2):
    y_pred = forward(x, w1, w2)[-1]
    return np.square(y_pred - y).sum()


print("loss at the start:", loss_of(x, y, w1, w2))


# %% backward
def gradients_of(x, y, w1, w2):
    h, h_relu, y_pred = forward(x, w1, w2)
    # Backward pass: the gradients of the loss with respect to w1 and w2
    grad_y_pred = 2.0 * (y_pred - y)
    grad_w2 = h_relu.T.dot(grad_y_pred)
    grad_h_relu = grad_y_pred.dot(w2.T)
    grad_h = grad_h_relu.copy()
    grad_h[h < 0] = 0
    grad_w1 = x.T.dot(grad_h)
    return grad_w1, grad_w2


# %% check
step_size = 1e-6
arrays = [array.astype(np.float64) for array in (x, y, w1, w2)]
choose = np.random.default_rng(1)


def central_difference(number, index):
    """The slope of the loss along one entry of an array; None if a ReLU switches on the way."""
    losses, active = [], []
    for sign in (1, -1):
        moved = [array.copy() if n == number else array for n, array in enumerate(arrays)]
        moved[number][index] += sign * step_size
        losses.append(loss_of(*moved))
        active.append(forward(moved[0], *moved[2:])[0] < 0)
    if (active[0] != active[1]).any():
        return None
    return (losses[0] - losses[1]) / (2 * step_size)


for name, number, gradient in zip(("w1", "w2"), (2, 3), gradients_of(*arrays), strict=True):
    errors, largest = [0.0], np.abs(gradient).max()
    for _ in range(20):
        index = tuple(choose.integers(gradient.shape))
        slope = central_difference(number, index)
        if slope is not None:
            errors.append(abs(slope - gradient[index]) / max(largest, np.finfo(float).tiny))
    print(f"grad_{name}: {len(errors) - 1} entries, largest error {max(errors):.1e} of the largest entry")
    assert max(errors) < 1e-4, f"grad_{name} does not agree with the slopes of the loss"

# %% training
losses = []
for t in range(steps):
    loss = loss_of(x, y, w1, w2)
    if not np.isfinite(loss):
        print(f"diverged: the loss of step {t} is not finite")
        break
    losses.append(float(loss))
    grad_w1, grad_w2 = gradients_of(x, y, w1, w2)

    # Weight update
    w1 -= learning_rate * grad_w1
    w2 -= learning_rate * grad_w2

print(f"{len(losses)} steps")
if losses:
    print("first loss:", losses[0])
    print("last loss:", losses[-1])

# %% curve
every = max(1, len(losses) // 2000)
figure = go.Figure(go.Scatter(x=np.arange(len(losses))[::every], y=losses[::every]))
figure.update_layout(title="Loss", xaxis_title="step", yaxis_title="loss", yaxis_type="log")
figure.show()
