"""A race as a file: written for people's own tools and for this program on another machine, and read
back from whoever sends one.

Nothing in a file that comes from outside is trusted: its size, its form, each value in it.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, NoReturn

from twolayer.race.agreement import Agreement, Drift
from twolayer.race.contenders import METHODS_IN_A_RACE, Contender
from twolayer.race.result import Race, Standing
from twolayer.race.roofline import Ceiling
from twolayer.race.timing import CLOCK, Load
from twolayer.training.config import FIELDS, Config, ConfigError
from twolayer.training.kernels import KERNELS
from twolayer.training.machine import Machine
from twolayer.training.messages import Message, MessageError, shown
from twolayer.training.profiling import ALL as ALL_PHASES

VERSION = 2
"""Changes whenever an older program could not read the file, or would read it wrongly."""
LARGEST_BYTES = 2_000_000
MOST_RACES = 32
MOST_CONTENDERS = 64
MOST_ROUNDS = 1000
LONGEST_TEXT = 200


class RaceFileError(MessageError, ValueError):
    """A file that is not a race of this program."""


# -- written ------------------------------------------------------------------------------------


def to_json(races: Sequence[Race]) -> str:
    """All of the races, for programs. What is not finite is null."""
    return json.dumps([_finite(_one_to_plain(race)) for race in races], allow_nan=False, ensure_ascii=False)


def _one_to_plain(race: Race) -> dict[str, Any]:
    machine = asdict(race.machine)
    return {
        "version": VERSION,
        "config": asdict(race.config),
        "machine": machine | {"versions": dict(race.machine.versions), "devices": dict(race.machine.devices)},
        "ceiling": asdict(race.ceiling) if race.ceiling else None,
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


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


def to_csv(races: Sequence[Race]) -> str:
    """A row a contender and size, for spreadsheets."""
    text = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for race in races:
        shared = {k: v for k, v in asdict(race.config).items() if k not in ("backend", "device", "method")}
        for row in race.rows():
            if writer is None:
                writer = csv.DictWriter(text, [*shared, *row], lineterminator="\n")
                writer.writeheader()
            writer.writerow(shared | row)
    return text.getvalue()


# -- read ---------------------------------------------------------------------------------------


def from_json(data: bytes) -> list[Race]:
    """The races in a file. Raises `RaceFileError`, which says what is wrong with it and where."""
    if len(data) > LARGEST_BYTES:
        raise RaceFileError(
            Message.of(
                "The file has {size:.0f} MB, and a race has at most {most:.0f} MB.",
                size=len(data) / 1e6,
                most=LARGEST_BYTES / 1e6,
            )
        )
    value = _parsed(data)
    found = _Value(value if isinstance(value, list) else [value], "")
    return [_race(one) for one in found.items(1, MOST_RACES)]


def _parsed(data: bytes) -> Any:
    def refuse(name: str) -> NoReturn:
        raise RaceFileError(Message.of("The file holds {name}, which is not a number.", name=name))

    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=refuse)
    except UnicodeDecodeError as error:
        raise RaceFileError(
            Message.of("The file is not JSON: it is not a text in UTF-8 from byte {at} on.", at=error.start)
        ) from None
    except json.JSONDecodeError as error:
        # The end, an open string, or the beginning of a number or a word
        rest = error.doc[error.pos :].strip()
        if error.msg.startswith("Unterminated") or (
            (error.pos or not rest) and re.fullmatch(r"[-+.\w]*", rest)
        ):
            raise RaceFileError(
                Message.of(
                    "The file breaks off after {count} characters: it is not complete.", count=len(error.doc)
                )
            ) from None
        raise RaceFileError(
            Message.of(
                "The file is not JSON: line {line}, column {column}.", line=error.lineno, column=error.colno
            )
        ) from None
    except RaceFileError:
        raise
    except (RecursionError, ValueError):  # nested too deep; a number of thousands of digits
        raise RaceFileError(Message.of("The file is not a race of this program.")) from None


class _Value:
    """A value of the file, and the place where it stands, for the message about it."""

    def __init__(self, value: Any, place: str) -> None:
        self.value, self.place = value, place

    def wrong(self, takes: Message) -> NoReturn:
        raise RaceFileError(
            Message.of(
                "The file is not a race of this program. At {place}: got {got}; takes {takes}",
                place=self.place[:LONGEST_TEXT] or "the top",
                got=shown(self.value),
                takes=takes,
            )
        )

    def __getitem__(self, name: str) -> "_Value":
        if not isinstance(self.value, dict) or name not in self.value:
            self.wrong(Message.of("an object with the name {name}", name=name))
        return _Value(self.value[name], f"{self.place}.{name}".lstrip("."))

    def items(self, least: int, most: int) -> Iterator["_Value"]:
        if not isinstance(self.value, list) or not least <= len(self.value) <= most:
            self.wrong(Message.of("a list of {least} to {most} values", least=least, most=most))
        for i, inner in enumerate(self.value):
            yield _Value(inner, f"{self.place}[{i}]")

    def entries(self, most: int) -> Iterator[tuple[str, "_Value"]]:
        if not isinstance(self.value, dict) or len(self.value) > most:
            self.wrong(Message.of("an object with at most {most} names", most=most))
        for name, inner in self.value.items():
            yield _Value(name, self.place).text(), _Value(inner, f"{self.place}.{name}")

    def text(self) -> str:
        if not isinstance(self.value, str) or len(self.value) > LONGEST_TEXT:
            self.wrong(Message.of("a text of at most {most} characters", most=LONGEST_TEXT))
        return "".join(c for c in self.value if c.isprintable())

    def number(self, low: float, high: float) -> float:
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            self.wrong(Message.of("a number from {low:g} to {high:g}", low=low, high=high))
        if not low <= self.value <= high:
            self.wrong(Message.of("a number from {low:g} to {high:g}", low=low, high=high))
        return float(self.value)

    def whole(self, low: int, high: int) -> int:
        if isinstance(self.value, bool) or not isinstance(self.value, int) or not low <= self.value <= high:
            self.wrong(Message.of("a whole number from {low} to {high}", low=low, high=high))
        return self.value

    def truth(self) -> bool:
        if not isinstance(self.value, bool):
            self.wrong(Message.of("true or false"))
        return self.value

    def one_of(self, options: Sequence[str]) -> str:
        if self.value not in list(options):
            self.wrong(Message.of("one of {options}", options=", ".join(options)))
        return str(self.value)

    def error(self) -> float:
        """A difference, where null says that it is not finite."""
        return float("inf") if self.value is None else self.number(0, 1e308)


def _race(one: _Value) -> Race:
    version = one["version"]
    if version.value != VERSION or isinstance(version.value, bool):
        raise RaceFileError(
            Message.of(
                "The file is of version {got}, and this program reads version {version}: race again with "
                "the same version of the program on both machines.",
                got=shown(version.value),
                version=VERSION,
            )
        )
    config = _config(one["config"])
    loads = tuple(
        Load(load["away"].number(0, 1), load["others"].number(0, 1e6), load["cores"].whole(1, 100_000))
        for load in one["rounds"].items(1, MOST_ROUNDS)
    )
    standings = tuple(_standing(s, len(loads)) for s in one["contenders"].items(1, MOST_CONTENDERS))
    if len({s.contender for s in standings}) < len(standings):
        one["contenders"].wrong(Message.of("each contender once"))
    return Race(
        config=config,
        machine=_machine(one["machine"]),
        ceiling=None if one["ceiling"].value is None else _ceiling(one["ceiling"]),
        standings=standings,
        loads=loads,
        repeated=one["repeated"].whole(0, len(loads)),
    )


def _config(value: _Value) -> Config:
    fields = {name: value[name].value for name in FIELDS}
    try:
        return Config(**fields)
    except ConfigError as error:
        value[error.field].wrong(error.takes)


def _machine(value: _Value) -> Machine:
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


def _ceiling(value: _Value) -> Ceiling:
    return Ceiling(*(value[name].number(1e-6, 1e12) for name in ("gflops_here", "gflops_large", "gbytes")))


def _standing(value: _Value, rounds: int) -> Standing:
    backend = value["backend"].one_of(sorted({backend for backend, _ in KERNELS}))
    method = value["method"].one_of(METHODS_IN_A_RACE)
    try:
        device = FIELDS["device"].check(value["device"].value)
    except ValueError:
        value["device"].wrong(FIELDS["device"].takes)
    return Standing(
        contender=Contender(backend, device, method),
        seconds=tuple(seconds.number(1e-9, 1e6) for seconds in value["seconds"].items(rounds, rounds)),
        phases={phase: value["phases"][phase].number(0, 1e6) for phase in ALL_PHASES},
        flops=value["flops"].whole(1, 1 << 62),
        moved=value["moved_bytes"].whole(1, 1 << 62),
        agreement=None if value["agreement"].value is None else _agreement(value["agreement"]),
    )


def _agreement(value: _Value) -> Agreement:
    def drift(of: _Value) -> Drift:
        return Drift(of["loss"].error(), of["last_ratio"].error(), of["weight"].error())

    return Agreement(
        drift=drift(value["drift"]),
        one_rounding=drift(value["one_rounding"]),
        floor=value["floor"].number(0, 1e308),
        fallen=value["fallen"].number(0, 1e308),
        steps=value["steps"].whole(0, 5_000_000),
    )
