"""Each rung's program prints the losses of the run: to the last bit by hand, else within what it says."""

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tests.conftest import ROOT
from twolayer import Config, Edit, fit
from twolayer.export import data_source, script
from twolayer.export.rungs import ABOVE, RUNGS, backward_lines, rungs
from twolayer.training.config import FIELDS, RANDOM, field_of
from twolayer.training.data.own import CSV
from twolayer.training.methods import METHODS

DEFAULT = Config()
DIVERGES = Config(learning_rate=1e-5, method="tutorial")
BY_HAND = [name for name, rung in rungs(DEFAULT).items() if rung.by_hand]
PEERS = [name for name, rung in RUNGS.items() if not rung.by_hand]
LIBRARIES = {"autograd": "torch", "nn": "torch"}
DATA = [name for name in FIELDS["data"].options if name != CSV]  # that has its file, and tests of its own
RUNS = 20
TOO_FAST = {(RANDOM, "tutorial"), ("teacher", "he"), ("sine", "tutorial"), ("iris", "he")}
"""Data and inits whose runs have far too high a learning rate: elsewhere all units would die instead."""
SIZES = ("N", "D_in", "H", "D_out")
CONTRACT = {"float64": 1e-9, "float32": 1e-2}
RUN_ALL = """
import contextlib, importlib.util, io, json, sys
assert importlib.util.find_spec("twolayer") is None, "the programs must do without the project"
printed = []
for program in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        exec(compile(program, "run.py", "exec"), {"__name__": "__main__"})
    printed.append((out.getvalue(), err.getvalue()))
json.dump(printed, sys.stdout)
"""


@dataclass(frozen=True)
class Told:
    """What a program prints."""

    steps: np.ndarray
    losses: np.ndarray
    diverged: str


