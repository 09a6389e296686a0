"""The iteration in PyTorch tensors, with the backward pass by hand. On any device that PyTorch has.

Tested on the CPU; the paths for cuda and mps are the same code and have not been run by its authors.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from twolayer.config import Config
from twolayer.kernels import State
from twolayer.problem import Problem

Array = NDArray[Any]


class _OnADevice:
    """What PyTorch kernels whose state is the weights share."""

    def __init__(self, config: Config, problem: Problem, state: State, steps: int) -> None:
        self.device = torch.device(config.device)
        self.x, self.y = self._copy(problem.x), self._copy(problem.y)
        self.w1, self.w2 = self._copy(state["w1"]), self._copy(state["w2"])
        self.learning_rate = config.learning_rate
        self._losses = torch.empty(steps, dtype=self.x.dtype, device=self.device)
        self._done = 0

    def _copy(self, array: Array) -> torch.Tensor:
        """A copy on the device: copies from the host."""
        return torch.tensor(array, device=self.device)

    @staticmethod
    def start(problem: Problem) -> State:
        return {"w1": problem.w1, "w2": problem.w2}

    @staticmethod
    def weights(problem: Problem, state: State) -> tuple[Array, Array]:
        return state["w1"], state["w2"]

    @staticmethod
    @contextmanager
    def threads(count: int) -> Iterator[None]:
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def synchronize(self) -> None:
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)

    def _keep(self, loss: torch.Tensor) -> None:
        self._losses[self._done] = loss  # stays on the device: .item() would wait for it
        self._done += 1

    def losses(self) -> NDArray[np.float64]:
        return self._losses[: self._done].cpu().numpy().astype(np.float64)  # copies to the host

    def state(self) -> State:
        return {"w1": self.w1.cpu().numpy(), "w2": self.w2.cpu().numpy()}  # copies to the host


class Tutorial(_OnADevice):
    """A new tensor each line, as the tutorial's tensor version writes it."""

    def step(self) -> None:
        x, y, w1, w2 = self.x, self.y, self.w1, self.w2
        # Forward pass: predicted y, and the loss
        h = x.mm(w1)
        h_relu = h.clamp(min=0)
        y_pred = h_relu.mm(w2)
        self._keep((y_pred - y).pow(2).sum())
        # Backward pass: the gradients of the loss with respect to w1 and w2
        grad_y_pred = 2.0 * (y_pred - y)
        grad_w2 = h_relu.t().mm(grad_y_pred)
        grad_h_relu = grad_y_pred.mm(w2.t())
        grad_h = grad_h_relu.clone()
        grad_h[h < 0] = 0
        grad_w1 = x.t().mm(grad_h)
        # Weight update
        w1 -= self.learning_rate * grad_w1
        w2 -= self.learning_rate * grad_w2


class Fused(_OnADevice):
    """The same arithmetic in tensors that are made once, the updates folded into the products."""

    def __init__(self, config: Config, problem: Problem, state: State, steps: int) -> None:
        super().__init__(config, problem, state, steps)
        like: dict[str, Any] = {"dtype": self.x.dtype, "device": self.device}
        self.h = torch.empty(config.N, config.H, **like)
        self.grad_h = torch.empty(config.N, config.H, **like)
        self.inactive = torch.empty(config.N, config.H, dtype=torch.bool, device=self.device)
        self.difference = torch.empty(config.N, config.D_out, **like)
        self.squares = torch.empty(config.N, config.D_out, **like)
        self.x_T = self.x.t()

    def step(self) -> None:
        h, grad_h, difference, w2 = self.h, self.grad_h, self.difference, self.w2
        torch.mm(self.x, self.w1, out=h)
        torch.lt(h, 0, out=self.inactive)
        h.clamp_(min=0)  # from here on h_relu
        torch.mm(h, w2, out=difference)
        difference.sub_(self.y)
        torch.mul(difference, difference, out=self.squares)
        self._keep(self.squares.sum())
        difference.mul_(2.0)  # grad_y_pred
        torch.mm(difference, w2.t(), out=grad_h)
        grad_h.masked_fill_(self.inactive, 0.0)
        w2.addmm_(h.t(), difference, alpha=-self.learning_rate)
        self.w1.addmm_(self.x_T, grad_h, alpha=-self.learning_rate)
