"""One iteration, value by value."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from twolayer import Config, fit
from twolayer.backprop.bugs import BUGS
from twolayer.backprop.one_step import WINDOW, Chosen, observe
from twolayer.training.data import DATA_SETS
from twolayer.training.kernels.numpy import Tutorial
from twolayer.training.problem import make_problem
from twolayer.training.program import STEPS

TINY = Config(N=3, D_in=4, H=2, D_out=2, seed=1, dtype="float64", learning_rate=1e-3)


@pytest.mark.parametrize("at", [0, 7])
def test_the_numbers_are_those_of_the_run_bit_for_bit(at, dtype):
    config = Config(dtype=dtype, steps=20)
    seen = observe(config, at, chosen=Chosen(n=11, i=500, j=42, o=9))
    assert seen.loss == fit(config).losses[at]
    after = fit(Config(dtype=dtype, steps=at + 1))
    for name, weights in (("w1", after.w1), ("w2", after.w2)):
        view = seen.views[name]
        row, column = view.first
        assert_array_equal(view.window, weights[row : row + WINDOW, column : column + WINDOW])
        assert view.first[0] <= view.chosen[0] < view.first[0] + WINDOW
        assert (view.minimum, view.maximum) == (weights.min(), weights.max())


def test_a_small_value_is_shown_whole_and_a_large_one_as_means_and_a_window():
    seen = observe(Config(), 0, chosen=Chosen(i=999, j=99))
    w1 = seen.views["w1"]
    assert (w1.shape, w1.block, w1.picture.shape, w1.window.shape) == ((1000, 100), (16, 2), (63, 50), (8, 8))
    assert w1.first == (992, 92)
    assert not w1.whole
    problem = make_problem(Config())
    with Tutorial.threads(1):
        h = problem.x @ problem.w1
    assert_allclose(seen.views["h"].picture[3, 7], h[3, 14:16].mean(), rtol=1e-5)
    assert seen.views["h_relu"].zeros == np.mean(h <= 0)
    assert seen.views["h"].zeros == 0
    for view in observe(TINY, 0).views.values():
        assert view.whole


def test_the_first_cell_of_each_value_is_chosen_unless_another_is():
    assert {view.chosen for view in observe(TINY, 0).views.values()} == {(0, 0)}


@pytest.mark.parametrize("name", DATA_SETS)
def test_the_iteration_of_a_run_on_a_data_set_is_its_own(name):
    config = Config(data=name, init="he", H=6, learning_rate=1e-5, steps=9)
    seen, losses = observe(config, 5), fit(config).losses
    assert seen.loss == losses[5]
    assert seen.views["h"].shape == (config.N, 6)


def test_a_cell_that_is_not_there_is_the_last_one():
    assert observe(TINY, 0, chosen=Chosen(100, 100, 100, 100)).chosen == Chosen(2, 3, 1, 1)


@pytest.mark.parametrize("planted", [None, *BUGS])
@pytest.mark.parametrize("name", STEPS)
def test_a_sum_that_is_spelled_out_has_the_value_of_its_cell(name, planted):
    """Each part of `a = b = c` that is made of numbers alone, evaluated, is the number at the end."""
    view = observe(TINY, 2, planted).views[name]
    for row in range(view.window.shape[0]):
        for column in range(view.window.shape[1]):
            left, formula, *numbers, value = view.sums[row][column].split(" = ")
            assert left == (name if name == "loss" else f"{name}[{row},{column}]")
            assert re.search("[a-z]", formula)
            assert float(value) == pytest.approx(view.window[row, column], rel=1e-3, abs=1e-12)
            for text in numbers:
                assert evaluated(text) == pytest.approx(view.window[row, column], rel=5e-3, abs=2e-3)


def evaluated(text: str) -> float:
    """The value of a sum as it is written for people."""
    text = text.replace("·", "*").replace("²", "**2")
    text = re.sub(r"^\((\S+) ([<>]) 0 \? 0 : (\S+)\)$", r"(0 if \1 \2 0 else \3)", text)
    assert set(text) <= set("0123456789.+-*() emax,ifls<>"), text
    return eval(text)


def test_a_long_sum_is_cut_in_its_middle():
    text = observe(Config(), 0).views["h"].sums[3][7]
    assert text.startswith("h[3,7] = Σ_k x[3,k]·w1[k,7] = ")
    assert text.count("·") == 4
    assert "⋯" in text
    assert {*re.findall(r"\((.)", text.split(" = ")[2])} == {"-"}, "only negative numbers need brackets"
    assert "·0 + " in observe(Config(), 0).views["grad_w1"].sums[0][0], "nor does a 0"
    problem = make_problem(Config())
    first, second, last = (
        [float(number) for number in re.findall(r"-?[\d.]+(?:e-\d+)?", term)]
        for term in re.split(r" \+ (?:⋯ \+ )?", text.split(" = ")[2])
    )
    for term, k in ((first, 0), (second, 1), (last, 999)):
        assert_allclose(term, [problem.x[3, k], problem.w1[k, 7]], rtol=1e-3)


@pytest.mark.parametrize("planted", [None, *BUGS])
def test_the_chain_rule_adds_up(planted):
    chosen = Chosen(n=1, i=2, j=1, o=0)
    chain = observe(TINY, 2, planted, chosen).chain
    assert chain.samples[:, 5].sum() + chain.other_sum == pytest.approx(chain.total, rel=1e-12)
    assert_allclose(chain.samples[:, 1] * chain.samples[:, 4], chain.samples[:, 5])
    assert chain.outputs[:, 5].sum() == pytest.approx(chain.samples[1, 3], rel=1e-12)
    assert chain.after == pytest.approx(chain.before - TINY.learning_rate * chain.total, rel=1e-12)


@pytest.mark.parametrize("planted", [None, *BUGS])
@pytest.mark.parametrize("seed", range(5))
def test_the_chain_rule_names_the_factor_that_its_numbers_have(planted, seed):
    config = replace(TINY, seed=seed)
    chosen = Chosen(n=1, i=2, j=1, o=0)
    chain = observe(config, 0, planted, chosen).chain
    problem, step = make_problem(config), observe(config, 0, planted, chosen)
    grad_w2 = step.views["grad_w2"].window
    names = {
        "w2[1, o]": problem.w2[1],
        "w2[o, 1]": problem.w2[:, 1],
        "grad_w2[1, o]": grad_w2[1],
        "(w2 - η·grad_w2)[1, o]": step.views["w2"].window[1],
    }
    assert_allclose(chain.outputs[:, 4], names[chain.factor], rtol=1e-12)
    expected = {
        "not_transposed": "w2[o, 1]",
        "grad_w2_for_w2": "grad_w2[1, o]",
        "updated_early": "(w2 - η·grad_w2)[1, o]",
    }
    assert chain.factor == expected.get(planted, "w2[1, o]")


def test_the_chain_rule_of_a_large_batch_keeps_the_samples_that_weigh_most():
    chain = observe(Config(N=300, D_in=5, H=4, D_out=150, dtype="float64"), 0).chain
    assert (len(chain.samples), chain.other_samples) == (100, 200)
    assert (len(chain.outputs), chain.other_outputs) == (100, 50)
    assert chain.samples[:, 5].sum() + chain.other_sum == pytest.approx(chain.total, rel=1e-12)
    assert np.all(np.diff(chain.samples[:, 0]) > 0)


def test_what_travels_is_small():
    import pickle

    assert len(pickle.dumps(observe(Config(), 0))) < 300_000


def test_the_shares_and_ends_of_every_value():
    seen = observe(TINY, 0)
    for name, view in seen.views.items():
        assert list(seen.views) == list(STEPS)
        assert view.window.size == max(1, math.prod(view.shape)), name
        assert (view.minimum, view.maximum) == (view.window.min(), view.window.max())
        assert view.zeros == np.mean(view.window == 0)
