"""The iteration in PyTorch, with the backward pass by hand, on any device that PyTorch has.

Tested on the CPU only: nobody has run it on a GPU yet. The code for cuda and mps is the same, but on cuda the
steps of a chunk are replays of one that was recorded (`cuda_graph`). No step waits for the device or copies
from it: losses and counts of dead units come to the host after the last step of a chunk. Only the clock waits
for the device, between its laps.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from twolayer.training.config import Config
from twolayer.training.kernels import Kernel, State, cuda_graph
from twolayer.training.kernels.dual import Dual
from twolayer.training.problem import Problem

Array = NDArray[Any]
keep_where_above = torch.ops.aten.threshold_backward.grad_input


class Tutorial(Kernel):
    """A new tensor on each line, as in the tutorial's tensor version."""

    def __init__(self, config: Config, problem: Problem, state: State, steps: int) -> None:
        self._own(config, problem, state, steps)
        self._load(problem, state)
        self._graph = self._recorded(steps)

    def _own(self, config: Config, problem: Problem, state: State, steps: int) -> None:
        """Allocate what every kernel needs."""
        self.device = torch.device(config.device)
        self.y, self.w2 = self._copy(problem.y), self._copy(state["w2"])
        self.learning_rate = config.learning_rate
        # One place more than steps: that of a recorded step
        self._losses = torch.empty(steps + 1, dtype=self.y.dtype, device=self.device)
        self._done = 0

    def _load(self, problem: Problem, state: State) -> None:
        """Copy to the device what stands for the hidden layer."""
        self.x, self.w1 = self._copy(problem.x), self._copy(state["w1"])

    def _copy(self, array: Array) -> torch.Tensor:
        """Copy an array from the host to the device, into row-major order."""
        return torch.tensor(np.ascontiguousarray(array), device=self.device)

    @staticmethod
    @contextmanager
    def threads(count: int) -> Iterator[None]:
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        try:
            with torch.inference_mode():  # nothing is recorded for a gradient: calls cost less
                yield
        finally:
            torch.set_num_threads(before)

    def synchronize(self) -> None:
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)

    def losses(self) -> NDArray[np.float64]:
        return self._losses[: self._done].cpu().numpy().astype(np.float64)  # copies to the host

    def _on_device(self) -> dict[str, torch.Tensor]:
        """Return the state on the device."""
        return {"w1": self.w1, "w2": self.w2}

    def state(self) -> State:
        return {
            name: weight.cpu().numpy() for name, weight in self._on_device().items()
        }  # copies to the host

    def _recorded(self, steps: int) -> cuda_graph.Graph | None:
        """Record a step, if the device can. A graph cannot count: the step's loss goes to the last place, and
        from there to the one that a number on the device names."""
        if steps < cuda_graph.FEWEST_STEPS:
            return None
        losses, loss = self._losses[:steps], self._losses[steps:]
        self._place = torch.zeros(1, dtype=torch.int64, device=self.device)

        def step() -> None:
            self._done = steps
            self.step()
            losses.index_copy_(0, self._place, loss)
            self._place.add_(1)

        graph = cuda_graph.recorded(step, tuple(self._on_device().values()), self.device)
        self._done = 0
        return graph

    def steps(self, count: int) -> None:
        if self._graph is None:
            return super().steps(count)
        self._place.fill_(self._done)
        for _ in range(count):
            self._graph.replay()
        self._done += count

    def dead(self) -> torch.Tensor:
        return self._count_dead(self.x.mm(self.w1))

    @staticmethod
    def _count_dead(h: torch.Tensor) -> torch.Tensor:
        return h.shape[1] - (h > 0).any(dim=0).sum()  # stays on the device

    def step(self) -> None:
        x, y, w1, w2 = self.x, self.y, self.w1, self.w2
        # Forward pass: predicted y
        h = x.mm(w1)
        h_relu = h.clamp(min=0)
        y_pred = h_relu.mm(w2)
        # Loss; it stays on the device, for .item() would wait for it
        loss = (y_pred - y).pow(2).sum()
        self._losses[self._done] = loss
        self._done += 1
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


class Fused(Tutorial):
    """The same arithmetic without allocations in a step, sums and updates folded into the products.

    The factor 2 of grad_y_pred is folded into the learning rate, which is exact. w2 and y_pred − y are
    stored transposed: MKL takes several times as long for a product in whose result, in row-major order, a
    row has few columns. The mask h < 0 is one pass: `threshold_backward` keeps the gradient where h is above
    a threshold, here the largest number below 0.
    """

    def _own(self, config: Config, problem: Problem, state: State, steps: int) -> None:
        super()._own(config, problem, state, steps)
        self.y_T, self.w2_T = self.y.t().contiguous(), self.w2.t().contiguous()
        self.w2 = self.w2_T.t()  # the same memory
        self.h = torch.empty(config.N, config.H, dtype=self.y.dtype, device=self.device)
        self.h_relu, self.grad_h = torch.empty_like(self.h), torch.empty_like(self.h)
        self.h_relu_T = self.h_relu.t()
        self.difference_T = torch.empty_like(self.y_T)
        self.difference, self.flat_difference = self.difference_T.t(), self.difference_T.view(-1)
        numbers = torch.finfo(self.y.dtype)
        # mps has no numbers below the smallest normal one
        self.below_0 = -numbers.smallest_normal * (numbers.eps if self.device.type != "mps" else 1)
        self.rate = 2 * config.learning_rate
        self._places = self._losses.unbind()

    def _load(self, problem: Problem, state: State) -> None:
        super()._load(problem, state)
        self.x_T = self.x.t()

    def _hidden(self) -> None:
        """Compute h = x·w1."""
        torch.mm(self.x, self.w1, out=self.h)

    def dead(self) -> torch.Tensor:
        self._hidden()
        return self._count_dead(self.h)

    def _update(self) -> None:
        """Compute w1 −= learning_rate · xᵀ·grad_h, where grad_h lacks its factor 2."""
        self.w1.addmm_(self.x_T, self.grad_h, alpha=-self.rate)

    def step(self) -> None:
        h, h_relu, grad_h = self.h, self.h_relu, self.grad_h
        difference_T, w2_T = self.difference_T, self.w2_T
        # Forward pass
        self._hidden()
        torch.clamp(h, min=0, out=h_relu)
        torch.addmm(self.y_T, w2_T, self.h_relu_T, beta=-1, out=difference_T)  # y_pred − y
        # Loss
        torch.dot(self.flat_difference, self.flat_difference, out=self._places[self._done])
        self._done += 1
        # Backward pass
        torch.mm(self.difference, w2_T, out=grad_h)
        keep_where_above(grad_h, h, self.below_0, grad_input=grad_h)
        # Weight update
        w2_T.addmm_(difference_T, h_relu, alpha=-self.rate)
        self._update()


class Gram(Dual, Fused):
    """The dual form: S in place of w1."""

    def _load(self, problem: Problem, state: State) -> None:
        constants = problem.constants
        self.K, self.h_start = self._copy(constants["K"]), self._copy(constants["h"])
        self.S = self._copy(state["S"])

    def _on_device(self) -> dict[str, torch.Tensor]:
        return {"S": self.S, "w2": self.w2}

    def _hidden(self) -> None:
        """Compute h = h_start − K·S."""
        torch.addmm(self.h_start, self.K, self.S, alpha=-1, out=self.h)

    def _update(self) -> None:
        """Compute S += learning_rate · grad_h, where grad_h lacks its factor 2."""
        self.S.add_(self.grad_h, alpha=self.rate)
