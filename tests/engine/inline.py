"""A client without a cluster: each task is computed in this process, when its result is asked for, and a step
takes as long as a test says, by a clock that stands still meanwhile."""

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from twolayer.engine.shares import Shares, Turn
from twolayer.training.training import Chunk


class Clock:
    """A monotonic clock that only tasks and waiting move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        await asyncio.sleep(0)


@dataclass(eq=False)
class Future:
    """A task that was submitted, as distributed's futures are."""

    client: "Client"
    name: str
    function: Any
    values: tuple[Any, ...]
    priority: float
    arrived: bool = False
    released: bool = False

    @cached_property
    def result(self) -> Any:
        values = (value.result if isinstance(value, Future) else value for value in self.values)
        return self.client.timed(self.function(*values))

    def release(self) -> None:
        self.released = True


@dataclass
class Client:
    """What the loops want of distributed's client."""

    clock: Clock
    step_seconds: float = 1e-3
    """What a step takes."""
    tasks: list[Future] = field(default_factory=list)
    """All that was submitted, in order."""

    def submit(self, function: Any, *values: Any, key: str, pure: bool, priority: float) -> Future:
        """Submit a task. Its name is the first word of its key."""
        assert not pure
        assert key not in (task.name for task in self.tasks)
        self.tasks.append(Future(self, key.partition("-")[0], function, values, priority))
        return self.tasks[-1]

    def as_current(self) -> Any:
        return nullcontext()

    def timed(self, result: Any) -> Any:
        """Return a result as if its steps had taken as long as they should."""
        if not isinstance(result, Chunk) or not len(result.losses):
            return result
        laps = np.array([[len(result.losses), len(result.losses) * self.step_seconds]])
        return replace(result, laps=laps, processor_seconds=laps[0, 1])

    def named(self, name: str) -> list[Future]:
        """The tasks of a name."""
        return [task for task in self.tasks if task.name == name]

    async def fetched(self, future: Future) -> Any:
        await asyncio.sleep(0)
        result = future.result
        if isinstance(result, Chunk) and not future.arrived:
            self.clock.now += result.seconds
        future.arrived = True
        return result


class Watched(Shares):
    """Shares that remember all turns, with the seconds that were expected of each."""

    def __init__(self, workers: int = 4) -> None:
        super().__init__(lambda: workers, lambda: 1000.0)
        self.turns: list[tuple[Turn, float]] = []

    async def enter(self, turn: Turn) -> None:
        self.turns.append((turn, turn.seconds))
        await super().enter(turn)
