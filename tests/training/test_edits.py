"""Edits of a run: from which step on a value holds, against the formulas with a list of rates."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from twolayer import Config, ConfigError, Edit, fit
from twolayer.training import edits
from twolayer.training.problem import make_problem
from twolayer.training.reference import iteration

CONFIG = Config(N=7, D_in=11, H=5, D_out=3, dtype="float64", learning_rate=1e-4, steps=40)


def losses_of(rates: list[float]) -> list[float]:
    """The losses of a training that takes each step with its own rate."""
    problem, losses = make_problem(CONFIG), []
    w1, w2 = problem.w1, problem.w2
    for rate in rates:
        loss, w1, w2 = iteration(problem.x, problem.y, w1, w2, rate)
        losses.append(loss)
    return losses


RATES = [
    ([], [1e-4] * 40),
    ([Edit(0, "learning_rate", 2e-4)], [2e-4] * 40),
    ([Edit(13, "learning_rate", 3e-4)], [1e-4] * 13 + [3e-4] * 27),
    ([Edit(39, "learning_rate", 3e-4)], [1e-4] * 39 + [3e-4]),
    ([Edit(5, "learning_rate", 3e-4), Edit(6, "learning_rate", 1e-5)], [1e-4] * 5 + [3e-4] + [1e-5] * 34),
    ([Edit(5, "learning_rate", 3e-4), Edit(5, "learning_rate", 2e-4)], [1e-4] * 5 + [2e-4] * 35),
    ([Edit(20, "steps", 25)], [1e-4] * 25),
    ([Edit(20, "steps", 50), Edit(45, "learning_rate", 2e-4)], [1e-4] * 45 + [2e-4] * 5),
]


@pytest.mark.parametrize(("changes", "rates"), RATES, ids=str)
def test_each_step_has_the_rate_that_holds_from_its_edit_on(kernel, changes, rates):
    config = Config(**{**vars(CONFIG), **kernel})
    after, before = fit(config, changes).losses, fit(config).losses
    assert len(after) == len(rates)
    assert_allclose(after, losses_of(rates), rtol=1e-9)
    if changes and changes[0].field == "learning_rate":
        first = changes[0].step  # the loss of a step is the one before its update
        assert_allclose(after[: first + 1], before[: first + 1], rtol=1e-12)
        assert (after[first + 1 :] != before[first + 1 :]).all()


@pytest.mark.parametrize(("changes", "rates"), RATES, ids=str)
def test_a_segment_ends_where_the_rate_changes_and_takes_a_step_at_least(changes, rates):
    step, taken = 0, []
    while step < len(rates):
        config, end = edits.segment(CONFIG, changes, step)
        assert end > step
        taken += [config.learning_rate] * (end - step)
        step = end
    assert taken == rates


def test_the_method_stays_that_of_the_start():
    auto = Config(**{**vars(CONFIG), "method": "auto"})
    for step in (0, 30):
        assert edits.segment(auto, [Edit(10, "steps", 100_000)], step)[0].method == fit(auto).method


def test_a_value_after_all_edits_is_that_of_the_last():
    made = [Edit(1, "learning_rate", 2.0), Edit(2, "steps", 60), Edit(3, "learning_rate", 3.0)]
    assert edits.current(CONFIG, made, "learning_rate") == 3.0
    assert edits.current(CONFIG, made, "steps") == 60
    assert edits.current(CONFIG, made[:2], "learning_rate") == 2.0
    assert edits.current(CONFIG, [], "steps") == 40


def test_what_is_new_makes_an_edit_from_the_next_step_on():
    made = edits.changes(CONFIG, (), 12, learning_rate=3e-4, steps=12)
    assert made == (Edit(12, "learning_rate", 3e-4), Edit(12, "steps", 12))
    assert edits.changes(CONFIG, made, 15, learning_rate=3e-4, steps=None) == ()
    assert edits.changes(CONFIG, made, 15, learning_rate=1e-4) == (Edit(15, "learning_rate", 1e-4),)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 11}, "at least 12, the steps already done"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"H": 3}, "one of the fields learning_rate, steps"),
    ],
    ids=str,
)
def test_what_cannot_be_edited_is_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        edits.changes(CONFIG, (), 12, **values)


def test_what_a_fit_counts_is_that_of_all_its_chunks():
    result = fit(CONFIG, [Edit(10, "learning_rate", 2e-4), Edit(30, "learning_rate", 3e-4)])
    assert result.laps[:, 0].sum() == 40
    assert result.seconds == pytest.approx(result.laps[:, 1].sum())
    steps = result.laps[:, 0].astype(int)
    each = np.repeat(result.laps[:, 1] / steps, steps)
    assert result.step_seconds == sorted(each)[40 // 2 - 1]
    assert {10, 30, 40} <= set(result.dead[:, 0])


@pytest.mark.parametrize("steps", [20, 300])
def test_a_run_of_another_length_has_the_score_of_its_last_step_that_debts_cannot_put_off(steps, monkeypatch):
    monkeypatch.setattr("twolayer.training.laps.FREE_SECONDS", -1)
    config = Config(data="sine", init="he", learning_rate=1e-4, steps=100)
    changes = [Edit(0, "steps", steps), Edit(steps // 2, "learning_rate", 2e-4)]  # where a chunk ends
    assert fit(config, changes).held_out[:, 0].tolist() == [steps]
