"""The machine of a race, as it is told to people and written to files."""

from dataclasses import dataclass
from pathlib import Path

import psutil

from twolayer.training.capabilities import gpu_names, probe
from twolayer.training.messages import Message


@dataclass(frozen=True)
class Machine:
    """What computed a race."""

    processor: str
    cores: int
    """Those that this process may use."""
    all_cores: int
    """Those that the machine has."""
    memory_bytes: int
    blas: str
    versions: tuple[tuple[str, str], ...]
    devices: tuple[tuple[str, tuple[str, ...]], ...]
    """For each backend, the devices it can use."""
    gpus: tuple[str, ...]
    virtual: bool
    """Whether it says that it runs on top of another machine."""

    @property
    def notes(self) -> list[Message]:
        """What makes timings here say little, if anything does."""
        notes = []
        if self.cores < self.all_cores:
            notes.append(
                Message.of(
                    "This process may use {cores} of the {all_cores} cores: whoever limits it may also "
                    "throttle it, and others compute beside it.",
                    cores=self.cores,
                    all_cores=self.all_cores,
                )
            )
        if self.virtual:
            notes.append(
                Message.of(
                    "This is a virtual machine: its host may have other guests, who share caches, memory "
                    "and clock rate with it. Compare ratios rather than times, and repeat the race."
                )
            )
        return notes


def this_machine() -> Machine:
    """Ask this process. Imports PyTorch to learn its devices."""
    found = probe(load_torch=True)
    return Machine(
        processor=found.processor,
        cores=found.cores,
        all_cores=psutil.cpu_count() or found.cores,
        memory_bytes=found.memory_bytes,
        blas=found.blas,
        versions=found.versions,
        devices=found.devices,
        gpus=gpu_names() if "torch" in dict(found.devices) else (),
        virtual=_is_virtual(),
    )


def _is_virtual() -> bool:
    """Whether the processor reports a hypervisor (Linux on x86; elsewhere it is not known)."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return False
    return any(line.startswith("flags") and " hypervisor" in line for line in lines)
