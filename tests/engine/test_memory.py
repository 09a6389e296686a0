"""Memory: a small request passes a large one, whose turn comes; and holders give back what others are due."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from twolayer.engine import memory
from twolayer.engine.memory import Lease, Memory
from twolayer.engine.settings import MB
from twolayer.engine.shares import Shares, Turn
from twolayer.training import pace

SIZE = 1 << 20
"""So little that nobody may keep it for long."""
SMALL, LARGE = SIZE >> 8, SIZE * 3 // 4


class Server:
    """A memory, and what is asked of it."""

    def __init__(self) -> None:
        self.shares = Shares(lambda: 1, lambda: 1000.0)
        self.memory = Memory(SIZE, self.shares)
        self.held: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.leases: dict[str, Lease] = {}
        self.is_idle: dict[str, bool] = {}

    async def ask(self, name: str, size: int, *, gives_back: bool = True) -> None:
        """Let a visitor ask for memory, and keep it until it is wanted back."""

        async def hold() -> None:
            lease = self.leases[name] = Lease(name, size, lambda: self.is_idle.get(name, False))
            async with self.memory.held(lease):
                self.held.append(name)
                while not (lease.wanted and gives_back):
                    await asyncio.sleep(0.001)
                self.held.remove(name)

        self.tasks[name] = asyncio.create_task(hold())
        await settle()

    async def use(self, *names: str, seconds: float) -> None:
        """Let visitors use the workers at the same time."""
        turns = [Turn(name, seconds) for name in names]
        for turn in turns:
            await self.shares.enter(turn)
        for turn in turns:
            self.shares.leave(turn)

    async def end(self, name: str) -> None:
        """Let a visitor stop."""
        task = self.tasks.pop(name)
        task.cancel()
        await asyncio.wait([task])
        if name in self.held:
            self.held.remove(name)
        await settle()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(memory, "CHECK_SECONDS", 0.005)


@asynccontextmanager
async def a_server():
    server = Server()
    try:
        yield server
    finally:
        for name in list(server.tasks):
            await server.end(name)


def run(test: Callable[[Server], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), a_server() as server:
            await test(server)

    asyncio.run(main())


def test_a_small_request_passes_a_large_one_that_waits():
    async def test(server):
        await server.ask("a", LARGE, gives_back=False)
        await server.ask("b", LARGE)
        await server.ask("c", SMALL)
        assert server.held == ["a", "c"]
        await server.end("a")
        assert server.held == ["c", "b"]

    run(test)


def test_large_requests_leave_room_for_small_ones_though_one_may_take_everything():
    async def test(server):
        await server.ask("a", SIZE, gives_back=False)
        await server.ask("b", SIZE // 16, gives_back=False)
        await server.ask("c", SIZE // 16, gives_back=False)
        await server.ask("d", SIZE // 16)
        assert server.held == ["a", "b", "c"]

    run(test)


def test_what_small_requests_have_of_their_eighth_is_not_taken_from_a_large_one():
    async def test(server):
        for name in "ab":
            await server.ask(name, SIZE // 16)
        await server.ask("c", SIZE * 7 // 8)
        assert server.held == ["a", "b", "c"]

    run(test)


def test_beside_a_large_request_that_is_due_small_ones_have_their_eighth(monkeypatch):
    monkeypatch.setattr(memory, "DUE_SECONDS", -1.0)

    async def test(server):
        await server.ask("a", LARGE, gives_back=False)
        await server.ask("b", LARGE)
        for name, size in (("c", SMALL), ("d", SIZE // 16), ("e", SIZE // 16)):
            await server.ask(name, size, gives_back=False)
        assert server.held == ["a", "c", "d"]

    run(test)


def test_up_to_half_of_the_eighth_a_request_is_small():
    async def test(server):
        await server.ask("a", SIZE * 13 // 16, gives_back=False)
        await server.ask("b", SIZE // 16 + 1)
        await server.ask("c", SIZE // 16)
        assert server.held == ["a", "c"]

    run(test)


def test_who_used_more_gives_back_to_whom_used_less():
    async def test(server):
        await server.ask("a", LARGE)
        await server.use("a", seconds=30.0)
        await server.ask("b", LARGE)
        await until(lambda: server.held == ["b"])

    run(test)


def test_who_used_less_keeps_what_it_has():
    async def test(server):
        await server.use("b", seconds=5.0)
        await server.ask("a", LARGE)
        await server.ask("b", LARGE)
        await asyncio.sleep(0.05)  # some checks
        assert server.held == ["a"]
        assert not server.leases["a"].wanted

    run(test)


def test_a_run_in_slow_motion_is_asked_first_and_asks_nobody():
    async def test(server):
        await server.ask("slow", LARGE)
        await server.use("other", seconds=30.0)
        server.is_idle["slow"] = True
        await server.ask("other", LARGE)
        await until(lambda: server.held == ["other"])
        await server.ask("slow", LARGE)
        await asyncio.sleep(0.05)
        assert server.held == ["other"]

    run(test)


def test_the_turn_of_a_large_request_comes_while_small_ones_keep_coming(monkeypatch):
    monkeypatch.setattr(memory, "DUE_SECONDS", 0.1)

    async def test(server):
        small = SIZE // 16
        for number in range(14):
            await server.ask(f"small {number}", small)
        await server.use("large", seconds=5.0)  # it is due less than everybody
        await server.ask("large", LARGE)
        number = 14
        while "large" not in server.held:
            for name in server.held[:2]:
                await server.end(name)
                await server.ask(f"small {number}", small)
                number += 1
            await asyncio.sleep(0.001)

    run(test)


def test_a_small_run_is_asked_for_the_place_of_a_small_one():
    async def test(server):
        hostile = [f"hostile {number}" for number in range(20)]
        for name in hostile:
            await server.ask(name, SIZE // 16)
        for _ in range(3):
            await server.use(*hostile, seconds=1.0)
        await server.ask("large", LARGE, gives_back=False)
        assert len(server.held) == 16
        await server.ask("bystander", SIZE // 16)
        await until(lambda: "bystander" in server.held)

    run(test)


def test_nobody_is_asked_in_vain():
    async def test(server):
        await server.ask("a", LARGE, gives_back=False)
        await server.ask("b", SIZE // 10, gives_back=False)
        await server.use("b", seconds=30.0)
        await server.use("c", seconds=0.1)
        await server.ask("c", LARGE)
        await asyncio.sleep(0.05)
        assert not server.leases["b"].wanted

    run(test)


def test_memory_is_kept_for_longer_than_the_change_costs(monkeypatch):
    monkeypatch.setattr(memory, "TENURE_FACTOR", 1e9)

    async def test(server):
        await server.ask("a", LARGE)
        await server.use("a", seconds=30.0)
        await server.ask("b", LARGE)
        await asyncio.sleep(0.05)
        assert server.held == ["a"]
        assert server.leases["a"].tenure == memory.MOST_TENURE_SECONDS

    run(test)


def test_a_place_in_the_queue_and_what_would_start_now():
    async def test(server):
        assert server.memory.free == SIZE - SIZE // 8
        await server.ask("a", LARGE, gives_back=False)
        await server.use("c", seconds=1.0)
        await server.ask("c", LARGE)
        await server.ask("b", LARGE)
        waits = [server.memory.wait(server.leases[name]) for name in "abc"]
        assert waits[0] is None
        assert [(wait.reason, wait.ahead) for wait in waits[1:]] == [("memory", 0), ("memory", 1)]
        assert server.memory.free == SIZE - SIZE // 8 - LARGE
        assert 0 < waits[1].seconds <= waits[2].seconds <= memory.DUE_SECONDS + 15

    run(test)


def test_a_wait_is_estimated_by_what_is_due_and_by_what_holders_may_keep(monkeypatch):
    monkeypatch.setattr(memory, "monotonic", lambda: 1000.0)

    async def main() -> None:
        one = Memory(100 * MB, Shares(lambda: 1, lambda: 1000.0))
        sizes = {"a": 80 * MB, "b": 40 * MB + 1, "c": 30 * MB, "d": 20 * MB}
        leases = [Lease(name, size) for name, size in sizes.items()]
        for age, lease in enumerate(leases):
            lease.since = 1000.0 - age
        async with one.held(leases[0]):
            waiting = [asyncio.create_task(one.held(lease).__aenter__()) for lease in leases[1:]]
            await settle()
            keeps = memory.TENURE_FACTOR * 80 * MB / pace.TRANSFER_BYTES_PER_SECOND
            assert one.wait(leases[0]) is None
            first, second, third = map(one.wait, leases[:0:-1])  # d has waited for longest
            assert (first.ahead, first.needed_mb, first.free_mb) == (0, 20, 7)
            assert first.seconds == pytest.approx(memory.DUE_SECONDS - 3 + keeps)
            assert (second.ahead, second.needed_mb, second.free_mb) == (1, 30, 7)
            assert second.seconds == pytest.approx(memory.DUE_SECONDS - 2 + 2 * keeps)
            assert (third.ahead, third.needed_mb, third.free_mb) == (2, 41, 7)
            assert third.seconds == pytest.approx(memory.DUE_SECONDS - 1 + 3 * keeps)
            leases[1].since = 0.0
            assert one.wait(leases[1]).seconds == pytest.approx(keeps), "it is due"
            assert one.free == 6.25 * MB, "no other large one passes it"
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)

    asyncio.run(main())


def test_memory_is_kept_for_ten_times_its_travel_and_fifteen_seconds_at_most():
    assert Lease("a", 200_000).tenure == pytest.approx(0.01)
    assert Lease("a", 10**9).tenure == memory.MOST_TENURE_SECONDS == 15.0


def test_beside_large_requests_a_small_one_would_still_start_at_once():
    async def test(server):
        await server.ask("a", SIZE - SIZE // 8, gives_back=False)
        assert server.memory.free == SIZE // 16  # the largest that counts as small
        await server.ask("b", SIZE // 16, gives_back=False)
        assert server.memory.free == SIZE // 16
        await server.ask("c", SIZE // 16 - 7, gives_back=False)
        assert server.memory.free == 7

    run(test)


def test_an_ended_request_leaves_nothing_behind():
    async def test(server):
        await server.ask("a", LARGE, gives_back=False)
        await server.ask("b", LARGE)
        await server.end("b")
        await server.end("a")
        assert (server.memory._held, server.memory._waiting) == ([], [])
        assert not server.shares._at_work

    run(test)
