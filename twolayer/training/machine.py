"""A machine: what describes it, and how this one is described."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from twolayer.training.messages import Message

LIBRARIES = ("numpy", "torch", "distributed")


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
    """The devices of each backend."""
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
        versions=(("python", platform.python_version()), *_versions()),
        devices=tuple(devices.items()),
        gpus=gpus,
        virtual=virtual,
    )


def torch_devices() -> tuple[str, ...]:
    """Return the devices that PyTorch can use. Imports PyTorch."""
    import torch

    devices = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return tuple(devices)


def gpu_names() -> tuple[str, ...]:
    """Return the names of the GPUs that PyTorch finds. Imports PyTorch."""
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
