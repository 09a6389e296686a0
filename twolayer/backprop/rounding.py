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
