"""The reference, against PyTorch's autograd and against numbers worked out by hand."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from twolayer.training.reference import backward, forward, iteration


@pytest.mark.parametrize("shape", [(64, 100, 30, 10), (1, 1, 1, 1), (5, 1, 7, 1), (1, 6, 1, 3)], ids=str)
def test_gradients_agree_with_autograd(shape):
    N, D_in, H, D_out = shape
    g = np.random.default_rng(20)
    x, y = g.standard_normal((N, D_in)), g.standard_normal((N, D_out))
    w1, w2 = g.standard_normal((D_in, H)), g.standard_normal((H, D_out))
    t1, t2 = torch.tensor(w1, requires_grad=True), torch.tensor(w2, requires_grad=True)
    loss = (torch.relu(torch.tensor(x) @ t1) @ t2 - torch.tensor(y)).pow(2).sum()
    loss.backward()
    grad_w1, grad_w2 = backward(x, y, w2, *forward(x, w1, w2))
    assert_allclose(grad_w1, t1.grad.numpy(), rtol=1e-12, atol=1e-12 * np.abs(grad_w1).max())
    assert_allclose(grad_w2, t2.grad.numpy(), rtol=1e-12, atol=1e-12 * np.abs(grad_w2).max())
    assert (grad_w1.shape, grad_w2.shape) == (w1.shape, w2.shape)
    assert iteration(x, y, w1, w2, 0.1)[0] == pytest.approx(loss.item(), rel=1e-12)


# Two rows, two hidden units. h = [[1, -1], [0, 2]]: one unit inactive, one exactly at 0.
X = np.array([[1.0, 0.0], [0.0, 1.0]])
W1 = np.array([[1.0, -1.0], [0.0, 2.0]])
W2 = np.array([[3.0], [1.0]])
Y = np.array([[1.0], [5.0]])


def test_the_forward_pass_gives_the_numbers_worked_out_by_hand():
    h, h_relu, y_pred = forward(X, W1, W2)
    assert_array_equal(h, [[1, -1], [0, 2]])
    assert_array_equal(h_relu, [[1, 0], [0, 2]])
    assert_array_equal(y_pred, [[3], [2]])


def test_the_backward_pass_gives_the_numbers_worked_out_by_hand():
    # grad_y_pred = 2 (y_pred - y) = [[4], [-6]]; grad_h_relu = [[12, 4], [-18, -6]]
    grad_w1, grad_w2 = backward(X, Y, W2, *forward(X, W1, W2))
    assert_array_equal(grad_w2, [[4], [-12]])
    assert_array_equal(grad_w1, [[12, 0], [-18, -6]])


def test_where_h_is_exactly_zero_the_gradient_passes():
    grad_w1, _ = backward(X, Y, W2, *forward(X, W1, W2))
    assert forward(X, W1, W2)[0][1, 0] == 0
    assert grad_w1[1, 0] == -18


def test_one_iteration_gives_the_loss_before_the_update_and_the_new_weights():
    loss, w1, w2 = iteration(X, Y, W1, W2, 0.5)
    assert loss == 2**2 + 3**2
    assert isinstance(loss, float)
    assert_array_equal(w1, [[-5, -1], [9, 5]])
    assert_array_equal(w2, [[1], [7]])


def test_an_iteration_leaves_its_arguments_as_they_were():
    before = [array.copy() for array in (X, Y, W1, W2)]
    iteration(X, Y, W1, W2, 0.5)
    for array, kept in zip((X, Y, W1, W2), before, strict=True):
        assert_array_equal(array, kept)
