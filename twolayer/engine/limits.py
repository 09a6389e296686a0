"""Everything a server refuses: memory, computing time, and the number of live runs and jobs.

A run or job is live while it is computed, or waits for memory or a worker. One that is paused or over
does not count.
"""

from collections.abc import Iterable

from twolayer.engine.settings import MB, Settings
from twolayer.engine.task import Task
from twolayer.training import methods, pace
from twolayer.training.config import Config
from twolayer.training.data import DataError, why_missing
from twolayer.training.data.own import CSV
from twolayer.training.messages import Message, MessageError

TRAINING_SHARE = 10
"""A training of a sweep cannot be stopped on its way: it may take this fraction of a run's time."""
SWEEP_FACTOR = 10
"""A sweep may compute this many times as long as a run."""

REPETITION_FACTOR = 2
"""A run that repeats the steps of another, perhaps on a busier machine, may take so many times as long."""


class LimitError(MessageError, ValueError):
    """A run or job that this server does not allow, or not at the moment."""


def admit(settings: Settings, others: Iterable[Task], visitor: str | None) -> None:
    """Raise `LimitError` if the visitor, or the server, has as many live runs and jobs as allowed."""
    live = [task for task in others if task.live]
    theirs = sum(visitor is not None and task.visitor == visitor for task in live)
    if theirs >= settings.live_per_visitor:
        raise LimitError.of(
            "You already have {limit} active runs, the most this server allows per visitor. Stop one, "
            "or wait for one to finish.",
            limit=settings.live_per_visitor,
        )
    if len(live) >= settings.live:
        raise LimitError.of(
            "The server is at its limit of {limit} active runs. Try again in a moment.",
            limit=settings.live,
        )


def check_memory(settings: Settings, needed_bytes: int) -> None:
    """Raise `LimitError` for more memory than all runs together may take."""
    limit, needed = settings.memory_mb, -(-needed_bytes // MB)
    if needed > limit:
        raise LimitError.of(
            "This run needs {needed} MB of memory; this server allows {limit} MB. Use smaller "
            "dimensions, or float32.",
            needed=needed,
            limit=limit,
        )


def engine_bytes(config: Config) -> int:
    """Return the estimated memory in bytes of a run on the engine.

    A worker has all but the losses; the web process has the checkpoint, which counts there, and the losses.
    """
    return methods.working_bytes(config) + methods.losses_bytes(config)


def check_run(settings: Settings, config: Config) -> None:
    """Raise `LimitError` for a run that takes too much memory, or whose single step takes too long."""
    check_memory(settings, engine_bytes(config))
    seconds = pace.slow_step_seconds(config)
    if seconds > settings.max_seconds:
        raise LimitError.of(
            "One step would take about {seconds:.0f} s; this server allows {limit} s for the whole "
            "run. Use smaller dimensions.",
            seconds=seconds,
            limit=settings.max_seconds,
        )


def check_data(config: Config) -> None:
    """Raise `DataError` for a run on a table of one's own that is not here."""
    missing = why_missing(config.data, config.table) if config.data == CSV else None
    if missing is not None:
        raise DataError(missing)


def check_race(settings: Settings, seconds: float) -> None:
    """Raise `LimitError` for a race that takes longer than a run may."""
    if seconds > settings.max_seconds:
        raise LimitError.of(
            "This race would take about {seconds:.0f} s; this server allows {limit} s. Use fewer "
            "rounds or implementations, or smaller dimensions.",
            seconds=seconds,
            limit=settings.max_seconds,
        )


def check_sweep(settings: Settings, seconds: float, longest: float) -> None:
    """Raise `LimitError` for a sweep that takes too long in total, or whose longest training does."""
    most = SWEEP_FACTOR * settings.max_seconds
    if seconds > most or longest > settings.max_seconds / TRAINING_SHARE:
        raise LimitError.of(
            "This would take about {seconds} s (up to {longest} s per run); this server allows {most} "
            "s in total and {each} s per run. Use fewer or smaller runs.",
            seconds=f"{seconds:,.0f}",
            longest=f"{longest:,.0f}",
            most=f"{most:,}",
            each=f"{settings.max_seconds // TRAINING_SHARE:,}",
        )


def out_of_wall_time(seconds: int) -> Message:
    """Return why a run or job was stopped that has been live for too long."""
    return Message.of(
        "Stopped: this server limits a run to {limit} s from start to end, waiting and slow motion included.",
        limit=seconds,
    )


def out_of_time(max_seconds: int) -> Message:
    """Return why a run was stopped that has computed for too long."""
    return Message.of(
        "Stopped: this server limits a run to {limit} s of computing time. Use fewer steps or smaller "
        "dimensions.",
        limit=max_seconds,
    )
