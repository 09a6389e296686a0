"""Shares: who is computed next, who has the cluster alone, and that waiting costs nothing."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from twolayer.engine import shares
from twolayer.engine.shares import CREDIT_SECONDS, DEBT_SECONDS, RANK_SECONDS, Shares, Turn


def new_shares(workers: int = 100) -> Shares:
    """Shares whose clock begins at 1000."""
    return Shares(lambda: workers, lambda: 1000.0)


async def settle() -> None:
    """Let all coroutines run until each of them waits."""
    for _ in range(20):
        await asyncio.sleep(0)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(main, 30))


async def use(one: Shares, turn: Turn, inside: list[Turn], log: list[str]) -> None:
    """Have a turn for some turns of the loop; record who enters and who is there."""
    await one.enter(turn)
    log.append(turn.visitor)
    inside.append(turn)
    assert not any(other.is_exclusive for other in inside) or len(inside) == 1
    for _ in range(5):
        await asyncio.sleep(0)
    inside.remove(turn)
    one.leave(turn)


async def served(one: Shares, demands: dict[str, int], seconds: float) -> dict[str, float]:
    """Compute tasks of 0.1 s one after the other, always that with the highest priority. Each visitor
    keeps as many submitted as `demands` says. Return the seconds that each one got."""
    got = dict.fromkeys(demands, 0.0)
    submitted: list[Turn] = []
    while sum(got.values()) < seconds:
        for visitor, most in demands.items():
            while sum(turn.visitor == visitor for turn in submitted) < most:
                submitted.append(Turn(visitor, 0.1))
                await one.enter(submitted[-1])
        first = max(submitted, key=lambda turn: turn.priority)
        submitted.remove(first)
        got[first.visitor] += 0.1
        one.leave(first)
    for turn in submitted:
        turn.seconds = 0.0
        one.leave(turn)
    return got


def test_visitors_share_alike_however_many_runs_each_has():
    got = run(served(new_shares(), {"a": 12, "b": 2, "c": 1}, 30.0))
    assert all(seconds == pytest.approx(10.0, abs=1.0) for seconds in got.values()), got


def test_who_comes_is_served_at_once_and_then_shares():
    async def main() -> None:
        one = new_shares()
        await served(one, {"a": 12, "b": 12}, 20.0)
        first = await served(one, {"a": 12, "b": 12, "new": 1}, 0.85)
        assert first["new"] == pytest.approx(0.9)
        later = await served(one, {"a": 12, "b": 12, "new": 1}, 30.0)
        assert later["new"] == pytest.approx(10.0, abs=1.2)

    run(main())


def test_nobody_saves_up_what_was_not_used():
    async def main() -> None:
        one = new_shares()
        await served(one, {"early": 1}, 0.1)
        await served(one, {"a": 2}, 500.0)
        got = await served(one, {"a": 2, "early": 2}, 20.0)
        assert got["early"] - got["a"] == pytest.approx(CREDIT_SECONDS, abs=0.3)

    run(main())


def test_who_used_an_idle_server_does_not_pay_for_it_for_ever():
    async def main() -> None:
        one = new_shares()
        one.begin_work("idle")  # holds the server's clock back
        await served(one, {"a": 2}, 500.0)
        got = await served(one, {"a": 2, "b": 2}, 40.0)
        assert got["b"] - got["a"] <= DEBT_SECONDS + CREDIT_SECONDS + 0.3

    run(main())


def test_work_of_a_higher_rank_gives_way_but_not_for_ever():
    async def main() -> list[Turn]:
        one = new_shares()
        many, single = Turn("a", 0.3, 1), Turn("b", 0.1)
        await one.enter(many)
        order = [many]
        for _ in range(50):
            single = Turn("b", 0.1)
            await one.enter(single)
            order.append(single)
            one.leave(single)
        one.leave(many)
        return order

    many, *single = run(main())
    before = sum(turn.priority > many.priority for turn in single)
    assert before * 0.1 == pytest.approx(RANK_SECONDS, abs=0.3)


def test_a_stream_of_new_visitors_does_not_shut_anybody_out():
    async def main() -> None:
        one = new_shares()
        await served(one, {"long": 1}, 20.0)
        waits = Turn("long", 0.1)
        await one.enter(waits)
        for number in range(1000):
            new = Turn(f"new {number}", 0.3)
            await one.enter(new)
            if new.priority < waits.priority:
                return
            one.leave(new)
        pytest.fail("it is still behind everybody who comes")

    run(main())


def test_an_exclusive_turn_is_alone_and_those_who_waited_enter_before_the_next_one():
    async def main() -> list[str]:
        one, inside, log = new_shares(), [], []
        async with asyncio.TaskGroup() as group:
            for name in ("r1", "r2", "w1", "r3", "w2", "r4", "w3"):
                turn = Turn(name, 1.0, is_exclusive=name.startswith("w"))
                group.create_task(use(one, turn, inside, log))
        assert (one._shared, one.exclusive, dict(one._at_work)) == ([], None, {})
        return log

    assert run(main()) == ["r1", "r2", "w1", "r3", "r4", "w2", "w3"]


def test_an_exclusive_turn_waits_until_others_had_their_share():
    async def main() -> int:
        one, inside, log = new_shares(), [], []
        for _ in range(3):  # with a single visitor there is nobody to wait for
            await use(one, Turn("race", 2.0, 1, is_exclusive=True), inside, log)
        run_ = Turn("run", 0.1)
        await one.enter(run_)
        race = asyncio.create_task(use(one, Turn("race", 2.0, 1, is_exclusive=True), inside, log))
        await settle()
        chunks = 0
        while one.exclusive is None:
            following = Turn("run", 0.1)
            await one.enter(following)
            one.leave(run_)
            run_, chunks = following, chunks + 1
            assert chunks < 1000
        assert not race.done()
        one.leave(run_)
        await race
        return chunks

    assert 0.1 * run(main()) >= RANK_SECONDS


@pytest.mark.parametrize("when", ["while waiting", "when just admitted"])
def test_a_cancelled_turn_leaves_nothing_behind(when):
    async def main() -> None:
        one, go = new_shares(), asyncio.Event()

        async def alone() -> None:
            turn = Turn("w", 1.0, is_exclusive=True)
            await one.enter(turn)
            await go.wait()
            one.leave(turn)

        exclusive = asyncio.create_task(alone())
        await settle()
        shared = asyncio.create_task(one.enter(Turn("r", 1.0)))
        await settle()
        if when == "when just admitted":
            go.set()
            while not one._shared:
                await asyncio.sleep(0)
        shared.cancel()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await shared
        await exclusive
        assert (one._shared, one.exclusive, dict(one._at_work)) == ([], None, {})

    run(main())


def test_a_cancelled_exclusive_turn_lets_the_others_in():
    async def main() -> None:
        one = new_shares()
        first = Turn("r1", 1.0)
        await one.enter(first)
        exclusive = asyncio.create_task(one.enter(Turn("w", 1.0, is_exclusive=True)))
        await settle()
        assert one.exclusive
        second = asyncio.create_task(one.enter(Turn("r2", 1.0)))
        await settle()
        assert not second.done()
        exclusive.cancel()
        await second
        assert (len(one._shared), one.exclusive) == (2, None)

    run(main())


def test_who_waits_is_told_how_many_are_before_or_how_long_the_race_lasts(monkeypatch):
    now = [50.0]
    monkeypatch.setattr(shares, "monotonic", lambda: now[0])

    async def main() -> None:
        one = new_shares(2)
        for seconds, visitor in ((0.3, "c"), (0.2, "b"), (0.1, "a")):
            await one.enter(turn := Turn(visitor, seconds))
            one.leave(turn)
        turns = [Turn(visitor, 9.0) for visitor in "abc"]
        for turn in turns:
            one.begin_work(turn.visitor)
        assert [(one.wait(turn.visitor).reason, one.wait(turn.visitor).ahead) for turn in turns] == [
            ("workers", 0),
            ("workers", 1),
            ("workers", 2),
        ]
        run_, race = Turn("d", 1.0), Turn("e", 2.5, is_exclusive=True)
        await one.enter(run_)
        entering = asyncio.create_task(one.enter(race))
        await settle()
        assert one.exclusive is race
        assert one.wait("b").reason == "workers", "the race itself waits"
        one.leave(run_)
        await entering
        now[0] += 1.0
        assert (one.wait("b").reason, one.wait("b").seconds) == ("race", 1.5)
        now[0] += 9.0
        assert one.wait("b").seconds == 0.0
        one._share(race)
        assert one.wait("b").reason == "workers", "there is another worker"
        one.workers = lambda: 1
        assert one.wait("b").reason == "race"
        one.leave(race)
        assert one.wait("b").reason == "workers"

    run(main())


def test_waiting_does_not_poll():
    async def main() -> None:
        one, loop = new_shares(), asyncio.get_running_loop()
        first = Turn("r1", 1.0)
        await one.enter(first)
        waiting = [
            asyncio.create_task(use(one, Turn(name, 1.0, is_exclusive=name[0] == "w"), [], []))
            for name in ("w1", "r2", "w2")
        ]
        await settle()
        assert not loop._ready, "a coroutine runs although nothing has changed"
        # That of the test itself, and the one that opens the shares again
        assert len(loop._scheduled) <= 2, "a coroutine waits for a timer"
        one.leave(first)
        await asyncio.gather(*waiting)

    run(main())


def test_clocks_of_visitors_who_are_gone_are_forgotten(monkeypatch):
    monkeypatch.setattr(shares, "MOST_CLOCKS", 10)

    async def main() -> int:
        one = new_shares()
        for number in range(500):
            turn = Turn(str(number), 0.1)
            await one.enter(turn)
            one.leave(turn)
        return len(one._clocks)

    assert run(main()) < 50


def test_forgetting_gives_nobody_credit_back(monkeypatch):
    monkeypatch.setattr(shares, "MOST_CLOCKS", 10)

    async def main() -> None:
        one = new_shares()
        for number in range(100):
            before = [one.clock(str(other)) for other in range(number)]
            turn = Turn(str(number), 0.1)
            await one.enter(turn)
            one.leave(turn)
            assert all(one.clock(str(other)) >= clock for other, clock in enumerate(before))
            assert one.clock(str(number)) > one.clock("new")

    run(main())


def test_long_tasks_leave_a_worker_to_each_run_before_them_and_fill_all_others():
    async def main() -> None:
        one, inside, log = new_shares(3), [], []
        many = [asyncio.create_task(one.enter(Turn("a", 0.3, 1))) for _ in range(10)]
        await settle()
        assert len(one._shared) == 4, "one for each worker, and one that follows"
        runs = [Turn("b", 0.1), Turn("c", 0.1)]
        for turn in runs:
            await one.enter(turn)
        for turn in [turn for turn in one._shared if turn.rank]:
            one.leave(turn)
            await settle()
        assert sum(turn.rank for turn in one._shared) == 1, "the runs have a worker each"
        while sum(turn.rank for turn in one._shared) == 1:  # until the runs have had their share
            following = Turn("b", 0.1)
            await one.enter(following)
            one.leave(runs.pop(0))
            runs.append(following)
            await settle()
        for turn in runs:
            one.leave(turn)
        while one._shared:
            one.leave(one._shared[0])
            await settle()
        await asyncio.gather(*many)
        await use(one, Turn("d", 0.1), inside, log)
        assert log == ["d"]

    run(main())


def test_a_run_waits_while_one_on_credit_has_the_only_worker():
    async def main() -> int:
        one = new_shares(1)
        await served(one, {"long": 1}, 5.0)
        new, chunks = Turn("new", 0.1), 0
        await one.enter(new)
        long = asyncio.create_task(one.enter(Turn("long", 0.1)))
        await settle()
        while not long.done():
            following = Turn("new", 0.1)
            await one.enter(following)
            one.leave(new)
            new, chunks = following, chunks + 1
            await settle()
        return chunks

    assert 0.1 * run(main()) == pytest.approx(CREDIT_SECONDS / 2, abs=0.2)


@pytest.mark.parametrize("before", [0, 1], ids=["alone at first", "while others are computed"])
def test_an_exclusive_turn_that_takes_long_lets_others_in_beside_it(monkeypatch, before):
    async def main() -> None:
        one = new_shares()
        first = [Turn("r1", 1.0) for _ in range(before)]
        for turn in first:
            await one.enter(turn)
        monkeypatch.setattr(shares, "PATIENCE_SECONDS", 60.0)
        race = Turn("w1", 1.0, is_exclusive=True)
        entering = asyncio.create_task(one.enter(race))
        others = [Turn("r2", 0.1), Turn("w2", 0.1, is_exclusive=True)]
        await settle()
        waiting = [asyncio.create_task(one.enter(turn)) for turn in others]
        await settle()
        assert (entering.done(), [task.done() for task in waiting]) == (not before, [False, False])
        one._share(race)
        await settle()
        assert entering.done()
        assert [task.done() for task in waiting] == [True, False], "a second race waits for the first"
        for turn in [*first, others[0]]:
            one.leave(turn)
        await settle()
        assert not waiting[1].done()
        one.leave(race)
        await waiting[1]
        assert one.exclusive is others[1]
        one.leave(others[1])
        assert (one._shared, one.exclusive, dict(one._at_work)) == ([], None, {})

    run(main())


def test_the_shares_open_again_by_themselves_and_each_closing_lasts_as_long(monkeypatch):
    monkeypatch.setattr(shares, "PATIENCE_SECONDS", 0.05)

    async def main() -> None:
        one = new_shares()
        for number in range(3):
            race, other = Turn("w", 9.0, is_exclusive=True), Turn("r", 0.1)
            await one.enter(race)
            assert one.exclusive is race
            await one.enter(other)
            assert one.exclusive is None
            one.leave(race)
            one.leave(other)
            quick = Turn(f"quick {number}", 0.1, is_exclusive=True)
            await one.enter(quick)
            one.leave(quick)
        assert all(handle.cancelled() for handle in [one._reopening])

    run(main())


def test_a_race_that_others_are_let_in_beside_counts_as_long():
    async def main() -> None:
        one, race, first = new_shares(2), Turn("w", 9.0, is_exclusive=True), Turn("a", 9.0, is_long=True)
        await one.enter(first)
        entering = asyncio.create_task(one.enter(race))
        await settle()
        next_one = asyncio.create_task(one.enter(Turn("b", 9.0, is_long=True)))
        await settle()
        one._share(race)
        await settle()
        assert (entering.done(), next_one.done()) == (True, False), "two are long already"
        one.leave(first)
        await settle()
        assert not next_one.done(), "the race takes the place of a long task"
        one.leave(race)
        await next_one

    run(main())


@pytest.mark.parametrize(("workers", "most"), [(1, 1), (2, 1), (3, 2)])
def test_long_tasks_leave_a_worker_to_others(workers, most):
    async def main() -> None:
        one = new_shares(workers)
        long = [asyncio.create_task(one.enter(Turn(name, 9.0, is_long=True))) for name in "abcd"]
        await settle()
        assert sum(task.done() for task in long) == most
        short = Turn("bystander", 0.1)
        await one.enter(short)
        one.leave(short)
        while one._shared:
            one.leave(one._shared[0])
            await settle()
        await asyncio.gather(*long)

    run(main())


@pytest.mark.parametrize("visitors", [1, 20])
def test_of_two_processes_with_one_scheduler_the_later_one_is_neither_behind_nor_before(visitors):
    wall = [1000.0]

    async def main() -> tuple[float, float]:
        early, late = (Shares(lambda: 2, lambda: wall[0], has_peers=True) for _ in range(2))
        for _ in range(200):
            for visitor in range(visitors):
                turn = Turn(str(visitor), 0.1)
                await early.enter(turn)
                wall[0] += 0.05
                early.leave(turn)
        turns = []
        for one in (early, late):
            turn = Turn("0", 0.1)
            await one.enter(turn)
            turns.append(turn.priority)
        return turns[0], turns[1]

    first, second = run(main())
    assert abs(first - second) <= 2 * CREDIT_SECONDS


def test_work_of_a_higher_rank_comes_after_all_that_its_visitor_has_there():
    async def main() -> list[float]:
        one, tags = new_shares(), []
        for rank, seconds in ((0, 1.0), (1, 0.5), (0, 0.25), (1, 0.0)):
            turn = Turn("a", seconds, rank=rank)
            await one.enter(turn)
            tags.append(turn.tag)
        return [tag - tags[0] for tag in tags]

    # Of rank 0 only what is of rank 0 comes before: 1 s. Of rank 1 both: 1 s; 1 + 0.5 + 0.25 s.
    expected = [0, 1 + RANK_SECONDS, 1, 1.75 + RANK_SECONDS]
    assert run(main()) == pytest.approx(expected)
