"""The length of the next chunk, and estimates before anything was measured."""

from dataclasses import replace

import pytest

from twolayer import Config
from twolayer.training import pace as speeds
from twolayer.training.learned import CURVE, GRID
from twolayer.training.pace import Pace


@pytest.mark.parametrize("seconds", [0.0, 1e-12, 1e-4, 0.1, 1e6])
@pytest.mark.parametrize("size", [1, 100_000])
def test_a_pace_is_at_least_one_step_and_at_most_what_remains(seconds, size):
    pace = Pace(Config(N=size, D_in=size, H=size))
    for steps in (0, 1, 1000):
        for remaining in (1, 2, 5_000_000):
            assert 1 <= pace.next(remaining) <= remaining
        pace.saw(steps, seconds)


def test_a_pace_aims_at_a_tenth_of_a_second_once_it_knows_the_speed():
    pace = Pace(Config())
    pace.next(10**6)
    pace.saw(10, 10 * 1e-3)
    assert pace.next(10**6) == 100
    pace.saw(100, 100 * 1e-4)
    assert pace.next(10**6) == 1000


@pytest.mark.parametrize("method", ["tutorial", "fused", "gram"])
@pytest.mark.parametrize("learns_before", [True, False], ids=["one after the other", "two in flight"])
def test_a_default_run_takes_at_most_two_chunks(method, learns_before):
    config = Config(method=method)
    pace, left, chunks = Pace(config), config.steps, []
    while left:
        chunks.append(pace.next(left))
        left -= chunks[-1]
        if learns_before:
            pace.saw(chunks[-1], speeds.step_seconds(config) * chunks[-1])
    assert len(chunks) <= 2
    assert chunks[0] <= 4 * speeds.FIRST_CHUNK_SECONDS / speeds.step_seconds(config)


def test_the_last_chunk_is_up_to_four_times_as_long():
    pace = Pace(Config())
    pace.saw(10, 10 * 1e-3)
    pace.next(10**6)
    assert [pace.next(left) for left in (399, 400, 401)] == [399, 400, 100]


@pytest.mark.parametrize(
    "estimate",
    [
        speeds.step_seconds,
        speeds.slow_step_seconds,
        speeds.reference_step_seconds,
        speeds.batched_run_seconds,
        speeds.hessian_product_seconds,
        speeds.drawing_seconds,
    ],
)
@pytest.mark.parametrize("field", ["N", "H", "D_out"])
def test_an_estimate_grows_with_the_sizes(estimate, field):
    config = Config()
    assert 0 < estimate(config) < estimate(replace(config, **{field: 10 * getattr(config, field)}))


def test_what_is_larger_travels_longer():
    assert speeds.transfer_seconds(2e9) == 2 * speeds.transfer_seconds(1e9)
    assert 0.1 < speeds.transfer_seconds(1e9) < 100


def test_the_estimates_of_a_small_run():
    config = Config(N=7, D_in=5, H=11, D_out=3, steps=9)
    operations = 4 * 7 * 5 * 11 + 6 * 7 * 11 * 3
    for estimate, seconds in (
        (speeds.step_seconds, operations / 40e9 + 20e-6),
        (speeds.slow_step_seconds, operations / 5e9),
        (speeds.reference_step_seconds, 4 * operations / 40e9),
        (speeds.batched_run_seconds, 9 * (operations / 40e9 + 5e-6)),
        (speeds.hessian_product_seconds, 12 * 7 * 11 * (5 + 3) / 20e9 + 100e-6),
        (speeds.drawing_seconds, (7 + 11) * (5 + 3) / 1e8),
        (speeds.preparing_seconds, (7 + 11) * (5 + 3) / 1e8),
    ):
        assert estimate(config) == pytest.approx(seconds, rel=1e-12), estimate
    assert speeds.step_seconds(config, speeds.CONTENDER_STEP_OVERHEAD) == pytest.approx(
        operations / 40e9 + 1e-4
    )
    gram = replace(config, method="gram")
    once = 2 * 7 * 5 * (7 + 11)  # x·xᵀ and x·w1
    assert speeds.preparing_seconds(gram) == pytest.approx(18 * 8 / 1e8 + once / 40e9, rel=1e-12)
    assert speeds.hessian_product_seconds(replace(config, N=4)) == pytest.approx(
        12 * 4 * 11 * 7 / 20e9 + 1e-4
    )
    assert speeds.transfer_seconds(3e8) == 1.5
    assert speeds.product_seconds(6e10) == 1.5


@pytest.mark.parametrize(("data", "points"), [("sine", CURVE), ("moons", GRID**2), ("iris", 150 - 100)])
def test_a_picture_takes_as_long_as_the_hidden_values_of_its_points(data, points):
    config = Config(data=data, N=100, H=30)
    assert speeds.picture_seconds(config) == pytest.approx(points * 30 / 1.5e9, rel=1e-12)
