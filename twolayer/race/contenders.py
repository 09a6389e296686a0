"""Who takes part in a race: each backend × device × method of a machine, and autograd as a peer."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from twolayer.training.config import METHODS, Config
from twolayer.training.kernels import KERNELS, Kernel, load
from twolayer.training.machine import Machine
from twolayer.training.messages import Message, MessageError, shown

TIMED = tuple(method for method in METHODS if method != "auto")
METHODS_IN_A_RACE = (*TIMED, "autograd")


@dataclass(frozen=True)
class Contender:
    """A way to compute the iteration: one of our methods on a device, or `autograd` as a peer."""

    backend: str
    device: str
    method: str

    @property
    def name(self) -> str:
        """The name in tables."""
        place = "" if self.device == "cpu" else f" on {self.device}"
        return f"{self.backend} {self.method}{place}"

    @property
    def key(self) -> str:
        """The name in an address."""
        return f"{self.backend}.{self.method}" + ("" if self.device == "cpu" else f".{self.device}")

    def config(self, config: Config) -> Config:
        """The same run, computed this way."""
        method = "tutorial" if self.method == "autograd" else self.method
        return replace(config, backend=self.backend, device=self.device, method=method)

    def kernel(self) -> type[Kernel]:
        """The kernel. Imports its library."""
        if self.method == "autograd":
            from twolayer.training.kernels.autograd import Autograd

            return Autograd
        return load(self.backend, self.method)


class ContenderError(MessageError, ValueError):
    """A list of contenders that names somebody who is not here."""


BASELINE = Contender("numpy", "cpu", "tutorial")
"""The tutorial's own loop: what the speed-up of all others is counted from."""


def contenders(devices: Iterable[tuple[str, tuple[str, ...]]], dtype: str) -> list[Contender]:
    """Everyone who can take part where each backend has these devices."""
    found = [
        Contender(backend, device, method)
        for backend, its_devices in devices
        for device in its_devices
        if not (device == "mps" and dtype == "float64")
        for method in METHODS_IN_A_RACE
        if (backend, method) in KERNELS or (backend, method) == ("torch", "autograd")
    ]
    return sorted(found, key=lambda c: (c.backend, c.device))


def everyone(machine: Machine, config: Config) -> list[Contender]:
    """Everyone who can take part on this machine."""
    return contenders(machine.devices, config.dtype)


def chosen(keys: str, here: Iterable[Contender]) -> list[Contender]:
    """The contenders with these keys, joined by commas, in the order of those who are here. Raises
    `ContenderError` for a key that none of them has."""
    by_key = {contender.key: contender for contender in here}
    asked = keys.split(",")
    for key in asked:
        if key not in by_key:
            raise ContenderError(
                Message.of(
                    "contenders: got {got}; takes names joined by commas: {names}",
                    got=shown(key),
                    names=", ".join(by_key),
                )
            )
    return [contender for key, contender in by_key.items() if key in asked]
