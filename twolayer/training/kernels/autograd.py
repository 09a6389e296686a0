"""The iteration by PyTorch's autograd and `torch.optim.SGD`: a peer to compare with, not a method."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from twolayer.training.config import Config
from twolayer.training.kernels import State
from twolayer.training.kernels.torch import Tutorial
from twolayer.training.problem import Problem


class Autograd(Tutorial):
    """A PyTorch user's loop: forward pass, `loss.backward()`, `optimizer.step()`."""

    def __init__(self, config: Config, problem: Problem, state: State, steps: int) -> None:
        super().__init__(config, problem, state, steps)
        self.w1.requires_grad_()
        self.w2.requires_grad_()
        self.optimizer = torch.optim.SGD([self.w1, self.w2], lr=config.learning_rate)

    @staticmethod
    @contextmanager
    def threads(count: int) -> Iterator[None]:
        with Tutorial.threads(count), torch.inference_mode(mode=False):
            yield

    def _recorded(self, steps: int) -> None:
        """Record nothing: a PyTorch user's loop launches the operations of each step."""

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


def backward(inputs: State) -> tuple[State, State]:
    """Compute a forward pass, and PyTorch's own backward pass, on the CPU in the dtype of the inputs.

    `inputs` are x, y, w1, w2. Returns h, h_relu and y_pred, and the gradients of the loss by the names of
    `program.GRADIENTS`.
    """
    x, y, w1, w2 = (torch.tensor(inputs[name]) for name in ("x", "y", "w1", "w2"))
    h = x.mm(w1.requires_grad_())
    h_relu = h.clamp(min=0)  # lets the gradient through where h is 0, as the tutorial's mask does
    y_pred = h_relu.mm(w2.requires_grad_())
    loss = (y_pred - y).pow(2).sum()
    wanted = {"grad_y_pred": y_pred, "grad_w2": w2, "grad_h_relu": h_relu, "grad_h": h, "grad_w1": w1}
    found = torch.autograd.grad(loss, list(wanted.values()))
    forward = {"h": h, "h_relu": h_relu, "y_pred": y_pred}
    return (
        {name: value.detach().numpy() for name, value in forward.items()},
        {name: gradient.numpy() for name, gradient in zip(wanted, found, strict=True)},
    )
