"""Who overtakes whom in a sweep."""

import numpy as np
import pytest

from tests.race.races import GRAM, RIGHT, TORCH_GRAM, TUTORIAL, WRONG, race_of
from twolayer.race.crossover import crossovers, sentences

SIZES = (16, 64, 256, 1024)


def sweep(one, other, agreements=None, rounds=15):
    """Races over H in which two contenders take these seconds."""
    return [
        race_of({GRAM: np.full(rounds, a), TORCH_GRAM: np.full(rounds, b)}, agreements, H=H)
        for H, a, b in zip(SIZES, one, other, strict=True)
    ]


def test_straight_lines_on_log_axes_cross_where_they_do():
    sizes = np.array(SIZES, dtype=float)
    races = sweep(1e-6 * sizes, 1e-4 * (sizes / 100) ** 0.5)  # level at 100
    (found,) = crossovers("H", races, GRAM, TORCH_GRAM)
    assert found.at == pytest.approx(100, rel=1e-6)
    assert (found.overtaker, found.overtaken) == (TORCH_GRAM, GRAM)
    assert [str(m) for m in sentences("H", races)] == [
        "torch gram becomes faster than numpy gram at H ≈ 100."
    ]


def test_the_order_in_which_two_are_asked_for_does_not_matter():
    sizes = np.array(SIZES, dtype=float)
    races = sweep(1e-6 * sizes, 1e-4 * (sizes / 100) ** 0.5)
    (one,), (other,) = crossovers("H", races, GRAM, TORCH_GRAM), crossovers("H", races, TORCH_GRAM, GRAM)
    assert (one.overtaker, one.overtaken) == (other.overtaker, other.overtaken)
    assert one.at == pytest.approx(other.at)


def test_lines_that_do_not_cross_are_told_for_the_same_method():
    races = sweep([1e-5] * 4, [2e-5] * 4)
    assert [str(m) for m in sentences("H", races)] == [
        "torch gram does not become faster than numpy gram for H from 16 to 1024."
    ]


@pytest.mark.parametrize("contenders", [(TUTORIAL, GRAM), (GRAM, TUTORIAL)])
def test_nothing_is_said_of_different_methods_that_do_not_cross(contenders):
    one, other = contenders
    races = [race_of({one: np.full(15, 1e-5), other: np.full(15, 2e-5)}, H=H) for H in SIZES]
    assert sentences("H", races) == []


def test_a_tie_that_flickers_is_no_crossover():
    races = sweep([1.00e-5] * 4, [1.01e-5, 0.99e-5, 1.01e-5, 0.99e-5])
    assert crossovers("H", races, GRAM, TORCH_GRAM) == []
    assert "too close to call" in str(sentences("H", races)[0])


def test_a_size_at_which_two_are_level_lies_inside_a_crossover():
    races = sweep([1e-5, 1e-5, 1e-5, 1e-5], [2e-5, 1e-5, 1e-5, 0.5e-5])
    (found,) = crossovers("H", races, GRAM, TORCH_GRAM)
    assert 16 < found.at < 1024


def test_two_crossovers_are_told_in_the_order_of_their_sizes():
    races = sweep([1e-5, 2e-5, 1e-5, 1e-5], [2e-5, 1e-5, 2e-5, 2e-5])
    said = [str(m) for m in sentences("H", races)]
    assert ["torch gram becomes faster" in said[0], "numpy gram becomes faster" in said[1]] == [True, True]


def test_who_is_wrong_overtakes_nobody():
    sizes = np.array(SIZES, dtype=float)
    races = sweep(1e-6 * sizes, 1e-4 * (sizes / 100) ** 0.5, {GRAM: RIGHT, TORCH_GRAM: WRONG})
    assert sentences("H", races) == []


def test_a_pair_of_other_methods_that_does_not_cross_is_not_worth_a_sentence():
    races = [race_of({GRAM: np.full(15, 1e-5), TUTORIAL: np.full(15, 2e-5)}, H=H) for H in SIZES]
    assert sentences("H", races) == []
