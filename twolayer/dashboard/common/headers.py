"""What each answer of the web server says to browsers, and the one path of Streamlit's that it hides."""

import secrets

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'self'; object-src 'none'; base-uri 'self'",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
HIDDEN = "/metrics"
"""End of the path of Streamlit's figures about the server, under whatever page."""
BROWSER = "twolayer-browser"
"""The cookie that the tabs of a browser have in common, until it is closed: they share one part of the
server. Nothing else depends on it."""


class Headers:
    """ASGI middleware: add `HEADERS` to each answer, and answer 404 in the place of what is hidden."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, unless it asks for what is hidden."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if headers.get("content-type", "").startswith("text/html"):
                    _name_the_browser(HTTPConnection(scope), headers)
            await send(message)

        is_hidden = scope["type"] == "http" and scope["path"].rstrip("/").endswith(HIDDEN)
        await (Response(status_code=404) if is_hidden else self.app)(scope, receive, with_headers)


def _name_the_browser(request: HTTPConnection, headers: MutableHeaders) -> None:
    """Set the cookie of a browser that has none."""
    if BROWSER not in request.cookies:
        answer, is_secure = Response(), request.url.scheme == "https"
        answer.set_cookie(BROWSER, secrets.token_hex(16), httponly=True, samesite="lax", secure=is_secure)
        headers.append("set-cookie", answer.headers["set-cookie"])


MIDDLEWARE = (Middleware(Headers),)
