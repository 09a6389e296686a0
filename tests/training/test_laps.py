"""The steps of a chunk in laps: what is counted between them takes a small share of the time."""

from dataclasses import dataclass

import numpy as np
import pytest

from twolayer.training import laps
from twolayer.training.laps import FREE_SECONDS, LOOKING_SHARE, timed_steps

STEP_SECONDS = 0.001


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


class Kernel:
    """Steps that take a millisecond each."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def steps(self, count: int) -> None:
        self.clock.now += count * STEP_SECONDS

    def synchronize(self) -> None:
        pass

    def dead(self) -> int:
        self.clock.now += 1.0  # outside the clock, and no debt
        return 3


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    for name in ("perf_counter", "thread_time"):
        monkeypatch.setattr(laps, name, clock)
    return clock


def run(clock: Clock, score_seconds: float, chunks: int, steps: int = 100):
    """A run of some chunks, and the steps at which it was scored."""

    def score(_kernel, _at_end) -> tuple[float, ...]:
        clock.now += score_seconds
        return 0.5, 1.0

    debt, at, in_steps = 0.0, [], 0.0
    for chunk in range(chunks):
        timed = timed_steps(Kernel(clock), steps, 16, score, debt, chunk == chunks - 1)
        debt = timed.debt
        at += [*(timed.scores[:, 0] + chunk * steps)]
        in_steps += timed.laps[:, 1].sum()
        assert timed.laps[:, 0].sum() == timed.dead[-1, 0] == steps
    assert in_steps == pytest.approx(chunks * steps * STEP_SECONDS)
    return at


def test_a_score_that_takes_no_time_is_taken_at_every_count(clock):
    at = run(clock, 0.0, 5)
    assert len(at) == 5 * 5
    assert at[-1] == 500


@pytest.mark.parametrize("score_seconds", [0.003, 0.05, 0.4])
def test_scores_take_their_share_of_the_time_of_the_steps_and_the_last_is_there(clock, score_seconds):
    chunks = 400
    at = run(clock, score_seconds, chunks)
    assert at[-1] == chunks * 100
    assert np.diff(at).min() > 0
    afforded = LOOKING_SHARE * chunks * 100 * STEP_SECONDS
    assert 0.8 * afforded <= len(at[1:-1]) * score_seconds <= afforded + FREE_SECONDS


def test_a_score_that_costs_more_than_the_whole_run_is_taken_at_its_first_count_and_its_end(clock):
    at = run(clock, 1.0, 3)
    assert len(at) == 2
    assert (at[0] <= 100, at[-1]) == (True, 300)


def test_without_held_out_rows_nothing_is_owed(clock):
    timed = timed_steps(Kernel(clock), 50, 16, lambda *_: (), 0.0, True)
    assert (len(timed.scores), timed.debt) == (0, 0.0)
