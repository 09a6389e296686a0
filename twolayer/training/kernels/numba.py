"""The iteration in loops that Numba compiles (`numba_loops`), on one thread.

All steps of a chunk are one call. Compiling is done when a kernel is made, outside the clock.
"""

from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twolayer.training.config import Config
from twolayer.training.kernels import Kernel, State, numba_loops
from twolayer.training.kernels import numpy as by_numpy
from twolayer.training.kernels.dual import Dual
from twolayer.training.kernels.numba_loops import Arrays
from twolayer.training.problem import Problem, make_problem

Array = NDArray[Any]

LINE_BYTES = 64
"""Bytes of a line of the processor's cache."""


def aligned(array: Array) -> Array:
    """Return a copy, in C order, that begins with a cache line. In other arrays vectors lie in two lines, and
    are read from both: a step then takes up to 1.3 times as long."""
    memory = np.empty(array.nbytes + LINE_BYTES, np.uint8)
    first = -memory.ctypes.data % LINE_BYTES
    copy: Array = np.ndarray(array.shape, array.dtype, memory, first)
    copy[...] = array
    return copy


def read_only(array: Array) -> Array:
    """Return a view that cannot be written. Numba compiles again for arrays that differ in this."""
    view = array.view()
    view.flags.writeable = False
    return view


_compile_seconds: dict[tuple[type[Kernel], str], float] = {}


def compile_seconds(kernel_type: type[Kernel], method: str, dtype: str) -> float:
    """Return the seconds in which this process compiled a kernel, or read it from the disk."""
    if (kernel_type, dtype) not in _compile_seconds:
        _compile_seconds[kernel_type, dtype] = 0.0  # the kernel made below asks too
        begin = perf_counter()
        config = Config(backend="numba", method=method, dtype=dtype, N=1, D_in=1, H=1, D_out=1)
        drawn = make_problem(config)
        problem = Problem(drawn.x, drawn.y, drawn.w1, drawn.w2, kernel_type.constants(drawn))
        kernel = kernel_type(config, problem, kernel_type.start(problem), 2)
        kernel.steps(1)
        kernel.step()
        _compile_seconds[kernel_type, dtype] = perf_counter() - begin
    return _compile_seconds[kernel_type, dtype]


class Tutorial(by_numpy.Tutorial):
    """The tutorial's lines, compiled: a new array on each line, products by BLAS."""

    method = "tutorial"
    train = staticmethod(numba_loops.train_tutorial)

    def __init__(self, config: Config, problem: Problem, state: State, steps: int) -> None:
        self._own(config, steps)
        copies = (problem.x, problem.y, state["w1"], state["w2"])
        self.x, self.y, self.w1, self.w2 = (np.array(array, order="C") for array in copies)
        self.arrays: Any = (self.x, self.y, self.w1, self.w2)

    def _own(self, config: Config, steps: int) -> None:
        """Compile, and make what every kernel needs."""
        self.compile_seconds = compile_seconds(type(self), self.method, config.dtype)
        self.rate = np.dtype(config.dtype).type(config.learning_rate)
        self._losses = np.empty(steps, config.dtype)
        self._done = 0

    def losses(self) -> NDArray[np.float64]:
        return self._losses[: self._done].astype(np.float64)

    def steps(self, count: int) -> None:
        self.train(self.arrays, self.rate, self._losses[self._done : self._done + count])
        self._done += count

    def step(self) -> None:
        x, y, w1, w2 = self.arrays
        # Forward pass
        forward = numba_loops.predict(x, w1, w2)
        # Loss
        self._keep(numba_loops.square_sum(forward[2], y))
        # Backward pass
        grad_w1, grad_w2 = numba_loops.gradients(x, y, w2, forward)
        # Weight update
        numba_loops.descend(w1, grad_w1, self.rate)
        numba_loops.descend(w2, grad_w2, self.rate)


class Fused(Tutorial):
    """The same arithmetic without allocations, and with few passes over memory.

    The factor 2 of grad_y_pred is folded into the learning rate, which is exact.
    """

    method = "fused"
    train = staticmethod(numba_loops.train_fused)

    def __init__(self, config: Config, problem: Problem, state: State, steps: int) -> None:
        self._own(config, steps)
        h = np.zeros((config.H, config.N), config.dtype)
        self.arrays = self._arrays(problem, h, problem.x.T, state["w1"].T, state["w2"])

    def _own(self, config: Config, steps: int) -> None:
        super()._own(config, steps)
        self.rate = 2 * self.rate

    def _arrays(self, problem: Problem, start: Array, factor: Array, w: Array, w2: Array) -> Arrays:
        """Return the arrays of a step. What only `fused` has is small for `gram`."""
        x = problem.x if self.method == "fused" else problem.x[:0]
        return Arrays(
            start=read_only(aligned(start)),
            factor=read_only(aligned(factor)),
            x=read_only(aligned(x)),
            y=read_only(aligned(problem.y.T)),
            w=aligned(w),
            w2=aligned(w2),
            h=aligned(start),
            h_relu=aligned(start),
            grad_h=aligned(start),
            difference=aligned(problem.y.T),
            grad_w1=aligned(w if self.method == "fused" else w[:0]),
            grad_w2=aligned(w2),
        )

    def state(self) -> State:
        return {"w1": self.arrays.w.T, "w2": self.arrays.w2}

    def dead(self) -> int:
        numba_loops.forward(self.arrays)
        return int(np.count_nonzero(~(self.arrays.h > 0).any(axis=1)))

    def step(self) -> None:
        n, rate = self.arrays, self.rate
        # Forward pass
        numba_loops.forward(n)
        # Loss
        self._keep(numba_loops.sum_of_squares(n.difference))
        # Backward pass
        numba_loops.backward_fused(n)
        # Weight update
        numba_loops.update(n.w, n.grad_w1, rate)
        numba_loops.update(n.w2, n.grad_w2, rate)


class Gram(Dual, Fused):
    """The dual form: S in place of w1, −K in place of xᵀ."""

    method = "gram"
    train = staticmethod(numba_loops.train_gram)

    def __init__(self, config: Config, problem: Problem, state: State, steps: int) -> None:
        self._own(config, steps)
        h, minus_K = problem.constants["h"].T, -problem.constants["K"]
        self.arrays = self._arrays(problem, h, minus_K, state["S"].T, state["w2"])

    def state(self) -> State:
        return {"S": self.arrays.w.T, "w2": self.arrays.w2}

    def step(self) -> None:
        n, rate = self.arrays, self.rate
        # Forward pass
        numba_loops.forward(n)
        # Loss
        self._keep(numba_loops.sum_of_squares(n.difference))
        # Backward pass; what it adds to S is the update of w1
        numba_loops.backward_gram(n, rate)
        # Weight update
        numba_loops.update(n.w2, n.grad_w2, rate)
