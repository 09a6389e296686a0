"""Sweeps: each point is the run of `fit`, however the grid was cut."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from twolayer import Config, fit
from twolayer.rates import sweep
from twolayer.rates.grid import Grid, computed, parse_axes
from twolayer.rates.outcomes import OUTCOMES
from twolayer.rates.sweep import Sweep, blocks, memory_bytes, seconds, train
from twolayer.training.pace import batched_run_seconds

SMALL = computed(Config(N=7, D_in=12, H=9, D_out=3, steps=60, dtype="float64"))
AXES = "learning_rate=1e-5:1e-1:9; H=4,9; seed=3,4"


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_each_point_is_the_final_loss_of_fit(backend):
    grid = Grid(replace(SMALL, backend=backend), parse_axes(AXES))
    rows = train(grid, 0, grid.size)
    assert_array_equal(rows["index"], np.arange(grid.size))
    seen = 0
    for row in rows:
        result = fit(grid.config(int(row["index"])))
        diverged = -1 if result.diverged_at is None else result.diverged_at
        assert abs(row["diverged_at"] - diverged) <= (diverged >= 0)
        assert row["first"] == pytest.approx(result.losses[0], rel=1e-12)
        if diverged < 0 and result.losses[-1] > 1e-12 * result.losses[0]:
            seen += 1
            assert row["final"] == pytest.approx(result.losses[-1], rel=1e-9)
            assert row["dead"] == result.dead[-1, 1]
    assert seen > grid.size / 3
    assert {OUTCOMES[kind] for kind in rows["outcome"]} >= {"slow", "dead", "diverges"}


def test_each_point_of_the_tutorials_size_is_the_final_loss_of_fit():
    grid = Grid(computed(Config(dtype="float64")), parse_axes("learning_rate=2e-8:1e-6:12; seed=0,1"))
    rows = train(grid, 0, grid.size)
    for row in rows[::3]:
        losses = fit(grid.config(int(row["index"]))).losses
        if losses[-1] > 1e-12 * losses[0]:
            assert row["final"] == pytest.approx(losses[-1], rel=1e-9)


def test_tasks_cover_the_grid_once_and_cost_about_the_same():
    grid = Grid(computed(Config()), parse_axes("learning_rate=1e-8:1e-5:25; H=25,400; N=16,256"))
    tasks = blocks(grid)
    covered = [index for _, start, stop in tasks for index in range(start, stop)]
    assert covered == list(range(grid.size))
    costs = [sum(batched_run_seconds(grid.config(i)) for i in range(a, b)) for _, a, b in tasks]
    assert sum(costs) == pytest.approx(seconds(grid))
    largest = max(batched_run_seconds(grid.config(i)) for i in range(grid.size))
    assert max(costs) <= sweep.TASK_SECONDS + largest + 1e-9


def test_long_trainings_are_tasks_of_their_own():
    grid = Grid(computed(Config(steps=5_000_000)), parse_axes("seed=1:8:8"))
    assert len(blocks(grid)) == 8


def test_rows_find_their_places_in_any_order_and_each_once():
    grid = Grid(SMALL, parse_axes(AXES))
    whole = train(grid, 0, grid.size)
    parts = [(i, train(grid, a, b)) for i, (a, b) in enumerate([(20, 36), (0, 7), (7, 20)])]
    done = Sweep(grid)
    done.take(parts[:1])
    assert (done.done, list(done.there["index"])) == (16, list(range(20, 36)))
    done.take(parts[1:])
    done.take(parts[:1])
    assert done.done == grid.size
    for name in ("first", "final"):
        np.testing.assert_allclose(done.there[name], whole[name], rtol=1e-9)


def test_more_workers_and_larger_arrays_take_more_memory():
    grid = Grid(SMALL, parse_axes(AXES))
    assert memory_bytes(grid, 2) == 2 * memory_bytes(grid, 1)
    assert memory_bytes(Grid(replace(SMALL, N=3000), grid.axes), 1) > memory_bytes(grid, 1)


@pytest.mark.parametrize(
    ("sizes", "axes"),
    [
        ({"N": 300, "H": 200}, "learning_rate=1e-9:1e-8:40"),
        ({"N": 100, "H": 400, "dtype": "float32"}, "learning_rate=1e-9:1e-8:40"),
        # Each run with its own x·xᵀ
        ({"N": 400, "H": 5, "method": "gram"}, "seed=1:20:20"),
        ({"N": 200, "H": 3, "method": "gram", "dtype": "float64"}, "learning_rate=1e-9:1e-8:10; seed=0,1,2"),
    ],
)
def test_the_estimated_memory_of_a_task_is_near_what_it_allocates(sizes, axes):
    config = replace(computed(Config(D_in=400, learning_rate=1e-9, steps=5)), **sizes)
    grid = Grid(config, parse_axes(axes))
    train(grid, 0, 2)  # what is loaded once is not of the task
    tracemalloc.start()
    try:
        train(grid, 0, grid.size)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < memory_bytes(grid, 1) - 2 * sweep.TASK_BYTES < 3 * peak


def test_each_run_of_a_batch_counts_with_arrays_of_its_own():
    config = computed(Config(N=30, D_in=400, H=20, learning_rate=1e-9, steps=5, dtype="float64"))
    one, three = (Grid(config, parse_axes(f"learning_rate={rates}")) for rates in ("1e-9", "1e-9,2e-9,3e-9"))
    own = 8 * 30 * 20  # h, or what is as large
    assert 2 * 4 * own < memory_bytes(three, 1) - memory_bytes(one, 1) < 2 * 16 * own
