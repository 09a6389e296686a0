"""The memory that the runs of a server share."""

import asyncio
import contextlib
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Room:
    """A number of bytes that are held and given back: first come, first served."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._waiting: list[object] = []
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def held(self, size: int) -> AsyncIterator[None]:
        """Wait for `size` bytes and hold them. Sizes beyond all there is must be refused before."""
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


class Kept(Generic[T]):
    """Values by name, within a number of bytes: the longest unused ones are let go. Safe to use from any
    thread."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held = 0
        self._values: OrderedDict[str, tuple[T, int]] = OrderedDict()
        self._lock = threading.RLock()

    def fits(self, size: int) -> bool:
        """Whether a value of this size would be kept."""
        return size <= self._size

    def put(self, name: str, value: T, size: int) -> None:
        """Keep `value`, in the place of an older one. One that is larger than all there is is not kept."""
        with self._lock:
            self.drop(name)
            if not self.fits(size):
                return
            self._values[name] = (value, size)
            self._held += size
            while self._held > self._size:
                self.drop(next(iter(self._values)))

    def get(self, name: str) -> T | None:
        """The value, if it is still here."""
        with self._lock:
            if name not in self._values:
                return None
            self._values.move_to_end(name)
            return self._values[name][0]

    def drop(self, name: str) -> None:
        """Let a value go, if it is here."""
        with self._lock:
            if name in self._values:
                self._held -= self._values.pop(name)[1]
