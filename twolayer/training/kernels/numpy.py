"""The iteration in NumPy."""

import sys
from contextlib import AbstractContextManager
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from twolayer.training.config import Config
from twolayer.training.kernels import Kernel, State
from twolayer.training.kernels.dual import Dual
from twolayer.training.problem import Problem

Array = NDArray[Any]


def load_blas() -> Any:
    """Return SciPy's module of BLAS functions, without the rest of `scipy.linalg`, whose import takes 0.2 s.

    The extension module is registered under its own name, so that `scipy.linalg` finds it if it is imported
    later. Where it cannot be loaded alone, this is `scipy.linalg.blas`, with the same functions.
    """
    name = "scipy.linalg._fblas"
    if name not in sys.modules:
        try:
            folders = find_spec("scipy").submodule_search_locations  # type: ignore[union-attr]
            spec = PathFinder.find_spec(name, [str(Path(folder, "linalg")) for folder in folders or ()])
            module = module_from_spec(spec)  # type: ignore[arg-type]
            spec.loader.exec_module(module)  # type: ignore[union-attr]
            sys.modules[name] = module
        except (ImportError, AttributeError, OSError):
            return import_module("scipy.linalg.blas")
    return sys.modules[name]


BLAS = load_blas()  # before its library is looked up to set its threads


@cache
def _libraries() -> ThreadpoolController:
    """Return the BLAS libraries of this process. Finding them takes milliseconds."""
    return ThreadpoolController()


class Tutorial(Kernel):
    """A new array on each line, as in the tutorial's NumPy version."""

    def __init__(self, config: Config, problem: Problem, state: State, steps: int) -> None:
        self.x, self.y = problem.x, problem.y
        self.w1, self.w2 = state["w1"].copy(), state["w2"].copy()
        self.learning_rate = config.learning_rate
        self._losses = np.empty(steps)
        self._done = 0

    @staticmethod
    def threads(count: int) -> AbstractContextManager[object]:
        limit: AbstractContextManager[object] = _libraries().limit(limits=count, user_api="blas")
        return limit

    def _keep(self, loss: Any) -> None:
        self._losses[self._done] = loss
        self._done += 1

    def losses(self) -> NDArray[np.float64]:
        return self._losses[: self._done]

    def state(self) -> State:
        return {"w1": self.w1, "w2": self.w2}

    def dead(self) -> int:
        return int(np.count_nonzero(~(self.x.dot(self.w1) > 0).any(axis=0)))

    def step(self) -> None:
        x, y, w1, w2 = self.x, self.y, self.w1, self.w2
        # Forward pass: predicted y
        h = x.dot(w1)
        h_relu = np.maximum(h, 0)
        y_pred = h_relu.dot(w2)
        # Loss
        self._keep(np.square(y_pred - y).sum())
        # Backward pass: the gradients of the loss with respect to w1 and w2
        grad_y_pred = 2.0 * (y_pred - y)
        grad_w2 = h_relu.T.dot(grad_y_pred)
        grad_h_relu = grad_y_pred.dot(w2.T)
        grad_h = grad_h_relu.copy()
        grad_h[h < 0] = 0
        grad_w1 = x.T.dot(grad_h)
        # Weight update
        w1 -= self.learning_rate * grad_w1
        w2 -= self.learning_rate * grad_w2


BLOCK = 1 << 16
"""Elements of h in a block of hidden units: with h_relu and the mask, a block fits in the cache."""
FEWEST_UNITS = 64
"""Hidden units of a block where there are so many samples that no block fits: each block is added to the
outputs, and with a few units at a time that takes longer than what the cache saves."""


