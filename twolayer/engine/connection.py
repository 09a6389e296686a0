"""The connection of a web process to the cluster that it computes on.

All of it runs on the engine's event loop. Whatever breaks is rebuilt by the next call of `client`.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from distributed import Client, KilledWorker, wait
from distributed.client import ClosedClientError, FutureCancelledError, FuturesCancelledError
from distributed.comm import CommClosedError

from twolayer.engine.cluster import EmbeddedCluster
from twolayer.engine.settings import Settings
from twolayer.training import capabilities
from twolayer.training.capabilities import Capabilities
from twolayer.training.config import Config
from twolayer.training.messages import Message, MessageError

PROBE_SECONDS = 0.5
CONNECT_SECONDS = 5.0

LOST = (
    KilledWorker,
    FutureCancelledError,
    FuturesCancelledError,
    ClosedClientError,
    CommClosedError,
    OSError,
    TimeoutError,
)
"""What a task's owner sees when a part of the cluster is gone."""


async def fetched(client: Client, future: Any) -> Any:
    """The result of a task, which others may go on waiting for theirs if this is cancelled.

    A client fetches in one go what several wait for, and whoever is cancelled meanwhile would cancel that
    for all of them: one visitor's stop would stop other visitors' runs.
    """
    with client.as_current():
        await wait([future])
    task = asyncio.ensure_future(future)
    task.add_done_callback(_looked_at)
    return await asyncio.shield(task)


def _looked_at(task: asyncio.Future[Any]) -> None:
    """Nobody may be waiting for it any more; then its exception is no news."""
    if not task.cancelled():
        task.exception()


class UnreachableError(MessageError, ConnectionError):
    """A cluster that does not answer: it may be on its way back."""


class OtherVersionError(MessageError, RuntimeError):
    """A cluster whose workers have other code than this process."""


class Connection:
    """A client of the embedded cluster, or of the one in the settings; and what its workers can do."""

    def __init__(
        self, settings: Settings, in_background: Callable[[Coroutine[Any, Any, None]], None]
    ) -> None:
        self.settings = settings
        self.capabilities: Capabilities | None = None
        self.trouble: Message | None = None
        """Why the cluster cannot be used right now, if it cannot."""
        self.cluster: EmbeddedCluster | None = None
        self._client: Client | None = None
        self._connecting = asyncio.Lock()
        self._in_background = in_background

    async def client(self) -> Client:
        """The connection to the cluster: the one there is, or a new one. Raises `MessageError`."""
        async with self._connecting:
            if self._client is not None and self._client.status == "running":
                return self._client
            try:
                self._client = await self._connect()
                self.trouble = None
                self._in_background(self._ask(self._client))
            except MessageError as error:
                self.trouble = error.message
                raise
            except (OSError, TimeoutError) as error:
                self.trouble = Message.of("The computing cluster cannot be reached.")
                raise UnreachableError(self.trouble) from error
            return self._client

    async def warm(self) -> None:
        """Start the cluster before the first run asks for it."""
        with contextlib.suppress(MessageError):
            await self.client()

    async def require(self, config: Config) -> None:
        """Raise if the workers cannot do this; wait until their devices are known if it wants one."""
        while self.capabilities is None or (config.device != "cpu" and not self.capabilities.complete):
            await asyncio.sleep(PROBE_SECONDS / 5)
        self.capabilities.require(config)

    async def close(self) -> None:
        """End the connection and the embedded cluster."""
        if self._client is not None:
            with contextlib.suppress(*LOST):
                await self._client.close()
        if self.cluster is not None:
            await self.cluster.stop()

    async def _connect(self) -> Client:
        if self._client is not None:
            with contextlib.suppress(*LOST):
                await self._client.close()
            self._client = None
        address, security = self.settings.scheduler, None
        if address is None:
            if self.cluster is not None:
                await self.cluster.stop()
            self.cluster = await EmbeddedCluster.start(
                self.settings.workers, self.settings.worker_limit_bytes
            )
            address, security = self.cluster.address, self.cluster.security
        client = await Client(
            address, security=security, asynchronous=True, set_as_default=False, timeout=CONNECT_SECONDS
        )
        try:
            await client.wait_for_workers(1, timeout=20)
            await self._check_version(client)
            await client.register_plugin(_warm_up_plugin())
        except BaseException:
            await client.close()
            raise
        return client

    async def _check_version(self, client: Client) -> None:
        other = Message.of(
            "The workers of the cluster at {address} have another version of this program. "
            "Run them from the same checkout.",
            address=client.scheduler.address if client.scheduler else "",
        )
        try:
            there: Capabilities = await client.submit(capabilities.probe, pure=False)
        except (ImportError, AttributeError) as error:
            raise OtherVersionError(other) from error
        if there.code != capabilities.code_digest():
            raise OtherVersionError(other)
        self.capabilities = there

    async def _ask(self, client: Client) -> None:
        """Ask a new cluster until it is known what its workers can do."""
        while not (self.capabilities and self.capabilities.complete):
            await asyncio.sleep(PROBE_SECONDS)
            if self._client is not client:
                return  # another one has taken its place, and is asked
            with contextlib.suppress(*LOST):
                self.capabilities = await self._client.submit(capabilities.probe, pure=False)


def _warm_up_plugin() -> Any:
    from distributed import WorkerPlugin

    class WarmUp(WorkerPlugin):  # type: ignore[misc]  # distributed has no types
        """Prepare a worker: its allocator, and all kernels, in the background, so that nobody waits."""

        name = "twolayer-warm-up"

        def setup(self, worker: Any) -> None:
            from threading import Thread

            from twolayer.training.allocator import keep_freed_memory
            from twolayer.training.kernels import load_all

            keep_freed_memory()
            Thread(target=lambda: capabilities.failures.update(load_all()), daemon=True).start()

    return WarmUp()
