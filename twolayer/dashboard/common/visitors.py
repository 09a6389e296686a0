"""The visitors of this server: their connected sessions, their tokens, and what they have trained."""

import secrets

import streamlit as st

from twolayer.dashboard.common import server
from twolayer.dashboard.common.history import Histories, History
from twolayer.engine.run import Run


@st.cache_resource(show_spinner=False)
def histories() -> Histories:
    """Return what the visitors of this server have trained."""
    return Histories()


class _Presence:
    """A connected session, and whose it is."""

    def __init__(self, viewer: str) -> None:
        self.engine, self.histories = server.engine(), histories()
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
        server.engine().forget(gone)
