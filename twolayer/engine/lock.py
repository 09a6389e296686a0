"""Who may use the cluster now: many tasks at once, or one that wants it to itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

MOMENT = 0.005


class Gate:
    """A readers-writer lock: tasks that share the cluster, and tasks that are alone on it.

    A task that wants to be alone closes the gate, waits until those inside have left, and opens it
    again at its end; those who waited go in before the next that wants to be alone.
    """

    def __init__(self) -> None:
        self.closed = False
        self._inside = 0
        self._waiting = 0
        self._one = asyncio.Lock()
        self._changed = asyncio.Condition()
        self._told: asyncio.Future[None] | None = None

    async def enter(self) -> None:
        """Go in as one of many. Whoever is inside already must ask `closed` before, and leave first."""
        async with self._changed:
            self._waiting += 1
            try:
                await self._changed.wait_for(lambda: not self.closed)
            finally:
                self._waiting -= 1
            self._inside += 1

    def leave(self, count: int = 1) -> None:
        """Come out; those who wait are told."""
        self._inside -= count
        if count and self.closed:
            self._told = asyncio.ensure_future(self._notify())

    @contextlib.asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Be inside as one of many."""
        await self.enter()
        try:
            yield
        finally:
            self.leave()

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Be the only one inside."""
        async with self._one:
            while self._waiting:
                await asyncio.sleep(MOMENT)
            self.closed = True
            try:
                async with self._changed:
                    await self._changed.wait_for(lambda: self._inside == 0)
                yield
            finally:
                self.closed = False
                await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
