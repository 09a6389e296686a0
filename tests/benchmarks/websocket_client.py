"""The browser's side of a Streamlit page, without the browser: Streamlit 1.67's protocol.

A `Page` is one open tab that nobody touches. It asks for the first script run, reruns fragments by
their timers, reports the widgets with the values that the server gave them, and keeps the messages
that the server may later refer to by their hash. It fetches no files and draws nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Block_pb2 import Block
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.NumberInput_pb2 import NumberInput
from streamlit.proto.Slider_pb2 import Slider
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

NOT_A_VALUE = {"id", "label", "help"}
"""String fields of an element that do not say what it shows."""

DeltaPath = tuple[int, ...]


@dataclass
class _Kept:
    """A message that the server may refer to, and the script run that last used it."""

    message: ForwardMsg
    used: int


class Page:
    """One open page; `Page.open` makes it."""

    def __init__(self, socket: ClientConnection, address: str, query: str, key: str) -> None:
        self.exceptions: list[str] = []
        """What went wrong where the visitor sees it."""
        self.full_runs = 0
        """Runs of the whole script that ended well."""
        self.ticks_sent = 0
        self.fragment_runs = 0
        """Fragment runs that ended well; the server may answer several ticks with one."""
        self.received_bytes = 0
        self._socket, self._address, self._query, self._key = socket, address, query, key
        self._script_hash = ""
        self._timers: dict[str, tuple[float, asyncio.Task[None]]] = {}
        self._widgets: dict[str, WidgetState] = {}
        self._drawn: set[str] = set()
        self._containers: set[DeltaPath] = set()
        self._texts: dict[DeltaPath, list[str]] = {}
        self._kept: dict[str, _Kept] = {}
        self._script_runs = 0
        self._script_is_running = False
        self._keep_for = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, address: str, query: str, key: str) -> AsyncIterator["Page"]:
        """Open `http://address/?query`. What stands in the container `key` is kept in `texts`."""
        async with connect(
            f"ws://{address}/_stcore/stream",
            origin=Origin(f"http://{address}"),
            # The second stands for the token that a browser has where people log in.
            subprotocols=[Subprotocol("streamlit"), Subprotocol("PLACEHOLDER_AUTH_TOKEN")],
            open_timeout=None,  # left to the caller, like all time limits here
            ping_interval=None,  # a browser answers pings and sends none
            max_size=None,
            # As a browser, take in whatever comes: with a full queue the end would not be noticed.
            max_queue=None,
            proxy=None,
        ) as socket:
            page = cls(socket, address, query, key)
            await page._rerun()
            try:
                yield page
            finally:
                page._stop_timers()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Receive until `condition` holds. Raises `ConnectionClosed` if the server ends first."""
        while not condition():
            payload = await self._socket.recv(decode=False)
            self.received_bytes += len(payload)
            self._take(ForwardMsg.FromString(payload))

    @property
    def texts(self) -> list[str]:
        """The texts of all elements in the container."""
        return [text for texts in self._texts.values() for text in texts]

    @property
    def ticking(self) -> bool:
        """Whether a fragment's timer runs."""
        return bool(self._timers)

    @property
    def at_rest(self) -> bool:
        """Whether all is drawn and nothing more will come by itself."""
        return not self._timers and not self._script_is_running

    # -- what is sent ---------------------------------------------------------------------------

    async def _rerun(self, fragment: str = "") -> None:
        message = BackMsg()
        state = message.rerun_script
        state.query_string = self._query
        state.widget_states.SetInParent()
        state.widget_states.widgets.extend(self._widgets.values())
        state.page_script_hash = self._script_hash
        state.fragment_id = fragment
        state.is_auto_rerun = bool(fragment)
        state.cached_message_hashes.extend(self._kept)
        context = state.context_info
        context.timezone, context.timezone_offset, context.locale = "UTC", 0, "en-US"
        context.url, context.is_embedded, context.color_scheme = f"http://{self._address}/", False, "light"
        await self._socket.send(message.SerializeToString())

    async def _tick(self, fragment: str, interval: float) -> None:
        """Rerun a fragment again and again, whether or not the server keeps up."""
        clock = asyncio.get_running_loop().time
        due = clock()
        with contextlib.suppress(ConnectionClosed):
            while True:
                due = max(due + interval, clock())
                await asyncio.sleep(due - clock())
                self.ticks_sent += 1
                await self._rerun(fragment)

    def _start_timer(self, fragment: str, interval: float) -> None:
        if fragment in self._timers:
            if self._timers[fragment][0] == interval:
                return
            self._stop_timers(fragment)
        self._timers[fragment] = interval, asyncio.create_task(self._tick(fragment, interval))

    def _stop_timers(self, *fragments: str) -> None:
        """Stop the timers of `fragments`, or all."""
        for fragment in fragments or tuple(self._timers):
            if fragment in self._timers:
                self._timers.pop(fragment)[1].cancel()

    # -- what is received -----------------------------------------------------------------------

    def _take(self, message: ForwardMsg) -> None:
        if message.WhichOneof("type") == "ref_hash":
            kept = self._kept.get(message.ref_hash)
            if kept is None:
                self.exceptions.append("the server refers to a message that is not kept here")
                return
            kept.used = self._script_runs
            message, reference = ForwardMsg(), message
            message.CopyFrom(kept.message)
            message.metadata.CopyFrom(reference.metadata)
        elif message.metadata.cacheable:
            self._kept.setdefault(message.hash, _Kept(message, 0)).used = self._script_runs
        match message.WhichOneof("type"):
            case "new_session":
                self._script_is_running = True
                if not message.metadata.run.fragment_ids:
                    self._script_hash = message.new_session.page_script_hash
                    self._keep_for = message.new_session.config.max_cached_message_age
                    self._stop_timers()
                    self._drawn.clear()
            case "navigation":
                self._script_hash = message.navigation.page_script_hash
            case "auto_rerun":
                self._start_timer(message.auto_rerun.fragment_id, message.auto_rerun.interval)
            case "stop_auto_rerun":
                for fragment in message.stop_auto_rerun.fragment_ids:
                    self._stop_timers(fragment)
            case "page_info_changed":
                self._query = message.page_info_changed.query_string
            case "session_event" if message.session_event.HasField("script_compilation_exception"):
                self.exceptions.append(message.session_event.script_compilation_exception.message)
            case "delta":
                self._draw(message)
            case "script_finished":
                self._finish(message)

    def _finish(self, message: ForwardMsg) -> None:
        status, fragments = message.script_finished, message.metadata.run.fragment_ids
        if status == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            return  # the next run begins at once
        self._script_is_running = False
        if status == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
            self.exceptions.append("the script does not compile")
        elif fragments:
            self.fragment_runs += 1
        else:
            self.full_runs += 1
            self._widgets = {name: state for name, state in self._widgets.items() if name in self._drawn}
        self._script_runs += 1
        for name, kept in list(self._kept.items()):
            concerned = not fragments or kept.message.delta.fragment_id in fragments
            if concerned and self._script_runs - kept.used > self._keep_for:
                del self._kept[name]

    def _draw(self, message: ForwardMsg) -> None:
        path, delta = tuple(message.metadata.delta_path), message.delta
        self._texts.pop(path, None)
        if delta.WhichOneof("type") == "add_block":
            self._containers.discard(path)
            if _key(delta.add_block) == self._key:
                self._containers.add(path)
            return
        if delta.WhichOneof("type") != "new_element":
            return
        element = delta.new_element
        if element.WhichOneof("type") == "exception":
            self.exceptions.append(f"{element.exception.type}: {element.exception.message}")
        if any(path[: len(container)] == container for container in self._containers):
            self._texts[path] = list(_strings(element))
        state = _widget_state(element)
        if state is not None:
            self._drawn.add(state.id)
            if state.id not in self._widgets or _widget(element).set_value:
                self._widgets[state.id] = state


