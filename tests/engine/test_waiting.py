"""Why something waits, as a sentence."""

import pytest

from twolayer.engine.waiting import LONG_SECONDS, Wait


def test_a_wait_for_the_cluster_or_the_workers():
    assert "cluster to start" in str(Wait("cluster").message)
    assert "Other visitors ahead: 3" in str(Wait("workers", ahead=3).message)


@pytest.mark.parametrize(("seconds", "said"), [(0.0, "1 s"), (1.4, "1 s"), (1.6, "2 s"), (29.7, "30 s")])
def test_the_time_left_is_at_least_a_second(seconds, said):
    assert str(Wait("race", seconds=seconds).message).endswith(f"Time left: about {said}")
    assert f"within about {said}." in str(Wait("memory", seconds=seconds).message)


@pytest.mark.parametrize(
    ("seconds", "free", "told"),
    [(LONG_SECONDS, 5, False), (LONG_SECONDS + 0.1, 5, True), (LONG_SECONDS + 0.1, 0, False)],
)
def test_who_waits_long_is_told_what_would_start_now(seconds, free, told):
    said = str(Wait("memory", 2, seconds, needed_mb=7, free_mb=free).message)
    assert "Waiting for 7 MB of memory. Ahead in the queue: 2. Starts within about 60 s." in said
    assert ("needs at most 5 MB would start now" in said) == told