def outputs(programs: list[str], folder) -> list[tuple[str, str]]:
    """What the programs print, all in one process of their own, where this project is not to be found."""
    ran = subprocess.run(
        [sys.executable, "-I", "-c", RUN_ALL],
        input=json.dumps(programs),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return [(out, err) for out, err in json.loads(ran.stdout)]


def told(programs: list[str], folder) -> list[Told]:
    """The steps and losses that the programs print."""
    rows = [
        (np.array([line.split() for line in out.splitlines()], dtype=float).reshape(-1, 2), err)
        for out, err in outputs(programs, folder)
    ]
    return [Told(numbers[:, 0], numbers[:, 1], err) for numbers, err in rows]


def skip_without(rung: str) -> None:
    """Skip the test of a rung whose library is not installed."""
    library = LIBRARIES.get(rung, rung)
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")


@cache
def random_runs() -> list[tuple[Config, tuple[Edit, ...]]]:
    """Runs of random shapes on every data set, from both inits, in every dtype and method: some are edited
    on their way, some diverge."""
    g = np.random.default_rng(19)
    methods, dtypes = FIELDS["method"].options, FIELDS["dtype"].options
    sets = [*g.permutation(DATA), *g.permutation(DATA)]
    runs = []
    for number in range(RUNS):
        data, init = str(sets[number]), FIELDS["init"].options[number // len(DATA)]
        too_fast = (data, init) in TOO_FAST
        sizes = {name: drawn_size(g, data, name) for name in SIZES}
        if too_fast:
            sizes["H"] += 100
        N, D_in, H, D_out = sizes.values()
        rate = float(g.uniform(0.02, 0.2)) / (H * np.sqrt(D_in * D_out) * max(N, D_in))
        steps = int(g.integers(20, 300))
        config = Config(
            data=data,
            init=init,
            method=methods[number % len(methods)],
            dtype=dtypes[number % 3 % 2],
            **sizes,
            learning_rate=rate * (1e4 if too_fast else 1),
            steps=steps,
            seed=number,
        )
        edits = (
            Edit(steps // 3, "learning_rate", rate / 2),
            Edit(steps // 2, "steps", steps + 9),
            Edit(steps // 2, "learning_rate", rate / 3),
        )
        runs.append((config, edits if number % 4 == 1 else ()))
    return runs


def drawn_size(g: np.random.Generator, data: str, name: str) -> int:
    """A size that these data can have: up to 120, or up to all rows of a data set."""
    takes = field_of(data, name)
    most = 120 if data == RANDOM or name == "H" else takes.high
    return max(takes.low, int(np.exp(g.uniform(0, np.log(most)))))


@cache
def compared(rung: str) -> list[tuple[Config, np.ndarray, Told]]:
    """The random runs, and one that diverges: each with its losses by `fit`, and what its program prints."""
    runs = random_runs()
    if rung == "numba":  # which compiles each program for seconds: one of each method and dtype
        runs = list({(config.method, config.dtype): (config, edits) for config, edits in runs}.values())
    runs = [*runs, (DIVERGES, ())]
    if RUNGS[rung].by_hand:
        runs = [(replace(config, backend=rung), edits) for config, edits in runs]
    programs = [script.script(config, edits, rung=rung) for config, edits in runs]
    with TemporaryDirectory() as folder:
        printed = told(programs, folder)
    return [(run[0], fit(*run).losses, each) for run, each in zip(runs, printed, strict=True)]


def relative(expected: np.ndarray, got: np.ndarray) -> np.ndarray:
    """The relative differences of the losses that both have."""
    both = min(len(expected), len(got))
    return np.abs(got[:both] - expected[:both]) / expected[:both]


@pytest.mark.parametrize("rung", BY_HAND)
def test_by_hand_the_losses_are_those_of_the_run_to_the_last_bit(rung):
    for config, losses, printed in compared(rung):
        assert_array_equal(printed.steps, np.arange(len(losses)))
        assert_array_equal(printed.losses, losses, err_msg=str(config))


@pytest.mark.parametrize("rung", PEERS)
def test_the_other_rungs_agree_within_what_their_programs_say(rung):
    skip_without(rung)
    worst = dict.fromkeys(CONTRACT, 0.0)
    for config, losses, printed in compared(rung)[:RUNS]:
        assert abs(len(printed.losses) - len(losses)) <= 1, config  # where a loss is not finite
        differences = relative(losses, printed.losses)
        above = losses[: len(differences)] > ABOVE * losses[0]
        worst[config.dtype] = max(worst[config.dtype], differences[above].max())
        if config.dtype == "float64":
            assert differences.max() <= CONTRACT["float64"], config
    agrees = RUNGS[rung].agrees
    assert all(worst[dtype] <= agrees[dtype] <= CONTRACT[dtype] for dtype in CONTRACT), worst
    said = " ".join(RUNGS[rung].path(DEFAULT).read_text("utf-8").split())
    assert f"above {ABOVE:.0e} of the first".replace("e-0", "e-") in said
    assert f"{agrees['float64']:.0e} of their value in float64 and 1e-3 in float32" in said
    assert agrees["float32"] == 1e-3
    assert f"over {RUNS} runs" in said


@pytest.mark.parametrize("rung", [*BY_HAND, *PEERS])
def test_a_program_says_at_which_step_it_diverged(rung):
    skip_without(rung)
    _, losses, printed = compared(rung)[-1]
    assert len(losses) == len(printed.losses) == fit(DIVERGES).diverged_at == 4
    assert printed.diverged == "diverged: the loss of step 4 is not finite\n"


def test_the_random_runs_have_edits_divergence_and_every_data_set_init_method_and_dtype():
    runs = random_runs()
    assert len(runs) == RUNS
    assert {config.data for config, _ in runs} == set(DATA)
    assert {config.init for config, _ in runs} == set(FIELDS["init"].options)
    assert {config.method for config, _ in runs} == set(FIELDS["method"].options)
    assert {config.dtype for config, _ in runs} == set(FIELDS["dtype"].options)
    assert sum(bool(edits) for _, edits in runs) == 5
    assert sum(fit(*run).diverged_at is not None for run in runs) == len(TOO_FAST)


@pytest.mark.parametrize("rung", PEERS)
def test_a_peers_header_is_filled_in(rung):
    config = Config(N=7, D_in=6, H=5, D_out=4, learning_rate=3e-5, steps=9, seed=3, dtype="float64")
    edits = (Edit(4, "learning_rate", 2e-5), Edit(4, "steps", 12))
    text = script.script(config, edits, rung=rung)
    lines = [*text.splitlines(), text.split("\n\n")[1].replace("\n", " ")]
    expected = {
        "N, D_in, H, D_out = 7, 6, 5, 4",
        "learning_rate = 3e-05",
        "steps = 12",
        "dtype float64, N 7, D_in 6, H 5, D_out 4, learning_rate 3e-05, steps 9, seed 3",
        *data_source.batch(config).splitlines(),
    }
    assert expected <= set(lines)
    assert sum("2e-05" in line for line in lines) == 1
    assert ('jax.config.update("jax_enable_x64", True)' in " ".join(lines)) == (rung == "jax")
    shorter = script.script(config, edits, steps=3, rung=rung).splitlines()
    assert "steps = 3" in shorter


@pytest.mark.parametrize("rung", PEERS)
def test_a_peers_program_as_written_is_that_of_the_default_run(rung):
    assert script.script(DEFAULT, rung=rung) == RUNGS[rung].path(DEFAULT).read_text("utf-8")


def test_every_program_says_in_the_same_lines_where_its_data_come_from():
    for rung in rungs(DEFAULT):
        for method in METHODS:
            assert script.script(Config(method=method), rung=rung).count(data_source.batch(DEFAULT)) == 1


@pytest.mark.parametrize("rung", [*BY_HAND, *PEERS])
def test_the_lines_of_the_backward_pass_are_found(rung):
    text = script.script(DEFAULT, rung=rung)
    lines = [text.splitlines()[number - 1].strip() for number in backward_lines(text)]
    if rung == "numba":  # the tutorial's lines in functions of their own
        assert [line.split(" ")[0] for line in lines] == ["grad_w1,"]
    elif RUNGS[rung].by_hand:
        assert [line.split(" ")[0] for line in lines[:3]] == ["grad_y_pred", "grad_w2", "grad_h_relu"]
        assert lines[-1].startswith("grad_w1 = ")
    else:
        assert RUNGS[rung].replaces in lines[-1]


def test_a_run_on_a_gpu_is_written_for_it_where_there_is_one():
    config = Config(backend="torch", device="cuda:1")
    written = {rung: script.script(config, rung=rung) for rung in rungs(config)}
    for rung in ("torch", "autograd", "nn"):
        assert 'torch.device("cuda:1")' in written[rung]
    assert 'jax.devices("cuda")[1]' in written["jax"]
    assert "cuda" not in written["numpy"]


def test_a_rung_without_a_program_is_not_offered():
    offered = rungs(DEFAULT)
    assert [*offered][:5] == ["numpy", "torch", "autograd", "nn", "jax"]
    assert ("numba" in offered) == (script.RUNGS["numba"].path(DEFAULT)).exists()


@pytest.mark.parametrize("rung", [*BY_HAND, *PEERS])
def test_every_program_passes_ruff_with_the_projects_rules(rung, tmp_path):
    runs = random_runs()
    for number, (config, edits) in enumerate(runs):
        (tmp_path / f"{number}.py").write_text(script.script(config, edits, rung=rung), encoding="utf-8")
    rules = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    for command in (["check", "--ignore", "T20,E402,I001,F401"], ["format", "--check"]):
        ran = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *rules, str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout
