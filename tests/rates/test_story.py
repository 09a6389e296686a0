"""What is said of a run: each sentence where it holds, and only there."""

import numpy as np
import pytest

from twolayer import Config, fit
from twolayer.rates.curvature import ROW, along, milestones
from twolayer.rates.story import story


def said(config: Config) -> str:
    result = fit(config)
    dead = int(result.dead[-1, 1]) if result.diverged_at is None else 0
    curve = along(config, milestones(config.steps, 40))
    sentences = story(config, result.losses, result.diverged_at, dead, result.zero_loss, curve)
    return " ".join(map(str, sentences))


def told(rate: float, losses: list[float], values: list[float], dead: list[int] | None = None) -> str:
    """The story of made-up losses and λmax, and of dead units."""
    dead = dead or [0] * len(losses)
    rows = [(i, *row) for i, row in enumerate(zip(losses, values, [0.1] * len(losses), dead, strict=True))]
    config = Config(learning_rate=rate, steps=len(losses))
    return " ".join(map(str, story(config, np.array(losses), None, dead[-1], 5.0, np.array(rows, dtype=ROW))))


@pytest.mark.parametrize(
    ("rate", "words", "never"),
    [
        (1e-7, ["0.118 times", "below 1/η", "no step would overshoot"], ["diverge,"]),
        (5e-7, ["not always below 1/η = 2e+06", "die out"], ["no step"]),
        (8e-7, ["not always below 1/η", "die out"], ["no step"]),
        (
            1e-6,
            ["1.18 times", "not quadratic", "2e+06 by step 4", "1.01 times its initial"],
            ["Hidden units"],
        ),
        (
            2e-6,
            ["2.36 times", "at step 2", "0 of 100 are dead", "77 by step", "come to rest", "Σy² = 609.1"],
            ["N·D_out"],
        ),
        (1e-5, ["11.8 times", "not finite from step"], ["more steps"]),
        (1e-9, ["below 1/η", "more steps"], ["come to rest"]),
    ],
)
def test_the_story_of_each_zone_has_its_own_numbers(rate, words, never):
    text = said(Config(learning_rate=rate, method="gram", dtype="float64"))
    assert "At initialization λmax = 2.36e+06" in text
    assert "2/λmax = 8.48e-07" in text
    for word in words:
        assert word in text
    for word in never:
        assert word not in text


def test_a_run_of_a_few_steps_is_not_said_to_stay_below_a_limit_that_it_is_above():
    text = said(Config(steps=3, method="gram"))
    assert "λmax is not below 2/η = 2e+06 at any measured step, and is 2.118e+06 at the end" in text
    assert "diverges" not in said(Config(steps=2, learning_rate=1.5e-6, method="gram")).replace(
        "whether it falls or diverges", ""
    )


def test_units_are_said_to_die_when_they_do():
    text = said(Config(learning_rate=2e-6, method="gram", dtype="float64"))
    config = Config(learning_rate=2e-6, method="gram", dtype="float64")
    half, step = map(int, text.split("dead at initialization, ")[1].split(",")[0].split(" by step "))
    run = fit(Config(**vars(config) | {"steps": step}))
    assert run.dead[-1, 1] == half
    assert step > int(np.argmax(fit(config).losses))


def test_sharpening_up_to_the_edge_of_stability_is_named():
    config = Config(N=37, D_in=10, H=5, D_out=5, steps=2000, seed=265, learning_rate=0.0033, dtype="float64")
    text = said(config)
    assert "progressive sharpening" in text
    assert "reaches 2/η = 606.1 by step" in text
    assert "edge of stability" in text
    assert "exceeds η" not in text


