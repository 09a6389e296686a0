"""The iteration in NumPy."""

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from twolayer.config import Config
from twolayer.kernels import State
from twolayer.problem import Problem

Array = NDArray[Any]


@cache
def _libraries() -> ThreadpoolController:
    """The BLAS libraries of this process: found once, since looking for them takes milliseconds."""
    return ThreadpoolController()


class _OnTheHost:
    """What NumPy kernels whose state is the weights share."""

    def __init__(self, config: Config, problem: Problem, state: State, steps: int) -> None:
        self.x, self.y = problem.x, problem.y
        self.w1, self.w2 = state["w1"].copy(), state["w2"].copy()
        self.learning_rate = config.learning_rate
        self._losses = np.empty(steps)
        self._done = 0

    @staticmethod
    def start(problem: Problem) -> State:
        return {"w1": problem.w1, "w2": problem.w2}

    @staticmethod
    def weights(problem: Problem, state: State) -> tuple[Array, Array]:
        return state["w1"], state["w2"]

    @staticmethod
    def threads(count: int) -> AbstractContextManager[object]:
        limit: AbstractContextManager[object] = _libraries().limit(limits=count, user_api="blas")
        return limit

    def synchronize(self) -> None:
        pass

    def _keep(self, loss: Any) -> None:
        self._losses[self._done] = loss
        self._done += 1

    def losses(self) -> NDArray[np.float64]:
        return self._losses[: self._done]

    def state(self) -> State:
        return {"w1": self.w1, "w2": self.w2}


class Tutorial(_OnTheHost):
    """A new array each line, as the tutorial's NumPy version writes it."""

    def step(self) -> None:
        x, y, w1, w2 = self.x, self.y, self.w1, self.w2
        # Forward pass: predicted y, and the loss
        h = x.dot(w1)
        h_relu = np.maximum(h, 0)
        y_pred = h_relu.dot(w2)
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


class Fused(_OnTheHost):
    """The same arithmetic in arrays that are made once: no array is allocated inside a step."""

    def __init__(self, config: Config, problem: Problem, state: State, steps: int) -> None:
        super().__init__(config, problem, state, steps)
        (N, H), D_out = (config.N, config.H), config.D_out
        self.h = np.empty((N, H), config.dtype)
        self.inactive = np.empty((N, H), bool)
        self.grad_h = np.empty((N, H), config.dtype)
        self.difference = np.empty((N, D_out), config.dtype)
        self.grad_w1, self.grad_w2 = np.empty_like(self.w1), np.empty_like(self.w2)
        self.h_T, self.x_T, self.w2_T = self.h.T, self.x.T, self.w2.T

    def step(self) -> None:
        h, grad_h, difference = self.h, self.grad_h, self.difference
        np.dot(self.x, self.w1, out=h)
        np.less(h, 0, out=self.inactive)
        np.maximum(h, 0, out=h)  # from here on h_relu
        np.dot(h, self.w2, out=difference)
        np.subtract(difference, self.y, out=difference)
        self._keep(np.vdot(difference, difference))
        difference *= 2  # grad_y_pred
        np.dot(self.h_T, difference, out=self.grad_w2)
        np.dot(difference, self.w2_T, out=grad_h)
        np.copyto(grad_h, 0, where=self.inactive)
        np.dot(self.x_T, grad_h, out=self.grad_w1)
        self.grad_w1 *= self.learning_rate
        self.w1 -= self.grad_w1
        self.grad_w2 *= self.learning_rate
        self.w2 -= self.grad_w2
