"""The language of the exercise: shapes in letters, and nothing but its tables, whatever is written.

`python -m tests.tools.exercise` tries many more expressions and hostile lines than these tests do.
"""

import builtins
import random
import tracemalloc
import warnings

import numpy as np
import pytest

from tests.backprop import programs
from twolayer import Config
from twolayer.backprop import exercise, snapshot
from twolayer.backprop.expressions import LONGEST_LINE, parse
from twolayer.backprop.interpreter import OPERATIONS
from twolayer.backprop.letters import VALUES, entries
from twolayer.backprop.levels import Exercise
from twolayer.backprop.shape_rules import RULES
from twolayer.backprop.shapes import of_line
from twolayer.backprop.spelling import ATTRIBUTES, BINARY, COMPARISONS, DIALECTS, FUNCTIONS, METHODS
from twolayer.backprop.terms import LineError
from twolayer.training.kernels.numpy import Tutorial
from twolayer.training.program import AXES, SIZES

PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23)
MOST_BYTES = 50 << 20


def agrees(drawn: random.Random) -> bool:
    """Compare the shape in letters of a random expression with NumPy's, at random sizes. Return whether there
    is one. Sizes are different primes: no two products of letters are equal."""
    text = programs.expression(drawn)
    sizes = dict(zip(SIZES.values(), drawn.sample(PRIMES, 4), strict=True))
    arrays = {name: np.ones([sizes[SIZES[axis]] for axis in axes])[()] for name, axes in AXES.items()}
    names = {name: arrays[name] for name in AXES} | {"np": np, "learning_rate": 0.5}
    try:
        with np.errstate(all="ignore"):
            theirs = np.shape(eval(text, dict(names)))  # made by this test
    except ZeroDivisionError:  # a matter of values, not of shapes
        return False
    except (ValueError, TypeError, AttributeError):
        theirs = None
    try:
        found, _steps = of_line(parse("grad_w1", text, "numpy"))
        ours = tuple(entries((dimension,), sizes) for dimension in found.shape)
    except LineError as error:
        if any(words in str(error) for words in OUR_OWN_RULES):
            return False
        ours = None
    assert ours == theirs, text
    return ours is not None


OUR_OWN_RULES = ("too many parts", "put it into brackets", "compares two numbers", "is no mask", "characters")
"""What the language refuses and NumPy does not."""


def test_shapes_in_letters_are_those_of_numpy():
    drawn = random.Random(19)
    assert sum(agrees(drawn) for _ in range(1500)) > 300


@pytest.fixture(scope="module")
def default() -> exercise.Numbers:
    config = Config()
    return exercise.numbers(snapshot.take(config, 0), config.learning_rate)


def withstands(numbers: exercise.Numbers, drawn: random.Random) -> None:
    """Check that a hostile line gets a verdict, in one sentence."""
    line, value = programs.hostile(drawn), drawn.choice(list(AXES)[4:])
    task = Exercise("1", value, drawn.choice(DIALECTS))
    (verdict,) = exercise.examine(numbers, task, {value: line}, Config())
    assert verdict.message is None or len(str(verdict.message)) < 1500
    assert verdict.state in ("empty", "refused", "wrong", "right")


def test_hostile_lines_get_a_verdict_and_nothing_else(default):
    drawn = random.Random(20)
    withstands(default, drawn)
    tracemalloc.start()
    try:
        with warnings.catch_warnings(), Tutorial.threads(1):
            warnings.simplefilter("error")
            for _ in range(150):
                withstands(default, drawn)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("line", [line for line in programs.HOSTILE if line not in ("x.T @ x", "w1 @ w1.T")])
def test_each_known_attack_is_refused_by_the_parser_or_the_letters(line):
    with pytest.raises(LineError):
        exercise.read("grad_w1", line, "numpy", {"N": 64, "D_in": 1000, "H": 100, "D_out": 10})


@pytest.mark.parametrize("line", ["2(y_pred - y)", "(y_pred - y)(2)"])
def test_a_product_as_in_calculus_is_told_how_it_is_written(line):
    with pytest.raises(LineError, match=r"A product is written with \*"):
        parse("grad_y_pred", line, "numpy")


def test_forgotten_brackets_of_a_comparison_are_named():
    with pytest.raises(LineError, match="put it into brackets"):
        parse("grad_h", "grad_h_relu * h > 0", "numpy")
    assert parse("grad_h", "grad_h_relu * (h > 0)", "numpy").value == "grad_h"


def test_a_number_may_be_taken_from_an_array_and_truth_values_may_not():
    sizes = {"N": 3, "D_in": 4, "H": 5, "D_out": 2}
    exercise.read("h_relu", "h - 0.5", "torch", sizes)
    with pytest.raises(LineError, match="truth values have no minus sign"):
        exercise.read("h_relu", "h - (h > 0)", "torch", sizes)


@pytest.mark.parametrize("line", ["", "; ".join(["grad_h[h < 0] = 0"] * 9)])
def test_what_is_said_of_a_whole_line_has_no_place_in_it(line):
    with pytest.raises(LineError) as caught:
        parse("grad_h", line, "numpy")
    assert caught.value.span == (0, 0)


