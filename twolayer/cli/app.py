"""The command line: its commands, and how an error is printed."""

import io
import sys
from contextlib import suppress
from importlib import import_module
from textwrap import shorten

import click

from twolayer.cli.output import make_readable, say

LONGEST_MESSAGE = 4000
COMMANDS = {
    "check": "check",
    "code": "code",
    "info": "info",
    "race": "race",
    "scan": "sweep",
    "sweep": "sweep",
    "train": "train",
}
"""The names of commands, and the module of each in this package; `scan` is the old name of `sweep`."""


class Commands(click.Group):
    """Commands that are imported when they are called: one does not wait for the libraries of another."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, module in COMMANDS.items() if name == module]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"twolayer.cli.{COMMANDS[cmd_name]}").command
        return command


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Train the two-layer ReLU network of the PyTorch tutorial with a hand-written backward pass."""


def run() -> int:
    """Run the command line and return the exit status. An error is one line on standard error."""
    make_readable()
    try:
        return main(standalone_mode=False) or 0
    except click.Abort:
        return 130
    except click.ClickException as error:
        text = error.format_message()
    except OSError as error:
        text = str(error.strerror or error)
        sys.stdout = io.StringIO()  # what is left in the buffer would fail again at exit
    # click repeats what it was given, with its line breaks and at its length
    line = shorten(text, LONGEST_MESSAGE, placeholder=" …")
    with suppress(OSError):
        say(f"twolayer: {line}", error=True)
    return 2
