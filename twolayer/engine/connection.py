"""The connection of a web process to its cluster.

All of it runs on the engine's event loop. The next call of `client` rebuilds what has broken.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

import dask
from distributed import Client, KilledWorker, wait
from distributed.client import ClosedClientError, FutureCancelledError, FuturesCancelledError
from distributed.comm import CommClosedError

from twolayer.engine.cluster import DASK_CONFIG, EmbeddedCluster
from twolayer.engine.settings import Settings
from twolayer.engine.worker import WarmUp
from twolayer.training import capabilities
from twolayer.training.capabilities import Capabilities
from twolayer.training.config import Config
from twolayer.training.messages import Message, MessageError

PROBE_SECONDS = 0.5
WATCH_SECONDS = 1.0
MOST_SECONDS_WITHOUT_WORKERS = 8.0
"""An ended worker is replaced within two seconds. Later than this, nobody will replace it."""
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
"""What waiting for a result raises when a part of the cluster is lost."""


async def fetched(client: Client, future: Any) -> Any:
    """Return the result of a Dask future. Cancelling this call does not cancel other calls.

    A client fetches the results that several calls wait for in one request. Cancelling one call would
    cancel that request for all of them: one visitor's stop would stop other visitors' runs.
    """
    with client.as_current():
        await wait([future])
    task = asyncio.ensure_future(future)
    # Retrieve its exception even if this call is cancelled, or asyncio would warn.
    task.add_done_callback(lambda task: task.cancelled() or task.exception())
    return await asyncio.shield(task)


class UnreachableError(MessageError, ConnectionError):
    """The cluster does not answer. It may come back."""


class OtherVersionError(MessageError, RuntimeError):
    """The workers of a cluster run other code than this process."""


class Connection:
    """A client of the embedded cluster, or of the one in the settings, and what its workers can do."""

    def __init__(
        self, settings: Settings, in_background: Callable[[Coroutine[Any, Any, None]], None], preload: bool
    ) -> None:
        self.settings = settings
        self._preload = preload or settings.scheduler is not None  # others may compute on those workers
        self.capabilities: Capabilities | None = None
        self.trouble: Message | None = None
        """Why the cluster cannot be used right now, if it cannot."""
        self.cluster: EmbeddedCluster | None = None
        self._client: Client | None = None
        self._connecting = asyncio.Lock()
        self._in_background = in_background

    @property
    def workers(self) -> int:
        """The number of workers, as far as it is known."""
        known = 0 if self._client is None else self._client.scheduler_info().get("n_workers", 0)
        return max(1, known or self.settings.workers)

    async def client(self) -> Client:
        """Return the client, connecting first if necessary. Raises `MessageError`."""
        async with self._connecting:
            if self._client is not None and self._client.status == "running":
                return self._client
            try:
                self._client = await self._connect()
                self.trouble = None
                self._in_background(self._probe(self._client))
                if self.cluster is not None:
                    self._in_background(self._watch(self._client))
            except MessageError as error:
                self.trouble = error.message
                raise
            except (OSError, TimeoutError) as error:
                self.trouble = Message.of("Cannot reach the compute cluster.")
                raise UnreachableError(self.trouble) from error
            return self._client

    async def warm(self) -> None:
        """Start the cluster before the first run needs it."""
        with contextlib.suppress(MessageError):
            await self.client()

    async def require(self, config: Config) -> None:
        """Raise if the workers cannot compute `config`. Wait for the list of devices if it names one."""
        while self.capabilities is None or (config.device != "cpu" and not self.capabilities.complete):
            await asyncio.sleep(PROBE_SECONDS / 5)
        self.capabilities.require(config)

    async def close(self) -> None:
        """Close the connection and the embedded cluster."""
        if self._client is not None:
            with contextlib.suppress(*LOST):
                await self._client.close()
            self._client = None
        if self.cluster is not None:
            await self.cluster.stop()
            self.cluster = None

    async def _connect(self) -> Client:
        await self.close()  # what is left of the last connection
        address, security = self.settings.scheduler, None
        if address is None:
            self.cluster = await EmbeddedCluster.start(
                self.settings.workers, self.settings.worker_limit_bytes
            )
            address, security = self.cluster.address, self.cluster.security
        dask.config.set(DASK_CONFIG)
        client = await Client(
            address, security=security, asynchronous=True, set_as_default=False, timeout=CONNECT_SECONDS
        )
        try:
            await client.wait_for_workers(1, timeout=20)
            await self._check_version(client)
            await client.register_plugin(WarmUp(preload=self._preload))
        except BaseException:
            await client.close()
            raise
        return client

    async def _check_version(self, client: Client) -> None:
        there: Capabilities | None = None
        with contextlib.suppress(ImportError, AttributeError):
            there = await client.submit(capabilities.probe, pure=False)
        if there is None or there.code != capabilities.code_digest():
            raise OtherVersionError.of(
                "The workers at {address} run a different version of this program. Start them from the "
                "same checkout.",
                address=client.scheduler.address if client.scheduler else "",
            )
        self.capabilities = there

    async def _watch(self, client: Client) -> None:
        """Give an embedded cluster up that has lost all its workers for good: the next call rebuilds it."""
        with_workers = monotonic()
        while client.status == "running":
            await asyncio.sleep(WATCH_SECONDS)
            if client.scheduler_info().get("n_workers"):
                with_workers = monotonic()
            elif monotonic() - with_workers > MOST_SECONDS_WITHOUT_WORKERS:
                with contextlib.suppress(*LOST):
                    await client.close()

    async def _probe(self, client: Client) -> None:
        """Probe a new cluster until all that its workers can do is known."""
        while not (self.capabilities and self.capabilities.complete):
            await asyncio.sleep(PROBE_SECONDS)
            if self._client is not client:
                return  # another client has replaced it, and is probed
            with contextlib.suppress(*LOST):
                self.capabilities = await self._client.submit(capabilities.probe, pure=False)