def test_growth_while_the_loss_rises_is_no_progressive_sharpening():
    values = [1000.0, 1200, 1400, 1600, 1700, 1800, 1900]
    assert "progressive" in told(1e-3, [9.0, 8, 7, 6, 5, 4, 3], values)
    assert "progressive" not in told(1e-3, [9.0, 10, 11, 12, 13, 14, 8.9], values)
    assert "progressive" not in told(1e-3, [9.0, 8, 7, 6, 5, 4, 3], [1000.0] * 7)
    at_once = [1500.0, 1400, 1000, 1900, 900, 900, 900]
    assert "progressive" not in told(1e-3, [9.0, 8, 7, 6, 5, 4, 3], at_once)


def test_the_edge_is_named_only_where_the_curve_stays_there():
    losses = [9.0, 8, 7, 6, 5, 4, 3]
    assert "edge" in told(1e-3, losses, [1000, 1500, 1900, 2010, 2100, 1950, 2050])
    away = told(1e-3, losses, [1000, 1500, 1900, 2010, 2900, 1200, 1100])
    assert "edge" not in away
    assert "rises to 2/η = 2000 or above by step 3" in away


def test_a_flat_end_is_said_only_of_the_end():
    losses = [9.0, 6, 5, 5]
    flat = told(1e-3, losses, [2500, 1500, 0, 0])
    assert "falls below 2/η = 2000 by step 1" in flat
    assert "At the end λmax = 0: the loss is flat there." in flat
    curved = told(1e-3, losses, [2500, 0, 1500, 1000])
    assert "flat" not in curved
    assert "At the end λmax = 1000: 2/λmax = 0.002 exceeds η" in curved


@pytest.mark.parametrize(
    ("values", "ends_below"),
    [([2500, 2500, 1500, 1500], True), ([2500, 1500, 1500, 2500], False), ([2500, 1500, 2500, 1500], True)],
)
def test_that_the_end_would_be_stable_is_said_only_of_the_end(values, ends_below):
    text = told(1e-3, [9.0, 8, 7, 6], values)
    assert ("a quadratic with this curvature would be stable" in text) is ends_below


def test_a_flat_start_is_said():
    assert "flat" in said(Config(N=1, D_in=1, H=1, D_out=1, seed=2, dtype="float64", steps=12))


def test_when_units_die_it_is_said_by_when_half_of_them_have():
    text = told(1e-3, [9.0, 8, 7, 6, 5, 4, 3], [1000.0] * 7, [10, 10, 30, 52, 60, 90, 90])
    assert "10 of 100 are dead at initialization, 52 by step 3, 90 by step 5" in text


FALLING = [9.0, 8, 7, 6, 5.5, 5.2, 5.1]
"""Losses that do not rest, above a tenth of Σy²."""


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([999.0] * 7, "λmax is 999 at the end and below 1/η = 1000 at every measured step"),
        (
            [999.0] * 6 + [1000],
            "λmax is 1000 at the end and below 2/η = 2000 at every measured step, but not",
        ),
        ([1999.0] * 7, "λmax is 1999 at the end and below 2/η = 2000 at every measured step, but not"),
        ([2000.0] * 7, "λmax is not below 2/η = 2000 at any measured step, and is 2000 at the end"),
        ([2000.0, 2000, 1999, 1999, 1999, 1999, 1999], "λmax falls below 2/η = 2000 by step 2"),
        ([1999.0] * 5 + [2000] * 2, "λmax rises to 2/η = 2000 or above by step 5"),
    ],
)
def test_on_which_side_of_the_limit_it_is(values, words):
    text = told(1e-3, FALLING, values)
    assert words in text
    others = ("below 1/η = 1000 at every", "but not always", "is not below", "falls below", "rises to")
    assert sum(other in text for other in others) == 1


@pytest.mark.parametrize(
    ("after", "stays"),
    [
        ([2000, 2000, 2000], True),
        ([2000, 2000], False),
        ([2400, 1600, 2000], True),
        ([2401, 2000, 2000], False),
        ([2000, 1599, 2000], False),
    ],
)
def test_the_edge_is_within_a_fifth_of_the_limit_at_three_points(after, stays):
    before = [1500.0] * (7 - len(after))
    text = told(1e-3, FALLING, [*before, *after])
    assert f"by step {len(before)}" in text
    assert ("stays within 20 % of it" in text) is stays


