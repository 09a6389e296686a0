"""How many uploaded files of a session the web server keeps: by itself, Streamlit keeps all of them."""

import re

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime import get_instance

MOST_FILES = 8
"""Of one session. A page shows one, and the browser deletes what another replaces."""
_PATH = re.compile(r"/_stcore/upload_file/([^/]+)/[^/]+/?")


class Uploads:
    """ASGI middleware: forget the oldest files of a session that sends more than `MOST_FILES`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on. What it uploads may be one file too many."""
        await self.app(scope, receive, send)
        found = _PATH.search(scope["path"]) if scope["type"] == "http" else None
        if found is not None and scope["method"] == "PUT":
            _forget_oldest(found[1])


def _forget_oldest(session: str) -> None:
    manager = get_instance().uploaded_file_mgr
    files = getattr(manager, "file_storage", {}).get(session, {})
    for file in list(files)[:-MOST_FILES]:
        manager.remove_file(session, file)  # type: ignore[attr-defined]  # of the one that keeps them in memory


MIDDLEWARE = (Middleware(Uploads),)
