"""Races made of given figures, for tests of what is said about them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from twolayer import Config
from twolayer.race.agreement import Agreement, Drift
from twolayer.race.contenders import Contender
from twolayer.race.result import Race, race_from
from twolayer.race.roofline import Roofline
from twolayer.race.timing import Load, Round
from twolayer.training.machine import Machine
from twolayer.training.profiling import ALL

GRAM, TUTORIAL = Contender("numpy", "cpu", "gram"), Contender("numpy", "cpu", "tutorial")
TORCH_GRAM = Contender("torch", "cpu", "gram")

MACHINE = Machine(
    processor="A processor",
    cores=2,
    all_cores=2,
    memory_bytes=8 << 30,
    blas="a blas 1.0",
    versions=(("python", "3.11.7"), ("numpy", "2.4.6")),
    devices=(("numpy", ("cpu",)), ("torch", ("cpu",))),
    gpus=(),
    virtual=False,
)

RIGHT = Agreement(Drift(1e-6, 85.0, 1e-6), Drift(1e-7, 2.0, 1e-7), 1e-5, 1e-9, 500)
WRONG = replace(RIGHT, drift=Drift(0.5, 1.0, 1e-6))


def race_of(
    seconds: Mapping[Contender, Sequence[float]],
    agreements: Mapping[Contender, Agreement] | None = None,
    loads: Sequence[Load] | None = None,
    **fields: Any,
) -> Race:
    """A race in which each contender took these seconds; all are right if nothing else is said."""
    count = len(next(iter(seconds.values())))
    loads = loads or [Load(0.0, 0.0, 2)] * count
    rounds = [
        Round(
            seconds=tuple(of_contender[i] for of_contender in seconds.values()),
            phases=tuple(
                {phase: of_contender[i] / len(ALL) for phase in ALL} for of_contender in seconds.values()
            ),
            load=loads[i],
            repeated=loads[i].busy,
        )
        for i in range(count)
    ]
    return race_from(
        Config(**fields),
        list(seconds),
        MACHINE,
        Roofline(90.0, 100.0, 40.0),
        rounds,
        dict.fromkeys(seconds, RIGHT) if agreements is None else agreements,
    )
