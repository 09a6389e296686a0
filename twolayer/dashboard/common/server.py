"""What the visitors of one server share: the engine, and the turns in which pages are drawn."""

import atexit
import functools
import gc
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import ParamSpec, TypeVar

import streamlit as st

from twolayer.engine import logs
from twolayer.engine.engine import Engine
from twolayer.engine.run import Run
from twolayer.engine.settings import SettingError, from_environment
from twolayer.training.machine import return_freed_memory
from twolayer.training.pace import step_seconds

P = ParamSpec("P")
T = TypeVar("T")

FASTEST_REDRAW = 0.2
REDRAW_SECONDS_PER_LIVE_RUN = 0.025


@st.cache_resource(show_spinner=False)
def engine() -> Engine:
    """The engine of this process. Raises `SettingError` if the environment cannot be used."""
    logs.to_standard_error()
    return_freed_memory()
    made = Engine(from_environment())
    atexit.register(made.close)
    # All that start-up has loaded stays: the collector need not look through it again.
    gc.collect()
    gc.freeze()
    return made


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Start the engine with the server, not with the first visitor. What is wrong in its settings, each page
    says."""
    with suppress(SettingError):
        engine()
    yield


SHORT_SECONDS = 0.25
PATIENCE_SECONDS = 1.0


def wait_a_moment(run: Run) -> None:
    """Wait for what is worth drawing: the end of a run that takes no time, which is then drawn once
    instead of being watched, or the first losses of a longer one. While the workers start there is nothing
    to wait for."""
    if engine().capabilities is None:
        return
    if not run.speed and step_seconds(run.config) * (run.limit - run.step) < SHORT_SECONDS:
        run.wait(PATIENCE_SECONDS)
    else:
        run.wait_for_losses(SHORT_SECONDS)


_turns = threading.Semaphore(2)


def in_turn(draw: Callable[P, T]) -> Callable[P, T]:
    """Let only a few threads at a time run `draw`: in a crowd each visitor is then served in turn, and
    half of them long before the last, instead of all of them at the end. The engine's thread, too, is
    not one of fifty that wait for the interpreter."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> T:
        with _turns:
            return draw(*args, **kwargs)

    return drawn


def redraw_seconds() -> float:
    """Time between two redraws of a live page: longer the more runs are live on the server."""
    return max(FASTEST_REDRAW, REDRAW_SECONDS_PER_LIVE_RUN * len(engine().live))
