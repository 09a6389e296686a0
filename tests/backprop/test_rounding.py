"""The bounds of rounding errors, and central differences, against loops over single products."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from twolayer import Config
from twolayer.backprop import bugs, snapshot
from twolayer.backprop.comparison import DIRECTIONS, Iteration, along_random, with_differences
from twolayer.backprop.finite_differences import along, of_entries
from twolayer.backprop.rounding import bounds, of_iteration
from twolayer.training.program import GRADIENTS, Values, run

N, D_IN, H, D_OUT = 4, 5, 3, 2
EPS = 2.0**-52
RATE = 1e-3


def of_products(terms: int) -> float:
    """Twice half the spacing of numbers at 1, for each product and for two more operations."""
    return (terms + 2) * EPS


def table(rows: int, columns: int, entry: Callable[[int, int], float]) -> Any:
    return np.array([[entry(row, column) for column in range(columns)] for row in range(rows)])


@pytest.fixture(scope="module")
def random_inputs() -> Values:
    g = np.random.default_rng(5)
    x, y = g.standard_normal((N, D_IN)), g.standard_normal((N, D_OUT))
    return {"x": x, "y": y, "w1": g.standard_normal((D_IN, H)), "w2": g.standard_normal((H, D_OUT))}


@pytest.fixture(scope="module")
def inputs(random_inputs: Values) -> Values:
    """An iteration whose first row of h is 0, and whose second begins with what may be a rounded 0."""
    x, w1 = random_inputs["x"].copy(), random_inputs["w1"].copy()
    x[0] = 0
    x[1], w1[:2, 0] = [1, -1, 0, 0, 0], [0.7, 0.7 * (1 - EPS)]
    return random_inputs | {"x": x, "w1": w1}


@pytest.fixture(scope="module")
def values(inputs: Values) -> Values:
    found = run(bugs.program(None), inputs, RATE)
    assert 0 < found["h"][1, 0] < 2 * EPS
    assert (found["h"] < -0.1).any()
    return found


def test_the_bounds_of_a_backward_pass(inputs: Values, values: Values) -> None:
    x, w2, h, h_relu = inputs["x"], inputs["w2"], values["h"], values["h_relu"]
    given, grad_h = values["grad_y_pred"], values["grad_h"]

    def back(n: int, j: int) -> float:
        size = sum(abs(given[n, o] * w2[j, o]) for o in range(D_OUT))
        return of_products(1) * size + of_products(D_OUT) * size

    def masked(n: int, j: int) -> float:
        return 0.0 if h[n, j] < 0 else back(n, j)

    def of_w2(j: int, o: int) -> float:
        size = sum(abs(h_relu[n, j] * given[n, o]) for n in range(N))
        return of_products(1) * size + of_products(N) * size

    def of_w1(i: int, j: int) -> float:
        inherited = sum(abs(x[n, i]) * masked(n, j) for n in range(N))
        return inherited + of_products(N) * sum(abs(x[n, i] * grad_h[n, j]) for n in range(N))

    found = bounds(inputs, values)
    assert_allclose(found["grad_y_pred"], 3 * EPS * np.abs(given), rtol=1e-12)
    assert_allclose(found["grad_h_relu"], table(N, H, back), rtol=1e-12)
    assert_allclose(found["grad_h"], table(N, H, masked), rtol=1e-12)
    assert_allclose(found["grad_w2"], table(H, D_OUT, of_w2), rtol=1e-12)
    assert_allclose(found["grad_w1"], table(D_IN, H, of_w1), rtol=1e-12)


def test_the_bounds_of_a_whole_iteration(inputs: Values, values: Values) -> None:
    x, y, w1, w2 = (inputs[name] for name in ("x", "y", "w1", "w2"))
    h, h_relu, y_pred = values["h"], values["h_relu"], values["y_pred"]
    given, grad_h_relu, grad_h = values["grad_y_pred"], values["grad_h_relu"], values["grad_h"]

    def of_h(n: int, j: int) -> float:
        return of_products(D_IN) * sum(abs(x[n, i] * w1[i, j]) for i in range(D_IN))

    def of_y_pred(n: int, o: int) -> float:
        inherited = sum(of_h(n, j) * abs(w2[j, o]) for j in range(H))
        return inherited + of_products(H) * sum(abs(h_relu[n, j] * w2[j, o]) for j in range(H))

    def of_residual(n: int, o: int) -> float:
        return of_y_pred(n, o) + of_products(3) * (abs(y_pred[n, o]) + abs(y[n, o]))

    def of_w2(j: int, o: int) -> float:
        inherited = sum(
            h_relu[n, j] * 2 * of_residual(n, o) + of_h(n, j) * abs(given[n, o]) for n in range(N)
        )
        return inherited + of_products(N) * sum(abs(h_relu[n, j] * given[n, o]) for n in range(N))

    def back(n: int, j: int) -> float:
        inherited = sum(2 * of_residual(n, o) * abs(w2[j, o]) for o in range(D_OUT))
        return inherited + of_products(D_OUT) * sum(abs(given[n, o] * w2[j, o]) for o in range(D_OUT))

    def masked(n: int, j: int) -> float:
        if h[n, j] and abs(h[n, j]) <= of_h(n, j):  # of either sign
            return abs(grad_h_relu[n, j]) + back(n, j)
        return 0.0 if h[n, j] < 0 else back(n, j)

    def of_w1(i: int, j: int) -> float:
        inherited = sum(abs(x[n, i]) * masked(n, j) for n in range(N))
        return inherited + of_products(N) * sum(abs(x[n, i] * grad_h[n, j]) for n in range(N))

    def updated(of_gradient: Callable[[int, int], float], name: str) -> Callable[[int, int], float]:
        old, gradient = inputs[name], values[f"grad_{name}"]

        def of_weight(row: int, column: int) -> float:
            change = RATE * abs(gradient[row, column])
            return RATE * of_gradient(row, column) + 4 * EPS * (abs(old[row, column]) + change)

        return of_weight

    found = of_iteration(inputs, values, RATE)
    assert masked(1, 0) > abs(grad_h_relu[1, 0]) > 0
    of_loss = sum(
        2 * abs(y_pred[n, o] - y[n, o]) * of_residual(n, o) + of_residual(n, o) ** 2
        for n, o in product(range(N), range(D_OUT))
    )
    expected = {
        "h": table(N, H, of_h),
        "h_relu": table(N, H, of_h),
        "y_pred": table(N, D_OUT, of_y_pred),
        "loss": of_loss + of_products(N * D_OUT) * values["loss"],
        "grad_y_pred": 2 * table(N, D_OUT, of_residual),
        "grad_w2": table(H, D_OUT, of_w2),
        "grad_h_relu": table(N, H, back),
        "grad_h": table(N, H, masked),
        "grad_w1": table(D_IN, H, of_w1),
        "w1": table(D_IN, H, updated(of_w1, "w1")),
        "w2": table(H, D_OUT, updated(of_w2, "w2")),
    }
    assert found.keys() == expected.keys()
    for name in expected:
        assert_allclose(found[name], expected[name], rtol=1e-12, err_msg=name)


def sides(
    inputs: Values, values: Values, gradient: str, entry: tuple[int, int], step: float
) -> tuple[Any, ...]:
    """The residuals with one entry moved by the step to either side, how much of each is computed anew, and
    whether a hidden unit may change its sign."""
    x, y, w2, h, h_relu = inputs["x"], inputs["y"], inputs["w2"], values["h"], values["h_relu"]
    found: list[Any] = []
    fresh, crossed = np.zeros((N, D_OUT)), False
    for move in (step, -step):
        if gradient == "grad_y_pred":
            moved = values["y_pred"].copy()
            moved[entry] += move
            fresh[entry] = step
        elif gradient == "grad_w2":
            other = w2.copy()
            other[entry] += move
            moved = h_relu @ other
            fresh[:, entry[1]] = step * h_relu[:, entry[0]]
        elif gradient == "grad_h_relu":
            unit = h_relu.copy()
            unit[entry] += move
            moved = unit @ w2
            fresh[entry[0]] = step * np.abs(w2[entry[1]])
        else:
            before = h.copy()
            if gradient == "grad_h":
                before[entry] += move
            else:
                before[:, entry[1]] += move * x[:, entry[0]]
            moved = np.maximum(before, 0) @ w2
            rows = [entry[0]] if gradient == "grad_h" else range(N)
            unit = entry[1]
            for n in rows:
                way = step * (1 if gradient == "grad_h" else abs(x[n, entry[0]]))
                fresh[n] = 2 * (h_relu[n, unit] + way) * np.abs(w2[unit])
                crossed |= (before[n, unit] < 0) != (h[n, unit] < 0)
                crossed |= abs(before[n, unit]) <= 2 * EPS * (abs(h[n, unit]) + way)
        found.append(moved - y)
    return (*found, fresh, crossed)


MOVED: dict[str, Callable[[int, int], Any]] = {
    "grad_y_pred": lambda n, o: np.s_[n : n + 1, o],
    "grad_w2": lambda _j, o: np.s_[:, o],
    "grad_h_relu": lambda n, _j: np.s_[n],
    "grad_h": lambda n, _j: np.s_[n],
    "grad_w1": lambda _i, _j: np.s_[:],
}
"""The residuals that an entry of the value moves."""


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("which", ["inputs", "random_inputs"])
def test_a_difference_its_rounding_and_its_kinks(
    request: pytest.FixtureRequest, gradient: str, which: str
) -> None:
    inputs, step = request.getfixturevalue(which), 0.3
    values = run(bugs.program(None), inputs, RATE)
    entries = np.array([*np.ndindex(values[gradient].shape)])
    found = of_entries(gradient, entries, inputs, values, step)
    assert found.step == step
    crossed = []
    for place, entry in enumerate(map(tuple, entries)):
        plus, minus, fresh, crosses = sides(inputs, values, gradient, entry, step)
        moves = MOVED[gradient](*entry)
        terms = (plus**2 - minus**2)[moves]
        assert found.values[place] == pytest.approx(terms.sum() / (2 * step), rel=1e-9, abs=1e-12)
        each = 2 * (plus**2 + minus**2) + (np.abs(plus) + np.abs(minus)) * fresh
        rounding = 2 * EPS * each[moves].sum() + of_products(terms.size) * np.abs(terms).sum()
        assert found.rounding[place] == pytest.approx(rounding / (2 * step), rel=1e-9, abs=1e-30)
        crossed.append(crosses)
    assert found.crossed.tolist() == crossed
    if gradient in ("grad_h", "grad_w1") and which == "random_inputs":
        assert len({*crossed}) == 2


@pytest.mark.parametrize(("apart", "crosses"), [(3.5, True), (5, False)])
def test_a_unit_within_two_roundings_of_its_kink_may_have_crossed_it(apart: float, crosses: bool) -> None:
    one = np.ones((1, 1))  # h is 1, and below, 3.5 or 5 roundings: allowed are 2 of h and 2 of the step
    inputs = {"x": one, "y": one, "w1": one, "w2": one}
    values = run(bugs.program(None), inputs, RATE)
    found = of_entries("grad_h", np.array([[0, 0]]), inputs, values, 1 - apart * EPS)
    assert found.crossed.tolist() == [crosses]


@pytest.mark.parametrize("gradient", ["grad_w1", "grad_w2"])
def test_a_difference_along_a_direction_and_its_rounding(gradient: str) -> None:
    config = Config(N=N, D_in=D_IN, H=H, D_out=D_OUT, seed=3, dtype="float64")
    inputs = snapshot.take(config, 0).inputs
    values = run(bugs.program(None), inputs, RATE)
    way = np.random.default_rng(1).standard_normal(values[gradient].shape)
    found = along(gradient, way, inputs, values, 1e-3)
    assert found is not None
    slope = inputs["x"] @ way if gradient == "grad_w1" else values["h_relu"] @ way
    nearest = np.abs(values["h"] / slope).min() if gradient == "grad_w1" else np.inf
    assert found.step == pytest.approx(min(1e-3, nearest / 2))
    moved = [
        {**inputs, gradient[5:]: inputs[gradient[5:]] + move * way} for move in (found.step, -found.step)
    ]
    plus, minus = (run(bugs.program(None), each, RATE)["y_pred"] - inputs["y"] for each in moved)
    terms = plus**2 - minus**2
    assert found.values == pytest.approx([terms.sum() / (2 * found.step)], rel=1e-6)
    fresh = found.step * np.abs(slope)
    if gradient == "grad_w1":
        fresh = 2 * (values["h_relu"] + (H + 2) * fresh) @ np.abs(inputs["w2"])
    rounding = 2 * EPS * (2 * (plus**2 + minus**2) + (np.abs(plus) + np.abs(minus)) * fresh).sum()
    rounding += of_products(N * D_OUT) * np.abs(terms).sum()
    assert found.rounding == pytest.approx([rounding / (2 * found.step)], rel=1e-6, abs=0)
    assert not found.crossed.any()


def examined(planted: str | None = None) -> Iteration:
    config = Config(N=N, D_in=D_IN, H=H, D_out=D_OUT, seed=3, dtype="float64")
    inputs = snapshot.take(config, 0).inputs
    right, ours = (run(bugs.program(bug), inputs, RATE) for bug in (None, planted))
    return Iteration(inputs, right, ours)


@pytest.mark.parametrize(
    ("rows", "sample", "entries"), [(1000, 10_000, 5000), (1000, 4000, 4000), (50_000_000, 100, 1)]
)
def test_a_sample_of_w1_has_at_most_five_million_residuals(rows: int, sample: int, entries: int) -> None:
    y = np.broadcast_to(np.zeros(1), (rows, 1))
    ours = dict.fromkeys(GRADIENTS, np.zeros((200, 50)))
    iteration = Iteration({"y": y}, {}, ours)
    found = iteration.sampled("grad_w1", sample, 0)
    assert found.shape == (entries, 2)
    assert len(np.unique(found, axis=0)) == entries
    assert len(iteration.sampled("grad_w2", sample, 0)) == sample


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize(("share", "wrong"), [(0.9, 0), (1.1, 1)])
def test_an_entry_is_wrong_from_both_roundings_together_on(gradient: str, share: float, wrong: int) -> None:
    iteration, step = examined(), 1e-3
    entries = iteration.sampled(gradient, 100, 0)
    found = of_entries(gradient, entries, iteration.inputs, iteration.right, step)
    place = int(np.flatnonzero(~found.crossed & (found.rounding > 0))[0])
    entry = tuple(entries[place])
    limit = iteration.limits[gradient][entry] + found.rounding[place]
    iteration.ours[gradient][...] = iteration.right[gradient]
    iteration.ours[gradient][entry] = found.values[place] + share * limit
    each = {one.gradient: one for one in with_differences(iteration, step, 100, 0)}
    assert each[gradient].wrong == wrong


@pytest.mark.parametrize(("share", "wrong"), [(-0.5, False), (0.5, True)])
def test_a_slope_is_wrong_from_all_its_roundings_together_on(share: float, wrong: bool) -> None:
    iteration, step = examined(), 1e-4
    for name, number in (("grad_w1", 0), ("grad_w2", DIRECTIONS)):
        random = np.random.default_rng(7)
        for one in range(number + 1):  # those of w1 are drawn first
            way = random.standard_normal(iteration.right["grad_w2" if one >= DIRECTIONS else "grad_w1"].shape)
        way /= np.linalg.norm(way)
        right = iteration.right[name]
        theirs = along(name, way, iteration.inputs, iteration.right, step)
        assert theirs is not None
        allowed = (iteration.limits[name] * np.abs(way)).sum() + theirs.rounding[0]
        of_sum = of_products(right.size) * np.abs(right * way).sum()
        off = allowed + of_sum + share * of_sum
        ours = right + way * (theirs.values[0] - (right * way).sum() + off)
        changed = Iteration(iteration.inputs, iteration.right, {**iteration.right, name: ours})
        found = next(each for of, each in along_random(changed, step, 7) if of == name)
        assert (found.wrong, found.theirs, found.step) == (wrong, theirs.values[0], theirs.step)
