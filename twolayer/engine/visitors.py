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

    def add(self, viewer: str) -> None:
        """Add a visitor. One that is known stays connected or away."""
        self._timers.setdefault(viewer, None)

    def arrive(self, viewer: str) -> None:
        """Record that a visitor has connected, perhaps again."""
        timer = self._timers.get(viewer)
        if timer is not None:
            timer.cancel()
        self._timers[viewer] = None

    def leave(self, viewer: str) -> None:
        """Record that the last connection of a visitor has closed."""
        if viewer in self._timers and self._timers[viewer] is None:
            self._timers[viewer] = self._loop.call_later(GRACE_SECONDS, self._gone, viewer)

    def _gone(self, viewer: str) -> None:
        del self._timers[viewer]
        why = Message.of(
            "Stopped because its page was closed or inactive for more than {seconds} s. Results so far are "
            "kept.",
            seconds=f"{GRACE_SECONDS:.0f}",
        )
        self._on_gone(viewer, why)
