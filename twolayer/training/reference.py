"""One iteration of the tutorial in float64, one formula per line: shown on the pages, oracle of the tests.

From "Learning PyTorch with Examples": a fully connected network with one hidden ReLU layer, no bias,
squared-error loss summed over the batch, full-batch gradient descent.
"""

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


def forward(x: Float64, w1: Float64, w2: Float64) -> tuple[Float64, Float64, Float64]:
    """Forward pass: h (N, H), h_relu (N, H), y_pred (N, D_out)."""
    h = x @ w1
    h_relu = np.maximum(h, 0)
    y_pred = h_relu @ w2
    return h, h_relu, y_pred


def backward(
    x: Float64, y: Float64, w2: Float64, h: Float64, h_relu: Float64, y_pred: Float64
) -> tuple[Float64, Float64]:
    """Backward pass: the gradients of the loss with respect to w1 (D_in, H) and w2 (H, D_out).

    Where h is exactly 0 the gradient passes: the mask is h < 0.
    """
    grad_y_pred = 2 * (y_pred - y)
    grad_w2 = h_relu.T @ grad_y_pred
    grad_h_relu = grad_y_pred @ w2.T
    grad_h = np.where(h < 0, 0, grad_h_relu)
    grad_w1 = x.T @ grad_h
    return grad_w1, grad_w2


def iteration(
    x: Float64, y: Float64, w1: Float64, w2: Float64, learning_rate: float
) -> tuple[float, Float64, Float64]:
    """One step of gradient descent: the loss before the update, and the new w1 and w2."""
    h, h_relu, y_pred = forward(x, w1, w2)
    loss = np.sum((y_pred - y) ** 2)
    grad_w1, grad_w2 = backward(x, y, w2, h, h_relu, y_pred)
    w1 = w1 - learning_rate * grad_w1
    w2 = w2 - learning_rate * grad_w2
    return float(loss), w1, w2
