"""A race as a file: CSV for other tools, JSON for this program on another machine.

Nothing in a file from outside is trusted: neither its size nor its form nor any value in it.
"""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from twolayer.race.agreement import Agreement, Drift
from twolayer.race.contenders import LIBRARIES, METHODS_IN_A_RACE, Contender
from twolayer.race.result import Race, Standing
from twolayer.race.roofline import Roofline
from twolayer.race.timing import CLOCK, ROUNDS, Load
from twolayer.race.untrusted import RaceFileError, Value, parse
from twolayer.training.config import FIELDS, STEPS, Config
from twolayer.training.fields import Choice, ConfigError
from twolayer.training.machine import Machine
from twolayer.training.messages import Message, shown
from twolayer.training.profiling import ALL as ALL_PHASES

VERSION = 2
"""To be raised when an older program could not read the file, or would read it wrongly."""
ADDED = ("table",)
"""Fields of a Config that files of this version have only of late; before, they were at their defaults."""
LARGEST_BYTES = 2_000_000
MOST_RACES = 32
MOST_CONTENDERS = 64


def to_json(races: Sequence[Race]) -> str:
    """Write the races as JSON. Numbers that are not finite become null.

    It is plain ASCII: a shell that redirects it in an encoding of its own cannot spoil it.
    """
    plain = json.dumps([_plain(race) for race in races])
    return json.dumps(json.loads(plain, parse_constant=lambda _: None))


def _plain(race: Race) -> dict[str, Any]:
    machine = asdict(race.machine)
    return {
        "version": VERSION,
        "config": asdict(race.config),
        "machine": machine | {"versions": dict(race.machine.versions), "devices": dict(race.machine.devices)},
        "ceiling": asdict(race.roofline) if race.roofline else None,
        "clock": CLOCK,
        "rounds": [asdict(load) for load in race.loads],
        "repeated": race.repeated,
        "contenders": [
            {
                **asdict(standing.contender),
                **row,
                "seconds": list(standing.seconds),
                "flops": standing.flops,
                "moved_bytes": standing.moved,
                "phases": dict(standing.phases),
                "agreement": asdict(standing.agreement) if standing.agreement else None,
            }
            for standing, row in zip(race.ranked, race.rows(), strict=True)
        ],
    }


def to_csv(races: Sequence[Race]) -> str:
    """Write the races as CSV: a row for each contender and size."""
    text = io.StringIO()
    shared = [name for name in FIELDS if name not in ("backend", "device", "method")]
    rows = [{f: getattr(race.config, f) for f in shared} | row for race in races for row in race.rows()]
    if rows:
        writer = csv.DictWriter(text, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def from_json(data: bytes) -> list[Race]:
    """Read the races of a file. Raises `RaceFileError`, which says what is wrong with it and where."""
    if len(data) > LARGEST_BYTES:
        raise RaceFileError.of(
            "The file is {size:.0f} MB; the limit is {most:.0f} MB.",
            size=len(data) / 1e6,
            most=LARGEST_BYTES / 1e6,
        )
    found = parse(data)
    if not isinstance(found.value, list):
        found = Value([found.value])
    return [_race(one) for one in found.items(1, MOST_RACES)]


def _race(one: Value) -> Race:
    version = one["version"]
    if version.value != VERSION or isinstance(version.value, bool):
        raise RaceFileError.of(
            "The file has format version {got}; this program reads version {version}. Rerun the race "
            "with the same program version on both machines.",
            got=shown(version.value),
            version=VERSION,
        )
    config = _config(one["config"])
    loads = tuple(
        Load(load["away"].number(0, 1), load["others"].number(0, 1e6), load["cores"].whole(1, 100_000))
        for load in one["rounds"].items(1, ROUNDS.high)
    )
    standings = tuple(_standing(s, len(loads)) for s in one["contenders"].items(1, MOST_CONTENDERS))
    if len({s.contender for s in standings}) < len(standings):
        one["contenders"].wrong(Message.of("each implementation once"))
    ceiling = one["ceiling"]
    return Race(
        config=config,
        machine=_machine(one["machine"]),
        roofline=None
        if ceiling.value is None
        else Roofline(*(ceiling[limit.name].number(1e-6, 1e12) for limit in fields(Roofline))),
        standings=standings,
        loads=loads,
        repeated=one["repeated"].whole(0, len(loads)),
    )


def _config(value: Value) -> Config:
    given = {name: value[name].value for name in FIELDS if name not in ADDED}
    given |= {name: value[name].value for name in ADDED if name in value.value}
    try:
        return Config(**given)
    except ConfigError as error:
        value[error.field].wrong(error.takes)


def _machine(value: Value) -> Machine:
    return Machine(
        processor=value["processor"].text(),
        cores=value["cores"].whole(1, 100_000),
        all_cores=value["all_cores"].whole(1, 100_000),
        memory_bytes=value["memory_bytes"].whole(1, 1 << 60),
        blas=value["blas"].text(),
        versions=tuple((name, version.text()) for name, version in value["versions"].entries(20)),
        devices=tuple(
            (name, tuple(device.text() for device in devices.items(0, 64)))
            for name, devices in value["devices"].entries(20)
        ),
        gpus=tuple(name.text() for name in value["gpus"].items(0, 64)),
        virtual=value["virtual"].truth(),
    )


def _standing(value: Value, rounds: int) -> Standing:
    return Standing(
        contender=Contender(
            backend=value["backend"].take(Choice(tuple(sorted(LIBRARIES)))),
            method=value["method"].take(Choice(METHODS_IN_A_RACE)),
            device=value["device"].take(FIELDS["device"]),
        ),
        seconds=tuple(seconds.number(1e-9, 1e6) for seconds in value["seconds"].items(rounds, rounds)),
        phases={phase: value["phases"][phase].number(0, 1e6) for phase in ALL_PHASES},
        flops=value["flops"].whole(1, 1 << 62),
        moved=value["moved_bytes"].whole(1, 1 << 62),
        agreement=None if value["agreement"].value is None else _agreement(value["agreement"]),
        compile_seconds=value["compile_seconds"].number(0, 1e6) if "compile_seconds" in value.value else 0.0,
    )


def _agreement(value: Value) -> Agreement:
    drift, one_rounding = (
        Drift(*(value[name][part.name].error() for part in fields(Drift)))
        for name in ("drift", "one_rounding")
    )
    return Agreement(
        drift,
        one_rounding,
        floor=value["floor"].number(0, 1e308),
        fallen=value["fallen"].number(0, 1e308),
        steps=value["steps"].whole(0, STEPS.high),
    )
