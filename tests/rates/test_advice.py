"""The recommended rate works, with data that the sweep did not see."""

from dataclasses import replace

import numpy as np
import pytest

from twolayer import Config, fit
from twolayer.rates import advice
from twolayer.rates.advice import (
    BAND_ABOVE,
    BAND_BELOW,
    BAND_RATES,
    advise,
    band_grid,
    bands,
    mean_loss_rate,
    swept_rates,
    working_rate,
)
from twolayer.rates.curvature import expected, largest_eigenvalue
from twolayer.rates.grid import Grid, computed, parse_axes, sweep_grid
from twolayer.rates.outcomes import OUTCOMES
from twolayer.rates.sweep import train
from twolayer.training.config import FIELDS
from twolayer.training.problem import make_problem
from twolayer.training.reference import backward, forward

UNSEEN = (101, 102)


def shapes() -> list[Config]:
    """Twenty random shapes from a few to a hundred or so of everything."""
    g = np.random.default_rng(20)
    draws = [[int(2 ** g.uniform(*ends)) for ends in ((2, 6), (4, 8), (4, 7), (0, 4))] for _ in range(20)]
    return [Config(N=N, D_in=D_in, H=H, D_out=D_out, method="auto") for N, D_in, H, D_out in draws]


def converges(config: Config) -> bool:
    losses = fit(config).losses
    return len(losses) == config.steps and losses[-1] < 0.1 * zero_loss(config)


def zero_loss(config: Config) -> float:
    return float(np.square(make_problem(config).y).sum())


def test_the_recommended_rate_converges_on_19_of_20_shapes_with_other_seeds():
    possible, recommended, tried = 0, 0, 0
    for config in shapes():
        grid = sweep_grid(config, swept_rates(config, 25), 2)
        rows = train(grid, 0, grid.size)
        if not (rows["final"] < 0.1 * rows["zero"])[rows["diverged_at"] < 0].any():
            continue
        possible += 1
        found = advise(grid, rows)
        assert found.low <= found.rate <= found.high
        seeds = [replace(config, seed=seed) for seed in UNSEEN]
        recommended += all(converges(replace(c, learning_rate=found.rate)) for c in seeds)
        tried += all(converges(replace(c, learning_rate=working_rate(c))) for c in seeds[:1])
    assert possible >= 15
    assert recommended >= possible - 1
    assert tried >= possible - 1


def test_the_tutorials_sizes_have_a_band_around_the_tutorials_rate():
    config = Config()
    grid = sweep_grid(config, swept_rates(config, 25), 2)
    found = advise(grid, train(grid, 0, grid.size))
    assert found.safe
    assert 2e-7 < found.low < found.rate < 1e-6 < found.high < 2e-6
    assert "2 of 2 seeds" in str(found.reason)


def test_rates_come_from_the_sizes_and_from_the_ends_that_are_given():
    rates = swept_rates(Config(), 100)
    assert len(rates) == 100
    assert rates[0] < 1e-6 / 500
    assert rates[-1] > 4e-6, "where the tutorial's sizes diverge"
    given = swept_rates(Config(), 5, 1e-5, 1e-7)
    assert (given[0], given[-1]) == (1e-7, 1e-5)


def test_a_grid_of_sizes_has_rates_on_both_sides_of_the_sharpness_of_each_of_them():
    grid = band_grid(Config(N=20, D_in=30, H=8, D_out=2), ["H", "N", "H"])
    *sizes, rates = grid.axes
    assert [axis.field for axis in sizes] == ["H", "N"]
    assert [axis.values for axis in sizes] == [(2, 4, 8, 16, 32), (5, 10, 20, 40, 80)]
    assert (rates.field, len(rates.values)) == ("learning_rate", BAND_RATES)
    ends = [replace(grid.base, H=H, N=N) for H in (2, 32) for N in (5, 80)]
    limits = [2 / expected(config) for config in ends]
    assert f"{rates.values[0]:g}" == f"{float(f'{min(limits) / BAND_BELOW:.0e}'):g}", "of one digit"
    assert f"{rates.values[-1]:g}" == f"{float(f'{max(limits) * BAND_ABOVE:.0e}'):g}"
    measured = [largest_eigenvalue(config).threshold for config in ends]
    assert 1 / 3 < rates.values[0] * BAND_BELOW / min(measured) < 3
    assert 1 / 3 < rates.values[-1] / BAND_ABOVE / max(measured) < 3


