"""The contenders of a race: each backend × device × method of a machine, and as peers autograd and JAX."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from twolayer.training import methods
from twolayer.training.config import BACKENDS, Config
from twolayer.training.fields import ConfigError
from twolayer.training.kernels import KERNELS, PEERS, Kernel, load
from twolayer.training.messages import Message, MessageError, shown
from twolayer.training.methods import METHODS

METHODS_IN_A_RACE = (*METHODS, "autograd")
PICKED = {"jax": "JAX"}
"""Libraries that race only if they are picked, and no more than that: no backend of a Config."""
LIBRARIES = {**BACKENDS, **PICKED}
ORDER = tuple(LIBRARIES)
JAX_MEMORY = 2
"""Times the memory of the same run in PyTorch: its threads keep much of what is freed, each for itself."""


@dataclass(frozen=True)
class Contender:
    """A way to compute the iteration: a method on a device, or `autograd`."""

    backend: str
    device: str
    method: str

    @property
    def name(self) -> str:
        """The name in tables."""
        return f"{self.backend} {self.method}{self._place}"

    @property
    def _place(self) -> str:
        return "" if self.device == "cpu" else f" on {self.device}"

    @property
    def library(self) -> str:
        """The name of its library, and of the device unless that is the CPU."""
        return LIBRARIES[self.backend] + self._place

    @property
    def key(self) -> str:
        """The name in an address."""
        return f"{self.backend}.{self.method}" + ("" if self.device == "cpu" else f".{self.device}")

    def config(self, config: Config) -> Config:
        """Return the Config of the same run for this contender. That of a peer stands for its operations and
        its memory."""
        method = "tutorial" if self.method == "autograd" else self.method
        backend = "torch" if self.backend in PICKED else self.backend  # both copy the arrays
        return replace(config, backend=backend, device=self.device, method=method)

    def run_bytes(self, config: Config) -> int:
        """Return the estimated peak memory in bytes of a run of this contender."""
        return methods.run_bytes(self.config(config)) * (JAX_MEMORY if self.backend == "jax" else 1)

    def can_compute(self, config: Config) -> bool:
        """Return whether it has the dtype and the threads of `config`. JAX has one thread."""
        if self.backend in PICKED and config.threads > 1:
            return False
        try:
            self.config(config)
        except ConfigError:
            return False
        return True

    def kernel(self) -> type[Kernel]:
        """Return the kernel. Imports its library."""
        return load(self.backend, self.method)


class ContenderError(MessageError, ValueError):
    """A list of contenders names an unknown one."""


BASELINE = Contender("numpy", "cpu", "tutorial")
"""The tutorial's loop: speedups are relative to it."""


def contenders(devices: Iterable[tuple[str, tuple[str, ...]]], config: Config) -> list[Contender]:
    """Return all contenders for `config` of a machine whose backends have these devices."""
    found = [
        Contender(backend, device, method)
        for backend, its_devices in devices
        for device in its_devices
        for method in METHODS_IN_A_RACE
        if (backend, method) in KERNELS or (backend, method) in PEERS
    ]
    return sorted(
        (c for c in found if c.can_compute(config)), key=lambda c: (ORDER.index(c.backend), c.device)
    )


def by_default(here: Iterable[Contender]) -> list[Contender]:
    """Return those of `here` that take part unless others are chosen."""
    return [contender for contender in here if contender.backend not in PICKED]


def chosen(
    keys: str, here: Iterable[Contender], missing: Mapping[str, Message] | None = None
) -> list[Contender]:
    """Return the contenders with these comma-separated keys, in the order of `here`. Raises
    `ContenderError` for an unknown key: with the reason, if that is in `missing` under its library."""
    by_key = {contender.key: contender for contender in here}
    asked = keys.split(",")
    for key in asked:
        if why := (missing or {}).get(key.partition(".")[0]):
            raise ContenderError(why)
        if key not in by_key:
            raise ContenderError.of(
                "contenders: invalid value {got}; expected comma-separated names from: {names}",
                got=shown(key),
                names=", ".join(by_key),
            )
    return [contender for key, contender in by_key.items() if key in asked]
