"""What several commands share: the options of declared fields, and the progress bar."""

import functools
import sys
from collections.abc import Callable
from typing import Any

import click

from twolayer.training.config import FIELDS, Config
from twolayer.training.fields import ConfigError, Whole, parse_fields

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def with_config(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each field of Config; its first argument is the Config.

    Raises `click.UsageError` about every option that is bad.
    """

    @functools.wraps(command)
    def given_texts(**given: Any) -> None:
        texts = {name: given.pop(name) for name in FIELDS}
        values, errors = parse_fields(FIELDS, {k: v for k, v in texts.items() if v is not None})
        try:
            config = Config(**values)
        except ConfigError as error:
            errors.append(error)
        if errors:
            raise click.UsageError("; ".join(map(str, errors)))
        command(config, **given)

    for name, field in reversed(list(FIELDS.items())):
        text = f"{field.words} ({field.takes})  [default: {field.default_text}]"
        option = click.option(f"--{name}", name, metavar="VALUE", help=text)
        given_texts = option(given_texts)
    return given_texts


def whole(name: str, field: Whole) -> Decorator:
    """Return the option `name` for a declared whole number."""
    limits = click.IntRange(field.low, field.high)
    return click.option(name, type=limits, default=field.default, show_default=True, help=field.words)


def progress_bar(length: int, label: str) -> Any:
    """Return a progress bar on standard error, hidden if that is no terminal."""
    return click.progressbar(length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())
