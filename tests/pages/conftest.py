"""The pages in Streamlit's own test runner, on one real engine."""

from collections.abc import Iterator

import pytest

from twolayer.dashboard import server
from twolayer.engine import Engine


@pytest.fixture(scope="session", autouse=True)
def engine() -> Iterator[Engine]:
    """The engine that the pages of this process share; closed at the end."""
    engine = server.engine()
    yield engine
    engine.close()
