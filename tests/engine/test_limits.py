"""What a server refuses, up to the last MB, second, and place."""

from dataclasses import replace

import pytest

from tests.engine.conftest import TINY, settings
from twolayer import Config
from twolayer.engine import limits
from twolayer.engine.job import Job
from twolayer.engine.limits import LimitError
from twolayer.engine.run import Run
from twolayer.engine.settings import MB
from twolayer.training import methods, pace
from twolayer.training.data import DataError

CONFIG = Config(**TINY)
SERVER = settings(memory_mb=100, max_seconds=50, live_per_visitor=2, live=4)


def tasks(*visitors: str | None) -> list[Job]:
    """Live jobs of visitors."""
    return [Job(str(number), 1, visitor) for number, visitor in enumerate(visitors)]


@pytest.mark.parametrize(
    ("others", "visitor", "refused"),
    [
        ([], "a", None),
        (["a"], "a", None),
        (["a", "a"], "a", "2 active runs.*Stop one"),
        (["a", "a"], "b", None),
        (["a", "a", "b"], "c", None),
        (["a", "a", "b", "b"], "c", "4 active runs.*Try again"),
        ([None, None, None], None, None),
        ([None, None, None, None], None, "4 active runs.*Try again"),
        (["a", "a", "b", "b"], "a", "2 active runs.*Stop one"),
    ],
)
def test_so_many_live_runs_and_jobs_are_admitted(others, visitor, refused):
    if refused is None:
        limits.admit(SERVER, tasks(*others), visitor)
    else:
        with pytest.raises(LimitError, match=refused):
            limits.admit(SERVER, tasks(*others), visitor)


def test_what_is_paused_or_over_takes_no_place():
    paused, stopped, live = Run("p", CONFIG, "a"), Run("s", CONFIG, "a"), Run("l", CONFIG, "a")
    paused.pause()
    stopped.end("stopped")
    limits.admit(SERVER, [paused, stopped, live], "a")


def test_memory_is_counted_in_whole_mb_and_all_of_it_may_be_taken():
    limits.check_memory(SERVER, 100 * MB)
    with pytest.raises(LimitError, match=r"needs 101 MB.*allows 100 MB"):
        limits.check_memory(SERVER, 100 * MB + 1)


def test_a_run_is_refused_by_its_memory_or_its_single_step():
    config = Config(N=1000, D_in=1000, H=1000)
    needed = methods.working_bytes(config) + 8 * config.steps
    assert limits.engine_bytes(config) == needed
    limits.check_run(settings(memory_mb=-(-needed // MB)), config)
    with pytest.raises(LimitError, match="MB of memory"):
        limits.check_run(settings(memory_mb=needed // MB), config)
    large = Config(N=100_000, D_in=100_000, H=100_000)
    seconds = methods.flops_per_step(large) / pace.SLOW_FLOPS_PER_SECOND
    assert seconds == 800_120
    enough = settings(memory_mb=10**9, max_seconds=800_120)
    limits.check_run(enough, large)
    with pytest.raises(LimitError, match=r"about 800120 s.*allows 800119 s"):
        limits.check_run(replace(enough, max_seconds=800_119), large)


def test_a_table_that_is_not_here_is_refused_and_other_data_need_none():
    limits.check_data(CONFIG)
    limits.check_data(Config(data="iris", init="he"))
    with pytest.raises(DataError, match="not here"):
        limits.check_data(Config(data="csv", table="0123456789abcdef.5.1-4.classes.150x5x3"))


def test_a_race_may_take_as_long_as_a_run():
    limits.check_race(SERVER, 50.0)
    with pytest.raises(LimitError, match=r"about 51 s.*allows 50 s"):
        limits.check_race(SERVER, 50.6)


def test_a_sweep_may_take_ten_times_as_long_as_a_run_and_each_training_a_tenth():
    limits.check_sweep(SERVER, 500.0, 5.0)
    for seconds, longest in ((500.1, 5.0), (500.0, 5.1)):
        with pytest.raises(LimitError, match=r"this server allows 500 s in total and 5 s per run"):
            limits.check_sweep(SERVER, seconds, longest)
    with pytest.raises(
        LimitError, match=r"about 12,346 s \(up to 1,235 s per run\).*allows 10,000 s .* 100 s"
    ):
        limits.check_sweep(replace(SERVER, max_seconds=1000), 12_345.6, 1234.6)


def test_what_was_stopped_says_the_limit():
    assert "limits a run to 50 s of computing time" in str(limits.out_of_time(50))
    assert "limits a run to 70 s from start to end" in str(limits.out_of_wall_time(70))
