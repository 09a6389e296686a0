"""What each answer of the web server says to browsers, and the one path of Streamlit's that it hides."""

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
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


class Headers:
    """ASGI middleware: add `HEADERS` to each answer, and answer 404 in the place of what is hidden."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, unless it asks for what is hidden."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        is_hidden = scope["type"] == "http" and scope["path"].rstrip("/").endswith(HIDDEN)
        await (Response(status_code=404) if is_hidden else self.app)(scope, receive, with_headers)


MIDDLEWARE = (Middleware(Headers),)
