"""What runs on a machine: asked of a worker, or of the process that calls `fit`."""

import hashlib
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from twolayer.training import methods
from twolayer.training.config import Config
from twolayer.training.fields import ConfigError
from twolayer.training.kernels import ON_DEMAND, UnavailableError, does_not_load, why_missing
from twolayer.training.machine import Machine, this_machine, torch_devices
from twolayer.training.messages import Message

PACKAGE = Path(__file__).parents[1]
ALWAYS_FITS = 1 << 28
failures: dict[str, Message] = {}
"""Why this process could not load a backend."""


@dataclass(frozen=True)
class Capabilities:
    """A machine, and what this installation can run on it."""

    machine: Machine
    missing: tuple[tuple[str, Message], ...]
    """For each backend or peer that cannot be used, why not."""
    complete: bool
    """False until PyTorch has been loaded: only the CPU is known of its devices."""
    code: str
    """A digest of this package's source. All parts of a cluster must have the same."""

    def require(self, config: Config) -> None:
        """Raise `UnavailableError` or `ConfigError` if `config` cannot run here."""
        why = dict(self.missing).get(config.backend)
        if why is not None:
            raise UnavailableError(why)
        devices = dict(self.machine.devices)[config.backend]
        if config.device not in devices:
            here = Message.of("one of the available devices: {devices}", devices=", ".join(devices))
            raise ConfigError("device", config.device, here)
        if config.threads > self.machine.cores:
            cores = Message.of("at most {cores}, the number of CPU cores available", cores=self.machine.cores)
            raise ConfigError("threads", config.threads, cores)
        if methods.run_bytes(config) > self.machine.memory_bytes:
            largest = max(("N", "D_in", "H", "D_out", "steps"), key=lambda name: getattr(config, name))
            fits = Message.of(
                "a smaller value: the run needs {needed} MB of memory, and this machine has {memory} MB",
                needed=methods.run_bytes(config) >> 20,
                memory=self.machine.memory_bytes >> 20,
            )
            raise ConfigError(largest, getattr(config, largest), fits)


def probe(*, load_torch: bool = False) -> Capabilities:
    """Describe this process. With `load_torch`, import PyTorch (seconds) to learn its devices;
    without it, its devices are known only where it is loaded already."""
    devices: dict[str, tuple[str, ...]] = {"numpy": ("cpu",)}
    gpus: tuple[str, ...] = ()
    complete = True
    why = why_missing("torch") or failures.get("torch")
    # A module that another thread is still importing is in sys.modules: look for a name defined last.
    if why is None and (load_torch or hasattr(sys.modules.get("torch"), "compile")):
        try:
            devices["torch"], gpus = torch_devices()
        except (ImportError, OSError) as error:
            why = does_not_load("torch", error)
    elif why is None:
        devices["torch"], complete = ("cpu",), False
    missing = {"torch": why, **{library: why_missing(library) for library in ON_DEMAND}}
    devices |= {library: ("cpu",) for library in ON_DEMAND if missing[library] is None}
    reasons = tuple((backend, why) for backend, why in missing.items() if why)
    return Capabilities(this_machine(devices, gpus), reasons, complete, code_digest())


def require(config: Config) -> None:
    """Raise `UnavailableError` or `ConfigError` if `config` cannot run in this process. Imports PyTorch only
    for a run that uses it."""
    if config.device == "cpu" and config.threads == 1 and methods.run_bytes(config) < ALWAYS_FITS:
        return  # runs wherever its library loads: a probe would only cost time
    probe(load_torch=config.backend == "torch").require(config)


@cache
def code_digest() -> str:
    """Return a digest of the library's source files, without those of the dashboard."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith("dashboard/"):
            digest.update(name.encode() + b"\n" + path.read_bytes())
    return digest.hexdigest()[:16]
