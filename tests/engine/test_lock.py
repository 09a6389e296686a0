"""The readers-writer lock: who is inside together, who enters next, and that waiting costs nothing."""

import asyncio
import contextlib

import pytest

from twolayer.engine.lock import ReadersWriterLock


async def settle() -> None:
    """Let all coroutines run until each of them waits."""
    for _ in range(20):
        await asyncio.sleep(0)


async def use(context, name: str, inside: list[str], log: list[str]) -> None:
    """Stay inside for some turns of the loop; record who enters and who is there."""
    async with context:
        log.append(name)
        inside.append(name)
        writers = [one for one in inside if one.startswith("w")]
        assert not writers or len(inside) == 1, inside
        for _ in range(5):
            await asyncio.sleep(0)
        inside.remove(name)


def test_a_writer_is_alone_and_readers_that_waited_enter_before_the_next_writer():
    async def main() -> list[str]:
        lock, inside, log = ReadersWriterLock(), [], []
        async with asyncio.TaskGroup() as group:
            for name in ("r1", "r2", "w1", "r3", "w2", "r4", "w3"):
                context = lock.exclusive() if name.startswith("w") else lock.shared()
                group.create_task(use(context, name, inside, log))
        assert (lock._readers, lock.closed) == (0, False)
        return log

    assert asyncio.run(main()) == ["r1", "r2", "w1", "r3", "r4", "w2", "w3"]


@pytest.mark.parametrize("when", ["while waiting", "when just admitted"])
def test_a_cancelled_reader_leaves_nothing_behind(when):
    async def main() -> None:
        lock, go = ReadersWriterLock(), asyncio.Event()

        async def write() -> None:
            async with lock.exclusive():
                await go.wait()

        writer = asyncio.create_task(write())
        await settle()
        reader = asyncio.create_task(lock.enter())
        await settle()
        if when == "when just admitted":
            go.set()
            while not lock._readers:
                await asyncio.sleep(0)
        reader.cancel()
        go.set()
        with contextlib.suppress(asyncio.CancelledError):
            await reader
        await writer
        async with lock.exclusive():
            assert lock._readers == 0

    asyncio.run(asyncio.wait_for(main(), 10))


def test_a_cancelled_writer_opens_the_lock_again():
    async def main() -> None:
        lock = ReadersWriterLock()
        await lock.enter()
        writer = asyncio.create_task(lock.exclusive().__aenter__())
        await settle()
        assert lock.closed
        reader = asyncio.create_task(lock.enter())
        await settle()
        assert not reader.done()
        writer.cancel()
        await reader
        assert (lock._readers, lock.closed) == (2, False)

    asyncio.run(asyncio.wait_for(main(), 10))


def test_waiting_does_not_poll():
    async def main() -> None:
        lock, loop = ReadersWriterLock(), asyncio.get_running_loop()
        await lock.enter()
        waiting = [
            asyncio.create_task(use(context, name, [], []))
            for name, context in (("w1", lock.exclusive()), ("r", lock.shared()), ("w2", lock.exclusive()))
        ]
        await settle()
        assert not loop._ready, "a coroutine runs although nothing has changed"
        assert not loop._scheduled, "a coroutine waits for a timer"
        lock.leave()
        await asyncio.gather(*waiting)

    asyncio.run(main())
