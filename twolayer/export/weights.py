"""Export the weights of a run, in any state and at any time, as arrays and as PyTorch's `state_dict`."""

import io
from importlib.util import find_spec

import numpy as np

from twolayer.engine.engine import Engine
from twolayer.engine.job import Job
from twolayer.engine.limits import REPETITION_FACTOR
from twolayer.engine.run import Run
from twolayer.training import methods, training
from twolayer.training.config import Config
from twolayer.training.data import own
from twolayer.training.problem import Array
from twolayer.training.training import Chunk

PATIENCE_SECONDS = 120.0
"""The wait for a worker, besides the time that the run itself may take."""

ONNX_BYTES = 2**31 - 2**16
"""The format's own limit, less what is not weights."""
ONNX_OPSET, ONNX_IR = 14, 8
"""Versions of ONNX that runtimes of many years read; float64 has `Relu` from 14 on."""


def of_run(engine: Engine, run: Run, visitor: str | None) -> dict[str, Array]:
    """Return w1 and w2 after the steps that have been received of a run.

    They come from its checkpoint, or else from a second run that repeats its steps. Raises
    `RuntimeError` if they cannot be computed, and `LimitError`.
    """
    if not run.live:
        run.wait_until_settled(PATIENCE_SECONDS)
    step, chunk = run.step, engine.checkpoint(run)
    if chunk is not None and chunk.step != step:
        chunk = None
    with own.in_use(run.table):
        if chunk is None and step:
            again = engine.submit(run.config, visitor, edits=run.edits, pause_at=step, keep_state=True)
            _wait(engine, again)
            chunk = again.last_state
        memory = methods.run_bytes(run.config)
        job = engine.map(of_state, [(run.config, chunk)], visitor, memory_bytes=memory)
    _wait(engine, job)
    arrays: dict[str, Array] = job.results()[0][1]
    return arrays


def _wait(engine: Engine, task: Run | Job) -> None:
    longest = PATIENCE_SECONDS + REPETITION_FACTOR * engine.settings.max_seconds
    if not task.wait_until_settled(longest) or task.state in ("failed", "stopped"):
        engine.stop(task)
        raise RuntimeError(str(task.message or "the weights could not be computed in time"))


def of_state(config: Config, chunk: Chunk | None) -> dict[str, Array]:
    """Return w1 (D_in, H) and w2 (H, D_out) of a run's state; without one, of its start."""
    problem = training.prepare(config)
    w1, w2 = training.weights(config, problem, chunk or training.start(config, problem))
    return {"w1": np.ascontiguousarray(w1), "w2": np.ascontiguousarray(w2)}


def state_dict(arrays: dict[str, Array]) -> dict[str, Array]:
    """Return w1 and w2 as `torch.nn.Linear` wants them, (outputs, inputs), by their names in `loading`."""
    names = {"0.weight": "w1", "2.weight": "w2"}
    return {name: np.ascontiguousarray(arrays[array].T) for name, array in names.items()}


def loading(config: Config, file_name: str) -> str:
    """Return a program that loads a file of `state_dict` in PyTorch."""
    dtype = f"dtype=torch.{config.dtype}"
    return f"""import torch
from safetensors.torch import load_file

model = torch.nn.Sequential(
    torch.nn.Linear({config.D_in}, {config.H}, bias=False, {dtype}),
    torch.nn.ReLU(),
    torch.nn.Linear({config.H}, {config.D_out}, bias=False, {dtype}),
)
model.load_state_dict(load_file("{file_name}"))
"""


def npz(arrays: dict[str, Array]) -> bytes:
    """Return arrays in NumPy's format `.npz`."""
    sink = io.BytesIO()
    np.savez(sink, allow_pickle=False, **arrays)
    return sink.getvalue()


def writable(library: str) -> bool:
    """Return whether the library that writes a format, `safetensors` or `onnx`, is installed."""
    return find_spec(library) is not None


def safetensors(arrays: dict[str, Array]) -> bytes:
    """Return arrays in the format `.safetensors`."""
    from safetensors.numpy import save

    return bytes(save(arrays))


def fit_onnx(config: Config) -> bool:
    """Return whether the weights are within the 2 GiB of the format."""
    return (config.D_in + config.D_out) * config.H * methods.item_bytes(config) < ONNX_BYTES


def onnx(arrays: dict[str, Array]) -> bytes:
    """Return the network as an ONNX model: x (N, D_in) in, y_pred (N, D_out) out, for any N.

    Raises an error of the library if the weights do not `fit_onnx`.
    """
    from onnx import checker, helper, numpy_helper

    number = helper.np_dtype_to_tensor_dtype(arrays["w1"].dtype)
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["h"]),
        helper.make_node("Relu", ["h"], ["h_relu"]),
        helper.make_node("MatMul", ["h_relu", "w2"], ["y_pred"]),
    ]
    graph = helper.make_graph(
        nodes,
        "two_layers",
        [helper.make_tensor_value_info("x", number, ["N", len(arrays["w1"])])],
        [helper.make_tensor_value_info("y_pred", number, ["N", arrays["w2"].shape[1]])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", ONNX_OPSET)], ir_version=ONNX_IR)
    checker.check_model(model)
    return bytes(model.SerializeToString())
