"""The browser's side of a Streamlit page, without the browser: Streamlit 1.67's protocol.

A `Page` is one open tab. It asks for the first script run, reruns fragments by their timers, reports
the widgets with the values that the server gave them, presses buttons, follows links, uploads files, and
keeps the messages that the server may later refer to by their hash. It fetches no files and draws nothing.
"""

import asyncio
import contextlib
import http.client
import json
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileURLs, UploadedFileInfo
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from tests.tools.benchmarks.elements import key_of, strings, widget_of, widget_state
from twolayer.dashboard.common.headers import BROWSER

A_MOMENT = 0.05
DeltaPath = tuple[int, ...]
Place = tuple[str, str]
"""The hash of a page's script, and the query of its address."""


@dataclass
class _Kept:
    """A message that the server may refer to, and the script run that last used it."""

    message: ForwardMsg
    used: int


class Page:
    """One open page; `Page.open` makes it."""

    def __init__(self, socket: ClientConnection, address: str, query: str, key: str, path: str) -> None:
        self.exceptions: list[str] = []
        """What went wrong where the visitor sees it."""
        self.full_runs = 0
        """Runs of the whole script that ended well."""
        self.ticks_sent = 0
        self.fragment_runs = 0
        """Fragment runs that ended well; the server may answer several ticks with one."""
        self.received_bytes = 0
        self.messages = 0
        self.elements = 0
        self.containers = 0
        """Messages received, and the elements and containers in them."""
        self._boxes: dict[DeltaPath, str] = {}
        self._socket, self._address, self._query, self._key = socket, address, query, key
        self._path = path
        self._script_hash = ""
        self._timers: dict[str, tuple[float, asyncio.Task[None]]] = {}
        self._widgets: dict[str, WidgetState] = {}
        self._drawn: set[str] = set()
        self._buttons: dict[str, str] = {}
        self._uploaders: dict[str, str] = {}
        self._folds: dict[str, str] = {}
        self._may_upload: FileURLs | None = None
        self._missing: set[str] = set()
        self._links: dict[str, Place] = {}
        self.traces: dict[str, list[dict[str, Any]]] = {}
        """The curves of each chart, by its key."""
        self._containers: set[DeltaPath] = set()
        self._texts: dict[DeltaPath, list[str]] = {}
        self._kept: dict[str, _Kept] = {}
        self._script_runs = 0
        self._script_is_running = False
        self._keep_for = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, address: str, query: str, key: str, path: str = "", *, browser: str = ""
    ) -> AsyncIterator["Page"]:
        """Open `http://address/path?query`. What stands in the container `key` is kept in `texts`. `browser`
        is the name in its cookie, 32 hexadecimal digits, or none."""
        async with connect(
            f"ws://{address}/_stcore/stream",
            origin=Origin(f"http://{address}"),
            additional_headers={"Cookie": f"{BROWSER}={browser}"} if browser else None,
            # The second stands for the token that a browser has where people log in.
            subprotocols=[Subprotocol("streamlit"), Subprotocol("PLACEHOLDER_AUTH_TOKEN")],
            open_timeout=None,  # left to the caller, like all time limits here
            ping_interval=None,  # a browser answers pings and sends none
            max_size=None,
            # As a browser, take in whatever comes: with a full queue the end would not be noticed.
            max_queue=None,
            proxy=None,
        ) as socket:
            page = cls(socket, address, query, key, path)
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
            self.messages += 1
            self._take(ForwardMsg.FromString(payload))
            if self._missing:
                await self._ask_for_what_is_missing()

    @property
    def texts(self) -> list[str]:
        """The texts of all elements in the container."""
        return [text for texts in self._texts.values() for text in texts]

    @property
    def boxes(self) -> list[str]:
        """The texts of all boxes: errors, warnings, what is to be known."""
        return list(self._boxes.values())

    @property
    def place(self) -> Place:
        """Where this page is."""
        return self._script_hash, self._query

    @property
    def other_places(self) -> list[Place]:
        """Where its links to other pages lead."""
        return [place for place in self._links.values() if place[0] != self._script_hash]

    @property
    def ticking(self) -> bool:
        """Whether a fragment's timer runs."""
        return bool(self._timers)

    @property
    def at_rest(self) -> bool:
        """Whether all is drawn and nothing more will come by itself."""
        return not self._timers and not self._script_is_running

    # -- what a person does: each returns when the answer is complete ------------------------------

    async def read(self, seconds: float) -> None:
        """Look at the page for so long; whatever comes is taken in."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.until(lambda: False)

    async def press(self, key: str) -> None:
        """Press the button with this key."""
        await self.answered()
        runs = self.full_runs
        await self._rerun(triggers=[WidgetState(id=self._buttons[key], trigger_value=True)])
        await self.until(lambda: self.full_runs > runs)

    async def follow(self, place: Place) -> None:
        """Go to another page."""
        await self.answered()
        self._script_hash, self._query = place
        self._stop_timers()
        self._widgets.clear()
        self._links.clear()
        runs = self.full_runs
        await self._rerun()
        await self.until(lambda: self.full_runs > runs)

    async def unfold(self, key: str) -> None:
        """Open the fold with this key, whose content is drawn only then."""
        await self.until(lambda: key in self._folds)
        await self.answered()
        self._widgets[self._folds[key]] = WidgetState(id=self._folds[key], bool_value=True)
        runs = self.full_runs
        await self._rerun()
        await self.until(lambda: self.full_runs > runs)

    async def upload(self, key: str, name: str, content: bytes) -> int:
        """Choose a file in the uploader with this key. Returns the status of the answer to the upload."""
        await self.answered()
        self._may_upload = None
        request = BackMsg()
        request.file_urls_request.request_id = secrets.token_hex(8)
        request.file_urls_request.file_names.append(name)
        await self._socket.send(request.SerializeToString())
        await self.until(lambda: self._may_upload is not None)
        urls = self._may_upload
        status = await asyncio.to_thread(put, self._address, urls.upload_url, name, content)
        if status < 300:
            info = UploadedFileInfo(name=name, size=len(content), file_id=urls.file_id, file_urls=urls)
            state = WidgetState(id=self._uploaders[key])
            state.file_uploader_state_value.uploaded_file_info.append(info)
            self._widgets[state.id], runs = state, self.full_runs
            await self._rerun()
            await self.until(lambda: self.full_runs > runs)
        return status

    async def answered(self) -> None:
        """All that was asked for before has been answered: what comes next is the answer to what is next."""
        await self.read(A_MOMENT)
        await self.until(lambda: not self._script_is_running)

    # -- what is sent ---------------------------------------------------------------------------

    async def _rerun(self, fragment: str = "", triggers: Sequence[WidgetState] = ()) -> None:
        message = BackMsg()
        state = message.rerun_script
        state.query_string = self._query
        state.widget_states.SetInParent()
        state.widget_states.widgets.extend(self._widgets.values())
        state.widget_states.widgets.extend(triggers)
        state.page_script_hash = self._script_hash
        state.page_name = "" if self._script_hash else self._path
        state.fragment_id = fragment
        state.is_auto_rerun = bool(fragment)
        state.cached_message_hashes.extend(self._kept)
        context = state.context_info
        context.timezone, context.timezone_offset, context.locale = "UTC", 0, "en-US"
        context.url, context.is_embedded, context.color_scheme = f"http://{self._address}/", False, "light"
        # A tick may be answered together with others, or not at all; everything else is answered
        self._script_is_running = self._script_is_running or not fragment
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
        if message.WhichOneof("type") == "delta":
            self.elements += message.delta.WhichOneof("type") == "new_element"
            self.containers += message.delta.WhichOneof("type") == "add_block"
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
            case "file_urls_response":
                self._may_upload = message.file_urls_response.file_urls[0]
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
        self._boxes.pop(path, None)
        if delta.WhichOneof("type") == "add_block":
            self._containers.discard(path)
            if key_of(delta.add_block.id) == self._key:
                self._containers.add(path)
            fold = delta.add_block.expandable.id or delta.add_block.popover.id
            if fold:
                self._folds[key_of(fold)] = fold
                self._drawn.add(fold)
            return
        if delta.WhichOneof("type") != "new_element":
            return
        element = delta.new_element
        if element.WhichOneof("type") == "exception":
            self.exceptions.append(f"{element.exception.type}: {element.exception.message}")
        if element.WhichOneof("type") == "alert":
            self._boxes[path] = element.alert.body
        if any(path[: len(container)] == container for container in self._containers):
            self._texts[path] = list(strings(element))
        match element.WhichOneof("type"):
            case "button":
                self._buttons[key_of(element.button.id)] = element.button.id
            case "page_link":
                link = element.page_link
                self._links[link.label] = link.page_script_hash, link.query_string
            case "file_uploader":
                self._uploaders[key_of(element.file_uploader.id)] = element.file_uploader.id
                self._drawn.add(element.file_uploader.id)
            case "bidi_component":
                self._draw_chart(element.bidi_component.id, element.bidi_component.bytes)
        state = widget_state(element)
        if state is not None:
            self._drawn.add(state.id)
            if state.id not in self._widgets or widget_of(element).set_value:
                self._widgets[state.id] = state

    def _draw_chart(self, identity: str, data: bytes) -> None:
        """Take in what a chart is given: a curve that did not change is named, and not sent again. One
        that is not here after all (its message was overtaken) is asked for, as the page's own script does."""
        if not data:
            return  # another component
        name = key_of(identity)
        before = {
            (trace["uid"], trace["revision"]): trace for trace in self.traces.get(name, []) if "uid" in trace
        }
        traces = [
            before.get((trace["uid"], trace["revision"])) if trace.get("kept") else trace
            for trace in json.loads(data)["traces"]
        ]
        self.traces[name] = [trace for trace in traces if trace is not None]
        if None in traces:
            self._missing.add(identity)

    async def _ask_for_what_is_missing(self) -> None:
        triggers = [
            WidgetState(
                id=f"$$STREAMLIT_INTERNAL_KEY_{identity}__events",
                json_trigger_value=json.dumps([{"event": "missing", "value": True}]),
            )
            for identity in self._missing
        ]
        self._missing.clear()
        await self._rerun(triggers=triggers)


def put(address: str, path: str, name: str, content: bytes) -> int:
    """Send a file as a browser's form does, with the token against requests of other sites."""
    connection = http.client.HTTPConnection(address, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", "/_stcore/health")
        answer = connection.getresponse()
        answer.read()
        cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
        border = secrets.token_hex(16)
        head = (
            f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            "Content-Type: text/csv\r\n\r\n"
        )
        headers = {"Content-Type": f"multipart/form-data; boundary={border}"}
        headers |= {"Cookie": cookie, "X-Xsrftoken": cookie.partition("=")[2].strip('"')}
        body = head.encode() + content + f"\r\n--{border}--\r\n".encode()
        connection.request("PUT", path, body, headers)
        return connection.getresponse().status
