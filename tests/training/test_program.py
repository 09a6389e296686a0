"""The lines that are shown are the lines that run."""

import inspect

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from twolayer import Config
from twolayer.training import program, reference
from twolayer.training.kernels.torch import Tutorial
from twolayer.training.problem import make_problem
from twolayer.training.program import GRADIENTS, STEPS


def test_the_numpy_lines_are_those_of_the_reference():
    text = inspect.getsource(reference)
    for name in STEPS:
        place = program.numpy_statements()[name]
        assert place.source in text
        assert place.text.startswith(f"{name} = ")
        assert len(place.lines) == 1


def test_the_torch_lines_are_those_of_the_tutorial_kernel():
    text = inspect.getsource(Tutorial.step)
    for name in STEPS:
        place = program.torch_statements()[name]
        for line in place.text.splitlines():
            assert line in text
            assert line.startswith(name)
    assert program.torch_statements()["grad_h"].text == "grad_h = grad_h_relu.clone()\ngrad_h[h < 0] = 0"


def test_the_lines_run_one_after_the_other_are_the_reference():
    problem = make_problem(Config(N=7, D_in=5, H=6, D_out=3, dtype="float64"))
    inputs = {name: getattr(problem, name) for name in program.INPUTS}
    values = program.run(program.iteration(), inputs, 0.01)
    loss, w1, w2 = reference.iteration(**inputs, learning_rate=0.01)
    assert list(values) == list(STEPS)
    assert values["loss"] == loss
    assert_array_equal(values["w1"], w1)
    assert_array_equal(values["w2"], w2)
    grad_w1, grad_w2 = reference.backward(
        inputs["x"], inputs["y"], inputs["w2"], *reference.forward(inputs["x"], inputs["w1"], inputs["w2"])
    )
    assert_array_equal(values["grad_w1"], grad_w1)
    assert_array_equal(values["grad_w2"], grad_w2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_lines_keep_the_dtype_and_the_inputs(dtype):
    problem = make_problem(Config(N=4, D_in=3, H=5, D_out=2, dtype=dtype))
    inputs = {name: getattr(problem, name) for name in program.INPUTS}
    before = {name: array.copy() for name, array in inputs.items()}
    values = program.run(program.iteration(), inputs, 0.01)
    assert {value.dtype for value in values.values()} == {np.dtype(dtype)}
    for name, array in before.items():
        assert_array_equal(inputs[name], array)


def test_what_a_line_uses():
    lines = program.iteration()
    assert program.uses(lines["grad_h"]) == ("h", "grad_h_relu")
    assert program.uses(lines["w2"]) == ("w2", "grad_w2")
    assert {name for step in GRADIENTS for name in program.uses(lines[step])} >= {"x", "y", "w2", "h_relu"}


def test_a_line_belongs_to_the_phase_of_the_comment_above():
    phases = {name: statement.phase for name, statement in program.torch_statements().items()}
    expected = {"h": "forward", "h_relu": "forward", "y_pred": "forward", "loss": "loss"}
    assert phases == expected | dict.fromkeys(GRADIENTS, "backward") | {"w1": "update", "w2": "update"}
