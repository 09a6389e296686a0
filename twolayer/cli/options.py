"""What several commands share: the options of declared fields, and the progress bar."""

import functools
import sys
from collections.abc import Callable
from typing import Any

import click

from twolayer.training.config import FIELDS, Config
from twolayer.training.data import own
from twolayer.training.data.cells import MOST_BYTES, MOST_ROWS
from twolayer.training.data.own import CSV, OwnTable
from twolayer.training.data.reading import own_table
from twolayer.training.fields import ConfigError, Whole, parse_fields
from twolayer.training.messages import Message, MessageError

TABLE = "table"
FILE_WORDS = (
    "Your own data: a CSV or TSV file whose first line names its columns, at most "
    f"{MOST_BYTES // 1024**2} MB and {MOST_ROWS:,} rows"
)
OF_TABLE = {
    "target": "Column to learn, by name or number; several with commas between  [default: last that fits]",
    "inputs": "Columns to learn from, given in the same way  [default: all others that fit]",
    "kind": "classes or regression  [default: classes if the target is a category]",
}
"""The options that choose columns of the file."""
Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def with_config(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each field of Config; its first argument is the Config.

    Raises `click.UsageError` about every option that is bad.
    """

    @functools.wraps(command)
    def given_texts(**given: Any) -> None:
        texts = {name: given.pop(name) for name in FIELDS if name != TABLE}
        table = _table(given.pop(TABLE), **{name: given.pop(name) for name in OF_TABLE})
        if table is not None:
            texts |= {"data": texts["data"] or CSV, TABLE: table.name}
        values, errors = parse_fields(FIELDS, {k: v for k, v in texts.items() if v is not None})
        try:
            config = Config(**values)
            if config.data == CSV and table is None:
                errors.append(
                    ConfigError("data", CSV, Message.of("csv with a file: --table FILE --target COLUMN"))
                )
        except ConfigError as error:
            errors.append(error)
        if errors:
            raise click.UsageError("; ".join(map(str, errors)))
        with own.in_use(table):
            command(config, **given)

    made: Callable[..., None] = given_texts
    for option in _options_of_table(command):
        made = option(made)
    for name, field in reversed(list(FIELDS.items())):
        if name != TABLE:
            text = f"{field.words} ({field.takes})  [default: {field.default_text}]"
            made = click.option(f"--{name}", name, metavar="VALUE", help=text)(made)
    return made


def _options_of_table(command: Callable[..., None]) -> list[Decorator]:
    """Return the options of a table of one's own, the last one first. The file is --csv, and --table too,
    which a command has alone if its own --csv is what it writes."""
    of_command = [text for option in getattr(command, "__click_params__", []) for text in option.opts]
    names = ["--table"] if "--csv" in of_command else ["--csv", "--table"]
    columns = [
        click.option(f"--{name}", metavar="KIND" if name == "kind" else "COLUMN", help=text)
        for name, text in OF_TABLE.items()
    ]
    file = click.option(*names, TABLE, metavar="FILE", help=FILE_WORDS)
    return [*reversed(columns), file]


def _table(file: str | None, **columns: str | None) -> OwnTable | None:
    """Read a table of one's own, if there is one. Raises `click.UsageError`."""
    if file is None:
        if any(columns.values()):
            raise click.UsageError(f"{', '.join(OF_TABLE)} need a file: give it with --table FILE")
        return None
    try:
        return own_table(file, **{name: text for name, text in columns.items() if text})
    except MessageError as error:
        raise click.UsageError(f"{click.format_filename(file)}: {error}") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise click.UsageError(f"cannot read {click.format_filename(file)}: {why}") from None


def whole(name: str, field: Whole) -> Decorator:
    """Return the option `name` for a declared whole number."""
    limits = click.IntRange(field.low, field.high)
    return click.option(name, type=limits, default=field.default, show_default=True, help=field.words)


def progress_bar(length: int, label: str) -> Any:
    """Return a progress bar on standard error, hidden if that is no terminal."""
    return click.progressbar(length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())
