"""What a command leaves behind: files that are whole, and words that any terminal can show."""

import codecs
import io
import os
import secrets
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

READABLE = {
    "×": "x",
    "·": "*",
    "−": "-",
    "–": "-",
    "→": "->",
    "…": "...",
    "²": "^2",
    "≥": ">=",
    "≤": "<=",
    "µ": "u",
    "λ": "lambda_",
    "η": "eta",
    "Σ": "sum ",
    "ᵀ": "^T",
}
"""What stands for a character that the encoding of a terminal or pipe lacks; for any other it is `?`."""


def make_readable() -> None:
    """Let standard output and error accept every character, whatever their encoding."""
    codecs.register_error("readable", _replacement)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="readable")


def _replacement(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(READABLE.get(character, "?") for character in lacking), error.end


def say(text: str, *, error: bool = False) -> None:
    """Write a line to standard output, or to standard error. Raises `OSError`."""
    stream = sys.stderr if error else sys.stdout
    if stream is not None:  # it is closed
        # click.echo would write UTF-8 to a stream that asks for ASCII
        stream.write(f"{text}\n")
        stream.flush()


def output_option(name: str, help: str) -> Callable[[Any], Any]:
    """Return the option `name` for a file to write; `-` is standard output.

    Whether the file can be written is checked before any work is done.
    """

    def checked(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
        if value is not None and value != "-":
            try:
                _check(value)
            except (OSError, ValueError) as error:
                raise click.BadParameter(_reason(value, error)) from None
        return value

    return click.option(name, callback=checked, metavar="FILE", help=help)


def deliver(words: str, *files: tuple[str | None, Callable[[], bytes]]) -> None:
    """Write the files that have a name, then say the words.

    The words are said even if a file cannot be written. Raises `click.UsageError` in the end.
    """
    failed = []
    for path, content in files:
        if path is not None:
            try:
                write_whole(path, content())
            except OSError as error:
                failed.append(_reason(path, error))
    say(words)
    if failed:
        raise click.UsageError("; ".join(failed))


def write_whole(path: str, data: bytes) -> None:
    """Write a file under another name in its folder, then rename it: it never holds a part of the data.

    Raises `OSError`; the file is then as it was.
    """
    target = os.path.realpath(path)
    if path == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    elif _is_special(target):
        with open(target, "wb") as file:
            file.write(data)
    else:
        temporary = _beside(target)
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if os.path.exists(target):
                shutil.copymode(target, temporary)
            os.replace(temporary, target)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)


def _check(path: str) -> None:
    """Raise `OSError` or `ValueError` for a file that cannot be written."""
    target = os.path.realpath(path)
    with suppress(FileNotFoundError):
        os.stat(target)  # its name may be too long
        if os.path.isdir(target):
            raise IsADirectoryError(0, "it is a folder")
        if not os.access(target, os.W_OK):
            raise PermissionError(0, "it is write-protected")
    if not _is_special(target):
        temporary = _beside(target)
        with open(temporary, "xb"):
            pass
        os.unlink(temporary)


def _is_special(target: str) -> bool:
    """Return whether it is a pipe or a device, which must not be replaced."""
    return os.path.exists(target) and not os.path.isfile(target)


def _beside(target: str) -> str:
    return os.path.join(os.path.dirname(target), f".twolayer-{secrets.token_hex(8)}.part")


def _reason(path: str, error: Exception) -> str:
    return f"cannot write {click.format_filename(path)}: {getattr(error, 'strerror', None) or error}"
