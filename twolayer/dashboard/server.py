"""What the visitors of one server share: the engine; and who is still there."""

import atexit
import gc
import secrets
from dataclasses import dataclass

import streamlit as st

from twolayer.engine import Engine
from twolayer.settings import from_environment

FASTEST_REDRAW = 0.2
REDRAW_SECONDS_PER_LIVE_RUN = 0.02


@st.cache_resource(show_spinner=False)
def engine() -> Engine:
    """The engine of this process. Raises `SettingError` if the environment cannot be used."""
    made = Engine(from_environment())
    atexit.register(made.close)
    # All that start-up has loaded stays: the collector need not look through it again.
    gc.collect()
    gc.freeze()
    return made


def redraw_seconds() -> float:
    """Time between two redraws of a live page: longer the more runs are live on the server."""
    return max(FASTEST_REDRAW, REDRAW_SECONDS_PER_LIVE_RUN * len(engine().live))


@dataclass(frozen=True)
class _Presence:
    viewer: str
    engine: Engine

    def end(self) -> None:
        self.engine.left(self.viewer)


@st.cache_resource(scope="session", show_spinner=False, on_release=_Presence.end)
def _presence() -> _Presence:
    # Made when a session begins and made again when a lost connection is back.
    viewer = st.session_state.setdefault("viewer", secrets.token_hex(16))
    engine().arrived(viewer)
    return _Presence(viewer, engine())


def viewer() -> str:
    """The name of this visitor's session, known to the engine as long as it is connected."""
    return _presence().viewer
