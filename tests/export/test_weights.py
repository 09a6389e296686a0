"""Weights that are taken away are those of the run."""

import io

import numpy as np
from numpy.testing import assert_array_equal
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
