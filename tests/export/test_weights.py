"""Weights that are taken away are those of the run."""

import io

import numpy as np
import onnx
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from onnx.reference import ReferenceEvaluator
from safetensors.numpy import load

from twolayer import Config, fit
from twolayer.export import weights
from twolayer.training import training


def test_weights_of_a_state_are_those_of_fit(kernel):
    config = Config(**kernel, N=13, D_in=50, H=11, D_out=2, learning_rate=1e-4, steps=40)
    problem = training.prepare(config)
    chunk = training.advance(config, problem, training.start(config, problem), 40)
    arrays, expected = weights.of_state(config, chunk), fit(config)
    assert_array_equal(arrays["w1"], expected.w1)
    read = np.load(io.BytesIO(weights.npz(arrays)), allow_pickle=False)
    assert sorted(read) == ["w1", "w2"]
    for name, array in arrays.items():
        assert_array_equal(read[name], array)
        assert read[name].dtype == "float32"
        assert_array_equal(load(weights.safetensors(arrays))[name], array)


@pytest.mark.parametrize("method", ["tutorial", "gram"])
def test_the_state_dict_loads_in_pytorch_and_gives_the_same_outputs(tmp_path, monkeypatch, dtype, method):
    config = Config(N=13, D_in=7, H=5, D_out=3, learning_rate=1e-4, steps=40, dtype=dtype, method=method)
    problem = training.prepare(config)
    chunk = training.advance(config, problem, training.start(config, problem), 40)
    arrays = weights.of_state(config, chunk)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.safetensors").write_bytes(weights.safetensors(weights.state_dict(arrays)))
    program: dict = {}
    exec(weights.loading(config, "run.safetensors"), program)
    model = program["model"]
    assert {name: tuple(p.shape) for name, p in model.named_parameters()} == {
        "0.weight": (5, 7),
        "2.weight": (3, 5),
    }
    with torch.no_grad():
        outputs = model(torch.tensor(problem.x)).numpy()
    expected = np.maximum(problem.x @ arrays["w1"], 0) @ arrays["w2"]
    assert outputs.dtype == dtype
    assert_allclose(outputs, expected, rtol=1e-4 if dtype == "float32" else 1e-12, atol=1e-4)
    assert_allclose(
        np.square(outputs - problem.y).sum(),
        fit(Config(**{**vars(config), "steps": 41})).losses[40],
        rtol=1e-4,
    )


def test_the_onnx_model_gives_the_same_outputs_for_any_number_of_rows(dtype):
    config = Config(N=13, D_in=7, H=5, D_out=3, learning_rate=1e-4, steps=40, dtype=dtype)
    result, x = fit(config), training.prepare(config).x
    model = onnx.load_from_string(weights.onnx({"w1": result.w1, "w2": result.w2}))
    for rows in (x, x[:2]):
        (outputs,) = ReferenceEvaluator(model).run(None, {"x": rows})
        assert outputs.dtype == dtype
        expected = np.maximum(rows @ result.w1, 0) @ result.w2
        assert_allclose(outputs, expected, rtol=1e-5 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_fits_onnx_up_to_its_two_gigabytes(dtype):
    size = 4 if dtype == "float32" else 8
    largest = (2**31 - 2**16) // (10_000 * size)  # of D_in + D_out; the rest of 2 GiB is for the model itself
    assert weights.fit_onnx(Config(D_in=largest - 10, D_out=10, H=10_000, dtype=dtype))
    assert not weights.fit_onnx(Config(D_in=largest - 9, D_out=10, H=10_000, dtype=dtype))
