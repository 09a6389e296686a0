"""The exercise: right lines are accepted however they are written, wrong ones refused by their kind."""

import random

import numpy as np
import pytest

from tests.backprop import programs
from twolayer import Config
from twolayer.backprop import exercise, kinds, packed, snapshot
from twolayer.backprop.bugs import BUGS, program
from twolayer.backprop.deviation import differs, where
from twolayer.backprop.kinds import KINDS
from twolayer.backprop.levels import LEVELS, SOLUTIONS, Exercise
from twolayer.backprop.packed import pack, unpack
from twolayer.backprop.sentences import details, headline
from twolayer.backprop.spelling import DIALECTS
from twolayer.training.program import AXES, GRADIENTS, STEPS, iteration, run

SMALL = Config(N=12, D_in=9, H=7, D_out=5, learning_rate=1e-3)
FLAT = {"N": 12, "D_out": 5, "ND_out": 60}


@pytest.fixture(scope="module")
def numbers() -> exercise.Numbers:
    return exercise.numbers(snapshot.take(SMALL, 3), SMALL.learning_rate)


def judged(numbers: exercise.Numbers, value: str, line: str, dialect: str = "numpy") -> exercise.Verdict:
    """The verdict on one line of the whole program."""
    task = Exercise("1", value, dialect)
    (verdict,) = exercise.examine(numbers, task, {value: line}, SMALL)
    return verdict


def right_programs(count: int) -> list[tuple[str, dict[str, str]]]:
    """Right programs, each with its dialect."""
    drawn = random.Random(17)
    dialects = [DIALECTS[i % 2] for i in range(count)]
    return [(dialect, programs.Writer(drawn, dialect).program()) for dialect in dialects]


def test_two_hundred_ways_to_write_the_program_are_right(numbers):
    for dialect, lines in right_programs(200):
        verdicts = exercise.examine(numbers, Exercise("3", dialect=dialect), lines, SMALL)
        for verdict in verdicts:
            assert (verdict.state, verdict.chain) == ("right", True), (
                lines[verdict.value],
                str(verdict.message),
            )