def _key(block: Block) -> str:
    """The `key=` of a container; Streamlit appends it to the id that it makes."""
    return block.id.split("-", 2)[-1]


def _strings(message: Message) -> Iterator[str]:
    """All texts of an element but those that name it or explain it."""
    for field, value in message.ListFields():
        nested = field.message_type
        if field.name in NOT_A_VALUE or (nested is not None and nested.GetOptions().map_entry):
            continue
        for item in value if field.is_repeated else [value]:
            if field.type == FieldDescriptor.TYPE_STRING:
                yield item
            elif nested is not None:
                yield from _strings(item)


def _widget(element: Element) -> Any:
    return getattr(element, element.WhichOneof("type") or "empty")


def _widget_state(element: Element) -> WidgetState | None:
    """What a browser reports of a widget that nobody has touched; None for all other elements."""
    kind, widget = element.WhichOneof("type"), _widget(element)
    if kind not in WIDGETS:
        return None
    given, state = widget.set_value, WidgetState(id=widget.id)
    match kind:
        case "checkbox":
            state.bool_value = widget.value if given else widget.default
        case "number_input":
            if given or widget.HasField("default"):
                number = widget.value if given else widget.default
                if widget.data_type == NumberInput.INT:
                    state.int_value = round(number)
                else:
                    state.double_value = number
        case "text_input" | "text_area":
            state.string_value = widget.value if given else widget.default
        case "radio" | "selectbox":
            if given or widget.HasField("default"):
                state.string_value = widget.raw_value if given else widget.options[widget.default]
        case "slider" if widget.type != Slider.SELECT_SLIDER:
            state.double_array_value.data.extend(widget.value if given else widget.default)
        case "slider":
            chosen = widget.raw_value if given else [widget.options[int(i)] for i in widget.default]
            state.string_array_value.data.extend(chosen)
        case "button_group" | "multiselect":
            options = [getattr(option, "content", option) for option in widget.options]
            chosen = widget.raw_values if given else [options[i] for i in widget.default]
            state.string_array_value.SetInParent()
            state.string_array_value.data.extend(chosen)
    return state


WIDGETS = frozenset(
    {"checkbox", "number_input", "text_input", "text_area", "radio", "selectbox", "slider"}
    | {"button_group", "multiselect"}
)
"""Widgets whose values are reported; buttons report nothing until they are pressed."""
