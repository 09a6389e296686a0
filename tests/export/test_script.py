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
from twolayer.training.edits import Edit
from twolayer.training.kernels.numpy import BLOCK

METHODS = FIELDS["method"].options
OURS = ("twolayer", "tests")


def printed(script: str, folder, diverged_at: int | None = None) -> np.ndarray:
    """What a script prints, run by itself in an empty folder: rows of step and loss.

    The step at which it diverges is said apart from them.
    """
    path = folder / "run.py"
    path.write_text(script, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-I", path], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    said = "" if diverged_at is None else f"diverged: the loss of step {diverged_at} is not finite\n"
    assert ran.stderr == said
    return np.array([line.split() for line in ran.stdout.splitlines()], dtype=float).reshape(-1, 2)


def random_configs(count: int) -> list[Config]:
    """Configs of random shapes and dtypes, each method among them; one of each ten diverges."""
    g = np.random.default_rng(4)
    configs = []
    for seed in range(count):
        N, D_in, H, D_out = (int(n) for n in np.exp(g.uniform(0, np.log(120), 4)))
        rate = float(g.uniform(0.02, 0.2)) / (H * np.sqrt(D_in * D_out) * max(N, D_in))
        configs.append(
            Config(
                method=METHODS[seed % len(METHODS)],
                dtype=("float32", "float64")[seed % 3 % 2],
                **{"N": N, "D_in": D_in, "H": H, "D_out": D_out},
                learning_rate=rate * (1e4 if seed % 10 == 9 else 1),
                steps=int(g.integers(1, 300)),
                seed=seed,
            )
        )
    return configs


COMPILED = (1, 2, 9)
"""Of the random configs those that are tried with Numba, whose scripts compile for many seconds."""


@pytest.mark.parametrize("number", range(10))
def test_a_script_reproduces_the_losses_exactly(backend, number, tmp_path):
    if backend == "numba" and number not in COMPILED:
        pytest.skip("compiles for long")
    config = Config(**vars(random_configs(10)[number]) | {"backend": backend})
    expected = fit(config)
    rows = printed(script.script(config), tmp_path, expected.diverged_at)
    assert_array_equal(rows[:, 0], np.arange(len(expected.losses)))
    assert_array_equal(rows[:, 1], expected.losses)


def test_a_script_of_the_default_run_reproduces_the_losses_exactly(kernel, tmp_path):
    config = Config(**kernel)
    assert_array_equal(printed(script.script(config), tmp_path)[:, 1], fit(config).losses)


@pytest.mark.parametrize("method", ["fused", "gram"])
def test_a_script_takes_the_hidden_units_in_the_blocks_of_the_run(method, tmp_path):
    config = Config(method=method, N=300, D_in=160, H=500, learning_rate=1e-8, steps=5)
    assert config.N * config.H > 2 * BLOCK
    assert_array_equal(printed(script.script(config), tmp_path)[:, 1], fit(config).losses)


def test_a_changed_run_is_ejected_with_its_changes_and_as_far_as_it_went(kernel, tmp_path):
    config = Config(**kernel, N=13, D_in=50, H=11, D_out=2, learning_rate=1e-4, steps=100)
    edits = (Edit(40, "learning_rate", 3e-5), Edit(100, "steps", 200), Edit(150, "learning_rate", 1e-5))
    losses = fit(config, edits).losses
    assert_array_equal(printed(script.script(config, edits), tmp_path)[:, 1], losses)
    assert_array_equal(printed(script.script(config, edits, steps=170), tmp_path)[:, 1], losses[:170])


def test_some_of_the_random_configs_diverge_and_all_methods_are_among_them():
    configs = random_configs(10)
    assert {config.method for config in configs} == set(METHODS)
    assert sum(fit(config).diverged_at is not None for config in configs) == 1


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
@pytest.mark.parametrize("name", FIELDS["data"].options)
def test_a_script_carries_its_data_and_initial_weights(name, init, tmp_path):
    number = FIELDS["data"].options.index(name)
    method, dtype = METHODS[number % len(METHODS)], ("float32", "float64")[number % 2]
    config = Config(
        data=name, init=init, method=method, dtype=dtype, H=9, learning_rate=1e-6, steps=20, seed=8
    )
    rows = printed(script.script(config), tmp_path)
    assert len(rows) == 20
    assert_array_equal(rows[:, 1], fit(config).losses)


def test_every_program_has_the_lines_that_other_data_replace(kernel):
    text = script.script(Config(**kernel, data="iris", init="he"))
    assert "iris()" in text
    assert "sqrt(2 / H)" in text
