"""The check of the backward pass: it never accuses a right one, and finds what is wrong."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from twolayer import Config
from twolayer.backprop import bugs, snapshot
from twolayer.backprop.bugs import BUGS
from twolayer.backprop.check import STEP, STEPS, Settings, check, examine
from twolayer.backprop.comparison import BANDS, at_step, relative_error
from twolayer.backprop.finite_differences import along, of_entries
from twolayer.backprop.one_step import observe
from twolayer.training import kernels
from twolayer.training.data import DATA_SETS
from twolayer.training.messages import Message, MessageError
from twolayer.training.program import GRADIENTS, run

TINY = Config(N=5, D_in=4, H=3, D_out=2, seed=4)
SAMPLE = 60
"""Enough for a random check, and quick."""


def random_config(seed: int) -> tuple[Config, int]:
    """Shapes from 1 to 60, a rate, a dtype, and an iteration to look at."""
    g = np.random.default_rng(seed)
    N, D_in, H, D_out = (int(size) for size in g.integers(1, 61, 4))
    if seed % 3 == 0:
        D_out = H  # where w2 can be mistaken for its transpose
    if seed % 10 == 5:
        N = 1
    config = Config(
        N=N,
        D_in=D_in,
        H=H,
        D_out=D_out,
        seed=int(g.integers(1000)),
        learning_rate=float(g.choice([1e-12, 1e-10, 1e-6, 1e-4, 1e-3])),
        dtype=str(g.choice(["float32", "float64"])),
    )
    return config, int(g.choice([0, 0, 3, 40, 300]))


def effect(config: Config, taken: snapshot.Snapshot, name: str) -> dict[str, float]:
    """By how much a bug changes the gradient of each tensor, in float64."""
    inputs = {key: array.astype(float) for key, array in taken.inputs.items()}
    right = run(bugs.program(None), inputs, config.learning_rate)
    wrong = run(bugs.program(name), inputs, config.learning_rate)
    return {w: float(np.abs(wrong[f"grad_{w}"] - right[f"grad_{w}"]).max()) for w in ("w1", "w2")}


@pytest.mark.parametrize("seed", range(30))
def test_a_right_pass_is_never_accused_and_each_bug_is_found_where_it_is(seed):
    config, at = random_config(seed)
    taken = snapshot.take(config, at)
    right = examine(config, taken, settings=Settings(sample=SAMPLE, valley=False))
    assert right.wrong == ()
    assert right.formula is None
    for name in bugs.possible(config):
        found = examine(config, taken, name, settings=Settings(sample=SAMPLE, valley=False))
        changed = {tensor for tensor, change in effect(config, taken, name).items() if change > 1e-6}
        assert changed <= set(found.wrong_tensors) <= set(BUGS[name].tensors)
        for tensor in changed:
            assert found.comparison(f"grad_{tensor}", "autograd").wrong > 0
        if changed:
            assert found.formula == BUGS[name].value


@pytest.mark.parametrize("init", ["tutorial", "he"])
@pytest.mark.parametrize("name", DATA_SETS)
def test_on_no_data_set_is_a_right_pass_accused_and_a_bug_is_found(name, init):
    config = Config(data=name, init=init, N=40, H=7, learning_rate=1e-5)
    for at in (0, 20):
        taken = snapshot.take(config, at)
        right = examine(config, taken, settings=Settings(sample=SAMPLE, valley=False))
        assert (right.wrong, right.formula) == ((), None)
        bug = next(iter(bugs.possible(config)))
        assert examine(config, taken, bug, settings=Settings(sample=SAMPLE, valley=False)).wrong_tensors


@pytest.mark.parametrize("seed", [0, 5, 6])
def test_without_pytorch_differences_find_them_too(seed, monkeypatch):
    missing = Message.of(
        "{library} is not installed. Install it with: pip install {library}", library="torch"
    )
    monkeypatch.setattr(kernels, "why_missing", lambda backend: missing if backend == "torch" else None)
    kernels.load.cache_clear()
    config, _ = random_config(seed)
    taken = snapshot.take(config, 0)
    right = examine(config, taken, settings=Settings(sample=SAMPLE, valley=False))
    assert right.no_autograd == missing
    assert {c.against for c in right.comparisons} == {"differences"}
    assert right.wrong == ()
    for name in bugs.possible(config):
        if not any(effect(config, taken, name).values()):
            continue
        if name == "updated_early":
            continue  # below what differences can see at these learning rates
        found = examine(config, taken, name, settings=Settings(sample=SAMPLE, valley=False))
        assert found.wrong_tensors == BUGS[name].tensors
        assert found.formula == BUGS[name].value
    kernels.load.cache_clear()


@pytest.mark.parametrize("name", [None, *BUGS])
def test_both_pages_agree(name):
    config = Config(N=9, D_in=7, H=5, D_out=5, seed=2)
    assert observe(config, 3, name).wrong == check(config, 3, name, settings=Settings(sample=SAMPLE)).wrong


@pytest.mark.parametrize("seed", range(4))
def test_the_figures_at_the_default_size_in_float64(seed):
    found = check(Config(dtype="float64", seed=seed), 0)
    assert found.wrong == ()
    for gradient in GRADIENTS:
        by_autograd, by_differences = (
            found.comparison(gradient, "autograd"),
            found.comparison(gradient, "differences"),
        )
        assert by_autograd.compared == math.prod(by_autograd.shape)
        assert by_autograd.largest < 1e-10
        assert by_differences.compared + by_differences.kinks == min(500, math.prod(by_differences.shape))
        assert by_differences.largest < 1e-6
        assert min(by_autograd.cosine, by_differences.cosine) > 1 - 1e-9
    assert len(found.directions) == 16
    assert not any(direction.wrong for _, direction in found.directions)


def test_the_default_step_sits_in_the_valley():
    """A tenth or ten times as much is worse, by rounding on one side and by kinks on the other."""
    valley = {round(math.log10(each.step), 1): each for each in check(Config(dtype="float64"), 0).valley}
    here = valley[math.log10(STEP)]
    assert here.kinks == 0
    assert valley[-6].largest > 10 * here.largest
    assert valley[-9].median > 1000 * here.median
    assert valley[-1].largest_with_kinks > 1e4 * here.largest_with_kinks
    assert valley[-1].kinks > 0
    # Without the kinks there is nothing on the other side: no truncation
    assert valley[0].largest < here.largest


def test_a_tiny_network_is_checked_in_every_entry():
    found = check(TINY, 0)
    for gradient in GRADIENTS:
        for against in ("autograd", "differences"):
            comparison = found.comparison(gradient, against)
            assert comparison.compared + comparison.kinks == math.prod(comparison.shape)
            assert comparison.block == (1, 1)
            assert comparison.errors.shape == comparison.shape


def test_a_kink_that_the_step_crosses_is_counted_and_left_out():
    # h = x·w1 = 1e-4 in the first unit and 1 in the second: a step of 1e-3 crosses the kink of the first.
    x, y = np.array([[1.0]]), np.array([[0.5]])
    inputs = {"x": x, "y": y, "w1": np.array([[1e-4, 1.0]]), "w2": np.array([[2.0], [3.0]])}
    values = run(bugs.program(None), inputs, 1e-6)
    every = np.array([[0, 0], [0, 1]])
    for gradient in ("grad_w1", "grad_h"):
        found = of_entries(gradient, every, inputs, values, 1e-3)
        assert found.crossed.tolist() == [True, False]
        assert abs(found.values[0] / values[gradient][0, 0] - 1) > 0.1
        assert_allclose(found.values[1], values[gradient][0, 1], rtol=1e-10)
        assert not of_entries(gradient, every, inputs, values, 1e-5).crossed.any()
    assert not of_entries("grad_w2", every[:, ::-1], inputs, values, 1e3).crossed.any()


def test_a_unit_that_is_exactly_at_zero_is_a_kink_at_any_step():
    inputs = {"x": np.ones((1, 1)), "y": np.ones((1, 1)), "w1": np.zeros((1, 1)), "w2": np.ones((1, 1))}
    values = run(bugs.program(None), inputs, 1e-6)
    assert of_entries("grad_w1", np.array([[0, 0]]), inputs, values, 1e-9).crossed.all()


def test_along_a_direction_the_step_is_at_most_half_the_way_to_the_nearest_kink():
    taken = snapshot.take(TINY, 0)
    inputs = {name: array.astype(float) for name, array in taken.inputs.items()}
    values = run(bugs.program(None), inputs, 1e-6)
    direction = np.random.default_rng(0).standard_normal(inputs["w1"].shape)
    nearest = np.abs(values["h"] / (inputs["x"] @ direction)).min()
    for step in (2 * nearest, nearest / 4):
        found = along("grad_w1", direction, inputs, values, step)
        assert found.step == pytest.approx(min(step, nearest / 2))
        assert_allclose(found.values, (values["grad_w1"] * direction).sum(), rtol=1e-6)


def test_where_every_entry_crosses_a_kink_nothing_is_compared():
    found = check(TINY, 0, settings=Settings(step=1e6, valley=False)).comparison("grad_w1", "differences")
    assert (found.compared, found.kinks) == (0, TINY.D_in * TINY.H)
    assert (found.largest, found.median, found.worst) == (0, 0, ())


def test_float32_is_refused_for_differences_with_the_reason_and_compared_with_autograd():
    found = check(Config(), 0, settings=Settings(dtype="float32", step=3e-5))
    assert "float64" in str(found.no_differences)
    assert found.no_differences is not None
    said, inputs = dict(found.no_differences.values), snapshot.take(Config(), 0).inputs
    right = run(bugs.program(None), inputs, 1e-6)
    assert said["loss"] == right["loss"]
    assert said["spacing"] == np.nextafter(right["loss"], np.float32(np.inf)) - right["loss"]
    assert said["change"] == pytest.approx(6e-5 * np.median(np.abs(right["grad_w1"])))
    assert said["step"] == 3e-5
    assert {c.against for c in found.comparisons} == {"autograd"}
    assert found.directions == ()
    assert found.wrong == ()
    assert 1e-9 < found.comparison("grad_w2", "autograd").largest < 1e-2
    assert check(Config(), 0, "no_mask", settings=Settings(dtype="float32")).wrong_tensors == ("w1",)


@pytest.mark.parametrize("at", [0, 200])
def test_a_bug_is_found_at_any_point_of_a_run(at):
    assert check(Config(), at, "off_by_one", settings=Settings(sample=SAMPLE)).wrong == ("grad_w2",)


@pytest.mark.parametrize("bug", [None, "no_mask"])
def test_the_worst_entries_are_the_worst(bug):
    found = check(TINY, 0, bug).comparison("grad_w1", "autograd")
    assert found.wrong == sum(entry.wrong for entry in found.worst)
    errors = [entry.error for entry in found.worst if entry.wrong or not bug]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] == found.largest > 0
    assert len(found.worst) == 8
    for entry in found.worst:
        assert entry.error == relative_error(entry.ours, entry.theirs)


def test_a_guess_hides_a_bug_and_the_check_tells_which():
    found = [check(TINY, 0, guess=round, settings=Settings(sample=10)) for round in range(12)]
    assert len({check.planted for check in found}) > 2
    for one in found:
        assert one.wrong_tensors == (BUGS[one.planted].tensors if one.planted else ())


def test_a_gradient_that_overflows_is_refused():
    inputs = {"x": np.ones((1, 1)), "y": np.ones((1, 1)), "w1": np.full((1, 1), 1e155)}
    inputs["w2"] = np.full((1, 1), -1e155)
    taken = snapshot.Snapshot(0, inputs, None)
    with pytest.raises(MessageError, match="Values overflow"):
        examine(Config(N=1, D_in=1, H=1, D_out=1, dtype="float64"), taken)


def test_relative_error():
    a, b = np.array([1.0, 0.0, -2.0, 0.0, 3.0]), np.array([1.0, 0.0, 2.0, 5.0, 2.0])
    assert_array_equal(relative_error(a, b), [0, 0, 2, 1, 1 / 3])
    assert_array_equal(relative_error(b, a), relative_error(a, b))


def test_the_thresholds_are_those_of_cs231n():
    assert [threshold for threshold, _ in BANDS] == [1e-2, 1e-4, 1e-7, 0]


@pytest.mark.parametrize(("sample", "entries"), [(60, 30), (7, 3), (1, 1)])
def test_the_valley_of_step_sizes_is_measured_at_half_as_many_entries(monkeypatch, sample, entries):
    seen, measure = [], at_step
    monkeypatch.setattr(
        "twolayer.backprop.check.at_step",
        lambda iteration, which, step: seen.append(len(which)) or measure(iteration, which, step),
    )
    found = check(Config(N=5, D_in=20, H=10, D_out=2), 0, settings=Settings(sample=sample))
    assert seen == [entries] * len(found.valley)
    assert found.valley


@pytest.mark.parametrize("bug", [None, "no_mask", "no_factor"])
def test_the_cosine_is_that_of_the_angle_between_the_two_gradients(bug):
    for found in check(Config(N=4, D_in=3, H=5, D_out=2, seed=1), 0, bug).comparisons:
        ours, theirs = found.points[:, 2], found.points[:, 3]
        assert len(ours) == found.compared
        expected = math.fsum(ours * theirs) / math.sqrt(math.fsum(ours**2) * math.fsum(theirs**2))
        assert found.cosine == pytest.approx(expected, rel=1e-12)


def test_a_wrong_gradient_is_wrong_along_random_directions_too():
    directions = check(TINY, 0, "off_by_one", settings=Settings(valley=False)).directions
    assert {name for name, direction in directions if direction.wrong} == {"grad_w2"}


def test_the_steps_of_the_differences_go_from_a_billionth_to_one():
    assert (STEPS[0], STEPS[-1], len(STEPS)) == (1e-9, 1.0, 19)
    assert list(STEPS) == sorted(STEPS)
    assert STEPS[1:4] == (3e-9, 1e-8, 3e-8)
