"""What a machine has: asked of a worker, or of the process that calls `fit`."""

import hashlib
import platform
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from twolayer.training import methods
from twolayer.training.config import Config
from twolayer.training.fields import ConfigError
from twolayer.training.kernels import UnavailableError, why_missing
from twolayer.training.messages import Message

PACKAGE = Path(__file__).parents[1]
LIBRARIES = ("numpy", "torch", "distributed")
ALWAYS_FITS = 1 << 28
failures: dict[str, Message] = {}
"""Backends that this process tried to load in vain, and why: told by whoever tried."""


@dataclass(frozen=True)
class Capabilities:
    """A machine as a run sees it."""

    processor: str
    cores: int
    memory_bytes: int
    blas: str
    versions: tuple[tuple[str, str], ...]
    devices: tuple[tuple[str, tuple[str, ...]], ...]
    """For each backend that is here, the devices it can use."""
    missing: tuple[tuple[str, Message], ...]
    """For each backend that is not here, why not."""
    complete: bool
    """False while PyTorch is still being loaded: its devices may grow."""
    code: str
    """A digest of this package's own code: parts of one cluster must have the same."""

    def require(self, config: Config) -> None:
        """Raise `UnavailableError` or `ConfigError` if `config` cannot run here."""
        for backend, why in self.missing:
            if backend == config.backend:
                raise UnavailableError(why)
        devices = dict(self.devices)[config.backend]
        if config.device not in devices:
            here = Message.of("a device that is here: {devices}", devices=", ".join(devices))
            raise ConfigError("device", config.device, here)
        if config.threads > self.cores:
            cores = Message.of("at most {cores}, the cores of this machine", cores=self.cores)
            raise ConfigError("threads", config.threads, cores)
        if methods.run_bytes(config) > self.memory_bytes:
            largest = max(("N", "D_in", "H", "D_out", "steps"), key=lambda name: getattr(config, name))
            fits = Message.of(
                "less: the run needs {needed} MB of memory and this machine has {memory}",
                needed=methods.run_bytes(config) >> 20,
                memory=self.memory_bytes >> 20,
            )
            raise ConfigError(largest, getattr(config, largest), fits)


def probe(*, load_torch: bool = False) -> Capabilities:
    """Ask this process. With `load_torch` PyTorch is imported to learn its devices (seconds);
    without it, they are known only if it is loaded already."""
    from dask.system import CPU_COUNT  # counts what affinity and cgroups leave of the machine
    from distributed.system import MEMORY_LIMIT

    devices: dict[str, tuple[str, ...]] = {"numpy": ("cpu",)}
    missing: dict[str, Message] = {}
    complete = True
    why = why_missing("torch") or failures.get("torch")
    if why is None and (load_torch or _torch_loaded()):
        try:
            devices["torch"] = _torch_devices()
        except (ImportError, OSError) as error:
            why = Message.of(
                "{library} is installed but does not load: {error}",
                library="torch",
                error=type(error).__name__,
            )
    elif why is None:
        devices["torch"], complete = ("cpu",), False
    if why is not None:
        missing["torch"] = why
    return Capabilities(
        processor=_processor(),
        cores=CPU_COUNT,
        memory_bytes=int(MEMORY_LIMIT),
        blas=_blas(),
        versions=(("python", platform.python_version()), *_versions()),
        devices=tuple(devices.items()),
        missing=tuple(missing.items()),
        complete=complete,
        code=code_digest(),
    )


def require(config: Config) -> None:
    """Raise if `config` cannot run in this process. Loads PyTorch only for a run that uses it."""
    if config.backend == "numpy" and config.threads == 1 and methods.run_bytes(config) < ALWAYS_FITS:
        return  # nothing to ask: a small run of NumPy on one thread runs wherever this package does
    probe(load_torch=config.backend == "torch").require(config)


def _torch_loaded() -> bool:
    # Present in sys.modules while still being imported elsewhere: ask for a name that comes last.
    return hasattr(sys.modules.get("torch"), "compile")


def _torch_devices() -> tuple[str, ...]:
    import torch

    devices = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return tuple(devices)


def gpu_names() -> tuple[str, ...]:
    """The names of the GPUs that PyTorch finds. Imports PyTorch."""
    import torch

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return (*names, *(["Apple GPU"] if torch.backends.mps.is_available() else []))


def _versions() -> list[tuple[str, str]]:
    found = []
    for library in LIBRARIES:
        try:
            found.append((library, version(library)))
        except PackageNotFoundError:
            continue
    return found


def _blas() -> str:
    import numpy  # noqa: F401  (its BLAS is what is looked for)
    from threadpoolctl import threadpool_info

    for library in threadpool_info():
        if library["user_api"] == "blas":
            parts = (library["internal_api"], library.get("version"), library.get("architecture"))
            return " ".join(str(part) for part in parts if part)
    return ""


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


@cache
def code_digest() -> str:
    """A digest of the library's source files (the dashboard's own not among them)."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith("dashboard/"):
            digest.update(name.encode() + b"\n" + path.read_bytes())
    return digest.hexdigest()[:16]