@pytest.mark.parametrize(
    ("losses", "values", "told_of"),
    [
        (FALLING, [1000.0, 1000, 1000, 1000, 1100, 1000, 1000], "grows from 1000 to 1100"),
        (FALLING, [1000.1, 1000.1, 1000.1, 1000.1, 1100, 1000, 1000], None),  # less than 1.1 times
        (FALLING, [500.0, 500, 500, 500, 1000, 500, 500], "From step 0 to step 4 the loss falls"),
        (FALLING, [500.0, 500, 500, 1000, 500, 500, 500], None),  # within three points
        ([9.0, 8, 7, 6, 9, 5.2, 5.1], [500.0, 500, 500, 500, 1000, 500, 500], None),  # as high again
        ([9.0, 8, 7, 6, 8.9, 5.2, 5.1], [500.0, 500, 500, 500, 1000, 500, 500], "From step 0 to step 4"),
        ([9.0, 9.1, 7, 6, 8.9, 5.2, 5.1], [500.0, 500, 500, 500, 1000, 500, 500], None),  # rose on the way
        (FALLING, [500.0, 400, 500, 500, 500, 700, 500], "From step 1 to step 5 the loss falls"),
        (FALLING, [500.0, 400, 500, 500, 600, 700, 600], "grows from 400 to 700"),
        (FALLING, [0.0, 0, 0, 0, 0, 0, 0], None),
    ],
)
def test_progressive_sharpening_is_the_strongest_growth_while_the_loss_falls(losses, values, told_of):
    text = told(1e-3, losses, values)
    assert ("progressive sharpening" in text) == (told_of is not None)
    assert told_of is None or told_of in text


@pytest.mark.parametrize(("highest", "rises"), [(9.0089, False), (9.0091, True)])
def test_a_rise_of_a_thousandth_of_the_loss_is_told(highest, rises):
    text = told(1e-3, [9.0, 8, highest, 7, 6, 5.5, 5.2], [900.0] * 7)
    assert ("times its initial value at step 2" in text) is rises


@pytest.mark.parametrize(("dead", "told_of"), [(20, False), (21, True)])
def test_the_death_of_a_tenth_of_the_units_is_told(dead, told_of):
    text = told(1e-3, FALLING, [900.0] * 7, [10] * 6 + [dead])
    assert ("Hidden units die" in text) is told_of
    if told_of:
        assert "10 of 100 are dead at initialization, 21 by step 6, 21 by step 6" in text


def test_half_of_the_dead_units_is_just_half():
    text = told(1e-3, FALLING, [900.0] * 7, [10, 10, 34, 35, 60, 60, 60])
    assert "35 by step 3, 60 by step 4" in text


@pytest.mark.parametrize(
    ("loss", "values", "grows"),
    [
        (9.1, [2000.0, 2001], True),
        (9.0, [2000.0, 2001], False),
        (9.1, [2000.0, 2000], False),
        (9.1, [1999.0, 2001], False),
    ],
)
def test_a_divergence_of_loss_and_sharpness_together_is_told(loss, values, grows):
    rows = [(0, 9.0, values[0], 0.1, 0), (1, loss, values[1], 0.1, 0)]
    config = Config(learning_rate=1e-3, steps=9)
    said = story(config, np.array([9.0, loss]), 2, 0, 5.0, np.array(rows, dtype=ROW))
    assert f"λmax = {values[0]:.0f}. " in str(said[0])
    assert f"2/λmax = {2 / values[0]:.3g}. Here η = 0.001, which is 1 times that." in str(said[0])
    assert len(said) == 2
    words = "The loss grows and λmax grows with it, to 2001 at step 1. It does not fall below 2/η = 2000"
    assert str(said[1]).startswith(words) is grows
    assert "the loss is not finite from step 2 on" in str(said[1])