@pytest.mark.parametrize(
    ("good", "longest"),
    [([1, 1, 0, 1, 1, 0, 1], slice(3, 5)), ([1, 1, 1, 0, 1, 1], slice(0, 3)), ([0, 0], None)],
)
def test_of_equally_long_stretches_the_last_is_the_longest(good, longest):
    assert advice._longest(np.array(good, bool)) == longest


def test_a_grid_of_sizes_stays_within_what_a_field_takes():
    (sizes, _rates) = band_grid(Config(N=2, D_in=30, H=8, D_out=1), ["D_out"]).axes
    assert sizes.values[0] == FIELDS["D_out"].low == 1


def test_too_few_steps_are_said_and_the_lowest_loss_is_taken():
    config = computed(Config(N=20, D_in=50, H=10, D_out=2, steps=12))
    grid = sweep_grid(config, swept_rates(config, 20), 2)
    found = advise(grid, train(grid, 0, grid.size))
    assert (found.low, found.high, found.safe) == (None, None, False)
    assert "More steps" in str(found.reason)
    assert fit(replace(config, learning_rate=found.rate)).diverged_at is None


def test_rates_that_all_diverge_give_none():
    config = computed(Config(N=20, D_in=50, H=10, D_out=2))
    grid = sweep_grid(config, [1.0, 2.0, 3.0], 2)
    found = advise(grid, train(grid, 0, grid.size))
    assert (found.rate, found.low, found.high) == (None, None, None)
    assert "lower rates" in str(found.reason)
    assert "Too few" in str(advise(grid, train(grid, 0, 2)).reason)


def test_a_wide_band_of_most_seeds_is_taken_before_a_single_rate_of_all():
    config = computed(Config(N=20, D_in=50, H=10, D_out=2))
    swept = np.geomspace(1e-6, 1e-4, 12).tolist()
    grid = sweep_grid(config, swept, 3)
    rows = train(grid, 0, grid.size).reshape(3, 12)
    rows["outcome"] = OUTCOMES.index("diverges")
    for good in (rows[1:, 2:9], rows[:1, 5:6]):
        good["outcome"] = OUTCOMES.index("converges")
        good["final"] = 1e-3 * good["zero"]
    found = advise(grid, rows.ravel())
    assert "2 of 3 seeds" in str(found.reason)
    assert (found.low, found.high) == pytest.approx((swept[2], swept[8]), rel=0.05)


def test_where_the_highest_rate_has_the_lowest_loss_one_off_the_end_is_taken():
    config = computed(Config(N=20, D_in=50, H=10, D_out=2))
    swept = np.geomspace(1e-6, 1e-4, 12).tolist()
    grid = sweep_grid(config, swept, 1)
    rows = train(grid, 0, grid.size)
    rows["outcome"] = OUTCOMES.index("slow")
    rows["final"] = rows["zero"] * np.linspace(0.9, 0.5, 12)
    assert advise(grid, rows).rate == pytest.approx(swept[-1] / advice.MARGIN)


def test_a_rate_that_works_is_looked_for_far_below_and_above_the_expected_limit(monkeypatch):
    tried = []
    monkeypatch.setattr(
        advice,
        "sweep_grid",
        lambda config, rates, seeds: tried.extend(rates) or sweep_grid(config, rates, seeds),
    )
    working_rate(Config(N=20, D_in=50, H=10, D_out=2))
    limit = 2 / expected(computed(Config(N=20, D_in=50, H=10, D_out=2)))
    assert (tried[0], tried[-1]) == pytest.approx((limit / 100, 5 * limit))


