"""A learner's program: its gradients against both references, its training, and its hints."""

import numpy as np
import pytest

from twolayer import Config, fit
from twolayer.backprop import exercise, own_training, snapshot
from twolayer.backprop.hints import GRADES, hint
from twolayer.backprop.levels import SOLUTIONS, Exercise
from twolayer.backprop.proof import prove
from twolayer.backprop.spelling import DIALECTS
from twolayer.backprop.terms import LineError
from twolayer.training import methods
from twolayer.training.program import GRADIENTS, STEPS

SMALL = Config(N=12, D_in=9, H=7, D_out=5, learning_rate=1e-3, steps=50)


def lines(**changed: str) -> tuple[tuple[str, str], ...]:
    """The right program with some lines changed."""
    return tuple((SOLUTIONS["numpy"] | changed).items())


@pytest.mark.parametrize("level", ["2", "3"])
def test_right_gradients_agree_with_autograd_and_with_differences(level):
    found = prove(SMALL, 3, Exercise(level), lines())
    assert {(a.gradient, a.against) for a in found.agreements} == {
        (name, against) for name in GRADIENTS for against in ("autograd", "differences")
    }
    assert not any(a.wrong for a in found.agreements)


def test_a_wrong_line_shows_in_all_gradients_that_use_it_and_in_no_other():
    found = prove(SMALL, 0, Exercise("2"), lines(grad_h="grad_h_relu"))
    wrong = {(a.gradient, a.against) for a in found.agreements if a.wrong}
    assert wrong == {(name, way) for name in ("grad_h", "grad_w1") for way in ("autograd", "differences")}


def test_gradients_after_a_line_that_cannot_be_computed_are_not_compared():
    found = prove(SMALL, 0, Exercise("2"), lines(grad_h_relu="grad_y_pred @"))
    assert {a.gradient for a in found.agreements} == {"grad_y_pred", "grad_w2"}


def test_ones_own_training_has_the_losses_of_the_run():
    config = Config(N=12, D_in=9, H=7, D_out=5, learning_rate=1e-3, steps=50, dtype="float64")
    curves = own_training.train(config, Exercise("3"), lines(), 50, 60.0)
    np.testing.assert_allclose(curves.own, fit(config).losses, rtol=1e-9)
    np.testing.assert_array_equal(curves.own, curves.right)
    assert "the same" in str(own_training.says(curves, 50))


def test_a_missing_factor_two_trains_as_half_the_learning_rate():
    config = Config(N=12, D_in=9, H=7, D_out=5, learning_rate=1e-3, steps=30, dtype="float64")
    half = Config(N=12, D_in=9, H=7, D_out=5, learning_rate=5e-4, steps=30, dtype="float64")
    curves = own_training.train(config, Exercise("2"), lines(grad_y_pred="y_pred - y"), 30, 60.0)
    np.testing.assert_allclose(curves.own, fit(half).losses, rtol=1e-9)
    assert "After 30 steps" in str(own_training.says(curves, 30))


def test_a_program_that_diverges_ends_before_its_first_loss_that_is_not_finite():
    curves = own_training.train(SMALL, Exercise("3"), lines(w1="w1 + 1e9 * grad_w1"), 50, 60.0)
    assert len(curves.own) < len(curves.right) == 50
    assert np.isfinite(curves.own).all()
    assert "diverges" in str(own_training.says(curves, 50))


def test_a_training_ends_when_its_time_is_over():
    curves = own_training.train(SMALL, Exercise("2"), lines(), 50, 0.0)
    assert curves.out_of_time
    assert not len(curves.own)
    assert "time limit" in str(own_training.says(curves, 50))


def test_a_program_that_cannot_be_computed_does_not_train():
    with pytest.raises(LineError):
        own_training.train(SMALL, Exercise("2"), lines(grad_h=""), 50, 60.0)


def test_the_parts_of_a_training_reach_its_end():
    assert own_training.parts(SMALL) == [20, 40, 50]
    assert own_training.parts(Config(steps=5)) == [5]
    assert own_training.parts(Config(steps=5_000_000))[-1] == own_training.MOST_STEPS


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_line_has_hints_in_three_grades_and_only_the_last_is_the_solution(dialect):
    given = exercise.numbers(snapshot.take(SMALL, 0), SMALL.learning_rate)
    for value in STEPS:
        hints = [str(hint(value, grade, dialect)) for grade in range(1, GRADES + 1)]
        assert len(set(hints)) == GRADES
        assert not any(SOLUTIONS[dialect][value] in words for words in hints[:-1])
        solution = hints[-1].removeprefix("One solution: ")
        (verdict,) = exercise.examine(given, Exercise("1", value, dialect), {value: solution}, SMALL)
        assert verdict.state == "right"


def test_the_memory_of_a_training_has_room_for_both_its_curves():
    config = Config(N=5, D_in=4, H=3, D_out=2)
    curve = np.empty(own_training.MOST_STEPS)
    assert own_training.memory_bytes(config) == 3 * methods.run_bytes(config) + 2 * curve.nbytes


@pytest.mark.parametrize(
    ("own", "right", "out", "said"),
    [
        ([9, 5, 3], [9, 4, 2], False, "After 3 steps your loss is 3, that of the right program 2."),
        ([9, 5, 3], [9, 4], False, "After 2 steps your loss is 3, that of the right program 4."),
        ([9, 5], [9, 4, 2], False, "Your program diverges at step 2; the right one does not."),
        ([9, 5, 3], [9, 4], True, "Stopped by its time limit after 2 steps."),
        ([9, 5], [9, 4, 2], True, "Stopped by its time limit after 2 steps."),
        (
            [8, 4, 2.001],
            [8, 4, 2],
            False,
            "Both curves are the same: your gradient trains as the right one does.",
        ),
        ([8, 4, 2.003], [8, 4, 2], False, "After 3 steps your loss is 2.003, that of the right program 2."),
        ([], [], False, "Both curves are the same: your gradient trains as the right one does."),
        ([], [9], False, "The initial loss is not finite."),
        ([9], [], False, "The initial loss is not finite."),
    ],
)
def test_what_is_said_of_a_training(own, right, out, said):
    curves = own_training.Curves(np.array(own, float), np.array(right, float), out)
    assert str(own_training.says(curves, 3)) == said
