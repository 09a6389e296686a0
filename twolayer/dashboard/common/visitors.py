"""The visitors of this server: their connected sessions, their tokens, and what they have trained."""

import re
import secrets

import streamlit as st

from twolayer.dashboard.common import server
from twolayer.dashboard.common.headers import BROWSER
from twolayer.dashboard.common.history import Histories, History
from twolayer.engine.run import Run
from twolayer.engine.task import OWNER_LENGTH

HALF_TOKEN = re.compile(rf"[0-9a-f]{{{OWNER_LENGTH}}}")


@st.cache_resource(show_spinner=False)
def histories() -> Histories:
    """Return what the visitors of this server have trained."""
    return Histories()


class _Presence:
    """A connected session, and whose it is."""

    def __init__(self, visitor: str) -> None:
        self.engine, self.histories = server.engine(), histories()
        self.visitor = visitor
        self._begin()

    def _begin(self) -> None:
        self.engine.arrived(self.visitor)
        self.histories.connected(self.visitor)

    def end(self) -> None:
        """The connection is gone."""
        self.engine.left(self.visitor)
        self.histories.disconnected(self.visitor)

    def become(self, visitor: str) -> None:
        """It turns out to be the session of another visitor."""
        self.end()
        self.visitor = visitor
        self._begin()


@st.cache_resource(scope="session", show_spinner=False, on_release=_Presence.end)
def _presence() -> _Presence:
    # Made when a session begins and made again when a lost connection is back.
    return _Presence(st.session_state.get("visitor") or _new_token())


def _new_token() -> str:
    """Return what its browser's tabs have in common, if that is known, and then what this tab has alone."""
    browser, tab = str(st.context.cookies.get(BROWSER)), secrets.token_hex(16)
    return (browser if HALF_TOKEN.fullmatch(browser) else tab) + tab


def token() -> str:
    """The token of this visitor: known to the engine as long as the session is connected, told to nobody
    but the visitor's own tab."""
    token = st.session_state["visitor"] = _presence().visitor
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
        token()
        for entry in meantime:
            entry.run.visitor = before
            history().adopt(entry)
        entries = history().entries
        st.session_state["run"] = entries[-1].run if entries else None
    return False


def history() -> History:
    """The runs of this visitor."""
    return histories().of(token())


def keep(run: Run) -> None:
    """Put a new run into the visitor's history, within the limits of the server."""
    history().add(run)
    for gone in histories().trim(token()):
        server.engine().forget(gone)