def test_the_band_moves_down_as_the_sizes_grow():
    config = computed(Config(N=16, D_in=40, H=16, D_out=3, steps=200))
    grid = Grid(config, parse_axes("N=8,32; H=16,64; learning_rate=1e-6:1e-2:25"))
    rows = train(grid, 0, grid.size)
    found = bands(grid, rows)
    assert set(found) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert found[0, 0].high > found[0, 1].high > found[1, 1].high
    assert found[0, 0].high > found[1, 0].high > found[1, 1].high
    assert dict(bands(grid, rows[5:])).keys() == {(0, 1), (1, 0), (1, 1)}, (
        "one that is not complete is left out"
    )


@pytest.mark.parametrize("config", [Config(), Config(steps=3), Config(N=2000, D_in=5000, H=2000, steps=500)])
def test_a_rate_that_works_is_found_at_any_cost_of_a_step(config):
    rate = working_rate(config)
    assert 0 < rate < 1e-5
    if config.steps == 500 and config.N == 64:
        assert converges(replace(config, learning_rate=rate, method="gram"))


def test_with_the_mean_loss_the_same_steps_take_a_larger_rate():
    config = Config(N=5, D_in=8, H=6, D_out=3, steps=1, dtype="float64", learning_rate=1e-3)
    # One step of the mean loss by hand, with its own rate

    p = make_problem(config)
    grad_w1, _ = backward(p.x, p.y, p.w2, *forward(p.x, p.w1, p.w2))
    stepped = p.w1 - mean_loss_rate(config, config.learning_rate) * grad_w1 / (config.N * config.D_out)
    np.testing.assert_allclose(stepped, fit(config).w1, rtol=1e-12)


def advised(rates: list[float], *seeds: list[float], outcome: str = "converges") -> advice.Advice:
    """The advice of runs with these last losses, as shares of Σy² for each seed; infinite if they diverge."""
    config = computed(Config(N=20, D_in=50, H=10, D_out=2, steps=10))
    grid = sweep_grid(config, rates, len(seeds))
    rows = train(grid, 0, grid.size)
    shares = np.array(seeds).ravel()
    rows["outcome"] = np.where(np.isfinite(shares), OUTCOMES.index(outcome), OUTCOMES.index("diverges"))
    rows["zero"], rows["final"] = 1.0, shares
    return advise(grid, rows)


FAR = [1e-6, 1e-5, 1e-4, 1e-3]
NEVER = float("inf")


@pytest.mark.parametrize(
    ("shares", "low", "high"),
    [
        ([0.05, 0.1, 0.1, NEVER], 1e-6, 1e-4),
        ([0.05, 0.1, 0.101, NEVER], 1e-6, 1e-5),
        ([0.1, 0.19, 0.191, NEVER], 1e-6, 1e-5),  # a tenth of the way from 1 to 0.1 is 0.09
        ([NEVER, 0.3, 0.37, 0.37], 1e-5, 1e-3),
        ([NEVER, 0.3, 0.371, 0.36], 1e-3, 1e-3),  # of equally long stretches the last
    ],
)
def test_a_run_is_safe_that_misses_a_tenth_of_the_way_to_the_lowest_loss(shares, low, high):
    found = advised(FAR, shares)
    assert (found.low, found.high, found.safe) == (low, high, True)


@pytest.mark.parametrize(
    ("rates", "rate"),
    [
        ([1e-6, 2e-6, 2.55e-6], (1e-6 * 2.55e-6) ** 0.5),
        ([1e-6, 2e-6, 2.57e-6], 2.57e-6 / 1.6),
        ([1e-6, 1e-5, 1e-4], 1e-4 / 1.6),
    ],
)
def test_the_rate_is_below_the_highest_safe_one_or_the_middle_of_a_narrow_range(rates, rate):
    found = advised([*rates, 1.0], [0.05, 0.05, 0.05, NEVER])
    assert found.rate == pytest.approx(rate)
    assert ("its middle" in str(found.reason)) == (rates[2] < 2.56e-6)


