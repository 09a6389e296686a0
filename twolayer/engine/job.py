"""Job: work of a page that is not a run, as pure tasks; readable from any thread while it goes on."""

from threading import Event
from time import monotonic
from typing import Any, Literal

from twolayer.training.messages import Message

JobState = Literal["queued", "running", "finished", "stopped", "failed"]


class Job:
    """Some tasks on the engine and their results in the order in which they arrive.

    The engine writes, everyone reads.
    """

    def __init__(self, name: str, total: int, viewer: str | None = None) -> None:
        self.name, self.total, self.viewer = name, total, viewer
        self.state: JobState = "queued"
        self.message: Message | None = None
        """Why it failed."""
        self.began: float | None = None
        """When its first task was handed to the cluster, by the monotonic clock."""
        self.seconds: float | None = None
        """From then to its end."""
        self._results: list[tuple[int, Any]] = []
        self._have: set[int] = set()
        self._ended = Event()

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.state not in ("queued", "running")

    @property
    def done(self) -> int:
        """Tasks whose results are here."""
        return len(self._results)

    def results(self, since: int = 0) -> list[tuple[int, Any]]:
        """(index of the item, result) in order of arrival, from the `since`-th arrival on."""
        return self._results[since:]

    def wait(self, seconds: float) -> bool:
        """Wait for the end, at most so long; whether it has come."""
        return self._ended.wait(seconds)

    # -- for the engine -------------------------------------------------------------------------

    def begin(self) -> None:
        """The cluster has its first task."""
        if self.state == "queued":
            self.began = monotonic()
            self.state = "running"

    def has(self, index: int) -> bool:
        """Whether the result of an item is here."""
        return index in self._have

    def receive(self, index: int, result: Any) -> None:
        """Take in the result of an item, once. After the end nothing is added."""
        if not self.over and index not in self._have:
            self._have.add(index)
            self._results.append((index, result))

    def end(self, state: JobState, message: Message | None = None) -> None:
        """Nothing more will come. The first end counts."""
        if not self.over:
            self.message = message
            self.seconds = None if self.began is None else monotonic() - self.began
            self.state = state
            self._ended.set()
