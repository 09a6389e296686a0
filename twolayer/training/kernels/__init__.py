"""Kernels: what all that compute an iteration share, and the table of all kernels.

A kernel advances one run on one device by whole steps. A library is imported only when one of its
kernels is loaded: runs in NumPy do not pay for PyTorch.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, SupportsFloat, cast

import numpy as np
from numpy.typing import NDArray

from twolayer.training.config import Config
from twolayer.training.messages import Message, MessageError
from twolayer.training.problem import Problem

State = Mapping[str, NDArray[Any]]
"""The state of a run between two chunks: named arrays on the host."""


class Kernel(ABC):
    """One run, from a state, for a known number of steps.

    There is one instance per chunk. It does not modify the problem and the state that it gets.
    """

    @abstractmethod
    def __init__(self, config: Config, problem: Problem, state: State, steps: int) -> None: ...

    @staticmethod
    def constants(problem: Problem) -> State:
        """Return arrays that are computed once for the whole run."""
        return {}

    @staticmethod
    def start(problem: Problem) -> State:
        """Return the state before the first step."""
        return {"w1": problem.w1, "w2": problem.w2}

    @staticmethod
    def weights(problem: Problem, state: State) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return w1 (D_in, H) and w2 (H, D_out) of a state."""
        return state["w1"], state["w2"]

    @staticmethod
    def hidden_of_held_out(problem: Problem, state: State) -> NDArray[Any]:
        """Return h (M, H) of the problem's held-out rows, computed on the host."""
        assert problem.held_out is not None
        h: NDArray[Any] = problem.held_out.x @ state["w1"]
        return h

    @staticmethod
    @abstractmethod
    def threads(count: int) -> AbstractContextManager[object]:
        """Return a context in which products use `count` threads."""

    compile_seconds = 0.0
    """Seconds in which this process compiled the kernel, when the first one was made. No timing has them."""

    @abstractmethod
    def step(self) -> None:
        """Compute one iteration. Its loss stays on the device."""

    def steps(self, count: int) -> None:
        """Compute `count` iterations: where a library can, in one call."""
        for _ in range(count):
            self.step()

    asynchronous = False
    """Whether its library computes in threads of its own, also on the CPU: calls return at once."""

    def synchronize(self) -> None:  # noqa: B027  (a device that computes at once need not be waited for)
        """Wait for the device to finish, so that a clock can be read."""

    @abstractmethod
    def losses(self) -> NDArray[np.float64]:
        """Return the loss of each step so far, on the host."""

    @abstractmethod
    def state(self) -> State:
        """Return the state after the steps so far, on the host."""

    @abstractmethod
    def dead(self) -> SupportsFloat:
        """Return the number of dead units: active (h > 0) for no row of the batch. Changes nothing that a
        step reads. The number may still be on the device."""


class UnavailableError(MessageError, RuntimeError):
    """A backend that this machine does not have."""


KERNELS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("numpy", "tutorial"): "twolayer.training.kernels.numpy:Tutorial",
        ("numpy", "fused"): "twolayer.training.kernels.numpy:Fused",
        ("numpy", "gram"): "twolayer.training.kernels.numpy:Gram",
        ("torch", "tutorial"): "twolayer.training.kernels.torch:Tutorial",
        ("torch", "fused"): "twolayer.training.kernels.torch:Fused",
        ("torch", "gram"): "twolayer.training.kernels.torch:Gram",
        ("numba", "tutorial"): "twolayer.training.kernels.numba:Tutorial",
        ("numba", "fused"): "twolayer.training.kernels.numba:Fused",
        ("numba", "gram"): "twolayer.training.kernels.numba:Gram",
    }
)
"""The class of each backend and method, as module:name."""

PEERS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("torch", "autograd"): "twolayer.training.kernels.autograd:Autograd",
        ("jax", "tutorial"): "twolayer.training.kernels.jax:Tutorial",
        ("jax", "gram"): "twolayer.training.kernels.jax:Gram",
    }
)
"""The same of what takes part in races only: no Config names it."""


def why_missing(backend: str) -> Message | None:
    """Return why the library of `backend` cannot be used, or None if it is installed. Does not import it."""
    if find_spec(backend) is None:
        return Message.of(
            "{library} is not installed. Install it with: pip install {library}", library=backend
        )
    return None


def does_not_load(backend: str, error: Exception) -> Message:
    """Say that the library of `backend` is installed and cannot be imported."""
    return Message.of(
        "{library} is installed but fails to load: {error}", library=backend, error=type(error).__name__
    )


@cache
def load(backend: str, method: str) -> type[Kernel]:
    """Import the kernel of `backend` and `method`, or a peer. Raises `UnavailableError`."""
    missing = why_missing(backend)
    if missing is not None:
        raise UnavailableError(missing)
    module, name = {**KERNELS, **PEERS}[backend, method].split(":")
    try:
        return cast(type[Kernel], getattr(import_module(module), name))
    except (ImportError, OSError) as error:
        raise UnavailableError(does_not_load(backend, error)) from error


ON_DEMAND = ("numba", "jax")
"""Libraries that are loaded for a run or a race that uses them only: Numba takes 160 MB of each process."""


def load_all() -> dict[str, Message]:
    """Load all kernels but those `ON_DEMAND`, NumPy's first. Return why, for each backend that fails."""
    failures = {}
    for backend, method in KERNELS:
        try:
            if backend not in ON_DEMAND:
                load(backend, method)
        except UnavailableError as error:
            failures[backend] = error.message
    return failures