@pytest.mark.parametrize(
    ("line", "at"), [("x @ * w1", 4), ("  x @ * w1", 6), ("      x @ * w1", 10), ("x @ w1)", 6)]
)
def test_what_is_no_expression_is_marked_where_it_goes_wrong(line, at):
    with pytest.raises(LineError, match="not a complete expression") as caught:
        parse("h", line, "numpy")
    assert caught.value.span == (at, at + 1)


@pytest.mark.parametrize(
    ("line", "word"), [("x @ w1 ! y", "!"), ("x @ gewöhnlich + y", "gewöhnlich"), ("x @ w1 + 3x", "3x")]
)
def test_what_is_no_word_of_the_language_is_marked_as_a_whole(line, word):
    with pytest.raises(LineError, match="is not part of this language") as caught:
        parse("h", line, "numpy")
    start, end = caught.value.span
    assert line[start:end] == word


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("np.where(h < 0, h > 1, h > 2)", "mask"),
        ("np.where(h < 0, h, h)", "array"),
        ("np.where(h < 0, 0, h > 0)", "array"),
        ("(h > 0) + (h < 1)", "mask"),
        ("(h > 0) * (h < 1)", "mask"),
        ("(h > 0) / (h < 1)", "array"),
        ("(h > 0) * h", "array"),
        ("h - h", "array"),
        ("-(-h)", "array"),
        ("np.outer(h > 0, y > 0)", "mask"),
        ("np.outer(h, y > 0)", "array"),
        ("np.outer(h > 0, y)", "array"),
        ("np.outer(h, y)", "array"),
        ("(x > 0) @ (w1 > 0)", "mask"),
        ("x @ (w1 > 0)", "array"),
        ("(x > 0) @ w1", "array"),
    ],
)
def test_what_is_made_of_masks_alone_is_a_mask(line, kind):
    assert of_line(parse("grad_h", line, "numpy"))[0].kind == kind


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("y_pred", "y_pred is not known yet: its line comes after that of h."),
        ("grad_h", "grad_h is not known yet: its line comes after that of h."),
        ("h", "h is what this line computes."),
    ],
)
def test_a_value_that_is_not_there_yet_is_told_from_that_of_the_line_itself(name, says):
    with pytest.raises(LineError) as caught:
        parse("h", f"x @ w1 + {name}", "numpy")
    assert str(caught.value) == says


@pytest.mark.parametrize("line", ["(h > 0) - (h < 1)", "-(h > 0)"])
def test_masks_have_no_minus_sign(line):
    with pytest.raises(LineError, match="truth values have no minus sign"):
        of_line(parse("grad_h", line, "numpy"))


@pytest.mark.parametrize(
    ("line", "kind"),
    [("y + y.T", "transpose"), ("x + w1.T", None), ("h + w1", None), ("h * h.T", "transpose")],
)
def test_shapes_with_the_same_letters_lack_a_transpose(line, kind):
    with pytest.raises(LineError, match="the shapes must be the same") as caught:
        of_line(parse("grad_h", line, "numpy"))
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("line", "met"), [("x < y < h", "a < b < c"), ("x in y", "in, is"), ("x is y", "in, is")]
)
def test_a_comparison_that_is_none_here_is_named(line, met):
    with pytest.raises(LineError, match=f"'{met}' is not part of this language"):
        parse("h", line, "numpy")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("np.dot(h > 0, loss > 0)", "mask"),
        ("np.dot(h, loss)", "array"),
        ("np.dot(h > 0, loss)", "array"),
        ("np.dot(2.0, h > 0)", "array"),
    ],
)
def test_a_product_with_a_number_is_a_mask_if_both_are(line, kind):
    found, _steps = of_line(parse("grad_h", line, "numpy"))
    assert (found.kind, found.words) == (kind, "(N, H)")


def test_a_result_or_a_product_far_larger_than_the_iterations_is_refused():
    sizes = {"N": 64, "D_in": 1000, "H": 100, "D_out": 10}
    with pytest.raises(LineError, match="1,000,000 entries"):
        exercise.read("loss", "(x.T @ x).sum()", "numpy", sizes)
    with pytest.raises(LineError, match="far more"):
        exercise.read("loss", f"({'+'.join(['w1.T@w1'] * 14)}).sum()", "numpy", sizes)
    exercise.read("loss", f"({'+'.join(['w1.T@w1'] * 12)}).sum()", "numpy", sizes)


def test_what_does_not_fit_is_marked_on_the_row_where_it_stands():
    for before in ("", "   ", "\n     "):
        line = before + "(x @ w1\n  + x @ y\n  + x @ w1)"
        with pytest.raises(LineError) as caught:
            of_line(parse("h", line, "numpy"))
        start, end = caught.value.span
        assert line[start:end] == "x @ y"


