"""Declared fields: what a value may be, its default, its words; one way to check it and to read it from text.

The fields of a Config, the parameters of the pages, the server's settings and the options of the
command line are all declared with these kinds.
"""

import dataclasses
import numbers
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from operator import index
from typing import Any

from twolayer.training.messages import Message, MessageError, shown

UNFIT = (ValueError, TypeError, OverflowError)


class ConfigError(MessageError, ValueError):
    """An invalid value of a declared field: `field` is its name, `got` the value, `takes` what it accepts."""

    def __init__(self, field: str, got: object, takes: Message) -> None:
        self.field, self.got, self.takes = field, got, takes
        super().__init__(
            Message.of(
                "{field}: invalid value {got}; expected {takes}", field=field, got=shown(got), takes=takes
            )
        )

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.field, self.got, self.takes)


@dataclass(frozen=True)
class Field(ABC):
    """A declared value. Each subclass is one kind of value."""

    default: Any = dataclasses.field(default=None, kw_only=True)
    """None if it follows from other values."""
    default_words: str = dataclasses.field(default="", kw_only=True)
    """The default in words, where it follows from other values."""
    words: str = dataclasses.field(default="", kw_only=True)
    """What the value does."""

    @property
    def default_text(self) -> str:
        """The default for people."""
        return self.default_words or str(self.default)

    @property
    @abstractmethod
    def takes(self) -> Message:
        """What the field takes, in words."""

    @abstractmethod
    def check(self, value: Any) -> Any:
        """Return `value` as a plain Python value. Raise one of `UNFIT` if the field cannot have it."""

    def parse(self, text: str) -> Any:
        """Return the value that `text` stands for. Raise one of `UNFIT` if it stands for none."""
        return self.check(text)

    def checked(self, name: str, value: Any) -> Any:
        """Return `value` as `check` does. Raise `ConfigError` about the field `name`."""
        try:
            return self.check(value)
        except UNFIT:
            raise ConfigError(name, value, self.takes) from None

    def read(self, name: str, text: str) -> Any:
        """Return the value of `text`, spaces around it aside. Raise `ConfigError` about the field `name`."""
        try:
            return self.parse(text.strip())
        except UNFIT:
            raise ConfigError(name, text, self.takes) from None


@dataclass(frozen=True)
class Choice(Field):
    """One of a few names."""

    options: tuple[str, ...]

    def check(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.options:
            raise ValueError
        return value

    @property
    def takes(self) -> Message:
        return Message.of("one of {options}", options=", ".join(self.options))


@dataclass(frozen=True)
class Name(Field):
    """A text of a given form: a regular expression, and its description."""

    pattern: str
    form: Message

    def check(self, value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value, re.ASCII):
            raise ValueError
        return value

    @property
    def takes(self) -> Message:
        return self.form


@dataclass(frozen=True)
class Whole(Field):
    """A whole number within a range, both ends included."""

    low: int
    high: int

    def check(self, value: Any) -> int:
        if isinstance(value, bool) or not self.low <= index(value) <= self.high:
            raise ValueError
        return index(value)

    def parse(self, text: str) -> int:
        if not re.fullmatch(r"[+-]?\d{1,20}", text, re.ASCII):
            raise ValueError
        return self.check(int(text))

    @property
    def takes(self) -> Message:
        return Message.of("a whole number from {low} to {high}", low=self.low, high=self.high)


@dataclass(frozen=True)
class Real(Field):
    """A finite number within a range, both ends included."""

    low: float
    high: float

    def check(self, value: Any) -> float:
        number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not number or not self.low <= float(value) <= self.high:  # as NaN is not
            raise ValueError
        return float(value)

    def parse(self, text: str) -> float:
        if not re.fullmatch(r"[+-]?(\d{1,40}\.?\d{0,40}|\.\d{1,40})(e[+-]?\d{1,4})?", text.lower(), re.ASCII):
            raise ValueError
        return self.check(float(text))

    @property
    def takes(self) -> Message:
        return Message.of("a number from {low:g} to {high:g}", low=self.low, high=self.high)


OF_THE_DATA: Any = object()
"""In the place of a size that was not given: the default follows from the data set."""


def declared(field: Field, *, default: Any = None) -> Any:
    """Return the dataclass field that is declared by `field`, with its default or another one."""
    default = field.default if default is None else default
    return dataclasses.field(default=default, metadata={"declared": field})


def fields_of(cls: type) -> Mapping[str, Field]:
    """Return the declared fields of a dataclass by name, in their order."""
    return {field.name: field.metadata["declared"] for field in dataclasses.fields(cls)}


def parse_fields(
    fields: Mapping[str, Field], texts: Mapping[str, str]
) -> tuple[dict[str, Any], list[ConfigError]]:
    """Read `fields` from text: return the sound values, and an error for each of the other texts."""
    values: dict[str, Any] = {}
    errors: list[ConfigError] = []
    known = Message.of("one of the fields {names}", names=", ".join(fields))
    for name, text in texts.items():
        try:
            if name not in fields:
                raise ConfigError(shown(name)[1:-1], text, known)
            values[name] = fields[name].read(name, text)
        except ConfigError as error:
            errors.append(error)
    return values, errors
