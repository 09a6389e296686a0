"""Task: what runs and jobs share. The engine writes, every thread may read."""

from abc import ABC, abstractmethod
from threading import Event
from time import monotonic
from typing import Any, ClassVar, Literal

from twolayer.engine.memory import Lease
from twolayer.training.messages import Message

OWNER_LENGTH = 32
"""Characters of a visitor's name that say whose share of the server it takes: those of its browser."""
State = Literal["queued", "running", "paused", "finished", "diverged", "stopped", "failed"]
"""Only a run can be paused, diverge or be continued."""


class Task(ABC):
    """Work on the engine, from its submission to its end."""

    kind: ClassVar[str]
    """The name of its event in the log."""

    def __init__(self, name: str, visitor: str | None = None) -> None:
        self.name, self.visitor = name, visitor
        self.state: State = "queued"
        self.message: Message | None = None
        """Why it failed, or why the server stopped it."""
        self.began: float | None = None
        """When a worker began or resumed it, by the monotonic clock."""
        self.elapsed: float | None = None
        """Seconds from `began` to its end."""
        self.lease: Lease | None = None
        """The memory that it has or waits for."""
        self.turn = 0
        """Number of times it was continued. A coroutine of an earlier turn must not change it."""
        self._ended = Event()
        self._settled = Event()

    @property
    def live(self) -> bool:
        """Whether it is being computed or waits to be."""
        return self.state in ("queued", "running")

    @property
    def over(self) -> bool:
        """Whether it has ended. A paused run has not."""
        return self.state in ("finished", "diverged", "stopped", "failed")

    @property
    def continuable(self) -> bool:
        """Whether more steps may follow."""
        return self.state in ("paused", "finished", "stopped")

    @property
    @abstractmethod
    def progress(self) -> int:
        """Steps or items whose results have been received."""

    def wait(self, seconds: float) -> bool:
        """Wait at most `seconds` for the end or a pause, and return whether it has come."""
        return self._ended.wait(seconds)

    def wait_until_settled(self, seconds: float) -> bool:
        """Wait at most `seconds` until nothing more is done for it, and return whether that is so.

        The state of a run that has ended or paused is announced first, and fetched as a checkpoint then.
        """
        return self._settled.wait(seconds)

    @property
    def owner(self) -> str:
        """Whose share of the server it takes: that of its visitor's browser, or else its own."""
        return (self.visitor or self.name)[:OWNER_LENGTH]

    # -- for the engine -------------------------------------------------------------------------

    def begin(self) -> None:
        """Record that the cluster has begun to compute it."""
        if self.state == "queued":
            self.began = monotonic()
            self.state = "running"

    def requeue(self) -> None:
        """Record that it waits again for what it has given back."""
        if self.state == "running":
            self.state = "queued"

    def end(self, state: State, message: Message | None = None) -> None:
        """Enter a final state. Only the first call has an effect."""
        if not self.over:
            self.message = message
            self.elapsed = None if self.began is None else monotonic() - self.began
            self.state = state
            self._ended.set()

    def settle(self) -> None:
        """Record that nothing more is done for it in this turn."""
        self._settled.set()

    def log_fields(self) -> dict[str, Any]:
        """Return what is logged at the end; times in seconds. Nothing in it identifies the visitor."""
        fields = {
            "name": self.name,
            "state": self.state,
            "done": self.progress,
            "in_all": "" if self.elapsed is None else self.elapsed,
        }
        if self.message is not None:
            fields["reason"] = self.message.template  # without its values, which a visitor may have typed
        return fields
