"""The contenders of a race: each backend × device × method of a machine, and autograd as a peer."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from twolayer.training.config import BACKENDS, Config
from twolayer.training.fields import ConfigError
from twolayer.training.kernels import KERNELS, Kernel, load
from twolayer.training.messages import MessageError, shown
from twolayer.training.methods import METHODS

METHODS_IN_A_RACE = (*METHODS, "autograd")
ORDER = tuple(BACKENDS)


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
        return BACKENDS[self.backend] + self._place

    @property
    def key(self) -> str:
        """The name in an address."""
        return f"{self.backend}.{self.method}" + ("" if self.device == "cpu" else f".{self.device}")

    def config(self, config: Config) -> Config:
        """Return the Config of the same run for this contender."""
        method = "tutorial" if self.method == "autograd" else self.method
        return replace(config, backend=self.backend, device=self.device, method=method)

    def can_compute(self, config: Config) -> bool:
        """Return whether it has the dtype and the threads of `config`."""
        try:
            self.config(config)
        except ConfigError:
            return False
        return True

    def kernel(self) -> type[Kernel]:
        """Return the kernel. Imports its library."""
        if self.method == "autograd":
            from twolayer.training.kernels.autograd import Autograd

            return Autograd
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
        if (backend, method) in KERNELS or (backend, method) == ("torch", "autograd")
    ]
    return sorted(
        (c for c in found if c.can_compute(config)), key=lambda c: (ORDER.index(c.backend), c.device)
    )


def chosen(keys: str, here: Iterable[Contender]) -> list[Contender]:
    """Return the contenders with these comma-separated keys, in the order of `here`. Raises
    `ContenderError` for an unknown key."""
    by_key = {contender.key: contender for contender in here}
    asked = keys.split(",")
    for key in asked:
        if key not in by_key:
            raise ContenderError.of(
                "contenders: invalid value {got}; expected comma-separated names from: {names}",
                got=shown(key),
                names=", ".join(by_key),
            )
    return [contender for key, contender in by_key.items() if key in asked]
