"""The process that imports a learner's file: it calls their functions and leaves the arrays in a folder."""

import importlib.util
import inspect
import json
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from twolayer.training.program import GRADIENTS

FORWARD = ("h", "h_relu", "y_pred")
RESULTS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "forward": (FORWARD, ("y_pred",)),
    "backward": (GRADIENTS, ("grad_w1", "grad_w2")),
}
"""What each function may return: a tuple of these values in this order; or a dictionary by their names."""


def main(file: str, folder: str) -> None:
    """Call both functions of a file with the arrays of `folder`; leave what they return there."""
    place = Path(folder)
    with np.load(place / "given.npz", allow_pickle=False) as stored:
        given = dict(stored)
    found: dict[str, np.ndarray[Any, Any]] = {}
    failed: dict[str, str] = {}
    functions = _functions(file, failed)
    inputs = {name: given[name] for name in ("x", "y", "w1", "w2")}
    _call(functions, "forward", inputs, "chain", found, failed)
    own = {name: found[f"chain {name}"] for name in FORWARD if f"chain {name}" in found}
    _call(functions, "backward", given, "alone", found, failed)
    if len(own) == len(FORWARD):
        _call(functions, "backward", given | own, "chain", found, failed)
    np.savez(place / "found.npz", **found)  # type: ignore[arg-type]
    (place / "failed.json").write_text(json.dumps(failed), "utf-8")


def _functions(file: str, failed: dict[str, str]) -> dict[str, Any]:
    """Return the names that a file defines."""
    sys.path.insert(0, str(Path(file).resolve().parent))
    spec = importlib.util.spec_from_file_location("learner", file)
    try:
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except BaseException as error:  # noqa: BLE001  # whatever their file raises is an answer
        failed["file"] = _words(error)
        return {}
    return vars(module)


def _call(
    functions: Mapping[str, Any],
    name: str,
    given: Mapping[str, Any],
    mark: str,
    found: dict[str, np.ndarray[Any, Any]],
    failed: dict[str, str],
) -> None:
    """Call a function with those of the arrays that its parameters name."""
    function = functions.get(name)
    if not callable(function):
        if "file" not in failed:
            failed[name] = "missing"
        return
    torch = next((value for value in functions.values() if getattr(value, "__name__", "") == "torch"), None)
    try:
        wanted = [each for each in inspect.signature(function).parameters if each in given]
        arrays = {each: np.array(given[each]) for each in wanted}
        if torch is not None:
            arrays = {each: torch.from_numpy(array) for each, array in arrays.items()}
        for value, array in _named(name, function, arrays).items():
            found[f"{mark} {value}"] = np.asarray(array, np.float64)
    except BaseException as error:  # noqa: BLE001  # as above
        failed[name] = _words(error)


def _named(name: str, function: Callable[..., Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a function returns, by the names of its values."""
    result = function(**arrays)
    if isinstance(result, Mapping):
        named = {key: value for key, value in result.items() if key in RESULTS[name][0]}
        if not named:
            raise TypeError(f"{name} returns a dictionary without any of {', '.join(RESULTS[name][0])}")
        return named
    values = result if isinstance(result, tuple | list) else (result,)
    for names in RESULTS[name]:
        if len(names) == len(values):
            return dict(zip(names, values, strict=True))
    raise TypeError(
        f"{name} returns {len(values)} values; expected {' or '.join(map(', '.join, RESULTS[name]))}"
    )


def _words(error: BaseException) -> str:
    """Return an error in one line, with the line of their file."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    frames = [frame for frame in frames if "importlib" not in frame.filename]
    line = f"line {frames[-1].lineno}: " if frames else ""
    return f"{line}{type(error).__name__}: {error}"


if __name__ == "__main__":
    main(*sys.argv[1:3])
