"""A readers-writer lock for the cluster: many tasks share it, or one task has it to itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class ReadersWriterLock:
    """A fair readers-writer lock for coroutines of one event loop.

    A writer closes the lock to new readers and waits until those inside have left. All readers that
    waited meanwhile enter before the next writer.
    """

    def __init__(self) -> None:
        self.closed = False
        """Whether a writer is inside or waits for readers to leave."""
        self._readers = 0
        self._waiting: list[asyncio.Future[None]] = []
        self._empty = asyncio.Event()
        self._empty.set()
        self._writers = asyncio.Lock()

    async def enter(self) -> None:
        """Enter as a reader. A reader that is inside already must check `closed` first, and not wait here."""
        if not self.closed:
            self._admit()
            return
        admitted = asyncio.get_running_loop().create_future()
        self._waiting.append(admitted)
        try:
            await admitted
        except asyncio.CancelledError:
            if not admitted.cancelled():  # it was admitted first
                self.leave()
            raise

    def leave(self, count: int = 1) -> None:
        """Leave as `count` readers."""
        self._readers -= count
        if not self._readers:
            self._empty.set()

    @contextlib.asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Be inside as a reader."""
        await self.enter()
        try:
            yield
        finally:
            self.leave()

    @contextlib.asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Be inside as the writer."""
        async with self._writers:
            self.closed = True
            try:
                await self._empty.wait()
                yield
            finally:
                self.closed = False
                waiting, self._waiting = self._waiting, []
                for admitted in waiting:
                    if not admitted.done():
                        admitted.set_result(None)
                        self._admit()

    def _admit(self) -> None:
        self._readers += 1
        self._empty.clear()
