"""Bugs planted in the backward pass."""

import numpy as np
import pytest

from twolayer import Config
from twolayer.backprop import bugs, snapshot
from twolayer.backprop.bugs import BUGS
from twolayer.training.program import GRADIENTS, run

SMALL = Config(N=6, D_in=5, H=4, D_out=4, seed=3, learning_rate=1e-3)


def iteration(config: Config, planted: str | None) -> dict:
    return run(bugs.program(planted), snapshot.take(config, 0).inputs, config.learning_rate)


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_changes_one_line_and_the_gradients_that_it_says(name):
    bug = BUGS[name]
    right, wrong = bugs.program(None), bugs.program(name)
    assert [step for step in right if right[step] != wrong[step]] == [bug.value]
    assert bug.value in GRADIENTS
    before, after = iteration(SMALL, None), iteration(SMALL, name)
    changed = [w for w in ("w1", "w2") if not np.array_equal(before[f"grad_{w}"], after[f"grad_{w}"])]
    assert tuple(changed) == bug.tensors


@pytest.mark.parametrize("shape", [(6, 5, 4, 3), (1, 5, 4, 4), (6, 5, 1, 1), (1, 1, 1, 1)], ids=str)
def test_a_bug_that_cannot_show_has_a_reason_and_the_others_run(shape):
    config = Config(**dict(zip(("N", "D_in", "H", "D_out"), shape, strict=True)))
    N, _, H, D_out = shape
    expected = {"off_by_one"} if N == 1 else set()
    if D_out != H or H == 1:
        expected.add("not_transposed")
    assert set(BUGS) - set(bugs.possible(config)) == expected
    for name in BUGS:
        reason = BUGS[name].impossible(config)
        assert (reason is not None) == (name in expected)
        if reason is None:
            iteration(config, name)
        else:
            assert str(reason)


def test_numpy_refuses_the_product_that_has_no_meaning():
    with pytest.raises(ValueError, match="matmul"):
        iteration(Config(N=6, D_in=5, H=4, D_out=3), "not_transposed")


def test_the_bug_of_a_round_is_the_same_each_time_shows_and_is_sometimes_none():
    inputs = snapshot.take(SMALL, 0).inputs
    drawn = [bugs.drawn(round, inputs, SMALL) for round in range(60)]
    assert drawn == [bugs.drawn(round, inputs, SMALL) for round in range(60)]
    assert set(drawn) == {None, *BUGS}
    # One sample, no hidden unit below 0: neither a mask nor a neighbour can be wrong in a way that shows
    bare = Config(N=1, D_in=1, H=1, D_out=1, seed=next(_seeds_with_an_active_unit()))
    inputs = snapshot.take(bare, 0).inputs
    assert {bugs.drawn(round, inputs, bare) for round in range(60)} == {
        None,
        "no_factor",
        "grad_w2_for_w2",
        "wrong_side",
        "updated_early",
    }


def _seeds_with_an_active_unit():
    for seed in range(50):
        inputs = snapshot.take(Config(N=1, D_in=1, H=1, D_out=1, seed=seed), 0).inputs
        if inputs["x"] @ inputs["w1"] > 0:
            yield seed
