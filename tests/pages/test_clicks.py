"""What of a browser's messages reaches the pages."""

import asyncio

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg

from twolayer.dashboard.common.clicks import Clicks


def received(content: bytes, kind: str = "websocket") -> bytes:
    """Return what an app behind `Clicks` receives of a message."""
    seen = []

    async def app(_scope, receive, _send):
        seen.append(await receive())

    async def receive():
        return {"type": f"{kind}.receive", "bytes": content}

    asyncio.run(Clicks(app)({"type": kind}, receive, None))
    return seen[0]["bytes"]


def message(*, by_timer: bool) -> BackMsg:
    message = BackMsg()
    message.rerun_script.is_auto_rerun = by_timer
    message.rerun_script.fragment_id = "one"
    widgets = message.rerun_script.widget_states.widgets
    widgets.add(id="pause").trigger_value = True
    widgets.add(id="N").int_value = 3
    widgets.add(id="chart").json_trigger_value = '{"wants": []}'
    widgets.add(id="method").string_value = "gram"
    return message


def test_a_timer_sends_values_but_no_clicks():
    kept = BackMsg.FromString(received(message(by_timer=True).SerializeToString())).rerun_script
    size, method = kept.widget_states.widgets
    assert (size.id, size.int_value) == ("N", 3)
    assert (method.id, method.string_value) == ("method", "gram")
    assert (kept.is_auto_rerun, kept.fragment_id) == (True, "one")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (message(by_timer=False).SerializeToString(), "websocket"),
        (message(by_timer=True).SerializeToString(), "http"),
        (b"\xff no message", "websocket"),
        (b"", "websocket"),
    ],
)
def test_all_else_is_passed_on_as_it_is(content, kind):
    assert received(content, kind) == content
