"""Who is let in: how many runs and jobs may be live for one visitor, and on the server.

A run that is live is computed, or waits for memory or for a worker; one that is paused or has ended
takes no place.
"""

from collections.abc import Iterable

from twolayer.engine.job import Job
from twolayer.engine.run import Run
from twolayer.engine.settings import Settings
from twolayer.training.messages import Message, MessageError


class LimitError(MessageError, ValueError):
    """A run or a job that this server does not allow, or not now."""


def admit(settings: Settings, others: Iterable[Run | Job], viewer: str | None) -> None:
    """Raise `LimitError` if `viewer`, or the server, has as many live runs and jobs as it may."""
    live = [one for one in others if is_live(one)]
    theirs = sum(viewer is not None and one.viewer == viewer for one in live)
    if theirs >= settings.live_per_visitor:
        raise LimitError(
            Message.of(
                "You have {limit} runs at work, and this server allows no more for one visitor. "
                "Stop one of them, or wait for its end.",
                limit=settings.live_per_visitor,
            )
        )
    if len(live) >= settings.live:
        raise LimitError(
            Message.of(
                "This server has {limit} runs at work, and allows no more. Try again in a moment.",
                limit=settings.live,
            )
        )


def is_live(one: Run | Job) -> bool:
    """Whether it takes a place."""
    return one.live if isinstance(one, Run) else not one.over
