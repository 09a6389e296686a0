"""What a training is said to have come to."""

import numpy as np
import pytest

from twolayer import Config, fit
from twolayer.rates.outcomes import OUTCOMES, at_rest, outcome, unfinished, verdict, written

ZERO = 640.0


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (1e-9, "slow"),
        (3e-8, "slow"),
        (7.7e-8, "slow"),  # a thousandth of the first loss, and 42 times Σy²
        (1e-6, "converges"),
        (2e-6, "dead"),
        (5e-6, "diverges"),
    ],
)
def test_the_zones_of_the_tutorials_sizes(rate, expected):
    config = Config(learning_rate=rate, method="gram")
    result = fit(config)
    dead = int(result.dead[-1, 1]) if len(result.dead) else 0
    assert outcome(config, result.losses, result.diverged_at, dead, result.zero_loss) == expected


def test_a_loss_that_has_come_to_rest_converges_and_one_that_falls_as_before_is_slow():
    steps = np.arange(500)
    assert outcome(Config(), 500 + 1000 * np.exp(-steps / 20), None, 0, ZERO) == "converges"
    assert outcome(Config(), 500.5 - steps * 1e-6, None, 0, ZERO) == "slow"
    assert outcome(Config(), 1000 / np.sqrt(1 + steps / 100), None, 0, ZERO) == "slow"
    assert outcome(Config(), 1000 / (1 + steps), None, 0, ZERO) == "converges"


def test_nothing_at_or_above_the_loss_of_a_network_that_outputs_0_converges():
    g = np.random.default_rng(5)
    seen = []
    for _ in range(2000):
        losses = 10 ** g.uniform(-3, 3) * ZERO * (1 + 10 ** g.uniform(-4, 4) * np.exp(-np.arange(100) / 5))
        kind = outcome(Config(), losses, None, int(g.integers(101)), ZERO)
        seen.append(kind)
        assert kind != "converges" or losses[-1] < ZERO
    assert set(seen) >= {"converges", "slow", "dead"}


def test_a_loss_that_ends_above_the_first_rises_and_one_that_is_not_finite_diverges():
    assert outcome(Config(steps=3), np.array([5.0, 4.0, 6.0]), None, 0, ZERO) == "rises"
    assert outcome(Config(), np.array([5.0, 4.0, 6.0]), 3, 0, ZERO) == "diverges"
    assert outcome(Config(), np.array([5.0, 4.0, 3.0]), 3, 0, ZERO) == "diverges"
    assert outcome(Config(), np.empty(0), 0, 0, ZERO) == "diverges"


def test_stored_outcomes_keep_their_numbers():
    assert OUTCOMES == ("converges", "slow", "dead", "diverges", "rises")


def test_units_that_are_dead_by_chance_do_not_count_and_nor_does_a_loss_of_nothing():
    losses = 500 + 1000 * np.exp(-np.arange(500) / 20)
    assert outcome(Config(N=1, D_out=1), losses, None, 60, ZERO) == "converges"
    assert outcome(Config(N=64, D_out=1), losses, None, 60, ZERO) == "dead"
    assert outcome(Config(N=64, D_out=1), losses - 500, None, 60, ZERO) == "converges"
    assert outcome(Config(N=64, D_out=1), losses[:60], None, 60, ZERO) == "slow", "it still falls"


def test_a_network_of_dead_units_is_stuck_at_any_rate_and_seed():
    for seed in range(20):
        config = Config(N=1, D_in=2, H=2, D_out=1, seed=seed, steps=20, learning_rate=1e-3)
        result = fit(config)
        dead = int(result.dead[-1, 1])
        kind, said = verdict(config, result.losses, dead, result.zero_loss, 1.0)
        assert (kind == "dead") == (dead == 2)
        assert ("another seed" in str(said[0])) == (dead == 2)


def test_one_step_is_no_divergence():
    assert outcome(Config(steps=1), np.array([5000.0]), None, 0, ZERO) == "slow"