@pytest.mark.parametrize(
    ("end", "seeds", "low"),
    [(1.49e-6, "2 of 3", 1e-5), (1.5e-6, "3 of 3", 1e-6)],
)
def test_a_range_is_wide_from_one_and_a_half_times_its_start_on(end, seeds, low):
    good = [0.01, 0.01, NEVER, 0.01, 0.01, 0.01]
    bad = [0.01, 0.01, *[NEVER] * 4]
    found = advised([1e-6, end, 3e-6, 1e-5, 1e-4, 1e-3], good, good, bad)
    assert f"{seeds} seeds converge" in str(found.reason)
    assert found.low == low
    assert found.safe == (seeds == "3 of 3")


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ([[0.5, 0.6, 0.4, NEVER]], "The best rate, 0.0001, takes 1 of 1 seeds to 0.4 times Σy²"),
        ([[0.5, 0.4, 0.45, NEVER]] * 2, "The best rate, 1e-05, takes 2 of 2 seeds to 0.4 times Σy²"),
        ([[0.5, 0.2, 0.45, NEVER], [0.5, 0.7, 0.46, NEVER]], "0.0001, takes 2 of 2 seeds to 0.46 times"),
        (
            [[0.5, 0.2, 0.45, NEVER], [0.5, 0.3, 0.46, NEVER], [0.5, 0.7, 0.48, NEVER]],
            "0.0001, takes 3 of 3 seeds to 0.48 times",
        ),
        (
            [[0.5, 0.2, 0.45, NEVER], [0.5, 0.3, 0.46, NEVER], [NEVER] * 4],
            "1e-05, takes 2 of 3 seeds to 0.3 times",
        ),
    ],
)
def test_where_no_run_converges_the_rate_of_the_lowest_loss_of_enough_seeds_is_named(seeds, words):
    found = advised(FAR, *seeds, outcome="slow")
    assert words in str(found.reason)
    best = float(words.split(",")[1 if words.startswith("The") else 0].split()[-1])
    assert found.rate == pytest.approx(min(best, 1e-4 / 1.6))
    assert (found.low, found.high, found.safe) == (None, None, False)


@pytest.mark.parametrize(
    ("low", "high", "first", "last"),
    [(1e-5, 1e-7, 1e-7, 1e-5), (1e-3, None, 4e-4, 1e-3), (None, 1e-9, 1e-9, 4e-8), (1e-40, 1e9, None, None)],
)
def test_the_ends_of_a_sweep(monkeypatch, low, high, first, last):
    monkeypatch.setattr(advice.curvature, "expected", lambda _config: 2 / 4.4e-5)
    rates = swept_rates(Config(), 7, low, high)
    field = FIELDS["learning_rate"]
    assert (rates[0], rates[-1]) == pytest.approx((first or field.low, last or field.high))
    assert np.diff(np.log(rates)) == pytest.approx(np.full(6, np.log(rates[-1] / rates[0]) / 6))


def test_of_a_single_rate_that_does_not_diverge_it_is_taken_itself():
    assert advised(FAR, [NEVER, 0.4, NEVER, NEVER], outcome="slow").rate == 1e-5


def test_where_no_rate_works_half_of_the_expected_limit_is_tried(monkeypatch):
    monkeypatch.setattr(advice, "advise", lambda _grid, _rows: advice.Advice(None, None))
    monkeypatch.setattr(advice.curvature, "expected", lambda _config: 2 / 4.4e-5)
    assert working_rate(Config(N=20, D_in=50, H=10, D_out=2, steps=10)) == 2.2e-5


def test_the_advice_of_each_number_of_steps_names_it():
    config = computed(Config(N=8, D_in=9, H=10, D_out=2))
    grid = Grid(config, parse_axes("steps=50,100,200; learning_rate=1e-4:1e-2:9"))
    found = bands(grid, train(grid, 0, grid.size))
    for place, steps in enumerate((50, 100, 200)):
        assert f"within {steps} steps" in str(found[place,].reason)


@pytest.mark.parametrize(("good", "said"), [(2, "1 of 4 seeds"), (3, "3 of 4 seeds")])
def test_most_of_four_seeds_are_three(good, said):
    seeds = [[0.01] * 4] * good + [[NEVER] * 4] * (4 - good)
    assert said in str(advised(FAR, *seeds).reason)
