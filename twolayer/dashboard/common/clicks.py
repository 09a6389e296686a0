"""A click counts once. Streamlit's code in the browser sends it a moment after it is made, and once more if a
timer redraws a part of the page within that moment: Pause would pause and resume."""

from google.protobuf.message import DecodeError
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg


class Clicks:
    """ASGI middleware: take clicks out of what timers send. The message of the click itself follows."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what the browser sends over a WebSocket, and all else as it is."""

        async def without_clicks_of_timers() -> Message:
            message = await receive()
            if message.get("bytes"):
                message["bytes"] = _without_clicks_of_timers(message["bytes"])
            return message

        is_websocket = scope["type"] == "websocket"
        await self.app(scope, without_clicks_of_timers if is_websocket else receive, send)


def _without_clicks_of_timers(content: bytes) -> bytes:
    try:
        message = BackMsg.FromString(content)
    except DecodeError:
        return content  # Streamlit refuses it
    if not message.rerun_script.is_auto_rerun:
        return content
    states = message.rerun_script.widget_states.widgets
    values = [state for state in states if not str(state.WhichOneof("value")).endswith("trigger_value")]
    if len(values) == len(states):
        return content
    del states[:]
    states.extend(values)
    without: bytes = message.SerializeToString()
    return without


MIDDLEWARE = (Middleware(Clicks),)
