"""The data sets: what is in them, which rows train, the initial weights, and what training makes of them."""

import csv
import gzip
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import plotly
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from twolayer import Config, ConfigError, fit
from twolayer.training import data, training
from twolayer.training.data import DATA_SETS
from twolayer.training.problem import make_held_out, make_problem

SUMS = {
    "teacher": (-142.473194975, 1667.93789298),
    "sine": (250, 0),
    "step": (250, 125),
    "xor": (504.341489326, 500),
    "circles": (511.116841872, 500),
    "moons": (496.937678179, 500),
    "spiral": (530.270470071, 500),
    "iris": (150, 150),
    "digits": (36904.375, 1797),
}
"""Of all inputs and of all outputs: an old link has to find the same numbers."""

every_set = pytest.mark.parametrize("name", DATA_SETS)


def columns(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The inputs but for the ones, and the class or the single output of each row."""
    x, y = data.table(name)
    return x[:, :-1], y.argmax(axis=1) if DATA_SETS[name].classes else y[:, 0]


@every_set
def test_a_table_is_as_its_row_says_and_stays_so(name):
    found, (x, y) = DATA_SETS[name], data.table(name)
    assert (x.shape, y.shape) == ((found.rows, found.D_in), (found.rows, found.D_out))
    assert x.dtype == y.dtype == np.float64
    assert_allclose((x.sum(), y.sum()), SUMS[name], rtol=1e-9, atol=1e-9)
    assert 0 < found.N < found.rows
    if found.classes:
        assert found.kind == "classes"
        assert len(found.classes) == found.D_out
        assert_array_equal(np.sort(y, axis=1), [[0] * (found.D_out - 1) + [1]] * found.rows)
    assert (name == "teacher") != bool((x[:, -1] == 1).all())
    with pytest.raises(ValueError, match="read-only"):
        x[0, 0] = 1


def test_the_plane_s_classes_are_where_they_should_be():
    x, classes = columns("xor")
    assert_array_equal(classes, x[:, 0] * x[:, 1] > 0)
    x, classes = columns("circles")
    assert_array_equal(classes, np.hypot(*x.T) < 0.5)
    x, classes = columns("moons")
    assert (x[classes == 0, 1].mean(), x[classes == 1, 1].mean()) == pytest.approx((0.21, -0.22), abs=0.03)
    x, classes = columns("spiral")
    turn = np.arctan2(x[:, 0], x[:, 1]) - 2.5 * np.pi * np.hypot(*x.T) - np.pi * classes
    assert np.cos(turn[np.hypot(*x.T) > 0.3]).min() > 0.9


def test_the_curves_are_a_sine_and_a_step():
    x, y = columns("sine")
    assert_allclose(y, np.sin(x[:, 0] / x[:, 0].std() * np.pi * np.sqrt(251 / 249 / 3)), atol=1e-9)
    x, y = columns("step")
    assert_array_equal(y, x[:, 0] > 0)


def test_the_teacher_is_a_network_of_8_units():
    x, y = data.table("teacher")
    g = np.random.default_rng(1)
    assert_array_equal(g.standard_normal(x.shape), x)
    w1, w2 = g.standard_normal((20, 8)), g.standard_normal((8, 3))
    assert_allclose((x @ w1).clip(0) @ w2 / np.sqrt(40), y)


def test_the_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    bunch, (x, classes) = load_digits(), columns("digits")
    assert_array_equal(x * 16, bunch.data)
    assert_array_equal(classes, bunch.target)


def test_the_flowers_are_those_of_plotly():
    path = Path(plotly.__file__).with_name("package_data") / "datasets" / "iris.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lengths = [[float(row[k]) for k in list(row)[:4]] for row in rows]
    x, classes = columns("iris")
    assert [DATA_SETS["iris"].classes[i] for i in classes] == [row["species"] for row in rows]
    assert_allclose(x * np.std(lengths, axis=0) + np.mean(lengths, axis=0), lengths)
    assert_allclose((x.mean(axis=0), x.std(axis=0)), ([0] * 4, [1] * 4), atol=1e-12)


@every_set
@pytest.mark.parametrize("init", ["tutorial", "he"])
@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_the_rows_are_permuted_then_the_weights_are_drawn_and_each_array_is_cast_once(
    name, init, seed, dtype
):
    config = Config(data=name, init=init, seed=seed, dtype=dtype, H=7)
    problem, held_out, (x, y) = make_problem(config), make_held_out(config), data.table(name)
    g = np.random.default_rng(seed)
    order = g.permutation(DATA_SETS[name].rows)
    w1, w2 = g.standard_normal((config.D_in, 7)), g.standard_normal((7, config.D_out))
    if init == "he":
        w1, w2 = w1 * np.sqrt(2 / config.D_in), w2 * np.sqrt(2 / 7)
    train, other = order[: config.N], order[config.N :]
    pairs = [(problem.x, x[train]), (problem.y, y[train]), (problem.w1, w1), (problem.w2, w2)]
    for array, expected in [*pairs, (held_out.x, x[other]), (held_out.y, y[other])]:
        assert_array_equal(array, expected.astype(dtype))
        assert array.dtype == dtype
        assert array.flags.c_contiguous
        assert not array.flags.writeable


def test_he_s_random_numbers_are_the_tutorial_s_scaled(dtype):
    config = Config(N=3, D_in=4, H=5, D_out=2, seed=6, dtype=dtype)
    plain, scaled = make_problem(config), make_problem(replace(config, init="he"))
    g = np.random.default_rng(6)
    x, y = g.standard_normal((3, 4)), g.standard_normal((3, 2))
    w1, w2 = g.standard_normal((4, 5)) * np.sqrt(2 / 4), g.standard_normal((5, 2)) * np.sqrt(2 / 5)
    for name, expected in (("x", x), ("y", y), ("w1", w1), ("w2", w2)):
        assert_array_equal(getattr(scaled, name), expected.astype(dtype))
    assert_array_equal(plain.x, scaled.x)


@pytest.mark.parametrize(("N", "rows"), [(1, 1), (5, 5), (200, 64)])
def test_what_random_data_hold_out_is_fresh(N, rows, dtype):
    config = Config(N=N, D_in=3, D_out=2, seed=9, dtype=dtype)
    held_out, problem = make_held_out(config), make_problem(config)
    assert (held_out.x.shape, held_out.y.shape) == ((rows, 3), (rows, 2))
    assert held_out.x.dtype == held_out.y.dtype == dtype
    assert not np.isin(held_out.x, problem.x).any()
    assert not np.array_equal(held_out.x, make_held_out(replace(config, seed=10)).x)


@cache
def independent_losses(name: str, dtype: str) -> np.ndarray:
    """The losses of 30 steps in float64 by a loop of its own, from rows and weights of its own drawing."""
    x, y = data.table(name)
    g = np.random.default_rng(3)
    order = g.permutation(len(x))[: len(x) * 2 // 3]
    w1 = g.standard_normal((x.shape[1], 12)) * np.sqrt(2 / x.shape[1])
    w2 = g.standard_normal((12, y.shape[1])) * np.sqrt(2 / 12)
    x, y, w1, w2 = (np.float64(a.astype(dtype)) for a in (x[order], y[order], w1, w2))
    losses = []
    for _ in range(30):
        z = x @ w1
        error = np.where(z < 0, 0, z) @ w2 - y
        losses.append((error * error).sum())
        back = np.where(z < 0, 0, 2 * error @ w2.T)
        w2 = w2 - 1e-5 * (np.where(z < 0, 0, z).T @ (2 * error))
        w1 = w1 - 1e-5 * (x.T @ back)
    return np.array(losses)


@every_set
def test_every_kernel_agrees_with_an_independent_loop(name, kernel, dtype):
    config = Config(
        data=name,
        init="he",
        **kernel,
        dtype=dtype,
        N=DATA_SETS[name].rows * 2 // 3,
        H=12,
        learning_rate=1e-5,
        steps=30,
        seed=3,
    )
    tolerance = {"float64": 1e-11, "float32": 2e-5}[dtype]
    assert_allclose(fit(config).losses, independent_losses(name, dtype), rtol=tolerance)


@pytest.mark.parametrize("name", ["random", *DATA_SETS])
def test_the_held_out_score_is_that_of_the_weights_whatever_computes_it(name, kernel, dtype):
    config = Config(data=name, init="he", **kernel, dtype=dtype, H=9, learning_rate=1e-5, steps=40, seed=2)
    result, held_out = fit(config), make_held_out(config)
    at, loss, right = result.held_out[-1]
    y_pred = np.float64(held_out.x) @ np.float64(result.w1)
    y_pred = y_pred.clip(0) @ np.float64(result.w2)
    assert at == 40
    assert_allclose(loss, ((y_pred - held_out.y) ** 2).mean(), rtol={"float64": 1e-9, "float32": 1e-3}[dtype])
    if name != "random" and DATA_SETS[name].classes:
        same = y_pred.argmax(axis=1) == held_out.y.argmax(axis=1)
        assert abs(right - same.mean()) <= {"float64": 0, "float32": 1.01 / len(same)}[dtype]
    else:
        assert np.isnan(right)


def test_testing_a_run_changes_no_bit_of_it(kernel, dtype):
    config = Config(data="moons", init="he", **kernel, dtype=dtype, H=9, learning_rate=1e-4, steps=40)
    problems = [training.prepare(config, tested=tested) for tested in (False, True)]
    chunks = [training.advance(config, p, training.start(config, p), 40) for p in problems]
    assert [len(chunk.held_out) for chunk in chunks] == [0, len(chunks[0].dead)]
    assert_array_equal(chunks[0].losses, chunks[1].losses)
    for name in chunks[0].state:
        assert_array_equal(chunks[0].state[name], chunks[1].state[name])


def test_scikit_learn_finds_the_same_accuracy_of_the_digits():
    from sklearn.metrics import accuracy_score
    from sklearn.neural_network import MLPClassifier

    config = Config(data="digits", init="he", method="auto", learning_rate=1e-4, steps=1000)
    result, held_out = fit(config), make_held_out(config)
    model = MLPClassifier((config.H,), activation="relu")
    model.coefs_ = [result.w1, result.w2]
    model.intercepts_ = [np.zeros(config.H), np.zeros(10)]
    model.n_layers_, model.out_activation_ = 3, "identity"
    y_pred = model._forward_pass_fast(held_out.x, check_input=False)
    accuracy = accuracy_score(held_out.y.argmax(axis=1), y_pred.argmax(axis=1))
    assert result.held_out[-1, 2] == accuracy
    assert accuracy > 0.97


def test_random_data_are_only_memorised():
    result = fit(Config(method="auto"))
    mean = result.losses / (64 * 10)
    assert mean[-1] < 1e-6
    assert result.held_out[:, 1].min() > 10_000


@every_set
def test_the_sizes_are_the_set_s_own(name):
    found, config = DATA_SETS[name], Config(data=name)
    assert (config.N, config.D_in, config.D_out) == (found.N, found.D_in, found.D_out)
    assert config == Config(data=name, N=found.N, D_in=found.D_in, D_out=found.D_out)
    assert config.to_query() == {"data": name}
    assert Config.from_query({"data": name}) == (config, [])
    fewer = replace(config, N=2, init="he")
    assert fewer.to_query() == {"data": name, "init": "he", "N": "2"}
    assert Config.from_query(fewer.to_query()) == (fewer, [])
    assert found.rows - 1 == Config(data=name, N=found.rows - 1).N


@every_set
def test_sizes_that_the_set_does_not_have_are_refused(name):
    found = DATA_SETS[name]
    wrong = {"N": found.rows, "D_in": found.D_in + 1, "D_out": found.D_out - 1 or 2}
    words = {"N": f"1 to {found.rows - 1}", "D_in": str(found.D_in), "D_out": str(found.D_out)}
    for field, value in wrong.items():
        with pytest.raises(ConfigError, match=words[field]) as caught:
            Config(data=name, **{field: value})
        assert (caught.value.field, caught.value.got) == (field, value)
    config, errors = Config.from_query({"data": name, **{k: str(v) for k, v in wrong.items()}, "H": "9"})
    assert config == Config(data=name, H=9)
    assert [error.field for error in errors] == list(wrong)


def test_a_set_whose_package_is_missing_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(data, "find_spec", {}.get)
    for make in (make_problem, make_held_out):
        with pytest.raises(data.DataError, match="pip install scikit-learn"):
            make(Config(data="digits"))
    assert data.why_missing("random") is None
    assert make_problem(Config(data="spiral")).x.shape == (400, 3)


def test_reading_a_package_s_file_does_not_import_it():
    program = """
import sys
from twolayer.training.data import DATA_SETS, table
for name in DATA_SETS:
    table(name)
print({"sklearn", "plotly"} & set(sys.modules))
"""
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "set()"
