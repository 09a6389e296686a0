"""What a visitor has trained: kept on the server under the visitor's token, so that it survives a reload.

The token is in the memory of the browser's tab and in nobody's address. A history is handed to a new
session only if it knows the token and no other session has it.
"""

import threading
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field, replace
from itertools import chain, count

from twolayer.engine.run import Run
from twolayer.training import methods
from twolayer.training.config import BACKENDS, Config

MOST_RUNS = 50
MOST_BYTES = 256 * 1024 * 1024
MOST_VISITORS = 1000
MOST_BYTES_OF_ABSENT = 24 * 1024 * 1024
"""What the runs of those who left may take, with the states that they could be continued from."""
BYTES_OF_A_RUN = 8 * 1024
"""A run without curves: its settings, locks and the like."""


@dataclass
class Entry:
    """A run in the history: its number, which decides its colour, and what the visitor makes of it."""

    run: Run
    number: int
    name: str
    shown: bool = True


@dataclass
class History:
    """The runs of a visitor, oldest first."""

    entries: list[Entry] = field(default_factory=list)
    let_go: int = 0
    """How many old runs are not kept any more, for the memory that they took."""
    _count: int = 0

    def add(self, run: Run) -> Entry:
        """Add a new run under the next number, and name it after its settings."""
        return self.adopt(Entry(run, 0, name_of(run.config)))

    def adopt(self, entry: Entry) -> Entry:
        """Add a run, perhaps of another history, under the next number. Its name stays unless it is taken."""
        self._count += 1
        taken = {other.name for other in self.entries}
        names = chain([entry.name], (f"{entry.name} ({again})" for again in count(2)))
        name = next(name for name in names if name not in taken)
        self.entries.append(replace(entry, number=self._count, name=name))
        return self.entries[-1]

    def entry(self, number: int | None) -> Entry | None:
        """The run of this number, if it is still there."""
        return next((entry for entry in self.entries if entry.number == number), None)

    def remove(self, entry: Entry) -> None:
        """Delete a run."""
        self.entries = [other for other in self.entries if other is not entry]

    @property
    def shown(self) -> list[Entry]:
        """The runs whose curves are drawn."""
        return [entry for entry in self.entries if entry.shown]

    @property
    def nbytes(self) -> int:
        """Memory of all its curves, and of the tables that its runs share."""
        tables = {entry.run.table for entry in self.entries if entry.run.table is not None}
        return sum(entry.run.nbytes for entry in self.entries) + sum(table.nbytes for table in tables)

    @property
    def nbytes_with_states(self) -> int:
        """Memory of all that is held for its runs, if each could still be continued."""
        return self.nbytes + sum(
            BYTES_OF_A_RUN + methods.state_bytes(entry.run.config) for entry in self.entries
        )

    def let_oldest_go(self) -> Run | None:
        """Drop the oldest run that is over. None if there is no such run."""
        for entry in self.entries:
            if entry.run.over:
                self.remove(entry)
                self.let_go += 1
                return entry.run
        return None


def name_of(config: Config) -> str:
    """Return what tells a run apart, in every language: its backend, and the fields that differ from the
    tutorial's."""
    fields = {name: value for name, value in config.to_query().items() if name not in ("backend", "table")}
    parts = [BACKENDS[config.backend]]
    for name, value in fields.items():
        named = not isinstance(getattr(config, name), str)
        parts.append(f"{'η' if name == 'learning_rate' else name} = {value}" if named else str(value))
    return ", ".join(parts)


class Histories:
    """The histories of all visitors, by token. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._histories: OrderedDict[str, History] = OrderedDict()
        self._sessions: defaultdict[str, int] = defaultdict(int)

    def of(self, token: str) -> History:
        """The history of a visitor, empty at first."""
        with self._lock:
            history = self._histories.setdefault(token, History())
            self._histories.move_to_end(token)
            return history

    def connected(self, token: str) -> None:
        """A session with this token has begun."""
        with self._lock:
            self._sessions[token] += 1

    def disconnected(self, token: str) -> None:
        """A session with this token has lost its connection."""
        with self._lock:
            self._sessions[token] -= 1
            if self._sessions[token] <= 0:
                del self._sessions[token]

    def is_free(self, token: str) -> bool:
        """Whether this token has a history that no session is looking at."""
        with self._lock:
            return token in self._histories and token not in self._sessions

    def is_taken(self, token: str) -> bool:
        """Whether a session is looking at this token's history."""
        with self._lock:
            return token in self._sessions

    def trim(self, token: str) -> list[Run]:
        """Keep within the limits: of a visitor's runs, of all visitors, of all memory. Those who left go
        first, then whoever was here longest ago; returns the runs that were let go."""
        gone = []
        with self._lock:
            history = self._histories.get(token, History())
            while len(history.entries) > MOST_RUNS and (run := history.let_oldest_go()):
                gone.append(run)
            absent = {
                other: past.nbytes_with_states
                for other, past in self._histories.items()
                if other not in self._sessions
            }
            of_absent = sum(absent.values())
            total = sum(other.nbytes for other in self._histories.values())
            for other, size in absent.items():
                if (
                    len(self._histories) <= MOST_VISITORS
                    and of_absent <= MOST_BYTES_OF_ABSENT
                    and total <= MOST_BYTES
                ):
                    break
                past = self._histories.pop(other)
                gone += [entry.run for entry in past.entries]
                of_absent -= size
                total -= past.nbytes
            for present in list(self._histories.values()):
                if total <= MOST_BYTES:
                    break
                size = present.nbytes
                while total > MOST_BYTES and (run := present.let_oldest_go()):
                    gone.append(run)
                    total, size = total - size + present.nbytes, present.nbytes
        return gone
