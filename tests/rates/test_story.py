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


def test_a_flat_start_is_said():
    assert "flat" in said(Config(N=1, D_in=1, H=1, D_out=1, seed=2, dtype="float64", steps=12))


def test_when_units_die_it_is_said_by_when_half_of_them_have():
    text = told(1e-3, [9.0, 8, 7, 6, 5, 4, 3], [1000.0] * 7, [10, 10, 30, 52, 60, 90, 90])
    assert "10 of 100 are dead at initialization, 52 by step 3, 90 by step 5" in text
