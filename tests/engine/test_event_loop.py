"""The engine's thread: one coroutine for each run or job, whose end is always recorded."""

import asyncio
import contextlib
import datetime
import gc
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tornado import gen, locks

from twolayer import Config
from twolayer.engine.event_loop import EventLoop
from twolayer.engine.job import Job
from twolayer.engine.run import Run
from twolayer.engine.task import Task
from twolayer.training.messages import Message, MessageError


class Watched(EventLoop):
    """A loop that remembers what has ended."""

    def __init__(self) -> None:
        self.ended: list[Task] = []
        super().__init__(self.ended.append)

    def start(self, task: Task, work) -> None:
        self.soon(self.begin, task, work)


async def nothing() -> None:
    pass


async def for_ever() -> None:
    await asyncio.sleep(3600)


@pytest.fixture
def loop() -> Iterator[Watched]:
    one = Watched()
    yield one
    one.close(nothing)


def test_what_is_over_is_settled_and_forgotten(loop):
    task = Job("a", 1)

    async def work() -> None:
        assert threading.current_thread().name == "engine"
        task.end("finished")

    loop.start(task, work)
    assert task.wait_until_settled(30)
    assert (task.state, loop.ended, loop.tasks) == ("finished", [task], {})


@pytest.mark.parametrize("begun", [False, True])
def test_what_is_cancelled_is_stopped(loop, begun):
    task, started = Job("a", 1), threading.Event()

    async def work() -> None:
        started.set()
        await for_ever()

    def start() -> None:
        loop.begin(task, work)
        if not begun:
            loop.cancel(task.name)

    loop.soon(start)
    if begun:
        assert started.wait(30)
        loop.soon(loop.cancel, task.name)
    assert task.wait_until_settled(30)
    assert (task.state, started.is_set(), loop.ended, loop.tasks) == ("stopped", begun, [task], {})


def test_what_is_not_there_is_cancelled_in_vain(loop):
    done = threading.Event()
    loop.soon(loop.cancel, "nobody")
    loop.soon(done.set)
    assert done.wait(30)


def test_an_error_fails_its_task_with_its_message_or_its_name_and_no_other(loop, caplog):
    other, tasks = Job("other", 1), [Job("refused", 1), Job("broken", 1)]
    loop.start(other, for_ever)
    for task, error in zip(
        tasks, (MessageError(Message.of("not so")), ZeroDivisionError("secret")), strict=True
    ):

        async def work(error=error) -> None:
            raise error

        loop.start(task, work)
        assert task.wait_until_settled(30)
    assert [(task.state, str(task.message)) for task in tasks] == [
        ("failed", "not so"),
        ("failed", "The run failed: ZeroDivisionError"),
    ]
    assert [one.getMessage() for one in caplog.records if one.thread == loop._thread.ident] == [
        "broken failed"
    ]
    assert other.live
    assert list(loop.tasks) == ["other"]


def test_a_run_is_continued_after_its_earlier_coroutine_has_ended(loop):
    run, log, go = Run("a", Config()), [], asyncio.Event()

    async def first() -> None:
        log.append("first begins")
        try:
            await for_ever()
        finally:
            await go.wait()
            log.append("first ends")

    async def second() -> None:
        log.append("second")
        run.end("finished")

    async def continued() -> None:
        while not log:
            await asyncio.sleep(0)
        loop.cancel(run.name)
        run.end("stopped")
        run.reopen()
        loop.begin(run, second)
        await asyncio.sleep(0)
        go.set()

    loop.start(run, first)
    loop.soon(lambda: loop.in_background(continued()))
    assert run.wait_until_settled(30)
    assert (log, run.state) == (["first begins", "first ends", "second"], "finished")
    assert (loop.ended, loop.tasks) == ([run], {})


def test_the_end_of_an_earlier_turn_does_not_settle_a_continued_run(loop):
    run = Run("a", Config())

    def ended_and_continued() -> None:
        loop.begin(run, nothing)
        run.reopen()

    done = threading.Event()

    async def later() -> None:
        while not loop.tasks["a"].done():
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        done.set()

    loop.soon(ended_and_continued)
    loop.soon(lambda: loop.in_background(later()))
    assert done.wait(30)
    assert (run.state, loop.ended, run.wait_until_settled(0)) == ("queued", [], False)


def test_close_stops_all_that_is_live_then_finishes_and_ends_the_thread():
    loop, task, order = Watched(), Job("a", 1), []
    background = threading.Event()

    async def in_background() -> None:
        background.set()
        try:
            await for_ever()
        finally:
            order.append("background")

    async def finish() -> None:
        order.append(task.state)

    loop.start(task, for_ever)
    loop.soon(lambda: loop.in_background(in_background()))
    assert background.wait(30)
    assert len(loop._background) == 1
    loop.close(finish)
    assert order == ["background", "stopped"]
    assert (loop.ended, loop.tasks, loop._background) == ([task], {}, set())
    assert loop.loop.is_closed()
    assert not loop._thread.is_alive()
    loop.close(finish)
    loop.soon(order.append, "too late")
    assert order == ["background", "stopped"]


def test_a_timer_of_dask_is_not_cut_off_by_the_end(monkeypatch, caplog):
    loop = Watched()
    at_end = loop.loop.call_soon_threadsafe

    @gen.coroutine
    def sender() -> Iterator[Any]:  # as in distributed.batched
        with contextlib.suppress(gen.TimeoutError):
            yield locks.Event().wait(datetime.timedelta(milliseconds=10))

    def busy(function: Callable[[], None]) -> None:
        time.sleep(0.03)
        at_end(function)

    async def finish() -> None:
        sender()
        monkeypatch.setattr(loop.loop, "call_soon_threadsafe", lambda function: at_end(busy, function))

    loop.close(finish)
    gc.collect()
    assert caplog.text == ""
