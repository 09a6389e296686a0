"""Visitors: which of them are connected, and whose runs must stop because they have left."""

import asyncio
from collections.abc import Callable

from twolayer.training.messages import Message

GRACE_SECONDS = 30.0
"""How long the runs of a visitor go on after the last connection has closed."""


class Visitors:
    """The visitors of a server. All methods are called on the event loop.

    `on_gone` is called with a visitor that has stayed away, and with why their runs stop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_gone: Callable[[str, Message], None]) -> None:
        self._loop, self._on_gone = loop, on_gone
        self._timers: dict[str, asyncio.TimerHandle | None] = {}

    def add(self, visitor: str) -> None:
        """Add a visitor. One that is known stays connected or away."""
        self._timers.setdefault(visitor, None)

    def arrive(self, visitor: str) -> None:
        """Record that a visitor has connected, perhaps again."""
        timer = self._timers.get(visitor)
        if timer is not None:
            timer.cancel()
        self._timers[visitor] = None

    def leave(self, visitor: str) -> None:
        """Record that the last connection of a visitor has closed."""
        if visitor in self._timers and self._timers[visitor] is None:
            self._timers[visitor] = self._loop.call_later(GRACE_SECONDS, self._gone, visitor)

    def _gone(self, visitor: str) -> None:
        del self._timers[visitor]
        why = Message.of(
            "Stopped because its page was closed or inactive for more than {seconds} s. Results so far are "
            "kept.",
            seconds=f"{GRACE_SECONDS:.0f}",
        )
        self._on_gone(visitor, why)
