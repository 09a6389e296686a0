"""What the visitors of one server share: the engine; and who is still there."""

import atexit
import functools
import gc
import secrets
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import streamlit as st

from twolayer.dashboard.common.history import Histories, History
from twolayer.engine import logs
from twolayer.engine.engine import Engine
from twolayer.engine.run import Run
from twolayer.engine.settings import from_environment
from twolayer.training.pace import step_seconds

P = ParamSpec("P")
T = TypeVar("T")

FASTEST_REDRAW = 0.2
REDRAW_SECONDS_PER_LIVE_RUN = 0.08


@st.cache_resource(show_spinner=False)
def engine() -> Engine:
    """The engine of this process. Raises `SettingError` if the environment cannot be used."""
    logs.to_standard_error()
    made = Engine(from_environment())
    atexit.register(made.close)
    # All that start-up has loaded stays: the collector need not look through it again.
    gc.collect()
    gc.freeze()
    return made


SHORT_SECONDS = 0.25
PATIENCE_SECONDS = 1.0


def wait_a_moment(run: Run) -> None:
    """Wait for what is worth drawing: the end of a run that takes no time, which is then drawn once
    instead of being watched, or the first losses of a longer one."""
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


@st.cache_resource(show_spinner=False)
def histories() -> Histories:
    """What the visitors of this server have trained."""
    return Histories()


class _Presence:
    """A connected session, and whose it is."""

    def __init__(self, viewer: str) -> None:
        self.engine, self.histories = engine(), histories()
        self.viewer = viewer
        self._begin()

    def _begin(self) -> None:
        self.engine.arrived(self.viewer)
        self.histories.connected(self.viewer)

    def end(self) -> None:
        """The connection is gone."""
        self.engine.left(self.viewer)
        self.histories.disconnected(self.viewer)

    def become(self, viewer: str) -> None:
        """It turns out to be the session of another visitor."""
        self.end()
        self.viewer = viewer
        self._begin()


@st.cache_resource(scope="session", show_spinner=False, on_release=_Presence.end)
def _presence() -> _Presence:
    # Made when a session begins and made again when a lost connection is back.
    return _Presence(st.session_state.get("viewer") or secrets.token_hex(16))


def viewer() -> str:
    """The token of this visitor: known to the engine as long as the session is connected, told to nobody
    but the visitor's own tab."""
    token = st.session_state["viewer"] = _presence().viewer
    return token


def returned(before: str) -> bool:
    """The tab of this session had the token `before`, as after a reload: it is that visitor again, unless
    another session is. What was trained under the token of the meantime comes along. Whether it is worth
    asking again: another session has the token now, which may be the one that broke off."""
    if histories().is_taken(before):
        return True
    if histories().is_free(before):
        meantime = history().entries
        _presence().become(before)
        viewer()
        for entry in meantime:
            entry.run.viewer = before
            history().adopt(entry)
        entries = history().entries
        st.session_state["run"] = entries[-1].run if entries else None
    return False


def history() -> History:
    """The runs of this visitor."""
    return histories().of(viewer())


def keep(run: Run, name: str) -> None:
    """Put a new run into the visitor's history, within the limits of the server."""
    history().add(run, name)
    for gone in histories().trim(viewer()):
        engine().forget(gone)
