"""A machine: what describes it, and how a process on it is prepared for timings."""

import ctypes
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from twolayer.training.messages import Message

LIBRARIES = ("numpy", "torch", "numba", "jax", "distributed")
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 1 << 26
LARGEST_BYTES = 1 << 25
RETURNED_BYTES = 1 << 20


@dataclass(frozen=True)
class Machine:
    """The hardware and software that compute."""

    processor: str
    cores: int
    """Cores that this process may use."""
    all_cores: int
    memory_bytes: int
    blas: str
    versions: tuple[tuple[str, str], ...]
    devices: tuple[tuple[str, tuple[str, ...]], ...]
    """The devices of each backend, and of each library that is a peer only."""
    gpus: tuple[str, ...]
    virtual: bool
    """Whether the processor reports a hypervisor (known on Linux with x86 only)."""

    @property
    def notes(self) -> list[Message]:
        """Return what makes timings on this machine unreliable."""
        notes = []
        if self.cores < self.all_cores:
            notes.append(
                Message.of(
                    "Only {cores} of {all_cores} CPU cores are available to this process. It may be "
                    "throttled, and other processes may share the machine.",
                    cores=self.cores,
                    all_cores=self.all_cores,
                )
            )
        if self.virtual:
            notes.append(
                Message.of(
                    "This is a virtual machine. Other VMs on the same host may share its caches, memory "
                    "bandwidth and clock rate. Compare ratios rather than absolute times, and repeat the "
                    "race."
                )
            )
        return notes


def this_machine(devices: Mapping[str, tuple[str, ...]], gpus: tuple[str, ...] = ()) -> Machine:
    """Describe the machine of this process, on which each backend has these `devices`."""
    import psutil
    from dask.system import CPU_COUNT  # respects affinity and cgroups
    from distributed.system import MEMORY_LIMIT

    processor, virtual = _processor()
    return Machine(
        processor=processor,
        cores=CPU_COUNT,
        all_cores=psutil.cpu_count() or CPU_COUNT,
        memory_bytes=int(MEMORY_LIMIT),
        blas=_blas(),
        versions=_versions(),
        devices=tuple(devices.items()),
        gpus=gpus,
        virtual=virtual,
    )


def torch_devices() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the devices that PyTorch can use, and the names of the GPUs among them. Imports PyTorch."""
    import torch

    gpus = {f"cuda:{i}": torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}
    if torch.backends.mps.is_available():
        gpus["mps"] = "Apple GPU"
    return ("cpu", *gpus), tuple(gpus.values())


def keep_freed_memory() -> None:
    """Make glibc keep freed memory for the next step. Does nothing with another C library.

    By default, whether glibc returns two arrays of 800 kB to the system in each step depends on the
    process's history: the tutorial's loop takes 1.1 ms or 0.43 ms a step.
    """
    with suppress(AttributeError, OSError, TypeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_BYTES)


def return_freed_memory() -> None:
    """Make glibc return what was large to the system as soon as it is freed.

    By default it keeps freed memory once that was in blocks of up to 32 MB, as a file for download may be.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, RETURNED_BYTES)


def _versions() -> tuple[tuple[str, str], ...]:
    from importlib.metadata import PackageNotFoundError, version

    found = [("python", platform.python_version())]
    for library in LIBRARIES:
        with suppress(PackageNotFoundError):
            found.append((library, version(library)))
    return tuple(found)


def _blas() -> str:
    import numpy  # noqa: F401  (loads its BLAS)
    from threadpoolctl import threadpool_info

    for library in threadpool_info():
        if library["user_api"] == "blas":
            parts = (library["internal_api"], library.get("version"), library.get("architecture"))
            return " ".join(str(part) for part in parts if part)
    return ""


def _processor() -> tuple[str, bool]:
    """Return the processor's name, and whether it reports a hypervisor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []  # not Linux
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    virtual = any(line.startswith("flags") and " hypervisor" in line for line in lines)
    return next(names, platform.processor() or platform.machine()), virtual
