"""Shares: whose work the workers compute next, and when a task has the cluster to itself.

The policy is start-time fair queueing (Goyal, Vin and Cheng, 1996) between visitors: the tabs, runs and
jobs of one visitor share one part. Each visitor has a clock, the seconds of workers' time used so far,
and a task is submitted with a tag, its visitor's clock when it will start. Dask's workers compute the
ready task with the lowest tag first.

The server has a clock too, which shows at least the lowest clock of the visitors that are served. A
visitor's clock is kept near it. Time that was not used is not saved up, except for `CREDIT_SECONDS`, with
which somebody who has just come is served at once; who used an idle server owes `DEBT_SECONDS` at most.
While somebody is served on credit, the server's clock advances slowly (`AGEING`), so that a stream of new
visitors shuts nobody out.

No task can be interrupted. So that nobody waits for the end of a long one, long tasks together leave one
worker free, and an exclusive task has the cluster to itself for `PATIENCE_SECONDS` at most.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Literal

from twolayer.engine.waiting import Wait

CREDIT_SECONDS = 1.0
DEBT_SECONDS = 10.0
AGEING = 0.25
"""By this fraction of a fair share the server's clock advances in any case."""
RANK_SECONDS = 2.0
"""By so much time work gives way to work of the next lower rank."""
PATIENCE_SECONDS = 0.6
"""A task that takes longer counts as long."""
MOST_CLOCKS = 1000

Rank = Literal[0, 1, 2]
"""0: runs, and single tasks that a visitor waits for. 1: the tasks of larger jobs. 2: what gives way to
both."""


@dataclass(eq=False)
class Turn:
    """A task that is computed, or waits to be submitted."""

    visitor: str
    seconds: float
    """How long it takes: first as expected, at the end as measured."""
    rank: Rank = 0
    width: int = 1
    """How many workers, or cores, it takes."""
    is_exclusive: bool = False
    is_long: bool = False
    """Whether it is so long that it must leave a worker to others."""
    tag: float = 0.0
    shift: float = 0.0
    """What is added to the tag where other processes submit tasks too: their clocks are others."""
    since: float = 0.0
    """When it was admitted, by the monotonic clock."""
    admitted: asyncio.Event = field(default_factory=asyncio.Event)

    def admit(self) -> None:
        """Let it begin."""
        if not self.admitted.is_set():
            self.since = monotonic()
            self.admitted.set()

    @property
    def cost(self) -> float:
        """Seconds of workers' time."""
        return self.width * self.seconds

    @property
    def seconds_left(self) -> float:
        """Seconds until its end, as expected. It must have been admitted."""
        return max(0.0, self.seconds - (monotonic() - self.since))

    @property
    def priority(self) -> float:
        """Its priority for Dask, where the highest goes first."""
        return -(self.tag + self.shift)


