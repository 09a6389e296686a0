"""The memory that the runs of a server share."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class MemorySemaphore:
    """A semaphore that counts bytes: first come, first served."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._waiting: list[object] = []
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def acquired(self, size: int) -> AsyncIterator[None]:
        """Wait for `size` bytes and hold them. A size beyond the total must be refused before."""
        ticket = object()
        self._waiting.append(ticket)
        async with self._changed:
            try:
                await self._changed.wait_for(lambda: self._waiting[0] is ticket and size <= self._free)
                self._free -= size
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            self._free += size
            async with self._changed:
                self._changed.notify_all()
