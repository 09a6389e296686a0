"""What workers execute: the chunks of a run, the time limit of a task, and their own preparation."""

import faulthandler
import itertools
import secrets
from collections.abc import Callable
from dataclasses import replace
from threading import Thread
from time import perf_counter, thread_time
from typing import Any

from distributed import WorkerPlugin

from twolayer.training import capabilities, kernels, learned, training
from twolayer.training.config import RANDOM, Config
from twolayer.training.data import own
from twolayer.training.data.own import OwnTable
from twolayer.training.laps import FREE_SECONDS, paid
from twolayer.training.machine import keep_freed_memory
from twolayer.training.problem import Problem
from twolayer.training.training import Chunk

_PROCESS = secrets.token_hex(4)
_numbers = itertools.count()


def new_key(name: str) -> str:
    """Return a key for a task that no other task has, also where several dashboards use one scheduler."""
    return f"{name}-{_PROCESS}-{next(_numbers)}"


def within(seconds: float, function: Callable[..., Any], *values: Any) -> Any:
    """Return `function(*values)`; end the worker's process if that takes longer than `seconds`.

    Another worker then takes its place and computes the task again. The clock runs while the task is
    computed, not while it waits. It runs in a thread that does not need the interpreter, and so also
    ends a call that never releases it. One task at a time in a process.
    """
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        return function(*values)
    finally:
        faulthandler.cancel_dump_traceback_later()


def timed(
    _place: Any, table: OwnTable | None, function: Callable[..., Any], *values: Any
) -> tuple[float, Any]:
    """Return the seconds that `function(*values)` takes with a `table` of one's own, and what it returns.

    Dask computes it on the worker that has the result `_place`, if that is not None.
    """
    before = perf_counter()
    with own.in_use(table):
        result = function(*values)
    return perf_counter() - before, result


def here() -> bool:
    """Return a result that stands for the worker it is on."""
    return True


def prepare(config: Config, table: OwnTable | None) -> Problem:
    """Return the problem of a run, with held-out rows, of a table of one's own if it has one."""
    with own.in_use(table):
        return training.prepare(config, tested=True)


def kept(table: OwnTable) -> OwnTable:
    """Return a table: the task that the tasks of a job take it from."""
    return table


def advance(config: Config, problem: Problem, previous: Chunk | None, steps: int) -> Chunk:
    """Return the next chunk of a run, with a picture of what has been learned of a data set unless pictures
    have taken too long of late. Without a `previous` chunk, it is the first."""
    before = training.start(config, problem) if previous is None else previous
    chunk = training.advance(config, problem, before, steps)
    if config.data == RANDOM or problem.held_out is None or not len(chunk.losses):
        return chunk
    debt = paid(before.picture_debt, chunk.seconds)
    if debt > FREE_SECONDS and chunk.step < config.steps:
        return replace(chunk, picture_debt=debt)
    began = thread_time()
    w1, w2 = training.weights(config, problem, chunk)
    picture = learned.picture(config, problem.held_out, w1, w2, chunk.step)
    return replace(chunk, picture=picture, picture_debt=debt + thread_time() - began)


def report(chunk: Chunk) -> Chunk:
    """Return what the web process needs of a chunk: all but its state."""
    return replace(chunk, state={})


class WarmUp(WorkerPlugin):  # type: ignore[misc]  # distributed has no types
    """Prepares a new worker: sets its allocator. With `preload`, loads all kernels in the background."""

    name = "twolayer-warm-up"

    def __init__(self, *, preload: bool) -> None:
        self.preload = preload

    def setup(self, worker: Any) -> None:
        """Prepare a worker. Called by Dask."""
        keep_freed_memory()
        if self.preload:
            Thread(target=lambda: capabilities.failures.update(kernels.load_all()), daemon=True).start()
