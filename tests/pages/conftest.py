"""The pages in Streamlit's own test runner, on one real engine."""

import secrets
from collections.abc import Iterator

import pytest

from twolayer.dashboard.common import server, visitors
from twolayer.engine.engine import Engine


@pytest.fixture(scope="session", autouse=True)
def engine() -> Iterator[Engine]:
    """The engine that the pages of this process share; closed at the end."""
    engine = server.engine()
    yield engine
    engine.close()


@pytest.fixture(autouse=True)
def _visitor(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test is a visitor of its own: the test runner gives all of them the same session."""
    presence = visitors._Presence(secrets.token_hex(16))
    monkeypatch.setattr(visitors, "_presence", lambda: presence)
    yield
    presence.end()
    engine = server.engine()
    for task in list(engine.live.values()):
        engine.stop(task)  # or the workers go on with it for as long as a visitor may be away
