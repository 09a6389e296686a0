"""The iteration in JAX, compiled by XLA: peers for the race, which no Config names.

All steps of a block are one `lax.scan`, compiled for the number of steps and the shapes when a kernel is
made, outside the clock. It runs on the CPU.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from twolayer.training.config import Config
from twolayer.training.kernels import Kernel, State
from twolayer.training.kernels import numpy as by_numpy
from twolayer.training.kernels.dual import Dual
from twolayer.training.problem import Problem

Arrays = tuple[Any, ...]

KEPT = 16
"""Compiled loops, of about 2 MB each, that a process keeps."""


@cache
def cpu() -> Any:
    """Return JAX's device. The first call in a process makes its threads, for good: one, or as many as the
    environment variable NPROC says."""
    given = os.environ.get("NPROC")
    os.environ["NPROC"] = given or "1"
    try:
        return jax.devices("cpu")[0]
    finally:
        if given is None:
            del os.environ["NPROC"]


class Tutorial(Kernel):
    """The tutorial's lines."""

    asynchronous = True

    def __init__(self, config: Config, problem: Problem, state: State, steps: int) -> None:
        self._own(config, steps, (problem.x, problem.y), (state["w1"], state["w2"]))

    def _own(self, config: Config, steps: int, data: Arrays, start: Arrays) -> None:
        """Compile, and copy the arrays to the device."""
        self.data, self.now = jax.device_put((data, start))
        self.rate = np.dtype(config.dtype).type(config.learning_rate)
        arguments = self.data, self.now, self.rate
        self.shapes = jax.tree.map(jax.typeof, arguments)
        self.phases = phases(type(self), self.shapes)
        _, self.compile_seconds = self._loop(steps)
        self.awaited: Any = (self.data, self.now)
        self._losses: list[Any] = []

    def _loop(self, steps: int) -> tuple[Any, float]:
        return loop(type(self), self.shapes, steps)

    @staticmethod
    @contextmanager
    def threads(count: int) -> Iterator[None]:
        """Return the context of all that JAX computes. `count` is for the products of NumPy; for the threads
        of JAX see `cpu`."""
        with by_numpy.Tutorial.threads(count), jax.enable_x64(True), jax.default_device(cpu()):
            yield

    @staticmethod
    def forward(data: Arrays, weights: Arrays) -> Arrays:
        (x, _), (w1, w2) = data, weights
        h = x @ w1
        h_relu = jnp.maximum(h, 0)
        y_pred = h_relu @ w2
        return h, h_relu, y_pred

    @staticmethod
    def loss(data: Arrays, values: Arrays) -> Any:
        (_, y), (_, _, y_pred) = data, values
        return jnp.square(y_pred - y).sum()

    @staticmethod
    def backward(data: Arrays, weights: Arrays, values: Arrays) -> Arrays:
        (x, y), (_, w2), (h, h_relu, y_pred) = data, weights, values
        grad_y_pred = 2.0 * (y_pred - y)
        grad_w2 = h_relu.T @ grad_y_pred
        grad_h_relu = grad_y_pred @ w2.T
        grad_h = jnp.where(h < 0, 0, grad_h_relu)
        grad_w1 = x.T @ grad_h
        return grad_w1, grad_w2

    @staticmethod
    def update(weights: Arrays, gradients: Arrays, rate: Any) -> Arrays:
        (w1, w2), (grad_w1, grad_w2) = weights, gradients
        return w1 - rate * grad_w1, w2 - rate * grad_w2

    def step(self) -> None:
        data, weights, rate, phases = self.data, self.now, self.rate, self.phases
        # Forward pass
        values = self.awaited = phases.forward(data, weights)
        # Loss
        loss = self.awaited = phases.loss(data, values)
        self._losses.append(loss)
        # Backward pass
        gradients = self.awaited = phases.backward(data, weights, values)
        # Weight update
        self.now = self.awaited = phases.update(weights, gradients, rate)

    def steps(self, count: int) -> None:
        program, _ = self._loop(count)
        self.now, losses = self.awaited = program(self.data, self.now, self.rate)
        self._losses.append(losses)

    def synchronize(self) -> None:
        jax.block_until_ready(self.awaited)

    def losses(self) -> NDArray[np.float64]:
        return np.hstack([np.empty(0), *map(np.asarray, self._losses)])

    def state(self) -> State:
        w1, w2 = map(np.asarray, self.now)
        return {"w1": w1, "w2": w2}

    def dead(self) -> int:
        h, _, _ = self.phases.forward(self.data, self.now)
        return int(np.count_nonzero(~(np.asarray(h) > 0).any(axis=0)))


