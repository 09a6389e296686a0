"""Sentences for people, kept apart from their values so that a page can translate them."""

from dataclasses import dataclass
from typing import Any, Self

LONGEST_SHOWN = 60


def shown(value: object) -> str:
    """`value` as a short quotation: what came from outside is echoed, but never at length."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of thousands of digits
        text = type(value).__name__
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


@dataclass(frozen=True)
class Message:
    """An English template with `{named}` places, and the values that go there."""

    template: str
    values: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, template: str, **values: Any) -> "Message":
        """Build a message; the catalogues are made from the templates in these calls."""
        return cls(template, tuple(values.items()))

    def __str__(self) -> str:
        return self.template.format(**dict(self.values))


class MessageError(Exception):
    """An error whose text is a `Message`, so that it can be shown in the reader's language."""

    def __init__(self, message: Message) -> None:
        super().__init__(message)
        self.message = message

    @classmethod
    def of(cls, template: str, **values: Any) -> Self:
        """Build an error from a template and its values, as `Message.of` does."""
        return cls(Message(template, tuple(values.items())))


def N_(text: str) -> str:  # gettext's own name for it
    """Mark a text for the catalogues that is translated where it is shown."""
    return text
