"""A peer, not a method of ours: the same iteration with PyTorch's autograd and `torch.optim.SGD`."""

import torch

from twolayer.config import Config
from twolayer.kernels import State
from twolayer.kernels.torch import Tutorial
from twolayer.problem import Problem


class Autograd(Tutorial):
    """What a PyTorch user would write: forward, `loss.backward()`, `optimizer.step()`."""

    def __init__(self, config: Config, problem: Problem, state: State, steps: int) -> None:
        super().__init__(config, problem, state, steps)
        self.w1.requires_grad_()
        self.w2.requires_grad_()
        self.optimizer = torch.optim.SGD([self.w1, self.w2], lr=config.learning_rate)

    def step(self) -> None:
        # Forward pass
        y_pred = self.x.mm(self.w1).clamp(min=0).mm(self.w2)
        # Loss
        loss = (y_pred - self.y).pow(2).sum()
        self._losses[self._done] = loss.detach()
        self._done += 1
        # Backward pass
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # as PyTorch declares it
        # Weight update
        self.optimizer.step()

    def state(self) -> State:
        return {"w1": self.w1.detach().cpu().numpy(), "w2": self.w2.detach().cpu().numpy()}
