"""Bound the rounding errors of the gradients of one backward pass, entry by entry.

A sum of n products in floating point, in any order, is off by at most n·u times the sum of their
absolute values (u is half the spacing of numbers at 1; Higham, "Accuracy and Stability of Numerical
Algorithms", section 3.1). The bounds below carry that through the formulas. Two correct computations
differ by at most the sum of their bounds; a larger difference is an error.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.training.program import Values


def of_sum(terms: int, dtype: Any) -> float:
    """Return the largest relative difference of two sums of `terms` products.

    Counts two more terms, for the operations applied to the sum.
    """
    return (terms + 2) * float(np.finfo(dtype).eps)


def bounds(inputs: Values, values: Values) -> dict[str, NDArray[Any]]:
    """Return how far two correct backward passes from the same forward values can differ.

    `values` come from a correct iteration from `inputs`. The bounds have the gradients' names and shapes.
    """
    x, w2, h_relu = np.abs(inputs["x"]), np.abs(inputs["w2"]), values["h_relu"]
    grad_y_pred, grad_h = np.abs(values["grad_y_pred"]), np.abs(values["grad_h"])
    (N, D_out), dtype = grad_y_pred.shape, grad_h.dtype

    of_grad_y_pred = of_sum(1, dtype) * grad_y_pred
    of_grad_h_relu = of_grad_y_pred @ w2.T + of_sum(D_out, dtype) * (grad_y_pred @ w2.T)
    of_grad_h = np.where(values["h"] < 0, 0, of_grad_h_relu)
    return {
        "grad_y_pred": of_grad_y_pred,
        "grad_w2": h_relu.T @ of_grad_y_pred + of_sum(N, dtype) * (h_relu.T @ grad_y_pred),
        "grad_h_relu": of_grad_h_relu,
        "grad_h": of_grad_h,
        "grad_w1": x.T @ of_grad_h + of_sum(N, dtype) * (x.T @ grad_h),
    }


def of_iteration(inputs: Values, values: Values, learning_rate: float) -> dict[str, NDArray[Any]]:
    """Return how far two correct iterations from the same inputs can differ, in each value.

    Unlike in `bounds`, the forward values are computed twice too, and a formula may be written in any correct
    way: with its terms in another order, or a difference as two differences.
    """
    x, y, w1, w2 = (np.abs(inputs[name]) for name in ("x", "y", "w1", "w2"))
    h_relu, y_pred = values["h_relu"], np.abs(values["y_pred"])
    grad_y_pred, grad_h_relu = np.abs(values["grad_y_pred"]), np.abs(values["grad_h_relu"])
    (N, D_in), (H, D_out), dtype = x.shape, w2.shape, x.dtype
    of_h = of_sum(D_in, dtype) * (x @ w1)
    of_y_pred = of_h @ w2 + of_sum(H, dtype) * (h_relu @ w2)
    residual = np.abs(values["y_pred"] - inputs["y"])
    of_residual = of_y_pred + of_sum(3, dtype) * (y_pred + y)
    of_grad_y_pred = 2 * of_residual
    of_grad_w2 = (
        h_relu.T @ of_grad_y_pred + of_h.T @ grad_y_pred + of_sum(N, dtype) * (h_relu.T @ grad_y_pred)
    )
    of_grad_h_relu = of_grad_y_pred @ w2.T + of_sum(D_out, dtype) * (grad_y_pred @ w2.T)
    certain = np.where(values["h"] < 0, 0, of_grad_h_relu)
    # Where h may have either sign, the mask may be either
    of_grad_h = np.where(np.abs(values["h"]) <= of_h, grad_h_relu + of_grad_h_relu, certain)
    of_grad_h = np.where(values["h"] == 0, certain, of_grad_h)
    of_grad_w1 = x.T @ of_grad_h + of_sum(N, dtype) * (x.T @ np.abs(values["grad_h"]))
    found = {
        "h": of_h,
        "h_relu": of_h,
        "y_pred": of_y_pred,
        "loss": np.asarray(
            np.sum(2 * residual * of_residual + of_residual**2) + of_sum(N * D_out, dtype) * values["loss"]
        ),
        "grad_y_pred": of_grad_y_pred,
        "grad_w2": of_grad_w2,
        "grad_h_relu": of_grad_h_relu,
        "grad_h": of_grad_h,
        "grad_w1": of_grad_w1,
    }
    for name, old in (("w1", w1), ("w2", w2)):
        change = learning_rate * np.abs(values[f"grad_{name}"])
        found[name] = learning_rate * found[f"grad_{name}"] + of_sum(2, dtype) * (old + change)
    return found
