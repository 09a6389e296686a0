"""How one iteration is computed: what a kernel is, and which ones there are.

A kernel advances one run on one device by whole steps. The table below is lazy: a library is
imported when one of its kernels is asked for, so that NumPy runs never pay for PyTorch.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from twolayer.training.config import Config
from twolayer.training.messages import Message, MessageError
from twolayer.training.problem import Problem

State = Mapping[str, NDArray[Any]]
"""What a run carries from one chunk to the next: named arrays on the host."""


class Kernel(Protocol):
    """One run, from a state, for a known number of steps.

    Made for each chunk. It owns what it changes: the problem and the state that it is given
    stay as they are.
    """

    def __init__(self, config: Config, problem: Problem, state: State, steps: int) -> None: ...

    @staticmethod
    def constants(problem: Problem) -> State:
        """What stays the same for the whole run and is worth computing once."""
        ...

    @staticmethod
    def start(problem: Problem) -> State:
        """The state of a run before its first step."""
        ...

    @staticmethod
    def weights(problem: Problem, state: State) -> tuple[NDArray[Any], NDArray[Any]]:
        """w1 (D_in, H) and w2 (H, D_out) of a state."""
        ...

    @staticmethod
    def threads(count: int) -> AbstractContextManager[object]:
        """Use `count` threads for the products inside the context, and restore what was."""
        ...

    def step(self) -> None:
        """One iteration; its loss is kept on the device."""
        ...

    def synchronize(self) -> None:
        """Wait until the device has done all that it was given, so that a clock may be read."""
        ...

    def losses(self) -> NDArray[np.float64]:
        """The loss of each step so far, on the host."""
        ...

    def state(self) -> State:
        """The state after the steps so far, on the host."""
        ...

    def dead(self) -> int:
        """How many hidden units are now active (h > 0) for no row of the batch. Changes nothing that
        a step reads."""
        ...


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
    }
)
"""Where each backend × method is found."""


def why_missing(backend: str) -> Message | None:
    """Why the library of `backend` cannot be used here, or None where it seems to be there.

    Looks for it without importing it.
    """
    if find_spec(backend) is None:
        return Message.of("{library} is not installed; pip install {library}", library=backend)
    return None


def does_not_load(backend: str, error: Exception) -> Message:
    """Say that the library of `backend` is installed and cannot be imported."""
    return Message.of(
        "{library} is installed but does not load: {error}", library=backend, error=type(error).__name__
    )


@cache
def load(backend: str, method: str) -> type[Kernel]:
    """The kernel of `backend` and `method`. Imports its library; raises `UnavailableError`."""
    missing = why_missing(backend)
    if missing is not None:
        raise UnavailableError(missing)
    module, name = KERNELS[backend, method].split(":")
    try:
        return cast(type[Kernel], getattr(import_module(module), name))
    except (ImportError, OSError) as error:
        raise UnavailableError(does_not_load(backend, error)) from error


def load_all() -> dict[str, Message]:
    """Load every kernel whose library is here, NumPy's first; for each backend that does not load, why."""
    failures = {}
    for backend, method in KERNELS:
        try:
            load(backend, method)
        except UnavailableError as error:
            failures[backend] = error.message
    return failures