def test_two_hundred_programs_with_one_mistake_are_refused_by_their_kind(numbers):
    drawn, named, total = random.Random(18), 0, 200
    for number in range(total):
        dialect = DIALECTS[number % 2]
        rows = programs.mistakes(dialect)
        value, line, kind = rows[number // 2] if number // 2 < len(rows) else drawn.choice(rows)
        lines = programs.Writer(drawn, dialect).program() | {value: line.format(**FLAT)}
        verdicts = exercise.examine(numbers, Exercise("3", dialect=dialect), lines, SMALL)
        found = {verdict.value: verdict for verdict in verdicts}
        assert found[value].state in ("wrong", "refused"), (value, line)
        assert all(v.state == "right" for name, v in found.items() if name != value)
        named += found[value].kind == kind
    assert named >= 190


def test_sums_in_another_order_are_within_the_bounds_and_these_are_narrow():
    config = Config(N=40, D_in=300, H=30, D_out=4, learning_rate=1e-5)
    given = exercise.numbers(snapshot.take(config, 0), config.learning_rate)
    drawn = np.random.default_rng(5)
    inputs, samples = drawn.permutation(config.D_in), drawn.permutation(config.N)
    moved = {
        "x": given.inputs["x"][np.ix_(samples, inputs)],
        "y": given.inputs["y"][samples],
        "w1": given.inputs["w1"][inputs],
        "w2": given.inputs["w2"],
    }
    found = run(iteration(), moved, config.learning_rate)
    places = {"i": np.argsort(inputs), "n": np.argsort(samples)}
    differing = 0
    for name in STEPS:
        ours = found[name]
        for axis, letter in enumerate(AXES[name]):
            ours = np.take(ours, places[letter], axis) if letter in places else ours
        assert not differs(ours, given.right[name], given.limits[name]).any(), name
        differing += not np.array_equal(ours, given.right[name])
        size = float(np.abs(given.right[name]).max())
        assert differs(given.right[name] + 1e-9 * size, given.right[name], given.limits[name]).all(), name
    assert differing > 6


def test_every_kind_has_a_mistake_that_is_tried():
    assert {kind for dialect in DIALECTS for _v, _l, kind in programs.mistakes(dialect)} == set(KINDS)


@pytest.mark.parametrize("name", [name for name in BUGS if name not in ("off_by_one", "not_transposed")])
def test_a_planted_bug_that_a_learner_can_write_has_its_kind(numbers, name):
    bug = BUGS[name]
    verdict = judged(numbers, bug.value, bug.line)
    assert verdict.state == "wrong"
    assert name in KINDS[verdict.kind].bugs


def test_every_planted_bug_belongs_to_a_kind():
    assert {bug for kind in KINDS.values() for bug in kind.bugs} == set(BUGS)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("level", LEVELS)
def test_the_solutions_solve_each_level(numbers, level, dialect):
    task = Exercise(level, "grad_w1", dialect)
    verdicts = exercise.examine(numbers, task, SOLUTIONS[dialect], SMALL)
    assert [v.value for v in verdicts] == list({"1": ("grad_w1",), "2": GRADIENTS, "3": STEPS}[level])
    assert all(v.state == "right" and v.chain for v in verdicts)


def test_the_solution_of_numpy_is_the_reference_itself():
    assert (
        {name: f"{name} = {line}" for name, line in SOLUTIONS["numpy"].items()}
        == iteration()
        == program(None)
    )


def test_a_missing_factor_says_which_factor_it_is(numbers):
    verdict = judged(numbers, "grad_y_pred", "y_pred - y")
    assert (verdict.kind, verdict.ratio) == ("factor", 0.5)
    assert verdict.where.count == verdict.where.total == 60


def test_a_mistake_says_in_which_entries_it_shows(numbers):
    verdict = judged(numbers, "grad_h", "grad_h_relu")
    right = numbers.right["grad_h"]
    assert verdict.where.count == int((right != numbers.right["grad_h_relu"]).sum()) < right.size
    index, ours, theirs = verdict.where.cells[0]
    assert (ours, theirs) == (numbers.right["grad_h_relu"][index], right[index])
    apart = np.zeros((3, 4), bool)
    apart[1] = True
    assert where(apart, apart * 1.0, apart * 0.0).rows == (1,)
    assert where(apart.T, apart.T * 1.0, apart.T * 0.0).columns == (1,)


def test_of_the_entries_that_differ_the_worst_is_the_example():
    right = np.zeros((2, 3))
    ours = np.array([[1.0, 0.0, -7.0], [2.0, 0.0, 0.0]])
    assert where(ours != right, ours, right).cells == (
        ((0, 2), -7.0, 0.0),
        ((1, 0), 2.0, 0.0),
        ((0, 0), 1.0, 0.0),
    )
    assert where(np.array(True), np.array(np.nan), np.array(1.0)).cells[0][0] == ()


def test_a_right_line_after_a_wrong_one_is_right_by_itself_and_wrong_in_the_chain(numbers):
    lines = dict(SOLUTIONS["numpy"]) | {"grad_y_pred": "y_pred - y"}
    found = exercise.examine(numbers, Exercise("2"), lines, SMALL)
    assert [v.state for v in found] == ["wrong", "right", "right", "right", "right"]
    assert not any(v.chain for v in found)
    said = [str(headline(v)) for v in found]
    assert said[0] == "Wrong: the factor 2 is missing."
    assert set(said[1:]) == {"This line is right; its wrong value comes from grad_y_pred."}


def test_a_wrong_value_is_traced_to_every_wrong_line_that_it_comes_from_and_to_no_other(numbers):
    lines = SOLUTIONS["numpy"] | {
        "grad_h_relu": "2 * grad_y_pred @ w2.T",
        "grad_w2": "-h_relu.T @ grad_y_pred",
    }
    found = {v.value: v for v in exercise.examine(numbers, Exercise("3"), lines, SMALL)}
    assert {v.value: v.sources for v in found.values() if v.sources} == {
        "grad_h": ("grad_h_relu",),
        "grad_w1": ("grad_h_relu",),
        "w1": ("grad_h_relu",),
        "w2": ("grad_w2",),
    }


def test_a_second_mistake_that_undoes_the_first_is_said(numbers):
    lines = SOLUTIONS["numpy"] | {"grad_y_pred": "2 * (y - y_pred)", "grad_w2": "-h_relu.T @ grad_y_pred"}
    found = {v.value: v for v in exercise.examine(numbers, Exercise("2"), lines, SMALL)}
    assert str(headline(found["grad_w2"])) == "Wrong: the sign is reversed."
    assert "undoes the mistake of a line above" in str([*details(found["grad_w2"])][-1])
    assert not any("undoes" in str(one) for one in details(found["grad_y_pred"]))
    assert found["grad_h"].sources == ("grad_y_pred",)


@pytest.mark.parametrize(
    ("value", "line", "said"),
    [
        ("grad_y_pred", "y - y_pred", "Wrong: the sign is reversed, and the factor 2 is missing."),
        ("grad_y_pred", "2 * (y - y_pred)", "Wrong: the sign is reversed."),
        ("grad_y_pred", "4 * (y_pred - y)", "Wrong: there is a missing or extra factor."),
        (
            "grad_w2",
            "-0.5 * h_relu.T @ grad_y_pred",
            "Wrong: the sign is reversed, and there is a missing or extra factor.",
        ),
        (
            "grad_y_pred",
            "-2 * (y_pred - y) / 12",
            "Wrong: the sign is reversed, and it is a mean instead of a sum.",
        ),
    ],
)
def test_a_reversed_sign_and_another_mistake_are_both_said(numbers, value, line, said):
    verdict = judged(numbers, value, line)
    assert str(headline(verdict)) == said
    assert not any("same direction" in str(one) for one in details(verdict))


def test_a_product_entry_by_entry_where_a_matrix_product_fits_is_told_how_that_is_written(numbers):
    assert str(judged(numbers, "h", "x * w1").message) == (
        "Entry by entry, the shapes must be the same: x (N, D_in), w1 (D_in, H). A matrix product is written "
        "x @ w1."
    )
    assert "(x - 1) @ w1." in str(judged(numbers, "h", "(x - 1) * w1").message)
    assert "@" not in str(judged(numbers, "h", "w1 * x").message)


def test_a_step_in_the_wrong_direction_is_said_of_the_change_alone(numbers):
    said = [str(one) for one in details(judged(numbers, "w1", "w1 + learning_rate * grad_w1"))]
    assert said[0] == "The change is -1 times the right one."
    assert not any("except for its sign" in one for one in said)


def test_the_shape_of_a_number_is_said_in_words(numbers):
    assert str(headline(judged(numbers, "loss", "np.square(y_pred - y).sum()"))) == "Right, a single number."
    assert str(judged(numbers, "loss", "np.square(y_pred - y)").message) == (
        "loss must be a single number; the line gives (N, D_out)."
    )


@pytest.mark.parametrize(
    ("dialect", "line", "example"),
    [
        ("numpy", "grad_h_relu[h < 0] = 0", "grad_h_relu.copy(); grad_h[h < 0] = 0"),
        ("torch", "grad_h_relu[h < 0] = 0", "grad_h_relu.clone(); grad_h[h < 0] = 0"),
        ("numpy", "grad_h[h <= 0] = 0.0", "grad_h_relu.copy(); grad_h[h <= 0] = 0.0"),
        ("numpy", "grad_h_relu[h < 0]", "grad_h_relu.copy(); grad_h[h < 0] = 0"),
        ("numpy", "grad_h_relu[0]", "grad_h_relu.copy(); grad_h[h < 0] = 0"),
    ],
)
def test_entries_set_without_a_semicolon_are_told_how_and_that_is_right(numbers, dialect, line, example):
    refused = judged(numbers, "grad_h", line, dialect)
    assert refused.state == "refused"
    assert str(refused.message).endswith(f"after a semicolon, once grad_h has a value: {example}")
    assert judged(numbers, "grad_h", example, dialect).state == "right"


def test_what_is_said_of_a_right_line_has_no_place_in_it(numbers):
    verdict = judged(numbers, "h", "x @ w1")
    assert (verdict.state, verdict.span) == ("right", (0, 0))


def test_the_chain_ends_at_a_line_that_cannot_be_computed(numbers):
    lines = dict(SOLUTIONS["numpy"]) | {"grad_h_relu": "grad_y_pred @ w2"}
    found = exercise.examine(numbers, Exercise("2"), lines, SMALL)
    assert [v.chain for v in found] == [True, True, None, None, None]
    assert [v.state for v in found] == ["right", "right", "refused", "right", "right"]


def test_an_inner_letter_that_differs_is_named_with_the_transpose_that_fits(numbers):
    verdict = judged(numbers, "grad_h_relu", "grad_y_pred @ w2")
    assert str(verdict.message) == (
        "grad_y_pred (N, D_out) times w2 (H, D_out): the inner letters D_out and H differ. "
        "w2.T is (D_out, H)."
    )
    assert verdict.text[slice(*verdict.span)] == "grad_y_pred @ w2"


@pytest.mark.parametrize(
    ("value", "line", "said"),
    [
        ("grad_w2", "h_relu @ grad_y_pred", "h_relu.T is (H, N)."),
        ("grad_w2", "(h_relu - h) @ grad_y_pred", "(h_relu - h).T is (H, N)."),
        ("h", "x @ w1.T", "w1 is (D_in, H)."),
        ("grad_w1", "x @ w2", ""),
    ],
)
def test_the_transpose_of_the_first_is_named_where_only_that_fits_and_none_where_none_does(
    numbers, value, line, said
):
    message = str(judged(numbers, value, line).message)
    assert "differ." in message
    assert message.partition("differ.")[2].strip() == said


@pytest.mark.parametrize("line", ["grad_y_pred @ w2", "x.T @ grad_h_relu", "(grad_y_pred @ w2.T).T"])
def test_a_line_that_fits_only_because_sizes_are_equal_is_refused(line):
    square = Config(N=6, D_in=6, H=6, D_out=6)
    given = exercise.numbers(snapshot.take(square, 0), square.learning_rate)
    (verdict,) = exercise.examine(given, Exercise("1", "grad_h_relu"), {"grad_h_relu": line}, square)
    assert verdict.state == "refused"


def test_a_copy_is_asked_for_where_two_names_would_be_one_array(numbers):
    verdict = judged(numbers, "grad_h", "grad_h_relu; grad_h[h < 0] = 0")
    assert "begin with a copy" in str(verdict.message)


@pytest.mark.parametrize(
    ("line", "dialect", "says"),
    [
        ("x.mm(grad_h)", "numpy", "'.mm()' is not part of this language. Here it is written a @ b."),
        ("x.dot(grad_h)", "torch", "'.dot()' is not part of this language. Here it is written a.mm(b)."),
        ("np.sum(x)", "torch", "'np' is not part of this language. Here it is written torch."),
        ("foo @ grad_h", "numpy", "There is no value 'foo'."),
        ("w1", "numpy", "grad_w1 must have"),
        ("grad_w1", "numpy", "grad_w1 is what this line computes."),
        ("x.T @ (grad_h", "numpy", "look at brackets"),
        ("", "numpy", "empty"),
    ],
)
def test_what_is_outside_the_language_is_named_with_what_is_there_instead(numbers, line, dialect, says):
    verdict = judged(numbers, "grad_w1", line, dialect)
    if line != "w1":
        assert says in str(verdict.message)
    else:
        assert verdict.state == "wrong"  # it has the right shape


def test_a_worker_checks_a_program_at_an_iteration_of_a_run():
    report = exercise.check(SMALL, 3, Exercise("2"), tuple(SOLUTIONS["numpy"].items()))
    assert report.solved == 5
    assert report.runs
    assert report.at == 3


def test_a_value_of_a_shape_that_is_neither_turned_nor_summed_is_of_no_kind(numbers):
    verdict = judged(numbers, "grad_w2", "x.T @ y")
    assert (verdict.state, verdict.kind) == ("refused", None)


def test_an_unmasked_value_with_other_entries_set_to_0_has_another_mask():
    g = np.random.default_rng(8)
    names = {name: g.standard_normal((4, 3)) for name in ("h", "grad_h_relu")}
    names |= {
        "x": g.standard_normal((4, 5)),
        "w2": g.standard_normal((3, 2)),
        "h_relu": np.maximum(names["h"], 0),
    }
    for value, unmasked in (("h_relu", "h"), ("grad_h", "grad_h_relu")):
        whole = names[unmasked]
        right = np.where(names["h"] < 0, 0, whole)
        other = np.where(names["h"].T.reshape(4, 3) > 0.3, 0, whole)
        assert kinds.of_values(value, other, right, names, 1e-3) == ("other_mask", None)
        assert kinds.of_values(value, other * 1.1, right, names, 1e-3) == (None, None)
        assert kinds.of_values(value, other[:1], right[:1], names, 1e-3) == (None, None)


def test_the_kind_of_a_line_is_looked_for_among_those_of_its_value(numbers):
    names = numbers.right | numbers.inputs
    of_lines = {(kind, value) for kind, value, _line in kinds.WRONG_LINES}
    by_numbers = (None, "factor", "sign", "mean", "other_mask")
    for kind, value, line in kinds.WRONG_LINES:
        found = kinds._result(value, line, names, 1e-3)
        if found is None or found.shape != names[value].shape:
            continue
        assert kinds.of_values(value, found, names[value], names, 1e-3)[0] == kind
        for other in GRADIENTS:
            if names[other].shape == found.shape and other != value:
                said = kinds.of_values(other, found, names[other], names, 1e-3)[0]
                assert said in by_numbers or (said, other) in of_lines


@pytest.mark.parametrize(
    ("states", "solved", "runs"),
    [
        (("right", "right", "wrong"), 2, True),
        (("empty", "right", "refused"), 1, False),
        (("empty",), 0, False),
        (("refused", "wrong"), 0, False),
    ],
)
def test_only_right_lines_are_solved_and_only_those_with_a_value_run(states, solved, runs):
    verdicts = tuple(exercise.Verdict("h", "x @ w1", state) for state in states)
    report = exercise.Report(SMALL, 0, None, Exercise("1"), verdicts)
    assert (report.solved, report.runs) == (solved, runs)


def test_lines_of_any_length_come_back_from_an_address():
    for length in range(1, 40):
        lines = {"h": "x @ w1" + " " * length + "+ 0", "loss": "y" * length}
        assert unpack(pack(lines)) == lines


def test_a_text_of_an_address_has_a_longest_length(monkeypatch):
    lines = {"h": "x @ w1"}
    text = pack(lines)
    monkeypatch.setattr(packed, "LONGEST_PACKED", len(text))
    assert (pack(lines), unpack(text)) == (text, lines)
    monkeypatch.setattr(packed, "LONGEST_PACKED", len(text) - 1)
    assert pack(lines) == ""
    with pytest.raises(ValueError, match=r"^$"):
        unpack(text)


@pytest.mark.parametrize(
    ("ratio", "kind"),
    [
        (0.25, "factor"),
        (4.0, "factor"),
        (-2.0, "factor"),
        (-1.0, "sign"),
        (1 / 12, "mean"),
        (1 / 7, "factor"),
    ],
)
def test_a_quarter_is_a_factor_though_there_are_four_rows(ratio, kind):
    g = np.random.default_rng(9)
    names = {"x": np.ones((4, 3)), "w2": np.ones((5, 2)), "y_pred": g.standard_normal((4, 2))}
    right = g.standard_normal((4, 2))
    assert kinds.of_values("grad_y_pred", ratio * right, right, names, 1e-3) == (kind, float(f"{ratio:.4g}"))
