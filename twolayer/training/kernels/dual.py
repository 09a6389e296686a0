"""The dual form of the iteration, `gram`: what its kernels share.

The batch is fixed, so that w1 only ever moves inside the row space of x. With S, the sum of
learning_rate · grad_h over the steps so far,

    w1 = w1_start − xᵀ·S        h = x·w1 = h_start − K·S        K = x·xᵀ

so a step needs x no more: 2N²H + 6NHD_out operations instead of 4ND_inH + 6NHD_out. The iterates are
those of the tutorial.

h is computed from S in each step, and never updated by itself: two sums that round apart would, in
float32, end with losses that the weights do not have (after 20,000 steps at the default sizes a loss
of 1e-6 was reported for weights whose loss is 0.65). K and h_start are products in float64, rounded once.
"""

import numpy as np

from twolayer.training.kernels import State
from twolayer.training.problem import Array, Problem


def constants(problem: Problem) -> State:
    """K (N, N) and h_start (N, H), in the problem's dtype and in Fortran's order."""
    x, w1 = (array.astype(np.float64, copy=False) for array in (problem.x, problem.w1))
    dtype = problem.x.dtype
    with np.errstate(over="ignore"):
        K, h = (product.astype(dtype, order="F", copy=False) for product in (x @ x.T, x @ w1))
    # Adding 0 makes a negative zero positive: a kernel may then read the sign of h from its bit.
    return {"K": K, "h": h + 0}


def start(problem: Problem) -> State:
    """S (N, H), nothing yet, and w2 (H, D_out)."""
    return {"S": np.zeros_like(problem.constants["h"]), "w2": problem.w2}


def weights(problem: Problem, state: State) -> tuple[Array, Array]:
    """w1 (D_in, H), formed only here, and w2 (H, D_out)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return problem.w1 - problem.x.T @ state["S"], state["w2"]
