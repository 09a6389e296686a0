"""The connection to a cluster: when it is made again, what it finds out, and when it is given up."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine.conftest import TINY, settings
from twolayer import Config, ConfigError
from twolayer.engine import connection
from twolayer.engine.connection import (
    MOST_SECONDS_WITHOUT_WORKERS,
    PROBE_SECONDS,
    WATCH_SECONDS,
    Connection,
    OtherVersionError,
    UnreachableError,
)
from twolayer.training import capabilities
from twolayer.training.messages import Message, MessageError

HERE = capabilities.probe()


@dataclass
class Cluster:
    """All that a client of distributed meets, and what it does there."""

    workers: int = 1
    errors: list[BaseException] = field(default_factory=list)
    """What the next attempts to connect raise."""
    finds: list[Any] = field(default_factory=list)
    """What the next probes find, if not all there is: a value, or an error."""
    clients: list["Client"] = field(default_factory=list)
    started: int = 0
    stopped: int = 0


@dataclass
class Client:
    """What a connection wants of distributed's client."""

    cluster: Cluster
    address: str
    options: dict[str, Any]
    status: str = "running"
    plugins: list[Any] = field(default_factory=list)
    probes: int = 0

    @property
    def scheduler(self) -> SimpleNamespace:
        return SimpleNamespace(address=self.address)

    def scheduler_info(self) -> dict[str, int]:
        return {"n_workers": self.cluster.workers}

    async def wait_for_workers(self, count: int, timeout: float) -> None:
        assert count == 1
        if not self.cluster.workers:
            raise TimeoutError

    async def submit(self, function: Any, *, pure: bool) -> Any:
        assert function is capabilities.probe
        assert not pure
        self.probes += 1
        found = self.cluster.finds.pop(0) if self.cluster.finds else HERE
        if isinstance(found, Exception):
            raise found
        return found

    async def register_plugin(self, plugin: Any) -> None:
        self.plugins.append(plugin)

    async def close(self) -> None:
        self.status = "closed"


@pytest.fixture
def cluster(monkeypatch):
    """A cluster, to which all clients of a test connect."""
    one = Cluster()

    async def start(workers: int, limit: int) -> SimpleNamespace:
        one.started += 1
        assert (workers, limit) == (3, settings(workers=3).worker_limit_bytes)

        async def stop() -> None:
            one.stopped += 1

        return SimpleNamespace(address="tls://here:1", security="key", stop=stop)

    async def connect(address: str, **options: Any) -> Client:
        if one.errors:
            raise one.errors.pop(0)
        one.clients.append(Client(one, address, options))
        return one.clients[-1]

    monkeypatch.setattr(connection.EmbeddedCluster, "start", start)
    monkeypatch.setattr(connection, "Client", connect)
    return one


@pytest.fixture
def clock(monkeypatch):
    """A clock that only waiting moves, and what happens then: by the number of the wait."""
    one = SimpleNamespace(now=50.0, naps=[], then={})

    async def sleep(seconds: float) -> None:
        assert seconds > 0
        one.now += seconds
        one.naps.append(seconds)
        one.then.pop(len(one.naps), lambda: None)()
        await asyncio.sleep(0)

    monkeypatch.setattr(connection, "monotonic", lambda: one.now)
    monkeypatch.setattr(connection, "asyncio", SimpleNamespace(sleep=sleep, Lock=asyncio.Lock))
    return one


def run(
    work: Callable[[Connection, list[Any]], Awaitable[None]], preload: bool = True, **values: Any
) -> None:
    """Use a new connection. What it would run in the background is given, not run."""

    async def main() -> None:
        background: list[Any] = []
        one = Connection(settings(workers=3, **values), background.append, preload)
        try:
            await work(one, background)
        finally:
            for coroutine in background:
                coroutine.close()

    asyncio.run(asyncio.wait_for(main(), 30))


@pytest.mark.parametrize("scheduler", [None, "tcp://there:8786"])
@pytest.mark.parametrize("preload", [False, True])
def test_it_connects_once_to_its_own_cluster_or_to_that_of_the_settings(cluster, scheduler, preload):
    async def work(one, background):
        clients = await asyncio.gather(*(one.client() for _ in range(3)))
        (client,) = cluster.clients
        assert all(each is client for each in clients)
        assert client.address == (scheduler or "tls://here:1")
        assert client.options["security"] == (None if scheduler else "key")
        assert (client.options["asynchronous"], client.options["set_as_default"]) == (True, False)
        assert cluster.started == (scheduler is None)
        assert [plugin.preload for plugin in client.plugins] == [preload or scheduler is not None]
        assert [work.__name__ for work in background] == ["_probe", *([] if scheduler else ["_watch"])]
        assert one.capabilities == HERE
        await one.close()
        await one.close()
        assert (client.status, cluster.stopped, one.cluster) == ("closed", cluster.started, None)

    run(work, preload, scheduler=scheduler)


