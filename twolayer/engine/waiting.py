"""Why a run or job waits: the reason, its place, and an estimate, as data and as a sentence."""

from dataclasses import dataclass
from typing import Literal

from twolayer.training.messages import Message

LONG_SECONDS = 60.0
"""Who waits for longer is told what would start now."""


@dataclass(frozen=True)
class Wait:
    """What a run or job waits for."""

    reason: Literal["cluster", "memory", "race", "workers"]
    ahead: int = 0
    """How many are served first: requests for memory, or visitors at the workers."""
    seconds: float = 0.0
    """Estimated seconds until it starts, at most; 0 if that is soon or not known."""
    needed_mb: int = 0
    free_mb: int = 0
    """How much memory a run could have at once."""

    @property
    def message(self) -> Message:
        """The reason as a sentence."""
        if self.reason == "cluster":
            return Message.of("Waiting for the compute cluster to start.")
        if self.reason == "workers":
            return Message.of("Waiting for a free worker. Other visitors ahead: {ahead}", ahead=self.ahead)
        seconds = f"{max(1.0, self.seconds):.0f}"
        if self.reason == "race":
            return Message.of(
                "Waiting for the current round of a race, which needs all workers to itself. Time left: "
                "about {seconds} s",
                seconds=seconds,
            )
        if self.seconds > LONG_SECONDS and self.free_mb:
            return Message.of(
                "Waiting for {needed} MB of memory. Ahead in the queue: {ahead}. Starts within about "
                "{seconds} s. A run that needs at most {free} MB would start now.",
                needed=self.needed_mb,
                ahead=self.ahead,
                seconds=seconds,
                free=self.free_mb,
            )
        return Message.of(
            "Waiting for {needed} MB of memory. Ahead in the queue: {ahead}. Starts within about "
            "{seconds} s.",
            needed=self.needed_mb,
            ahead=self.ahead,
            seconds=seconds,
        )