class Shares:
    """The turns at the workers. For coroutines of one event loop.

    The tags of the shared turns that are admitted decide at the workers. But a worker that has computed one
    chunk of a run takes whatever else is there before it hears of the next chunk. So a turn waits if others
    are clearly before it, unless they leave a worker. An exclusive turn comes when no other visitor's next
    task has a lower tag. It closes the shares to new turns, waits for the end of those that were admitted,
    and is alone. Shared turns that waited meanwhile come before the next exclusive one. The shares are closed
    for `PATIENCE_SECONDS` at most; then the exclusive turn becomes a shared one.
    """

    def __init__(
        self,
        workers: Callable[[], int],
        wall_clock: Callable[[], float] = time,
        *,
        has_peers: bool = False,
    ) -> None:
        """`workers` returns the number of workers. With `has_peers`, other processes may use them too."""
        self.exclusive: Turn | None = None
        """The exclusive turn that is admitted, or waits for the end of shared turns only."""
        self.workers = workers
        self._wall_clock = wall_clock
        self._now = wall_clock()
        self._has_peers, self._shift = has_peers, 0.0
        self._clocks: dict[str, float] = {}
        self._at_work: Counter[str] = Counter()
        self._shared: list[Turn] = []
        self._waiting: list[Turn] = []
        self._waiting_exclusive: list[Turn] = []
        self._reopening: asyncio.TimerHandle | None = None

    def clock(self, visitor: str) -> float:
        """Return the seconds that a visitor counts as having used."""
        used = self._clocks.get(visitor, 0.0)
        return min(max(used, self._now - CREDIT_SECONDS), self._now + DEBT_SECONDS)

    def wait(self, visitor: str) -> Wait:
        """Return what the next task of a visitor waits for, from any thread."""
        alone = [turn for turn in list(self._shared) if turn.is_exclusive and self.workers() == 1]
        race = self.exclusive or next(iter(alone), None)
        if race is not None and race.admitted.is_set():
            return Wait("race", seconds=race.seconds_left)
        clock = self.clock(visitor)
        return Wait("workers", ahead=sum(self.clock(other) < clock for other in list(self._at_work)))

    def would_wait(self, turn: Turn) -> bool:
        """Return whether a shared turn would not be admitted at once."""
        turn.tag = self._tag(turn)
        return self.exclusive is not None or not self._has_room(turn)

    def begin_work(self, visitor: str) -> None:
        """Count a visitor as at work: the server's clock advances with its share in mind."""
        if not self._at_work:
            # Several processes may use one scheduler: when idle, all their clocks show the same.
            self._now = max(self._now, self._wall_clock())
        self._clocks[visitor] = self.clock(visitor)
        self._at_work[visitor] += 1

    def end_work(self, visitor: str) -> None:
        """End what `begin_work` began."""
        self._at_work -= Counter((visitor,))

    async def enter(self, turn: Turn) -> None:
        """Wait for a turn, to be ended by `leave`. A cancelled call has ended it.

        Who has a shared turn already must not ask for another that `would_wait`.
        """
        self.begin_work(turn.visitor)
        turn.tag, turn.shift = self._tag(turn), self._shift
        (self._waiting_exclusive if turn.is_exclusive else self._waiting).append(turn)
        self._next()
        try:
            await turn.admitted.wait()
        except BaseException:
            turn.seconds = 0.0
            self.leave(turn)
            raise

    def leave(self, turn: Turn) -> None:
        """End a turn. Its `seconds` should be what it took."""
        self._charge(turn)
        for turns in (self._shared, self._waiting, self._waiting_exclusive):
            if turn in turns:
                turns.remove(turn)
        if self.exclusive is turn:
            self._open()
        self.end_work(turn.visitor)
        self._next()

    def _tag(self, turn: Turn) -> float:
        before = sum(t.cost for t in self._shared if t.visitor == turn.visitor and t.rank <= turn.rank)
        return self.clock(turn.visitor) + before + RANK_SECONDS * turn.rank

    def _charge(self, turn: Turn) -> None:
        """Advance the clocks of a visitor and of the server."""
        self._clocks[turn.visitor] = self.clock(turn.visitor) + turn.cost
        self._now += AGEING * turn.cost / len(self._at_work)
        served = {turn.visitor, *(other.visitor for other in self._shared)}
        self._now = max(self._now, min(map(self.clock, served)))
        behind = self._wall_clock() - self._now
        if self._has_peers and abs(behind - self._shift) > CREDIT_SECONDS / 2:
            self._shift = behind  # nobody knows how fast the clocks of the others are
        if len(self._clocks) > MOST_CLOCKS:
            floor = self._now - CREDIT_SECONDS
            self._clocks = {who: used for who, used in self._clocks.items() if used > floor}

    def _next(self) -> None:
        """Admit whose turn it is."""
        if self.exclusive is None:
            for turn in sorted(self._waiting, key=lambda turn: (turn.rank, turn.tag)):
                turn.tag = self._tag(turn)
                if self._has_room(turn):
                    self._waiting.remove(turn)
                    self._shared.append(turn)
                    turn.admit()
            self._close_for(self._next_exclusive())
        if self.exclusive is not None and not self._shared:
            self.exclusive.admit()

    def _close_for(self, turn: Turn | None) -> None:
        """Admit nobody but this exclusive turn, if there is one, for a while."""
        self.exclusive = turn
        if turn is not None:
            self._reopening = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._share, turn)

    def _open(self) -> None:
        """Let others in again."""
        self.exclusive = None
        if self._reopening is not None:
            self._reopening.cancel()

    def _share(self, turn: Turn) -> None:
        """Let others in beside an exclusive turn."""
        self._open()
        turn.is_long = True
        self._shared.append(turn)
        turn.admit()
        self._next()

    def _has_room(self, turn: Turn) -> bool:
        """Return whether a shared turn may be admitted beside what is."""
        if turn.is_long and sum(other.is_long for other in self._shared) >= max(1, self.workers() - 1):
            return False
        tags = {t.visitor: self._tag(Turn(t.visitor, 0.0)) for t in self._shared if t.rank == 0}
        before = {visitor for visitor, tag in tags.items() if tag < turn.tag - CREDIT_SECONDS / 2}
        others = [other for other in self._shared if other.rank or other.visitor not in before]
        if before:
            return len(others) < self.workers() - len(before)
        return turn.rank == 0 or sum(other.rank > 0 for other in others) <= self.workers()

    def _next_exclusive(self) -> Turn | None:
        """Return the exclusive turn that the next tasks of all other visitors would come after."""
        first = min(self._waiting_exclusive, key=lambda turn: turn.tag, default=None)
        if first is None or any(turn.is_exclusive for turn in self._shared):
            return None
        others = {turn.visitor for turn in self._shared} - {first.visitor}
        if any(self._tag(Turn(other, 0.0)) < first.tag for other in others):
            return None
        self._waiting_exclusive.remove(first)
        return first
