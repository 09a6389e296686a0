"""The verdict's statistics, on timings that were really measured, and its words.

`recorded_timings.json` holds the rounds of six processes on a machine with two cores, in each of which
each of four contenders ran twice under two names: pairs of times of the same code, 15 of each. In some
processes the machine was busy with something else in every round, in some in none.
"""

import json
from dataclasses import replace
from math import comb
from pathlib import Path

import numpy as np
import pytest

from tests.race.races import GRAM, RIGHT, TORCH_GRAM, TUTORIAL, WRONG, race_of
from twolayer.race import timing
from twolayer.race.contenders import METHODS_IN_A_RACE, Contender
from twolayer.race.timing import Load
from twolayer.race.verdict import (
    CHANCE,
    MARGIN,
    beats,
    disturbances,
    judge,
    microseconds,
    of_sweep,
    ratio,
    rounds_needed,
    sentences,
)

RECORDED = json.loads(Path(__file__).with_name("recorded_timings.json").read_text())
ROUNDS = timing.ROUNDS.default
TIMES = 1000


def resampled(g: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A race of two identical contenders: rounds drawn from one recording."""
    pairs = np.array(RECORDED[g.integers(len(RECORDED))]["microseconds"]) * 1e-6
    one, other = pairs[g.integers(len(pairs), size=ROUNDS)].T
    return (one, other) if g.integers(2) else (other, one)


def test_the_recordings_are_of_quiet_and_of_busy_rounds():
    busy = [recording["busy_rounds"] for recording in RECORDED]
    assert min(busy) == 0
    assert max(busy) == ROUNDS
    assert {len(recording["microseconds"]) for recording in RECORDED} == {ROUNDS}


def test_of_two_identical_contenders_one_wins_in_at_most_one_percent():
    g = np.random.default_rng(0)
    wins = 0
    for _ in range(TIMES):
        one, other = resampled(g)
        wins += judge(race_of({GRAM: one, TUTORIAL: other})).winner is not None
    assert wins <= 0.01 * TIMES


def test_a_true_difference_of_ten_percent_is_found_in_at_least_ninety():
    g = np.random.default_rng(1)
    found = 0
    for _ in range(TIMES):
        one, other = resampled(g)
        winner = judge(race_of({GRAM: one, TUTORIAL: 1.1 * other})).winner
        found += winner is not None and winner.contender == GRAM
    assert found >= 0.9 * TIMES


def test_many_identical_contenders_make_a_false_winner_no_more_frequent():
    """Seven contenders, each a resampling of the rounds of one recording of one piece of code."""
    g = np.random.default_rng(2)
    names = [
        Contender("torch", f"cuda:{i}", method)
        for i, method in enumerate([*METHODS_IN_A_RACE, *METHODS_IN_A_RACE[:3]])
    ]
    wins = 0
    for _ in range(TIMES):
        columns = np.array(RECORDED[g.integers(len(RECORDED))]["microseconds"]).ravel() * 1e-6
        wins += judge(race_of({name: g.choice(columns, ROUNDS) for name in names})).winner is not None
    assert wins <= 0.01 * TIMES


@pytest.mark.parametrize("rounds", [3, 7, 8, 15, 40, 100])
def test_the_rounds_needed_are_the_fewest_that_chance_gives_too_rarely(rounds):
    needed = rounds_needed(rounds)

    def chance(wins):
        return sum(comb(rounds, k) for k in range(wins, rounds + 1)) / 2**rounds

    assert chance(needed) <= CHANCE < chance(needed - 1)


def test_a_contender_that_is_wrong_is_never_the_winner_and_is_named():
    fast, slow = np.full(ROUNDS, 1e-5), np.full(ROUNDS, 1e-4)
    race = race_of(
        {GRAM: fast, TUTORIAL: slow, TORCH_GRAM: 2 * slow}, {GRAM: WRONG, TUTORIAL: RIGHT, TORCH_GRAM: RIGHT}
    )
    verdict = judge(race)
    assert verdict.winner.contender == TUTORIAL
    assert GRAM not in [s.contender for s in verdict.first]
    said = [str(message) for message in sentences(race)]
    assert "numpy gram" not in "".join(said[:3])
    assert "none is faster than numpy tutorial here; torch gram takes" in said[1]
    assert "because the results are incorrect: numpy gram" in said[3]


def test_who_has_not_been_compared_yet_cannot_win():
    fast, slow = np.full(ROUNDS, 1e-5), np.full(ROUNDS, 1e-4)
    race = race_of({GRAM: fast, TUTORIAL: slow}, {})
    assert judge(race).winner is None
    said = [str(message) for message in sentences(race)]
    assert "×" not in "".join(said).replace("x·xᵀ", "")
    assert "no clear winner yet" in said[2]
    partly = [str(message) for message in sentences(race_of({GRAM: fast, TUTORIAL: slow}, {TUTORIAL: RIGHT}))]
    assert partly[3].endswith("not yet checked: 1 of 2 implementations.")


@pytest.mark.parametrize("axis", ["loss", "weight"])
def test_losses_and_weights_can_each_make_a_contender_wrong(axis):
    off = replace(RIGHT, drift=replace(RIGHT.drift, **{axis: RIGHT.allowed(1e-7) * 1.01}))
    inside = replace(RIGHT, drift=replace(RIGHT.drift, **{axis: RIGHT.allowed(1e-7) * 0.99}))
    assert not off.right
    assert inside.right


TORCH_TUTORIAL = Contender("torch", "cpu", "tutorial")


def lines(seconds, **more):
    return [str(message) for message in sentences(race_of(seconds, **more))]


def test_the_same_program_comes_first_then_a_smarter_method_then_how_sure():
    said = lines(
        {
            GRAM: np.full(ROUNDS, 2e-5),
            TORCH_GRAM: np.full(ROUNDS, 5e-5),
            TUTORIAL: np.full(ROUNDS, 3.5e-4),
            TORCH_TUTORIAL: np.full(ROUNDS, 4.2e-4),
        }
    )
    assert said == [
        "The same program: NumPy 350 µs, PyTorch 420 µs per step. NumPy is 1.20× as fast as PyTorch here.",
        "A smarter method: numpy gram, 20.0 µs per step, 17.5× as fast as numpy tutorial: the same losses "
        "by way of x·xᵀ.",
        "How sure: a lead counts if it is over 3 % in 13 of 15 rounds (by chance at most 1 race in 200). "
        "Rounds repeated: 0.",
    ]


def test_without_numpys_loop_the_smarter_method_is_compared_with_pytorchs():
    said = lines({TORCH_GRAM: np.full(ROUNDS, 5e-5), TORCH_TUTORIAL: np.full(ROUNDS, 4e-4)})
    assert said[0] == "The same program: PyTorch 400 µs per step."
    assert "torch gram, 50.0 µs per step, 8.00× as fast as torch tutorial" in said[1]


def test_a_race_mostly_disturbed_is_not_reliable_and_has_no_winner():
    busy, quiet = Load(0.2, 1.5, 2), Load(0.0, 0.1, 2)
    times = {
        GRAM: np.full(ROUNDS, 2e-5),
        TUTORIAL: np.full(ROUNDS, 3.5e-4),
        TORCH_TUTORIAL: np.full(ROUNDS, 4.2e-4),
    }
    race = race_of(times, loads=[busy] * 8 + [quiet] * 7)
    assert judge(race).winner is None
    said = [str(message) for message in sentences(race)]
    assert said[:2] == [
        "The same program: NumPy 350 µs, PyTorch 420 µs per step.",
        "A smarter method: numpy gram, 20.0 µs per step: the same losses by way of x·xᵀ.",
    ]
    assert said[2].startswith("Not reliable now: other processes disturbed 8 of 15 rounds")
    assert judge(race_of(times, loads=[busy] * 7 + [quiet] * 8)).winner.contender == GRAM


def test_a_difference_within_the_margin_is_too_close_to_call():
    race = race_of({GRAM: np.full(ROUNDS, 1.00e-4), TUTORIAL: np.full(ROUNDS, 1.02e-4)})
    assert judge(race).winner is None
    assert "×" not in str(sentences(race)[1])
    same = lines({TUTORIAL: np.full(ROUNDS, 1.00e-4), TORCH_TUTORIAL: np.full(ROUNDS, 1.02e-4)})
    assert same[0] == "The same program: NumPy 100 µs, PyTorch 102 µs per step, too close to call here."


def test_who_is_ahead_by_just_the_margin_beats_nobody():
    assert not beats([1.0] * ROUNDS, [MARGIN] * ROUNDS)
    assert beats([1.0] * ROUNDS, [MARGIN * 1.0001] * ROUNDS)
    needed = rounds_needed(ROUNDS)
    for ahead in (needed - 1, needed):
        slower = [2.0] * ahead + [1.0] * (ROUNDS - ahead)
        assert beats([1.0] * ROUNDS, slower) == (ahead == needed)


@pytest.mark.parametrize(
    ("value", "time", "share"),
    [
        (9.994, "9.99 µs", "9.99"),
        (10.0, "10.0 µs", "10.0"),
        (100.0, "100 µs", "100"),
        (99.94, "99.9 µs", "99.9"),
        (100.4, "100 µs", "100"),
        (9.996, "10.0 µs", "10.0"),
        (99.96, "100 µs", "100"),
        (54_923, "54,900 µs", "54900"),
    ],
)
def test_times_and_ratios_have_three_digits(value, time, share):
    assert microseconds(value * 1e-6) == time
    assert ratio(value) == share


def test_two_that_are_level_are_told_together_and_not_the_third():
    race = race_of(
        {
            GRAM: np.full(ROUNDS, 1.00e-4),
            TORCH_GRAM: np.full(ROUNDS, 1.01e-4),
            TUTORIAL: np.full(ROUNDS, 2e-4),
        }
    )
    assert "numpy gram, torch gram, 100 µs per step, 2.00× as fast as numpy tutorial" in str(
        sentences(race)[1]
    )


def test_too_few_rounds_give_no_verdict():
    race = race_of({GRAM: np.full(7, 1e-5), TUTORIAL: np.full(7, 1e-4)})
    assert judge(race).winner is None
    assert "7 rounds are too few for a verdict; at least 8 are needed" in str(sentences(race)[2])


def test_a_contender_alone_has_no_one_to_beat():
    race = race_of({GRAM: np.full(ROUNDS, 1e-5)})
    assert judge(race).winner is None
    assert "the tutorial’s loop is not in this race" in str(sentences(race)[0])
    assert "×" not in str(sentences(race)[1])


def test_busy_rounds_are_told():
    times = {GRAM: np.full(3, 1e-5), TUTORIAL: np.full(3, 1e-4)}
    busy, quiet = Load(0.2, 1.5, 2), Load(0.0, 0.1, 2)
    assert disturbances([race_of(times, loads=[quiet] * 3)]) == []
    races = [race_of(times, loads=[quiet, busy, quiet]), race_of(times, loads=[quiet] * 3)]
    (said,) = map(str, disturbances(races))
    assert "disturbed 1 of 6 rounds, which were repeated; disturbed again: 1." in said


def test_a_sweep_names_the_fastest_of_each_size():
    fast, slow = np.full(ROUNDS, 1e-5), np.full(ROUNDS, 1e-4)
    races = [
        race_of({GRAM: fast, TUTORIAL: slow}, H=8),
        race_of({GRAM: fast, TUTORIAL: slow}, H=2000),
        race_of({GRAM: fast, TUTORIAL: fast}, H=64),
    ]
    assert [str(message) for message in of_sweep("H", races)] == [
        "Fastest at H = 8, 2,000: numpy gram.",
        "No clear winner at H = 64.",
    ]
