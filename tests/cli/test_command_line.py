"""The command line, as a person and as a program uses it."""

import json
from dataclasses import asdict

import pytest

from twolayer import Config, fit
from twolayer.cli import app, sweep
from twolayer.engine.info import limits, machine
from twolayer.engine.settings import from_environment
from twolayer.rates.grid import sweep_grid
from twolayer.rates.sweep import Sweep
from twolayer.training.capabilities import probe
from twolayer.training.config import FIELDS
from twolayer.training.methods import gain_of_auto

SMALL = {"N": 5, "D_in": 7, "H": 4, "D_out": 2, "learning_rate": 1e-3, "steps": 20, "seed": 3}


def options(values: dict[str, object]) -> list[str]:
    return [text for name, value in values.items() for text in (f"--{name}", str(value))]


@pytest.fixture(scope="module")
def train(twolayer):
    """A function that runs `twolayer train`."""
    return lambda *arguments: twolayer("train", *arguments)


def test_a_run_is_told_in_words_and_nothing_else(train):
    ran = train(*options(SMALL))
    assert (ran.returncode, ran.stderr) == (0, "")
    losses = fit(Config(**SMALL)).losses
    for words in ("N=5", "learning_rate=0.001", f"{losses[0]:.6g}", f"{losses[-1]:.6g}", "µs", "20\n"):
        assert words in ran.stdout


def test_json_holds_the_run_and_the_losses_of_fit(train, kernel):
    values = {**kernel, **SMALL, "dtype": "float64"}
    ran = train("--json", *options(values))
    assert (ran.returncode, ran.stderr) == (0, "")
    result = json.loads(ran.stdout)
    assert result["losses"] == fit(Config(**values)).losses.tolist()
    assert result["config"] == asdict(Config(**values))
    assert result["method"] == kernel["method"]
    assert result["steps"] == 20
    assert result["diverged_at"] is None
    assert result["seconds"] > 0


def test_a_diverged_run_is_told_with_its_step(train):
    values = {"N": 13, "D_in": 5, "H": 11, "D_out": 2, "seed": 5, "learning_rate": 0.02}
    expected = fit(Config(**values))
    assert expected.diverged_at is not None
    ran = train(*options(values))
    assert (ran.returncode, ran.stderr) == (1, "")
    assert f"step {expected.diverged_at} " in ran.stdout
    (option, rate) = ran.stdout.split("a rate that works:")[1].split()
    assert option == "--learning_rate"
    assert train(*options({**values, "learning_rate": rate})).returncode == 0
    mended = fit(Config(**{**values, "learning_rate": float(rate)})).losses
    assert mended[-1] < 0.1 * mended[0]
    ran = train("--json", *options(values))
    assert ran.returncode == 1
    result = json.loads(ran.stdout)
    assert result["diverged_at"] == result["steps"] == len(result["losses"]) == expected.diverged_at


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["--N", "0"], "N"),
        (["--N=-5"], "N"),
        (["--learning_rate", "nan"], "learning_rate"),
        (["--steps", "1e3"], "steps"),
        (["--seed", "9" * 5000], "seed"),
        (["--backend", "foo\nbar"], "backend"),
        (["--device", "cuda:0"], "device"),
        (["--backend", "torch", "--device", "cuda:98"], "device"),
        (["--threads", "256"], "threads"),
        (["--N", "100000", "--D_in", "100000", "--H", "100000"], "N"),
        (["--H", b"\xff\xfe\n"], "H"),
        (["--json", "--dtype", ""], "dtype"),
        (["--unknown", "5"], "--unknown"),
        (["--N"], "--N"),
        (["stray"], "stray"),
    ],
    ids=lambda value: None if isinstance(value, str) else ascii(value)[:40],
)
def test_what_is_wrong_is_said_in_one_line_with_status_2(train, arguments, field):
    ran = train(*arguments)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.count("\n") == 1
    assert len(ran.stderr) < 400
    assert ran.stderr.startswith("twolayer: ")
    assert field in ran.stderr
    assert "Traceback" not in ran.stderr


def test_every_bad_field_is_named_in_that_line(train):
    ran = train("--N", "0", "--H", "abc", "--learning_rate", "inf")
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    for field in ("N: invalid value '0'", "H: invalid value 'abc'", "learning_rate: invalid value 'inf'"):
        assert field in ran.stderr


def test_help_lists_every_field_with_what_it_takes(train):
    ran = train("--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    flat = " ".join(ran.stdout.split())
    for name, kind in FIELDS.items():
        assert f"--{name} " in flat
        if name not in ("data", "table"):
            assert f"{kind.words} ({kind.takes})" in flat


def test_help_names_each_command_once_and_scan_is_sweep_too():
    context = app.main.make_context("twolayer", ["info"])
    assert app.main.list_commands(context) == ["check", "code", "info", "race", "sweep", "train"]
    assert app.main.get_command(context, "scan") is app.main.get_command(context, "sweep")


@pytest.mark.parametrize(
    ("backend", "said"), [("numpy", "float32, 20 steps"), ("numba", "float32, Numba, 20")]
)
def test_a_sweep_says_in_what_it_was_computed(backend, said):
    grid = sweep_grid(Config(**SMALL, backend=backend), [1e-4, 1e-3], 1)
    assert sweep.words(Sweep(grid), None).startswith(f"5 × 7 → 4 → 2, {said}")


def test_info_tells_the_machine_and_the_limits(python):
    ran = python("-m", "twolayer", "info", TWOLAYER_MAX_SECONDS="77")
    assert (ran.returncode, ran.stderr) == (0, "")
    for name, value in [*machine(probe(load_torch=True)), *limits(from_environment())]:
        assert f"{name}:" in ran.stdout
        if str(name) not in ("Time limit per run", "BLAS"):  # SciPy brings another one of its own
            assert str(value) in ran.stdout
    assert "at most 77 s" in ran.stdout


def test_info_names_a_setting_that_cannot_be(python):
    ran = python("-m", "twolayer", "info", TWOLAYER_WORKERS="many")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "TWOLAYER_WORKERS" in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_gram_where_it_does_not_pay_is_told_with_what_would_be_faster(train):
    sizes = ["--N", "60", "--D_in", "20", "--H", "5", "--learning_rate", "1e-6", "--steps", "9", "--method"]
    slow = train(*sizes, "gram").stdout
    gain = gain_of_auto(Config(N=60, D_in=20, H=5, steps=9, method="gram"))
    assert gain > 1.5
    assert f"--method auto; gram takes an estimated {gain:.3g} times as many FLOPs" in slow
    assert "FLOPs for x·xᵀ and x·w1" in slow
    for method in ("auto", "tutorial"):
        assert "--method auto" not in train(*sizes, method).stdout
    assert "--method auto" not in train(*options(SMALL), "--method", "gram", "--steps", "500").stdout


def test_what_was_made_of_held_out_rows_is_said_of_a_data_set(train):
    rate = ("--init", "he", "--learning_rate", "1e-4", "--steps", "30")
    right = fit(Config(data="iris", init="he", learning_rate=1e-4, steps=30)).held_out[-1, 2]
    assert f", {right:.2%} of the rows right" in train("--data", "iris", *rate).stdout
    of_sine = train("--data", "sine", *rate).stdout
    assert "held out" in of_sine
    assert "right" not in of_sine
    assert "held out" not in train("--steps", "3").stdout