def test_a_wrong_shape_is_marked_where_it_comes_from():
    line = "h = x @ w1; h = h.T"
    with pytest.raises(LineError, match="h must have the shape") as caught:
        exercise.read("h", line, "numpy", {"N": 3, "D_in": 4, "H": 5, "D_out": 2})
    start, end = caught.value.span
    assert (line[start:end], caught.value.kind) == ("h.T", "transpose")


@pytest.mark.parametrize(("left", "right"), [("y", "y"), ("y.sum(dim=0)", "y"), ("y", "y.sum(dim=0)")])
def test_torch_outer_takes_two_vectors(left, right):
    with pytest.raises(LineError, match="two vectors"):
        of_line(parse("loss", f"torch.outer({left}, {right}).sum()", "torch"))
    of_line(parse("loss", "torch.outer(y.sum(dim=0), y.sum(dim=0)).sum()", "torch"))


def is_read(value, line, dialect="numpy"):
    """Whether a line is of the language."""
    try:
        parse(value, line, dialect)
    except LineError:
        return False
    return True


@pytest.mark.parametrize("change", ["{} = x", "{} *= 2", "{}[{} < 0] = 0"])
@pytest.mark.parametrize("other", ["h", "y"])
def test_a_line_changes_its_own_value_alone(change, other):
    first = "h_relu = h.copy()"
    assert is_read("h_relu", f"{first}; {change.format('h_relu', 'h_relu')}")
    assert not is_read("h_relu", f"{first}; {change.format(other, other)}")


@pytest.mark.parametrize("change", ["{} *= 2", "{}[{} < 0] = 0"])
def test_a_value_is_there_before_it_is_changed(change):
    assert not is_read("h_relu", change.format("h_relu", "h_relu"))


@pytest.mark.parametrize(
    ("option", "values", "others"),
    [
        ("{}.pow({{}})", (0, 0.5, 1, 10), (-1, -0.5, 10.5, 11, None, True)),
        ("{}.sum(dim={{}})", (0, 1, -1, -2), (2, -3, 0.0, True)),
        ("{}.sum(dim=0, keepdim={{}})", (True, False), (1, 0, None)),
        ("{}.clamp(min={{}}, max=1)", (0, -1e9, 1e9, None), (-1.1e9, 1.1e9, True)),
    ],
)
def test_the_options_that_are_read(option, values, others):
    line = option.format("h")
    assert [value for value in (*values, *others) if is_read("h_relu", line.format(value), "torch")] == [
        *values
    ]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_tables_are_the_only_way_to_a_function(dialect):
    allowed = {"T"} | set(METHODS[dialect])
    for name in sorted({*dir(np.ndarray), *dir(float), *dir(np), *dir(builtins)}):
        for line in (f"x.{name}", f"x.{name}()", f"x.{name}(y)"):
            if name not in allowed:
                with pytest.raises(LineError):
                    parse("grad_w1", line, dialect)
        for line in (name, f"{name}()", f"{name}(x)"):
            with pytest.raises(LineError):
                parse("grad_w1", line, dialect)
    for name in dir(np):
        for module in ("np", "torch"):
            if name not in FUNCTIONS[dialect]:
                with pytest.raises(LineError):
                    parse("grad_w1", f"{module}.{name}(x)", dialect)
            with pytest.raises(LineError):
                parse("grad_w1", f"{module}.{name}", dialect)


def test_every_operation_has_a_shape_and_a_function():
    spelled = {row.op for table in (METHODS, FUNCTIONS) for rows in table.values() for row in rows.values()}
    operations = {
        *spelled,
        *BINARY.values(),
        *COMPARISONS.values(),
        *ATTRIBUTES.values(),
        "neg",
        "pos",
        "pow",
        "torch_sub",
    }
    assert operations == set(OPERATIONS) == set(RULES)


def test_a_long_line_is_refused_before_it_is_parsed():
    with pytest.raises(LineError, match="characters"):
        parse("h", "x" * (LONGEST_LINE + 1), "numpy")
    assert is_read("h", "x @ w1".ljust(LONGEST_LINE))


@pytest.mark.parametrize("line", ["h" + "+h" * 60, "-" * 30 + "h"], ids=["many parts", "deep"])
def test_a_line_of_many_parts_and_a_deep_one_are_each_refused(line):
    assert is_read("h_relu", line[-7:])
    with pytest.raises(LineError, match="too many parts"):
        parse("h_relu", line, "numpy")


def test_the_letters_of_a_value_are_those_of_the_program():
    assert VALUES["grad_w1"].words == "(D_in, H)"
    assert str(VALUES["loss"].words) == "a single number"


def test_the_language_needs_no_pytorch(python):
    ran = python(
        "-c",
        "import sys\nfrom twolayer.backprop.exercise import check\nfrom twolayer import Config\n"
        "from twolayer.backprop.levels import Exercise, SOLUTIONS\n"
        "lines = tuple(SOLUTIONS['torch'].items())\n"
        "print(check(Config(), 0, Exercise('3', dialect='torch'), lines).solved)\n"
        "assert 'torch' not in sys.modules",
    )
    assert (ran.returncode, ran.stdout) == (0, "11\n"), ran.stderr
