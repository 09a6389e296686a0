"""The settings of a server: environment variables, read once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twolayer.training.fields import Field, Name, Whole, declared, fields_of, parse_fields
from twolayer.training.messages import N_, Message, MessageError

MB = 1024 * 1024
WORKER_MB = 400
"""Memory of a worker with PyTorch loaded, before it holds a run."""
WEB_MB = 300
"""Memory of the web process and the scheduler."""


class SettingError(MessageError, ValueError):
    """An environment variable has an invalid value."""


def _count(words: str, default: int | None = None, default_words: str = "") -> Any:
    field = Whole(1, 10**18, default=default, default_words=default_words, words=words)
    return declared(field)


@dataclass(frozen=True)
class Settings:
    """The limits of one server, and where it computes."""

    scheduler: str | None = declared(
        Name(
            r"(tcp|tls|wss?)://.*",
            Message.of("an address such as tcp://host:port"),
            default_words="an embedded cluster",
            words=N_("address of the Dask scheduler to compute on; its workers must run the same version"),
        )
    )
    workers: int = _count(
        N_("number of worker processes of the embedded cluster"), default_words="by cores and memory"
    )
    memory_mb: int = _count(
        N_(
            "memory limit for all active runs together, in MB; a run over the limit is refused, others are "
            "queued until memory is free"
        ),
        default_words="a quarter of the memory, 64 to 2048",
    )
    max_seconds: int = _count(N_("time limit per run, in seconds of computing"), default=600)
    max_wall_seconds: int = _count(
        N_("time limit per run or job from start to end, in seconds, with waiting and slow motion"),
        default=7200,
    )
    live_per_visitor: int = _count(
        N_("maximum number of active or queued runs and jobs per visitor; further ones are refused"),
        default=6,
    )
    live: int = _count(
        N_("maximum number of active or queued runs and jobs on the server; further ones are refused"),
        default=200,
    )

    @property
    def worker_limit_bytes(self) -> int:
        """Memory at which a worker of the embedded cluster is ended and replaced."""
        return (WORKER_MB + self.memory_mb) * MB


SETTINGS: Mapping[str, Field] = {
    f"TWOLAYER_{name.upper()}": field for name, field in fields_of(Settings).items()
}
"""Every environment variable of the program."""


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of an environment. Raises `SettingError` for an invalid variable."""
    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT

    given = {name: environment[name] for name in SETTINGS if environment.get(name)}
    values, errors = parse_fields(SETTINGS, given)
    for error in errors:
        raise SettingError.of(
            "Invalid value {got} for the environment variable {name}: {effect}.",
            name=error.field,
            got=error.got,
            effect=Message(SETTINGS[error.field].words),
        )
    settings = {name.removeprefix("TWOLAYER_").lower(): value for name, value in values.items()}
    machine_mb = MEMORY_LIMIT // MB
    settings.setdefault("memory_mb", max(64, min(2048, machine_mb // 4)))
    room = (machine_mb - WEB_MB - settings["memory_mb"]) // WORKER_MB
    settings.setdefault("workers", max(1, min(CPU_COUNT, room)))
    return Settings(**settings)