def test_a_lost_client_is_replaced_and_with_it_an_embedded_cluster(cluster):
    async def work(one, _background):
        first = await one.client()
        first.status = "closed"
        second = await one.client()
        assert cluster.clients == [first, second]
        assert (cluster.started, cluster.stopped) == (2, 1)

    run(work)


@pytest.mark.parametrize("error", [OSError("no"), TimeoutError()], ids=repr)
def test_a_cluster_that_does_not_answer_is_said_until_it_does(cluster, error):
    cluster.errors.append(error)

    async def work(one, background):
        with pytest.raises(UnreachableError, match="Cannot reach"):
            await one.client()
        assert "Cannot reach" in str(one.trouble)
        assert not background
        assert (await one.client()).status == "running"
        assert one.trouble is None

    run(work)


def test_a_cluster_without_workers_does_not_answer_and_no_client_is_left(cluster):
    cluster.workers = 0

    async def work(one, _background):
        with pytest.raises(UnreachableError):
            await one.client()
        assert [client.status for client in cluster.clients] == ["closed"]

    run(work)


@pytest.mark.parametrize(
    "found", [replace(HERE, code="another"), ImportError("twolayer"), AttributeError("probe")], ids=type
)
def test_workers_with_other_code_are_refused_with_their_address(cluster, found):
    cluster.finds.append(found)

    async def work(one, _background):
        with pytest.raises(OtherVersionError, match=r"tcp://there:8786 .*different version"):
            await one.client()
        assert "different version" in str(one.trouble)
        assert one.capabilities is None
        assert [(client.status, client.plugins) for client in cluster.clients] == [("closed", [])]

    run(work, scheduler="tcp://there:8786")


def test_warming_up_keeps_what_went_wrong_to_itself(cluster):
    cluster.errors.append(OSError("no"))

    async def work(one, _background):
        await one.warm()
        assert "Cannot reach" in str(one.trouble)

    run(work)


def test_the_number_of_workers_is_that_of_the_settings_until_it_is_known(cluster):
    async def work(one, _background):
        assert one.workers == 3
        await one.client()
        for there, counted in ((5, 5), (1, 1), (0, 3)):
            cluster.workers = there
            assert one.workers == counted

    run(work)
    with_none = Connection(replace(settings(), workers=0), lambda _work: None, True)
    assert with_none.workers == 1


def test_a_config_waits_for_what_it_needs_to_be_known(clock):
    on_gpu = Config(backend="torch", device="cuda:99")

    async def work(one, _background):
        clock.then = {3: lambda: setattr(one, "capabilities", replace(HERE, complete=False))}
        await one.require(Config(**TINY))
        assert len(clock.naps) == 3
        clock.then = {8: lambda: setattr(one, "capabilities", replace(HERE, complete=True))}
        await one.require(Config(**TINY))
        assert len(clock.naps) == 3
        with pytest.raises(ConfigError, match="cuda:99"):
            await one.require(on_gpu)
        assert clock.naps == [PROBE_SECONDS / 5] * 8

    run(work)


def test_a_new_cluster_is_probed_until_all_is_known(cluster, clock):
    partly = replace(HERE, complete=False)
    cluster.finds = [partly, partly, OSError("lost"), partly, replace(HERE, complete=True)]

    async def work(one, background):
        client = await one.client()
        await background[0]
        assert one.capabilities.complete
        assert (client.probes, clock.naps) == (5, [PROBE_SECONDS] * 4)

    run(work)


def test_a_client_that_was_replaced_is_not_probed(cluster, clock):
    cluster.finds = [replace(HERE, complete=False)] * 2

    async def work(one, background):
        first = await one.client()
        first.status = "closed"
        await one.client()
        await background[0]
        assert (first.probes, len(clock.naps)) == (1, 1)

    run(work)


def test_an_embedded_cluster_without_workers_is_given_up_after_a_while(cluster, clock):
    async def work(one, background):
        client = await one.client()

        def lost(workers: int) -> Callable[[], None]:
            return lambda: setattr(cluster, "workers", workers)

        clock.then = {3: lost(0), 6: lost(1), 9: lost(0)}
        await background[1]
        assert client.status == "closed"
        # The eighth look is the last one that finds workers
        assert clock.naps == [WATCH_SECONDS] * (8 + int(MOST_SECONDS_WITHOUT_WORKERS / WATCH_SECONDS) + 1)

    run(work)


@pytest.mark.usefixtures("cluster")
def test_a_closed_client_is_watched_no_more(clock):
    async def work(one, background):
        await one.client()
        await one.close()
        await background[1]
        assert not clock.naps

    run(work)


def test_an_error_of_a_client_is_a_message_of_its_own(cluster):
    cluster.errors.append(MessageError(Message.of("not with this one")))

    async def work(one, _background):
        with pytest.raises(MessageError, match="not with this one"):
            await one.client()
        assert str(one.trouble) == "not with this one"

    run(work)
