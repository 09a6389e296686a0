"""The formulas of an iteration as LaTeX."""

from twolayer import Config
from twolayer.backprop.bugs import BUGS
from twolayer.backprop.latex import formula
from twolayer.training.program import STEPS


def test_a_formula_has_the_shapes_in_letters_or_those_of_a_config() -> None:
    product = (
        r"\underset{%s}{\mathtt{grad\_w1}} = "
        r"\underset{%s}{\mathtt{x}^{\mathsf{T}}}\cdot \underset{%s}{\mathtt{grad\_h}}"
    )
    shapes = (r"D\_in\times H", r"D\_in\times N", r"N\times H")
    assert formula("grad_w1") == product % shapes
    numbers = (r"4\times 3", r"4\times 5", r"5\times 3")
    assert formula("grad_w1", Config(N=5, D_in=4, H=3, D_out=2)) == product % numbers


def test_weights_change_and_all_else_is_an_equation() -> None:
    arrows = {name: r"\leftarrow" in formula(name) for name in STEPS}
    assert arrows == {name: name in ("w1", "w2") for name in STEPS}
    assert formula("loss").startswith(r"\mathtt{loss} = \sum")


def test_a_bug_changes_the_formula_of_its_value_alone() -> None:
    for name, bug in BUGS.items():
        assert [value for value in STEPS if formula(value, planted=name) != formula(value)] == [bug.value]
