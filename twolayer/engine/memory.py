"""The memory that the runs and jobs of a server share, and who gives it back to whom.

A request that fits is granted, also past a larger one that waits. So that nobody is shut out:

- An eighth is for small requests alone. A large one that needs more than the rest counts as the rest.
- A holder is asked to give its memory back, and goes on from its checkpoint later, for a visitor who has
  used less of the workers (`Shares.clock`). In slow motion it is asked first, whatever was used.
- After `DUE_SECONDS`, a request asks every holder, and no other large request passes it.
- A holder keeps what it has for a while in which it computes more than the change costs.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

from twolayer.engine.settings import MB
from twolayer.engine.shares import CREDIT_SECONDS, Shares
from twolayer.engine.waiting import Wait
from twolayer.training.pace import transfer_seconds

SMALL_SHARE = 8
"""Small requests have this fraction for themselves, and a request of half of it counts as small."""
DUE_SECONDS = 20.0
TENURE_FACTOR = 10
"""A holder keeps its memory for this many times the time that the memory takes to travel."""
MOST_TENURE_SECONDS = 15.0
CHECK_SECONDS = 0.2


@dataclass(eq=False)
class Lease:
    """Memory that a visitor's run or job has, or waits for."""

    visitor: str
    size: int
    """Bytes."""
    is_idle: Callable[[], bool] = lambda: False
    """Whether its holder could as well do without for a while."""
    since: float = field(default_factory=monotonic)
    """When it was asked for, then when it was granted, by the monotonic clock."""
    granted: asyncio.Event = field(default_factory=asyncio.Event)
    wanted: bool = False
    """Whether its holder is asked to give it back."""

    @property
    def age(self) -> float:
        """Seconds for which it has waited, or is held."""
        return monotonic() - self.since

    @property
    def tenure(self) -> float:
        """Seconds for which it may be held whoever waits."""
        return min(MOST_TENURE_SECONDS, TENURE_FACTOR * transfer_seconds(self.size))


class Memory:
    """Leases of so many bytes together. For coroutines of one event loop."""

    def __init__(self, size: int, shares: Shares) -> None:
        self._size, self._shares = size, shares
        self._for_small = size // SMALL_SHARE
        self._held: list[Lease] = []
        self._waiting: list[Lease] = []
        self._check: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def held(self, lease: Lease) -> AsyncIterator[None]:
        """Wait for a lease and hold it. A size beyond the total must be refused before."""
        self._shares.begin_work(lease.visitor)
        self._waiting.append(lease)
        try:
            try:
                self._distribute()
                await lease.granted.wait()
            finally:
                self._shares.end_work(lease.visitor)
            yield
        finally:
            for leases in (self._held, self._waiting):
                if lease in leases:
                    leases.remove(lease)
            self._distribute()

    def wait(self, lease: Lease) -> Wait | None:
        """Return what a request waits for, or None if it has been granted. From any thread."""
        order = self._in_order()
        if lease not in order:
            return None
        before = order[: order.index(lease)]
        tenures = [other.tenure for other in [*self._held, *before]]
        seconds = max(0.0, DUE_SECONDS - lease.age) + max(tenures, default=0.0) * (1 + len(before))
        needed, free = -(-lease.size // MB), self.free // MB
        return Wait("memory", len(before), seconds, needed, free if free < needed else 0)

    @property
    def free(self) -> int:
        """The largest size that would be granted at once, from any thread."""
        held = list(self._held)
        small = min(self._for_small // 2, self._size - self._sum(held))
        large = 0 if self._is_one_due() else self._size - self._for_small - self._sum(held)
        return max(0, small, large)

    def _in_order(self) -> list[Lease]:
        """Return the requests, the first to be granted first."""
        clock = self._shares.clock
        return sorted(
            self._waiting,
            key=lambda one: (0, one.since) if self._is_due(one) else (1, clock(one.visitor), one.since),
        )

    def _is_due(self, lease: Lease) -> bool:
        return lease.age > DUE_SECONDS

    def _is_one_due(self) -> bool:
        return any(self._is_due(lease) and not self._is_small(lease) for lease in list(self._waiting))

    def _is_small(self, lease: Lease) -> bool:
        return 2 * lease.size <= self._for_small

    def _sum(self, leases: Sequence[Lease]) -> int:
        """Return the bytes that leases count as."""
        most = self._size - self._for_small
        return sum(min(lease.size, most) for lease in leases)

    def _fits(self, lease: Lease, held: Sequence[Lease], *, reserved: bool = False) -> bool:
        """Return whether a request could be granted beside what is `held`.

        If a large request before it has `reserved` the memory, only what is for small requests is left.
        """
        alike = [other for other in held if self._is_small(other) == self._is_small(lease)]
        if self._is_small(lease):
            within = not reserved or self._sum([*alike, lease]) <= self._for_small
        else:
            within = not reserved and self._sum([*alike, lease]) <= self._size - self._for_small
        return within and self._sum([*held, lease]) <= self._size

    def _distribute(self) -> None:
        """Grant what fits, and ask for the rest."""
        reserved = False
        for lease in self._held:
            lease.wanted = False
        for lease in self._in_order():
            if self._fits(lease, self._held, reserved=reserved):
                self._waiting.remove(lease)
                self._held.append(lease)
                lease.since = monotonic()
                lease.granted.set()
            else:
                self._ask_for(lease, reserved=reserved)
                reserved = reserved or (self._is_due(lease) and not self._is_small(lease))
        if self._check is not None:
            self._check.cancel()
        self._check = None
        if self._waiting:
            self._check = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._distribute)

    def _ask_for(self, lease: Lease, *, reserved: bool) -> None:
        """Ask as many holders as it takes to give back, if together they have enough."""
        asked: list[Lease] = []
        rest = [held for held in self._held if not held.wanted]
        candidates = [held for held in rest if self._may_ask(lease, held)]
        candidates.sort(key=lambda held: (held.is_idle(), self._shares.clock(held.visitor), held.since))
        while candidates and not self._fits(lease, rest, reserved=reserved):
            asked.append(candidates.pop())
            rest.remove(asked[-1])
        if self._fits(lease, rest, reserved=reserved):
            for held in asked:
                held.wanted = True

    def _may_ask(self, lease: Lease, held: Lease) -> bool:
        if held.age < held.tenure or (self._is_small(lease) and not self._is_small(held)):
            return False
        if held.is_idle() or self._is_due(lease):
            return True
        if lease.is_idle():
            return False
        # Not for a small difference: visitors who are served alike would take it from each other in turns.
        clock = self._shares.clock
        return clock(held.visitor) > clock(lease.visitor) + CREDIT_SECONDS / 2