@pytest.mark.parametrize(
    ("rate", "steps", "words"),
    [
        (1e-30, 500, "higher learning rate"),
        (1e-6, 1, "use more steps"),
        (1e-7, 500, "still decreasing"),
        (1.5e-6, 2, "rose"),
    ],
)
def test_the_verdict_advises_a_lower_rate_only_where_the_loss_rose_or_units_died(rate, steps, words):
    config = Config(learning_rate=rate, steps=steps, method="gram")
    result = fit(config)
    _, said = verdict(config, result.losses, int(result.dead[-1, 1]), result.zero_loss, result.seconds)
    text = " ".join(map(str, said))
    assert words in text
    assert ("lower" in text) == (words == "rose")


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (31_518_463.2, "31,520,000"),
        (999.96, "1,000"),
        (999.4, "999.4"),
        (608.2345, "608.2"),
        (0.5, "0.5"),
        (4.13777e-5, "0.00004138"),
        (4.1e-12, "4.1e-12"),
        (6.194e24, "6.194e+24"),
        (0.0, "0"),
    ],
)
def test_a_loss_is_written_as_a_person_writes_it(loss, text):
    assert written(loss) == text


@pytest.mark.parametrize(
    ("last", "dead", "expected"),
    [
        (100_001, 100, "dead"),
        (100_002, 100, "slow"),
        (99_999, 100, "dead"),
        (99_998, 100, "slow"),
        (100_001, 99, "slow"),
        (200_001.9, 0, "slow"),  # the first loss is 200,000: a hundred-thousandth more is rounding
        (200_002.1, 0, "rises"),
        (9_999, 0, "converges"),
        (10_000, 0, "slow"),
    ],
)
def test_from_which_loss_on_an_outcome_is_another(last, dead, expected):
    assert outcome(Config(), np.array([200_000.0, last]), None, dead, 100_000.0) == expected


@pytest.mark.parametrize(
    ("last", "dead", "expected"),
    [
        (999.0, 32, "converges"),  # by chance 100/8 ± 3·√(100·1/8·7/8) = 22.4 of them, and a tenth more
        (999.0, 33, "dead"),
        (1000.0, 0, "slow"),
    ],
)
def test_what_a_loss_at_rest_below_the_zero_loss_is(last, dead, expected):
    losses = np.array([5000.0] * 10 + [last] * 90)
    assert outcome(Config(N=3), losses, None, dead, 1000.0) == expected


@pytest.mark.parametrize(
    ("losses", "rests"),
    [
        ([500.0] * 17 + [100.99, 100, 100], True),  # the last three of twenty
        ([500.0] * 17 + [101, 100, 100], False),
        ([500.0] * 17 + [100, 100.99, 100], True),
        ([500.0] * 16 + [200, 100, 100, 100], True),
        ([500.0] * 17 + [200, 100, 100], False),
        ([100.5] * 17 + [100.004, 100, 100], True),  # varies by less than a hundredth of the decrease
        ([100.5] * 17 + [100.006, 100, 100], False),
        ([100.0005] * 17 + [100] * 3, False),
        ([1e5] * 17 + [99_999] * 3, False),  # a hundred-thousandth is rounding
        ([500.0] * 7 + [100] * 3, True),
        ([500.0] * 6 + [100] * 3, False),
    ],
)
def test_a_loss_is_at_rest_if_it_varied_little_in_the_last_tenth(losses, rests):
    assert at_rest(np.array(losses)) is rests


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ([100.0], "A single step"),
        ([100.0, 100.0005], "hardly changed"),
        ([100.0, 100.002], None),
        ([100.0, 99.9], "still decreasing"),
        ([100.0] * 17 + [50, 60, 59], None),  # the last is compared with that two before it
        ([100.0] * 17 + [60, 50, 59], "still decreasing"),
        ([100.0] * 17 + [60, 50, 60], None),
    ],
)
def test_what_a_slow_run_needs(losses, said):
    found = unfinished(np.array(losses))
    assert [said in str(message) for message in found] == ([True] if said else [])


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ([5000.0, 50.0], "Finished: the loss decreased from 5,000 to 50 in 1.25 s of compute time."),
        ([50.0, 50.0], "Finished: the loss is 50 after 1.25 s of compute time."),
        ([700.0, 900.0], "Finished, but the loss rose: 700 → 900. Try a lower learning rate."),
    ],
)
def test_the_verdict_says_whether_the_loss_fell(losses, said):
    assert str(verdict(Config(), np.array(losses), 0, ZERO, 1.25)[1][0]) == said
