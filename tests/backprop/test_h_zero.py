"""At h = 0 the tutorial's mask and `clamp` let the gradient through, `relu` does not."""

import inspect

import numpy as np
import pytest
import torch

from twolayer.dashboard.gradients import reading
from twolayer.training.reference import backward, forward

X, W1, W2, Y = ([[1.0, 1.0]], [[1.0], [-1.0]], [[1.0]], [[1.0]])
"""The network of the text."""


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (lambda h: h.clamp(min=0), [[-2.0], [-2.0]]),
        (torch.relu, [[0.0], [0.0]]),
        (torch.nn.ReLU(), [[0.0], [0.0]]),
    ],
    ids=["clamp", "relu", "nn.ReLU"],
)
def test_the_gradients_of_the_text_are_those_of_torch(activation, expected):
    w1 = torch.tensor(W1, requires_grad=True)
    y_pred = activation(torch.tensor(X).mm(w1)).mm(torch.tensor(W2))
    (y_pred - torch.tensor(Y)).pow(2).sum().backward()
    assert w1.grad.tolist() == expected


def test_the_gradient_of_the_mask_is_that_of_clamp_and_the_text_has_these_numbers():
    x, w1, w2, y = map(np.array, (X, W1, W2, Y))
    grad_w1, _ = backward(x, y, w2, *forward(x, w1, w2))
    assert grad_w1.tolist() == [[-2.0], [-2.0]]
    text = inspect.getsource(reading)
    for words in ("x = [[1, 1]], w1 = [[1], [-1]], w2 = [[1]], y = [[1]]", "[[-2], [-2]]", "[[0], [0]]"):
        assert words in text
