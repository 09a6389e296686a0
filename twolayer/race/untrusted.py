"""JSON from outside: each value is checked, and an error names its place, what it is and what it takes."""

import json
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from typing import Any, NoReturn

from twolayer.training.fields import ConfigError, Field, Real, Whole
from twolayer.training.messages import Message, MessageError, shown

LONGEST_TEXT = 200


class RaceFileError(MessageError, ValueError):
    """A file that is not a race of this program."""


class Value:
    """A value of a file, and its place in it. A method raises `RaceFileError` for a value of another kind."""

    def __init__(self, value: Any, place: str = "") -> None:
        self.value, self.place = value, place

    def wrong(self, takes: Message) -> NoReturn:
        """Raise the error of this value."""
        raise RaceFileError.of(
            "The file is not a race from this program. {place}: invalid value {got}; expected {takes}",
            place=self.place[:LONGEST_TEXT] or "the top",
            got=shown(self.value),
            takes=takes,
        )

    def __getitem__(self, name: str) -> "Value":
        if not isinstance(self.value, dict) or name not in self.value:
            self.wrong(Message.of("an object with the key {name}", name=name))
        return Value(self.value[name], f"{self.place}.{name}".lstrip("."))

    def items(self, least: int, most: int) -> Iterator["Value"]:
        """Yield the values of a list."""
        if not isinstance(self.value, list) or not least <= len(self.value) <= most:
            self.wrong(Message.of("a list of {least} to {most} values", least=least, most=most))
        for i, inner in enumerate(self.value):
            yield Value(inner, f"{self.place}[{i}]")

    def entries(self, most: int) -> Iterator[tuple[str, "Value"]]:
        """Yield the names of an object and their values."""
        if not isinstance(self.value, dict) or len(self.value) > most:
            self.wrong(Message.of("an object with at most {most} keys", most=most))
        for name, inner in self.value.items():
            yield Value(name, self.place).text(), Value(inner, f"{self.place}.{name}")

    def text(self) -> str:
        """Return a text without its control characters."""
        if not isinstance(self.value, str) or len(self.value) > LONGEST_TEXT:
            self.wrong(Message.of("a string of at most {most} characters", most=LONGEST_TEXT))
        return "".join(c for c in self.value if c.isprintable())

    def take(self, field: Field) -> Any:
        """Return the value if the field can have it."""
        try:
            return field.checked("", self.value)
        except ConfigError as error:
            self.wrong(error.takes)

    def number(self, low: float, high: float) -> float:
        return float(self.take(Real(low, high)))

    def whole(self, low: int, high: int) -> int:
        return int(self.take(Whole(low, high)))

    def truth(self) -> bool:
        """Return true or false."""
        if not isinstance(self.value, bool):
            self.wrong(Message.of("true or false"))
        return self.value

    def error(self) -> float:
        """Return a relative difference; infinity is written as null."""
        return float("inf") if self.value is None else self.number(0, 1e308)


def parse(data: bytes) -> Value:
    """Parse a file. Raises `RaceFileError`, which says where it breaks off or is no JSON."""
    try:
        # Windows PowerShell's > writes UTF-16 with a byte order mark
        encoding = "utf-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
        return Value(json.loads(data.decode(encoding), parse_constant=_refuse))
    except UnicodeDecodeError as error:
        raise RaceFileError.of(
            "The file is not valid JSON: not {encoding} text from byte {at} on.",
            encoding=error.encoding.upper(),
            at=error.start,
        ) from None
    except json.JSONDecodeError as error:
        # The end, an open string, or the beginning of a number or a word
        rest = error.doc[error.pos :].strip()
        if error.msg.startswith("Unterminated") or (
            (error.pos or not rest) and re.fullmatch(r"[-+.\w]*", rest)
        ):
            raise RaceFileError.of(
                "The file is truncated after {count} characters.", count=len(error.doc)
            ) from None
        raise RaceFileError.of(
            "The file is not JSON: line {line}, column {column}.", line=error.lineno, column=error.colno
        ) from None
    except RaceFileError:
        raise
    except (RecursionError, ValueError):  # nested too deep; a number of thousands of digits
        raise RaceFileError.of("The file is not a race from this program.") from None


def _refuse(name: str) -> NoReturn:
    raise RaceFileError.of("The file contains {name}, which is not a valid number.", name=name)