class Gram(Dual, Tutorial):
    """The dual form: S in place of w1.

    The factor 2 of grad_y_pred is folded into the learning rate, which is exact.
    """

    def __init__(self, config: Config, problem: Problem, state: State, steps: int) -> None:
        constants = problem.constants
        data = constants["K"], constants["h"], problem.y
        self._own(config, steps, data, (state["S"], state["w2"]))

    @staticmethod
    def forward(data: Arrays, weights: Arrays) -> Arrays:
        (K, h_start, y), (S, w2) = data, weights
        h = h_start - K @ S
        h_relu = jnp.maximum(h, 0)
        difference = h_relu @ w2 - y
        return h, h_relu, difference

    @staticmethod
    def loss(data: Arrays, values: Arrays) -> Any:
        _, _, difference = values
        return jnp.square(difference).sum()

    @staticmethod
    def backward(data: Arrays, weights: Arrays, values: Arrays) -> Arrays:
        (_, w2), (h, h_relu, difference) = weights, values
        return jnp.where(h < 0, 0, difference @ w2.T), h_relu.T @ difference

    @staticmethod
    def update(weights: Arrays, gradients: Arrays, rate: Any) -> Arrays:
        (S, w2), (grad_h, grad_w2) = weights, gradients
        return S + 2 * rate * grad_h, w2 - 2 * rate * grad_w2

    def state(self) -> State:
        S, w2 = map(np.asarray, self.now)
        return {"S": S, "w2": w2}


@lru_cache(maxsize=KEPT)
def loop(kernel: type[Tutorial], shapes: Arrays, steps: int) -> tuple[Any, float]:
    """Return so many steps as one compiled loop, and the seconds in which it was compiled."""

    def run(data: Arrays, weights: Arrays, rate: Any) -> Any:
        def step(weights: Arrays, _: None) -> Any:
            values = kernel.forward(data, weights)
            gradients = kernel.backward(data, weights, values)
            return kernel.update(weights, gradients, rate), kernel.loss(data, values)

        return jax.lax.scan(step, weights, None, length=steps)

    begin = perf_counter()
    program, _ = compiled(run, *shapes)
    return program, perf_counter() - begin


@lru_cache(maxsize=KEPT)
def phases(kernel: type[Tutorial], shapes: Arrays) -> SimpleNamespace:
    """Return the phases of a step, each compiled by itself."""
    data, weights, rate = shapes
    forward, values = compiled(kernel.forward, data, weights)
    loss, _ = compiled(kernel.loss, data, values)
    backward, gradients = compiled(kernel.backward, data, weights, values)
    update, _ = compiled(kernel.update, weights, gradients, rate)
    return SimpleNamespace(forward=forward, loss=loss, backward=backward, update=update)


def compiled(function: Callable[..., Any], *shapes: Any) -> tuple[Any, Any]:
    """Return a function compiled for arguments of these shapes, and the shapes of its result."""

    def anew(*arguments: Any) -> Any:
        # JAX keeps all that it has compiled for a function for as long as that exists: some 2 MB each time
        return function(*arguments)

    lowered = jax.jit(anew).lower(*shapes)
    return lowered.compile(), lowered.out_info
