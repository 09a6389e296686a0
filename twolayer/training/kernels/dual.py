"""The dual form of the iteration, `gram`: what its kernels share.

The batch is fixed, so all updates of w1 lie in the row space of x. With S, the sum of
learning_rate · grad_h over the steps so far,

    w1 = w1_start − xᵀ·S        h = x·w1 = h_start − K·S        K = x·xᵀ

so a step does not need x: 2N²H + 6NHD_out operations instead of 4ND_inH + 6NHD_out. The iterates are
those of the tutorial.

h is computed from S in each step rather than updated alongside it: in float32 the two sums would drift
apart (after 20,000 steps at the default sizes the reported loss was 1e-6, that of the weights 0.65).
K and h_start are computed in float64 and rounded once.
"""

import numpy as np

from twolayer.training.kernels import Kernel, State
from twolayer.training.problem import Array, Problem


class Dual(Kernel):
    """A kernel whose state is S (N, H) in place of w1, and w2 (H, D_out)."""

    @staticmethod
    def constants(problem: Problem) -> State:
        """Return K (N, N) and h_start (N, H), in the problem's dtype and in Fortran order; of M held-out rows
        too, if there are any: x_held_out·xᵀ (M, N), and h (M, H)."""
        x, w1 = (array.astype(np.float64, copy=False) for array in (problem.x, problem.w1))
        dtype = problem.x.dtype
        with np.errstate(over="ignore"):
            K, h = (product.astype(dtype, order="F", copy=False) for product in (x @ x.T, x @ w1))
            constants = {"K": K, "h": h + 0}  # −0 becomes +0: a kernel can read the sign of h from its bit
            if problem.held_out is not None:
                other = problem.held_out.x.astype(np.float64, copy=False)
                products = {"K_held_out": other @ x.T, "h_held_out": other @ w1}
                constants |= {name: a.astype(dtype, copy=False) for name, a in products.items()}
        return constants

    @staticmethod
    def start(problem: Problem) -> State:
        return {"S": np.zeros_like(problem.constants["h"]), "w2": problem.w2}

    @staticmethod
    def hidden_of_held_out(problem: Problem, state: State) -> Array:
        constants = problem.constants
        return constants["h_held_out"] - constants["K_held_out"] @ state["S"]

    @staticmethod
    def weights(problem: Problem, state: State) -> tuple[Array, Array]:
        with np.errstate(over="ignore", invalid="ignore"):
            return problem.w1 - problem.x.T @ state["S"], state["w2"]
