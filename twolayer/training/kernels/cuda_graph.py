"""CUDA graphs: the operations of a step are recorded once in a chunk, and then launched by one call.

The tests replace CUDA by operations on the CPU. This has not been run on a GPU yet.
"""

import logging
from collections.abc import Callable, Sequence
from functools import cache
from typing import Protocol

import torch

LOG = logging.getLogger(__name__)

DEVICES = ("cuda",)
FEWEST_STEPS = 32
"""A chunk of fewer steps is not worth a recording."""
WARM_UP = 3
"""Steps before the recording: what libraries make at their first call may not be made while recording."""


class Graph(Protocol):
    """Recorded operations. They read and write the memory that they were recorded with."""

    def replay(self) -> None:
        """Launch all of them. Does not wait for the device."""


def recorded(step: Callable[[], None], changed: Sequence[torch.Tensor], device: torch.device) -> Graph | None:
    """Record `step`, which must not wait for the device. The tensors `changed` by it keep their values.

    Returns None where there are no graphs, or where the recording fails, which the log says.
    """
    if device.type not in DEVICES:
        return None
    stream = _stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.device(device), torch.cuda.stream(stream):
        before = [tensor.clone() for tensor in changed]
        for _ in range(WARM_UP):
            step()
        for tensor, values in zip(changed, before, strict=True):
            tensor.copy_(values)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=stream):  # waits for the device before it records
                step()
        except RuntimeError as error:
            _say_once(type(error).__name__, str(error).partition("\n")[0])
            return None
    return graph


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream of all recordings: cuBLAS keeps its workspace for each stream."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # as PyTorch declares it


@cache
def _say_once(error: str, text: str) -> None:
    LOG.warning("cuda_graph", {"state": "refused", "steps": "launched one by one", "why": f"{error}: {text}"})
