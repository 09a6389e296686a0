"""What a server has and allows, as rows for the command line and the pages."""

from twolayer.engine.settings import MB, Settings
from twolayer.training.capabilities import Capabilities
from twolayer.training.messages import Message

Row = tuple[Message, Message | str]


def machine(found: Capabilities) -> list[Row]:
    """The machine that computes: (name, value), and for what is missing how to get it."""
    here = found.machine
    rows: list[Row] = [
        (Message.of("Processor"), here.processor),
        (Message.of("CPU cores"), Message.of("{cores} (maximum threads per run)", cores=here.cores)),
        (Message.of("Memory"), Message.of("{memory} MB", memory=here.memory_bytes // MB)),
        (Message.of("BLAS"), here.blas),
        (Message.of("Software"), ", ".join(f"{library} {version}" for library, version in here.versions)),
    ]
    for backend, devices in here.devices:
        rows.append((Message.of("Devices of {backend}", backend=backend), ", ".join(devices)))
    for backend, why in found.missing:
        rows.append((Message.of("Devices of {backend}", backend=backend), why))
    return rows


def limits(settings: Settings) -> list[Row]:
    """Return what the settings allow as (name, value)."""
    place = Message.of("an external cluster")
    if settings.scheduler is None:
        place = Message.of("local worker processes: {workers}", workers=settings.workers)
    return [
        (Message.of("Compute backend"), place),
        (
            Message.of("Memory limit (all runs)"),
            Message.of("{memory} MB", memory=settings.memory_mb),
        ),
        (
            Message.of("Time limit per run"),
            Message.of("at most {seconds} s", seconds=settings.max_seconds),
        ),
        (
            Message.of("Active or queued runs"),
            Message.of(
                "at most {each} per visitor, {together} in total",
                each=settings.live_per_visitor,
                together=settings.live,
            ),
        ),
    ]
