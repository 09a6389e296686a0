"""How a run is cut: its chunks, its chains from checkpoint to checkpoint, and its turns at the workers."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tests.engine.conftest import TINY
from tests.engine.inline import Client, Watched
from twolayer import Config, fit
from twolayer.engine import run_loop
from twolayer.engine.memory import Lease
from twolayer.engine.run import MOST_PICTURES, Run
from twolayer.engine.run_loop import (
    BEAT_SECONDS,
    DEADLINE_FACTOR,
    DEADLINE_SECONDS,
    PICTURE_SHARE,
    RunLoop,
)
from twolayer.engine.shares import PATIENCE_SECONDS, Shares, Turn
from twolayer.training import methods, pace
from twolayer.training.edits import Edit
from twolayer.training.training import Chunk

CONFIG = Config(**TINY, steps=3000)
FIRST_SECONDS, CHUNK_SECONDS, CHECKPOINT_SECONDS = 0.002, 0.01, 0.3
"""A tenth of what they are: fewer steps have to be computed."""
FIRST, SECOND = (round(seconds / pace.step_seconds(CONFIG)) for seconds in (FIRST_SECONDS, CHUNK_SECONDS))
"""Steps of the first two chunks, whose speed is only estimated."""
MAX_SECONDS = 600


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(pace, "FIRST_CHUNK_SECONDS", FIRST_SECONDS)
    monkeypatch.setattr(pace, "CHUNK_SECONDS", CHUNK_SECONDS)
    monkeypatch.setattr(run_loop, "CHECKPOINT_SECONDS", CHECKPOINT_SECONDS)


def loop_of(run: Run, shares: Shares | None = None, **options) -> RunLoop:
    return RunLoop(run, shares or Watched(), None, options.pop("max_seconds", MAX_SECONDS), **options)


def attempt(loop: RunLoop, client: Client, lease: Lease | None = None) -> None:
    """Compute a run as far as it goes."""
    lease = lease or Lease("a", 1)
    asyncio.run(asyncio.wait_for(loop.attempt(lease, client), 30))
    assert loop.shares._shared == []
    assert not loop.shares._at_work


def lengths(client: Client) -> list[int]:
    """The steps of all chunks that were submitted."""
    return [task.values[3] for task in client.named("advance")]


def checkpoints(client: Client) -> list[int]:
    """The steps at which chains began."""
    begun = [task.values[2] for task in client.named("advance")]
    return [
        0 if first is None else first.step for first in begun if first is None or isinstance(first, Chunk)
    ]


def in_slow_motion(run: Run, speed: float) -> Run:
    run.speed = speed
    return run


def test_a_run_ends_with_the_losses_of_fit_and_its_state_without_them(client):
    run = Run("a", CONFIG)
    loop = loop_of(run)
    attempt(loop, client)
    assert (run.state, loop.is_done) == ("finished", True)
    assert_array_equal(run.losses, fit(CONFIG).losses)
    assert (loop.checkpoint.step, len(loop.checkpoint.losses)) == (CONFIG.steps, 0)
    assert_array_equal(loop.checkpoint.state["w1"], fit(CONFIG).w1)


def test_the_first_chunks_are_as_long_as_estimated_and_the_others_as_measured(client):
    client.step_seconds = 4e-4
    attempt(loop_of(Run("a", CONFIG)), client)
    rest = CONFIG.steps - FIRST - SECOND
    measured = round(CHUNK_SECONDS / client.step_seconds)
    parts = lengths(client)
    assert parts[:2] == [FIRST, SECOND]
    assert set(parts[2:-1]) == {measured}
    assert sum(parts[2:]) == rest
    assert measured * (pace.LAST_FACTOR - 1) < parts[-1] <= measured * pace.LAST_FACTOR


def test_a_chunk_ends_where_something_changes_or_the_run_pauses(client):
    run = Run("a", replace(CONFIG, steps=3000))
    run.edits = (
        Edit(1500, "learning_rate", 2e-3),
        Edit(1500, "steps", 2500),
        Edit(2000, "learning_rate", 1e-4),
    )
    run.pause_at = 2200
    loop = loop_of(run)
    attempt(loop, client)
    assert (run.step, run.live, loop.is_done, loop.checkpoint.step) == (2200, True, True, 2200)
    assert {1500, 2000, 2200} <= set(np.cumsum(lengths(client)))
    run.pause_at = None
    attempt(loop, client)
    assert run.state == "finished"
    assert_array_equal(run.losses, fit(run.config, run.edits).losses)


def test_two_chunks_are_in_flight_and_in_slow_motion_one(client):
    for run, most in ((Run("a", CONFIG), 2), (in_slow_motion(Run("a", replace(CONFIG, steps=40)), 50.0), 1)):
        client.tasks.clear()
        seen, submit = [], client.submit

        def counted(*values, submit=submit, seen=seen, **options):
            task = submit(*values, **options)
            seen.append(sum(not chunk.arrived for chunk in client.named("advance")))
            return task

        client.submit = counted
        attempt(loop_of(run), client)
        client.submit = submit
        assert max(seen) == most


def test_a_chain_ends_at_a_checkpoint_after_some_seconds(client):
    attempt(loop_of(Run("a", CONFIG)), client)
    begun = checkpoints(client)
    spans = np.diff(begun) * client.step_seconds
    assert begun[0] == 0
    assert len(begun) > 2
    assert (spans[1:] >= CHECKPOINT_SECONDS).all()
    assert (spans[1:] <= CHECKPOINT_SECONDS + 3 * CHUNK_SECONDS).all()


def test_a_state_that_travels_for_long_is_fetched_more_rarely(client, monkeypatch):
    seconds = 2 * CHECKPOINT_SECONDS
    transfer = methods.state_bytes(CONFIG) / pace.TRANSFER_BYTES_PER_SECOND
    monkeypatch.setattr(run_loop, "CHECKPOINT_SHARE", transfer / seconds)
    attempt(loop_of(Run("a", replace(CONFIG, steps=6000))), client)
    spans = np.diff(checkpoints(client))[1:] * client.step_seconds
    assert len(spans)
    assert (spans >= seconds).all()
    assert (spans <= seconds + 3 * CHUNK_SECONDS).all()


def test_a_worker_counts_as_hung_far_later_than_the_last_chunk_predicts(client):
    attempt(loop_of(Run("a", CONFIG)), client)
    deadlines = [task.function.args[0] for task in client.named("advance")]
    assert deadlines[:2] == [MAX_SECONDS, MAX_SECONDS], "before the first chunk the speed is not known"
    seconds = [steps * client.step_seconds for steps in lengths(client)[2:]]
    assert deadlines[2:] == pytest.approx([DEADLINE_SECONDS + DEADLINE_FACTOR * one for one in seconds])
    assert [task.function.args[0] for task in client.named("problem")] == [MAX_SECONDS]


def test_a_run_that_computes_for_too_long_is_stopped(client):
    run = Run("a", CONFIG)
    loop = loop_of(run, max_seconds=1)
    attempt(loop, client)
    assert run.state == "stopped"
    assert " 1 s " in str(run.message)
    assert 1 < run.seconds <= 1 + CHUNK_SECONDS + 1e-6
    assert loop.checkpoint.step == run.step, "it may be continued from there"


def test_a_run_may_take_as_long_as_it_is_allowed(client):
    client.step_seconds = 0.25
    run = Run("a", Config(**TINY, steps=8))
    attempt(loop_of(run, max_seconds=2), client)
    assert (run.state, run.seconds) == ("finished", 2.0)


@pytest.mark.parametrize("when", ["from the beginning", "on the way"])
def test_memory_that_is_wanted_back_is_given_at_a_checkpoint_once_there_is_progress(client, when):
    run, lease = Run("a", CONFIG), Lease("a", 1, wanted=when == "from the beginning")
    receive = run.receive

    def received(chunk: Chunk) -> bool:
        lease.wanted = lease.wanted or run.step > 2000
        return receive(chunk)

    run.receive = received
    loop = loop_of(run)
    attempt(loop, client, lease)
    assert (run.state, loop.is_done) == ("running", False)
    assert loop.checkpoint.step == run.step == sum(lengths(client))
    assert run.step == FIRST if when == "from the beginning" else 2000 < run.step < 2100
    lease.wanted = False
    attempt(loop, client)
    assert_array_equal(run.losses, fit(CONFIG).losses)
    assert len(client.named("problem")) == 2, "each attempt has data of its own"


@pytest.mark.parametrize(("threads", "visitor"), [(1, None), (2, "b" * 40)])
def test_a_turn_is_of_the_owner_and_as_long_as_is_expected(client, threads, visitor):
    client.step_seconds = 4e-4
    shares, run = Watched(), Run("a", replace(CONFIG, threads=threads), visitor)
    attempt(loop_of(run, shares), client)
    assert {(turn.visitor, turn.width, turn.rank, turn.is_exclusive) for turn, _ in shares.turns} == {
        (run.owner, threads, 0, False)
    }
    expected = [seconds for _, seconds in shares.turns]
    estimate = pace.step_seconds(run.config)
    preparing = pace.preparing_seconds(run.config)
    assert expected[:2] == pytest.approx([preparing + FIRST * estimate, preparing + SECOND * estimate])
    assert expected[2:] == pytest.approx([steps * client.step_seconds for steps in lengths(client)[2:]])
    took = [turn.seconds for turn, _ in shares.turns]
    steps = lengths(client)
    assert took == pytest.approx(
        [preparing + steps[0] * client.step_seconds] + [one * client.step_seconds for one in steps[1:]]
    )


@pytest.mark.parametrize("visitor", [None, "somebody"])
def test_a_chunk_of_one_long_step_is_a_long_turn_of_a_visitor(client, monkeypatch, visitor):
    monkeypatch.setattr(run_loop, "CHECKPOINT_SECONDS", 1e6)
    for step_seconds, is_long in ((PATIENCE_SECONDS, False), (PATIENCE_SECONDS * 1.01, True)):
        client.step_seconds = step_seconds
        shares = Watched()
        attempt(loop_of(Run("a", CONFIG, visitor), shares, max_seconds=305), client)  # ends with the second
        _, _, (later, _) = shares.turns
        assert later.is_long == (is_long and visitor is not None)


def test_scores_between_the_steps_count_as_time_at_the_workers(client):
    timed, shares = client.timed, Watched()
    client.timed = lambda result: (
        replace(timed(result), processor_seconds=7.0) if isinstance(result, Chunk) else result
    )
    attempt(loop_of(Run("a", replace(CONFIG, steps=FIRST)), shares), client)
    ((turn, _),) = shares.turns
    assert turn.seconds == pytest.approx(7.0 + pace.preparing_seconds(CONFIG))


def test_a_race_comes_between_the_chunks_of_a_run(client):
    shares, run = Watched(), Run("a", CONFIG)
    steps = []

    async def main() -> None:
        async def race() -> None:
            while run.step == 0:
                await asyncio.sleep(0)
            turn = Turn("racer", 1.0, is_exclusive=True)
            await shares.enter(turn)
            steps.append(run.step)
            assert shares._shared == []
            shares.leave(turn)

        await asyncio.gather(loop_of(run, shares).attempt(Lease("a", 1), client), race())

    asyncio.run(asyncio.wait_for(main(), 30))
    assert 0 < steps[0] < CONFIG.steps
    assert_array_equal(run.losses, fit(CONFIG).losses)


def test_a_small_state_travels_with_the_losses_and_a_large_one_stays_on_the_worker(client, monkeypatch):
    config = replace(CONFIG, steps=1000)
    for size, reports in ((methods.state_bytes(config), False), (methods.state_bytes(config) - 1, True)):
        monkeypatch.setattr(run_loop, "SMALL_STATE_BYTES", size)
        run = Run("a", config)
        client.tasks.clear()
        attempt(loop_of(run), client)
        assert len(client.named("report")) == reports * len(lengths(client))
        assert all(report.result.state == {} for report in client.named("report"))
        assert_array_equal(run.losses, fit(config).losses)


def test_the_state_of_a_run_that_is_over_is_fetched_only_where_it_is_kept(client):
    loop = loop_of(Run("a", replace(CONFIG, steps=500)), fetch_at_end=False)
    attempt(loop, client)
    assert (loop.task.state, loop.checkpoint) == ("finished", None)


def test_a_run_that_diverges_ends_with_the_state_before(client):
    config = Config(N=13, D_in=5, H=11, D_out=2, seed=5, learning_rate=0.02)
    run = Run("a", config)
    loop = loop_of(run)
    attempt(loop, client)
    assert (run.state, run.diverged_at) == ("diverged", fit(config).diverged_at)
    assert loop.checkpoint.step == run.step == run.diverged_at
    assert_array_equal(loop.checkpoint.state["w1"], fit(config).w1)


def test_slow_motion_takes_as_many_steps_as_are_due_in_a_beat(client):
    client.step_seconds = 0.0
    for speed, steps in ((2.0, 1), (50.0, round(50 * BEAT_SECONDS))):
        client.tasks.clear()
        run, began = in_slow_motion(Run("a", replace(CONFIG, steps=40)), speed), client.clock.now
        attempt(loop_of(run), client)
        assert run.state == "finished"
        assert set(lengths(client)) == {steps}
        later = 40 - steps  # the first ones come at once, and the next ones a beat early
        assert client.clock.now - began == pytest.approx(later / speed - BEAT_SECONDS)


def test_steps_that_take_longer_than_slow_motion_follow_each_other(client):
    client.step_seconds = 1.0
    run, began = in_slow_motion(Run("a", replace(CONFIG, steps=5)), 10.0), client.clock.now
    attempt(loop_of(run), client)
    assert (run.state, lengths(client)) == ("finished", [1] * 5)
    assert client.clock.now - began == pytest.approx(5.0)


@pytest.mark.parametrize("change", ["pause", "full speed", "memory is wanted"])
def test_slow_motion_ends_before_the_next_step_is_due(client, change):
    client.step_seconds = 0.0
    run, lease = in_slow_motion(Run("a", replace(CONFIG, steps=100)), 0.01), Lease("a", 1)
    began, sleep = client.clock.now, run_loop.asyncio.sleep
    naps = itertools.count()

    async def counted(seconds: float) -> None:
        await sleep(seconds)
        if next(naps) == 3:
            changes[change]()

    changes: dict[str, Callable[[], None]] = {
        "pause": lambda: setattr(run, "pause_at", 0),
        "full speed": lambda: setattr(run, "speed", None),
        "memory is wanted": lambda: setattr(lease, "wanted", True),
    }
    run_loop.asyncio.sleep = counted
    loop = loop_of(run)
    attempt(loop, client, lease)
    assert client.clock.now - began < 1, "the second step is due after 100 s"
    assert run.step == (100 if change == "full speed" else 1)
    assert loop.checkpoint.step == run.step


def test_slow_motion_pauses_at_a_step_and_not_when_the_next_one_is_due(client):
    client.step_seconds = 0.0
    run, began = in_slow_motion(Run("a", CONFIG), 0.01), client.clock.now
    run.pause_at = 1
    loop = loop_of(run)
    attempt(loop, client)
    assert (run.step, loop.checkpoint.step, client.clock.now - began) == (1, 1, 0)


def test_a_chunk_on_a_data_set_ends_soon_enough_for_a_picture(client):
    """One comes for each part of a run; of steps that take little beside it, more rarely."""
    config = Config(data="spiral", init="he", H=20, learning_rate=1e-4, steps=2990)
    part = -(-config.steps // MOST_PICTURES)
    assert part == 150
    for step_seconds in (4e-5, 1e-5):
        client.step_seconds = step_seconds
        client.tasks.clear()
        attempt(loop_of(Run("a", config)), client)
        least = round(pace.picture_seconds(config) / PICTURE_SHARE / step_seconds)
        assert (least > part) == (step_seconds == 1e-5)
        assert set(lengths(client)[2:-1]) == {max(part, least)}


def test_a_cancelled_attempt_leaves_no_turn_and_goes_on_later(client):
    shares, run = Watched(), Run("a", CONFIG)
    loop = loop_of(run, shares)

    async def main() -> None:
        task = asyncio.create_task(loop.attempt(Lease("a", 1), client))
        while run.step == 0:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert (shares._shared, dict(shares._at_work)) == ([], {})

    asyncio.run(asyncio.wait_for(main(), 30))
    attempt(loop, client)
    assert_array_equal(run.losses, fit(CONFIG).losses)


def test_a_run_that_was_continued_meanwhile_is_left_to_its_new_turn(client):
    run = Run("a", CONFIG)
    loop = loop_of(run)
    assert loop.is_wanted
    run.reopen()
    assert (loop.is_wanted, loop.is_done) == (False, True)
    attempt(loop, client)
    assert not client.tasks
