"""The ejected scripts print the losses of the run, to the last bit."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from twolayer import Config, fit
from twolayer.export import script
from twolayer.export.rungs import SCRIPTS
from twolayer.training.config import FIELDS
from twolayer.training.data import DATA_SETS, own
from twolayer.training.data.own import Choices
from twolayer.training.data.reading import read
from twolayer.training.edits import Edit
from twolayer.training.kernels import KERNELS
from twolayer.training.kernels.numpy import BLOCK

METHODS = FIELDS["method"].options
OURS = ("twolayer", "tests")


def printed(script: str, folder) -> np.ndarray:
    """What a script prints, run by itself in an empty folder: rows of step and loss."""
    path = folder / "run.py"
    path.write_text(script, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-I", path], cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return np.array([line.split() for line in ran.stdout.splitlines()], dtype=float).reshape(-1, 2)


ALONE = [pair for pair in KERNELS if pair[1] in METHODS and (pair[0] == "numpy" or pair[1] == "gram")]
"""Backends and methods whose scripts are run by themselves. One of each library that takes seconds to load or
to compile is enough: `test_rungs` runs all of them, on random runs."""


@pytest.fixture(params=ALONE, ids="-".join)
def alone(request) -> dict[str, str]:
    """One of `ALONE`, as fields of a Config."""
    return dict(zip(("backend", "method"), request.param, strict=True))


def test_a_script_of_the_default_run_reproduces_the_losses_exactly(alone, tmp_path):
    config = Config(**alone)
    assert_array_equal(printed(script.script(config), tmp_path)[:, 1], fit(config).losses)


@pytest.mark.parametrize("method", ["fused", "gram"])
def test_a_script_takes_the_hidden_units_in_the_blocks_of_the_run(method, tmp_path):
    config = Config(method=method, N=300, D_in=160, H=500, learning_rate=1e-8, steps=5)
    assert config.N * config.H > 2 * BLOCK
    assert_array_equal(printed(script.script(config), tmp_path)[:, 1], fit(config).losses)


def test_a_changed_run_is_ejected_as_far_as_it_went(alone, tmp_path):
    config = Config(**alone, N=13, D_in=50, H=11, D_out=2, learning_rate=1e-4, steps=100)
    edits = (Edit(40, "learning_rate", 3e-5), Edit(100, "steps", 200), Edit(150, "learning_rate", 1e-5))
    losses = fit(config, edits).losses
    assert_array_equal(printed(script.script(config, edits, steps=170), tmp_path)[:, 1], losses[:170])


def test_a_script_needs_nothing_of_this_project(kernel):
    text = script.script(Config(**kernel))
    assert not any(name in text for name in OURS)
    compile(text, "run.py", "exec")


def test_a_program_as_written_is_the_script_of_its_default_run(kernel):
    written = SCRIPTS / "{backend}_{method}.py".format_map(kernel)
    assert script.script(Config(**kernel)) == written.read_text("utf-8")


def test_every_setting_is_filled_in_where_the_program_has_it(kernel):
    sizes = {"N": 7, "D_in": 6, "H": 5, "D_out": 4}
    others = {"learning_rate": 3e-5, "steps": 9, "seed": 3, "dtype": "float64"}
    others |= {"threads": 2} if kernel["backend"] != "numba" else {}
    expected = [
        "N, D_in, H, D_out = 7, 6, 5, 4",
        "learning_rate = 3e-05",
        "steps = 9",
        "g = np.random.default_rng(3)",
        "x = g.standard_normal((N, D_in)).astype(np.float64)",
        "w2 = g.standard_normal((H, D_out)).astype(np.float64)",
    ]
    if kernel["backend"] == "torch":
        others["device"] = "cuda:1"
        expected += ["torch.set_num_threads(2)", 'device = torch.device("cuda:1")']
    elif kernel["backend"] == "numpy":
        expected.append('    os.environ[f"{library}_NUM_THREADS"] = "2"')
        if kernel["method"] != "tutorial":
            expected.append("from scipy.linalg.blas import daxpy as axpy, ddot as dot, dgemm as gemm")
    before = script.script(Config(**kernel))
    after = script.script(Config(**kernel, **sizes, **others))
    words = after.split("\n\n")[1].splitlines()
    changed = set(after.splitlines()) - set(before.splitlines())
    assert changed > {*expected, *words}
    assert len(changed) == len(expected) + len(words) + 2  # y and w1


@pytest.mark.parametrize("init", ["tutorial", "he"])
@pytest.mark.parametrize("name", ["random", *DATA_SETS])
def test_a_script_carries_its_data_and_initial_weights(name, init, tmp_path):
    number = ["random", *DATA_SETS].index(name)
    method, dtype = METHODS[number % len(METHODS)], ("float32", "float64")[number % 2]
    config = Config(
        data=name, init=init, method=method, dtype=dtype, H=9, learning_rate=1e-6, steps=20, seed=8
    )
    rows = printed(script.script(config), tmp_path)
    assert len(rows) == 20
    assert_array_equal(rows[:, 1], fit(config).losses)


def test_a_file_and_its_columns_may_have_any_name(tmp_path):
    name = "{seed} {dtype} {table} 'N\".csv"
    content = b'"{seed}","it\'s ""so""\n{dtype}"\n' + b"".join(b"%d,%d\n" % (k, k * k % 7) for k in range(9))
    (tmp_path / name).write_bytes(content)
    table = read(content, name, Choices()).table
    with own.in_use(table):
        config = Config(data="csv", table=table.name, H=3, steps=5)
        assert_array_equal(printed(script.script(config), tmp_path)[:, 1], fit(config).losses)


def test_every_program_has_the_lines_that_other_data_replace(kernel):
    text = script.script(Config(**kernel, data="iris", init="he"))
    assert "iris()" in text
    assert "sqrt(2 / H)" in text
