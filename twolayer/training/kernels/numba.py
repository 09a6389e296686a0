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
from twolayer.training.kernels.numba_loops import BLOCK, OUTPUTS, PANEL, Arrays
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


def in_panels(matrix: Array, columns: int = PANEL) -> Array:
    """Return a matrix as panels (number of panels, rows · columns). The number of rows is a multiple of 4."""
    height, width = matrix.shape
    padded = np.pad(matrix, [(0, -height % BLOCK), (0, -width % columns)])
    by_panel = padded.reshape(len(padded), -1, columns).transpose(1, 0, 2)
    return aligned(by_panel).reshape(len(by_panel), -1)


def from_panels(panels: Array, height: int, width: int, columns: int = PANEL) -> Array:
    """Return the matrix (height, width) that was stored in panels."""
    by_panel = panels.reshape(len(panels), -1, columns).transpose(1, 0, 2)
    return by_panel.reshape(by_panel.shape[0], -1)[:height, :width].copy()


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
    """The same arithmetic in plain loops, without allocations and with few passes over memory.

    The factor 2 of grad_y_pred is folded into the learning rate, which is exact.
    """

    method = "fused"
    train = staticmethod(numba_loops.train_fused)

    def __init__(self, config: Config, problem: Problem, state: State, steps: int) -> None:
        self._own(config, steps)
        y, x_T = in_panels(problem.y.T), in_panels(problem.x.T)
        w1 = in_panels(state["w1"].T)
        start = aligned(np.zeros((len(y), w1.shape[1]), y.dtype))
        arrays = self._arrays(start, x_T, y, w1, state["w2"])
        self.arrays = arrays._replace(x=read_only(in_panels(problem.x)), change=aligned(start))

    def _own(self, config: Config, steps: int) -> None:
        super()._own(config, steps)
        self.rate = 2 * self.rate
        self.sizes = config.N, config.D_in, config.H, config.D_out

    def _arrays(self, start: Array, factor: Array, y: Array, w: Array, w2: Array) -> Arrays:
        """Return the arrays of a step. What only `fused` has are others of these."""
        w2 = in_panels(w2, OUTPUTS)
        return Arrays(
            start=read_only(start),
            factor=read_only(factor),
            x=read_only(factor),
            minus_y=aligned(-y),
            w=w,
            w2=w2,
            h=aligned(np.zeros_like(start)),
            h_relu=aligned(np.zeros_like(start)),
            difference=aligned(np.zeros_like(y)),
            difference_T=in_panels(np.zeros((PANEL * len(y), OUTPUTS * len(w2)), y.dtype), OUTPUTS),
            change=w,
            grad_h=aligned(np.zeros(start.shape[1], y.dtype)),
            grad_w1=aligned(np.zeros(w.shape[1], y.dtype)),
            grad_w2=aligned(np.zeros(w2.shape[1], y.dtype)),
        )

    def state(self) -> State:
        _, D_in, H, _ = self.sizes
        return {"w1": from_panels(self.arrays.w, H, D_in).T, "w2": self._w2()}

    def _w2(self) -> Array:
        _, _, H, D_out = self.sizes
        return from_panels(self.arrays.w2, H, D_out, OUTPUTS)

    def dead(self) -> int:
        N, _, H, _ = self.sizes
        numba_loops.forward(self.arrays)
        return int(np.count_nonzero(~(from_panels(self.arrays.h, H, N) > 0).any(axis=1)))

    def step(self) -> None:
        n, rate = self.arrays, self.rate
        # Forward pass
        numba_loops.forward(n)
        # Loss
        self._keep(numba_loops.sum_of_squares(n.difference))
        # Backward pass
        numba_loops.backward_into_change(n, rate)
        # Weight update
        numba_loops.update_w2(n, rate)
        numba_loops.update_w1(n)


class Gram(Dual, Fused):
    """The dual form: S in place of w1, −K in place of xᵀ."""

    method = "gram"
    train = staticmethod(numba_loops.train_gram)

    def __init__(self, config: Config, problem: Problem, state: State, steps: int) -> None:
        self._own(config, steps)
        h, K = aligned(problem.constants["h"]), aligned(problem.constants["K"])
        y, S = in_panels(problem.y.T), in_panels(state["S"].T)
        self.arrays = self._arrays(h, K, y, S, state["w2"])

    @staticmethod
    def constants(problem: Problem) -> State:
        """Return −K and h_start in panels, under the names `K` and `h`."""
        found = Dual.constants(problem)
        return {**found, "K": in_panels(-found["K"]), "h": in_panels(found["h"].T)}

    @staticmethod
    def start(problem: Problem) -> State:
        shape = len(problem.x), problem.w1.shape[1]
        return {"S": np.zeros(shape, problem.x.dtype), "w2": problem.w2}

    def state(self) -> State:
        N, _, H, _ = self.sizes
        return {"S": from_panels(self.arrays.w, H, N).T, "w2": self._w2()}

    def step(self) -> None:
        n, rate = self.arrays, self.rate
        # Forward pass
        numba_loops.forward(n)
        # Loss
        self._keep(numba_loops.sum_of_squares(n.difference))
        # Backward pass; what it adds to S is the update of w1
        numba_loops.backward(n, rate, n.w)
        # Weight update
        numba_loops.update_w2(n, rate)
