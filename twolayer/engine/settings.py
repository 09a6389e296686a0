"""The settings of a server: environment variables, read once."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twolayer.training.messages import Message, MessageError

MB = 1024 * 1024
WORKER_MB = 400
"""Memory of a worker with PyTorch loaded, before it holds a run."""
WEB_MB = 300
"""Memory of the web process and the scheduler."""


class SettingError(MessageError, ValueError):
    """An environment variable has an invalid value."""


@dataclass(frozen=True)
class Setting:
    """An environment variable: its parser, a description of its default, and its effect."""

    read: Callable[[str], Any]
    default: str
    effect: str


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _address(text: str) -> str:
    if not text.startswith(("tcp://", "tls://", "ws://", "wss://")):
        raise ValueError
    return text


@dataclass(frozen=True)
class Settings:
    """The limits of one server, and where it computes."""

    scheduler: str | None
    workers: int
    memory_mb: int
    max_seconds: int = 600
    live_per_visitor: int = 6
    live: int = 200

    @property
    def worker_limit_bytes(self) -> int:
        """Memory at which a worker of the embedded cluster is replaced."""
        return (WORKER_MB + self.memory_mb) * MB


SETTINGS: Mapping[str, Setting] = {
    "TWOLAYER_SCHEDULER": Setting(
        _address,
        "an embedded cluster",
        "address of a Dask scheduler to compute on, tcp://host:port; its workers must run from the same "
        "checkout",
    ),
    "TWOLAYER_WORKERS": Setting(_positive, "by cores and memory", "worker processes of the embedded cluster"),
    "TWOLAYER_MEMORY_MB": Setting(
        _positive,
        "a quarter of the memory, 64 to 2048",
        "memory that all live runs together may take, in MB; a larger run is refused, and runs that do not "
        "fit at the same time wait for each other",
    ),
    "TWOLAYER_MAX_SECONDS": Setting(
        _positive,
        str(Settings.max_seconds),
        "computing time that one run may take, in seconds; then it is stopped",
    ),
    "TWOLAYER_LIVE_PER_VISITOR": Setting(
        _positive,
        str(Settings.live_per_visitor),
        "runs and other jobs that one visitor may have at work or waiting; one more is refused",
    ),
    "TWOLAYER_LIVE": Setting(
        _positive,
        str(Settings.live),
        "runs and other jobs that all visitors together may have at work or waiting; one more is refused",
    ),
}
"""Every environment variable of the program: `TWOLAYER_` and the name of a field of `Settings`."""


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of an environment. Raises `SettingError` for an invalid variable."""
    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT

    values: dict[str, Any] = {"scheduler": None}
    for name, setting in SETTINGS.items():
        text = environment.get(name)
        if not text:
            continue
        try:
            values[name.removeprefix("TWOLAYER_").lower()] = setting.read(text)
        except ValueError:
            raise SettingError(
                Message.of(
                    "The environment variable {name} cannot be {got}: it is the {effect}.",
                    name=name,
                    got=text,
                    effect=setting.effect,
                )
            ) from None
    machine_mb = MEMORY_LIMIT // MB
    memory_mb = values.setdefault("memory_mb", max(64, min(2048, machine_mb // 4)))
    room = (machine_mb - WEB_MB - memory_mb) // WORKER_MB
    values.setdefault("workers", max(1, min(CPU_COUNT, room)))
    return Settings(**values)
