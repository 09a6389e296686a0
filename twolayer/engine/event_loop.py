"""The thread with the engine's event loop, and on it one coroutine for each live run or job."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from twolayer.engine.task import Task
from twolayer.training.messages import Message, MessageError

LOG = logging.getLogger(__name__)

LAST_SECONDS = 0.02
"""The loop lasts twice as long as Dask's timers (10 ms): of one cut off asyncio would print an error."""


class EventLoop:
    """An event loop in its own thread. Only `soon` and `close` may be called from other threads.

    `on_end` is called with each run or job whose coroutine has ended.
    """

    def __init__(self, on_end: Callable[[Task], None]) -> None:
        self.loop = asyncio.new_event_loop()
        self.tasks: dict[str, asyncio.Task[None]] = {}
        """The coroutine of each live run or job, by its name."""
        self._on_end = on_end
        self._background: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self.loop.run_forever, name="engine", daemon=True)
        self._thread.start()

    def soon(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function on the loop. Does nothing after `close`."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(function, *arguments)

    def close(self, finish: Callable[[], Awaitable[None]]) -> None:
        """Cancel all coroutines, await `finish()`, and end the thread."""
        if self.loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._shut_down(finish), self.loop).result(timeout=30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout=10)
        self.loop.close()

    def in_background(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine that belongs to no run or job."""
        background = self.loop.create_task(coroutine)
        self._background.add(background)
        background.add_done_callback(self._background.discard)

    def begin(self, task: Task, work: Callable[[], Awaitable[None]]) -> None:
        """Start the coroutine of a run or job, after an earlier one that may still be ending."""
        coroutine = self._guarded(task, work, self.tasks.get(task.name))
        self.tasks[task.name] = self.loop.create_task(coroutine)
        self.tasks[task.name].add_done_callback(partial(self._ended, task, task.turn))

    def cancel(self, name: str) -> None:
        """Cancel the coroutine of a run or job, if it has one."""
        if name in self.tasks:
            self.tasks[name].cancel()

    async def _guarded(
        self, task: Task, work: Callable[[], Awaitable[None]], before: asyncio.Task[None] | None
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            await work()
        except MessageError as error:
            task.end("failed", error.message)
        except Exception as error:  # the owner sees the failure; the engine goes on
            LOG.exception("%s failed", task.name)
            task.end("failed", Message.of("The run failed: {error}", error=type(error).__name__))

    def _ended(self, task: Task, turn: int, coroutine: asyncio.Task[None]) -> None:
        """Forget a coroutine that has ended, or was cancelled before it began."""
        if self.tasks.get(task.name) is not coroutine or task.turn != turn:
            return  # the run was continued meanwhile
        if task.live:
            task.end("stopped")
        del self.tasks[task.name]
        task.settle()
        self._on_end(task)

    async def _shut_down(self, finish: Callable[[], Awaitable[None]]) -> None:
        tasks = [*self._background, *self.tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await finish()
        await asyncio.sleep(LAST_SECONDS)
