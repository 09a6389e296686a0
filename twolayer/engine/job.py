"""Job: pure tasks on the cluster that are not a run. Every thread may read it while it grows."""

from typing import Any

from twolayer.engine.task import Task


class Job(Task):
    """Calls of one function, and their results in order of arrival."""

    kind = "job"

    def __init__(self, name: str, total: int, visitor: str | None = None) -> None:
        super().__init__(name, visitor)
        self.total = total
        self._results: list[tuple[int, Any]] = []
        self._received: set[int] = set()

    @property
    def done(self) -> int:
        """Number of items whose results have been received."""
        return len(self._results)

    progress = done

    def results(self, since: int = 0) -> list[tuple[int, Any]]:
        """Return (index of the item, result) in order of arrival, from the `since`-th arrival on."""
        return self._results[since:]

    # -- for the engine -------------------------------------------------------------------------

    def has(self, index: int) -> bool:
        """Return whether the result of an item has been received."""
        return index in self._received

    def receive(self, index: int, result: Any) -> None:
        """Add the result of an item, once. Nothing is added after the end."""
        if not self.over and index not in self._received:
            self._received.add(index)
            self._results.append((index, result))

    def log_fields(self) -> dict[str, Any]:
        return {**super().log_fields(), "tasks": self.total}
