"""Many runs at once are the runs one by one."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from twolayer import Config, ConfigError, fit
from twolayer.rates import batched
from twolayer.rates.batched import fit_many
from twolayer.training import training
from twolayer.training.data import DATA_SETS

SMALL = Config(method="gram", N=7, D_in=11, H=5, D_out=3, steps=60)
TOLERANCE = {"float64": 1e-9, "float32": 1e-2}


def assert_same(config: Config, rates: list[float], seeds: list[int]) -> None:
    configs = [replace(config, learning_rate=rate, seed=seed) for seed in seeds for rate in rates]
    outcomes = fit_many(configs)
    assert [outcome.config for outcome in outcomes] == configs
    for outcome in outcomes:
        alone = fit(outcome.config)
        assert (outcome.diverged_at is None) == (alone.diverged_at is None)
        count = min(len(outcome.losses), len(alone.losses))
        assert abs(len(outcome.losses) - len(alone.losses)) <= 1
        seen = alone.losses[:count] > 1e-4 * alone.losses[0]
        if alone.diverged_at is None:
            assert_allclose(
                outcome.losses[:count][seen], alone.losses[:count][seen], rtol=TOLERANCE[config.dtype]
            )


@pytest.mark.parametrize("seeds", [[3], [3, 4, 3]], ids=["one seed", "several seeds"])
def test_a_batch_gives_the_losses_of_separate_runs(dtype, seeds):
    assert_same(replace(SMALL, dtype=dtype), [1e-4, 1e-3, 3e-4, 5e-3], seeds)


@pytest.mark.parametrize("name", DATA_SETS)
@pytest.mark.parametrize("method", ["gram", "auto"])
def test_a_batch_on_a_data_set_gives_the_losses_of_separate_runs(name, method, dtype):
    config = Config(data=name, init="he", method=method, N=60, H=5, steps=30, dtype=dtype)
    assert_same(config, [1e-5, 1e-4], [3, 4])


def test_runs_that_diverge_leave_the_others_alone(dtype):
    assert_same(replace(SMALL, dtype=dtype, H=20, D_in=30), [1e-4, 1e3, 1e-3, 1e2, 1e1], [1])


def test_blocks_of_any_size_give_the_same(monkeypatch):
    configs = [replace(SMALL, learning_rate=rate) for rate in np.geomspace(1e-5, 1e-3, 9)]
    expected = [outcome.losses for outcome in fit_many(configs)]
    monkeypatch.setattr(batched, "BLOCK_BYTES", 1)
    for outcome, losses in zip(fit_many(configs), expected, strict=True):
        assert_allclose(outcome.losses, losses, rtol=1e-5)


@pytest.mark.parametrize(
    "config",
    [replace(SMALL, method="tutorial"), replace(SMALL, backend="torch"), replace(SMALL, backend="numba")],
    ids=str,
)
def test_other_methods_and_backends_run_one_by_one(config, monkeypatch):
    prepare, prepared = training.prepare, []
    monkeypatch.setattr(batched.training, "prepare", lambda c: prepared.append(c.seed) or prepare(c))
    fit_many([replace(config, learning_rate=rate, seed=seed) for seed in (0, 4) for rate in (1e-4, 1e-3)])
    assert prepared == [0, 4]  # once for the runs of a seed
    monkeypatch.undo()
    assert_same(config, [1e-4, 1e3, 1e-3], [0, 4])


@pytest.mark.parametrize("steps", [1, 31, 32, 33])
def test_runs_one_by_one_take_all_their_steps(steps):
    config = replace(SMALL, method="fused", steps=steps)
    (outcome,) = fit_many([config])
    assert_array_equal(outcome.losses, fit(config).losses)


def test_runs_one_by_one_are_not_timed_lap_by_lap(monkeypatch):
    advance, laps = training.advance, []

    def seen(*arguments, **options):
        chunk = advance(*arguments, **options)
        laps.append(len(chunk.laps))
        return chunk

    monkeypatch.setattr(batched.training, "advance", seen)
    fit_many([replace(SMALL, method="fused")])
    assert laps == [1, 1]  # a lap costs a call of the compiled loop, and a count of dead units


def test_runs_that_differ_in_more_are_refused():
    with pytest.raises(ConfigError) as caught:
        fit_many([SMALL, replace(SMALL, H=6)])
    assert caught.value.field == "H"


def test_no_runs_are_no_outcomes():
    assert fit_many([]) == []


@pytest.mark.parametrize("method", ["gram", "fused"])
def test_dead_units_are_counted_as_in_a_run_alone(method):
    config = Config(method=method, N=4, D_in=20, H=20, D_out=3, steps=50, dtype="float64")
    configs = [replace(config, learning_rate=rate) for rate in (1e-4, 2e-3, 3e-3, 1.0)]
    outcomes = fit_many(configs)
    alone = [fit(one) for one in configs]
    assert outcomes[3].diverged_at is not None
    assert outcomes[3].dead == 0
    assert [o.dead for o in outcomes[:3]] == [int(result.dead[-1, 1]) for result in alone[:3]]
    assert outcomes[0].dead < max(o.dead for o in outcomes)


def test_runs_that_have_all_diverged_are_not_stepped_to_the_end(monkeypatch):
    step, taken = batched._Block.step, []
    monkeypatch.setattr(batched._Block, "step", lambda block: taken.append(block) or step(block))
    (outcome,) = fit_many([replace(SMALL, learning_rate=1e3, steps=500)])
    assert outcome.diverged_at < batched.CHECK_EVERY == len(taken)