def blocks(N: int, H: int) -> list[slice]:
    """Return the hidden units in blocks of equal size; one block where h is small."""
    most = max(FEWEST_UNITS, BLOCK // N)
    units = -(-H // -(-H // most))
    return [slice(first, min(first + units, H)) for first in range(0, H, units)]


class Fused(Tutorial):
    """The same arithmetic without allocations in a step and with few passes over memory.

    BLAS's `gemm`, α·a·b + β·c into c, folds sums and updates into the products; it needs Fortran order.
    There the columns of h and of w2ᵀ, which is stored in place of w2, are hidden units: what lies between the
    two large products takes them a block at a time. grad_h is written over h.
    The factor 2 of grad_y_pred is folded into the learning rate, which is exact. The mask h < 0 is read
    from the sign bits as integers, and the maximum is with an array of zeros: NumPy vectorises these, but
    not a masked copy or a maximum with a scalar.
    """

    def __init__(self, config: Config, problem: Problem, state: State, steps: int) -> None:
        self._own(config, problem, state, steps)
        self.x, self.w1 = np.asfortranarray(problem.x), state["w1"].copy("F")

    def _own(self, config: Config, problem: Problem, state: State, steps: int) -> None:
        """Allocate the arrays of a step."""
        # gemm(α, a, b, β, c, transpose a, transpose b, overwrite c): by position, which is faster
        letter = "s" if config.dtype == "float32" else "d"
        self.gemm, self.axpy, self.dot = (getattr(BLAS, letter + name) for name in ("gemm", "axpy", "dot"))
        integer = np.dtype(config.dtype.replace("float", "int"))
        self.sign_bit = integer.type(8 * integer.itemsize - 1)
        self.minus_y, self.w2_T = np.asfortranarray(-problem.y), state["w2"].T.copy("F")
        self.h = np.empty((config.N, config.H), config.dtype, order="F")
        self.difference = np.empty_like(self.minus_y)
        self.flat_difference = self.difference.ravel("K")
        self.blocks = self._blocks(blocks(config.N, config.H), integer)
        self.rate = 2 * config.learning_rate
        self._losses = np.empty(steps)
        self._done = 0

    def _blocks(self, parts: list[slice], integer: np.dtype[Any]) -> list[tuple[Array, ...]]:
        """Return of each block its parts of h, its bits and w2ᵀ, and room for h_relu, zeros and the mask."""
        room = np.empty_like(self.h[:, parts[0]]), np.zeros_like(self.h[:, parts[0]])
        rooms = (*room, np.empty(room[0].shape, integer, order="F"))
        found = []
        for part in parts:
            h, w2_T = self.h[:, part], self.w2_T[:, part]
            found.append((h, h.view(integer), w2_T, *(array[:, : h.shape[1]] for array in rooms)))
        return found

    def _hidden(self) -> None:
        """Compute h = x·w1."""
        self.gemm(1.0, self.x, self.w1, 0.0, self.h, 0, 0, 1)

    def dead(self) -> int:
        self._hidden()
        return int(np.count_nonzero(~(self.h > 0).any(axis=0)))

    def state(self) -> State:
        return {"w1": self.w1, "w2": self.w2_T.T}

    def _update(self) -> None:
        """Compute w1 −= learning_rate · xᵀ·grad_h, where grad_h, in h, lacks its factor 2."""
        self.gemm(-self.rate, self.x, self.h, 1.0, self.w1, 1, 0, 1)

    def step(self) -> None:
        gemm, difference, blocks = self.gemm, self.difference, self.blocks
        rate, sign_bit, several = -self.rate, self.sign_bit, len(self.blocks) > 1
        # Forward pass
        self._hidden()
        np.copyto(difference, self.minus_y)
        for h, _, w2_T, h_relu, zeros, _ in blocks:
            np.maximum(h, zeros, out=h_relu)
            gemm(1.0, h_relu, w2_T, 1.0, difference, 0, 1, 1)  # y_pred − y
        # Loss
        self._keep(self.dot(self.flat_difference, self.flat_difference))
        # Backward pass, and the update of w2, which needs h_relu
        for h, bits, w2_T, h_relu, zeros, active in blocks:
            if several:
                np.maximum(h, zeros, out=h_relu)
            # (all bits are set where h ≥ 0, none where h < 0)
            np.right_shift(bits, sign_bit, out=active)
            np.invert(active, out=active)
            gemm(1.0, difference, w2_T, 0.0, h, 0, 0, 1)
            np.bitwise_and(bits, active, out=bits)
            gemm(rate, difference, h_relu, 1.0, w2_T, 1, 0, 1)
        # Weight update
        self._update()


class Gram(Dual, Fused):
    """The dual form: S in place of w1."""

    def __init__(self, config: Config, problem: Problem, state: State, steps: int) -> None:
        self._own(config, problem, state, steps)
        self.K, self.h_start = problem.constants["K"], problem.constants["h"]
        self.S = state["S"].copy("F")
        self.flat_S, self.flat_grad_h = self.S.ravel("K"), self.h.ravel("K")

    def state(self) -> State:
        return {"S": self.S, "w2": self.w2_T.T}

    def _hidden(self) -> None:
        """Compute h = h_start − K·S."""
        np.copyto(self.h, self.h_start)
        self.gemm(-1.0, self.K, self.S, 1.0, self.h, 0, 0, 1)

    def _update(self) -> None:
        """Compute S += learning_rate · grad_h, where grad_h, in h, lacks its factor 2."""
        self.axpy(self.flat_grad_h, self.flat_S, a=self.rate)
