"""`code`: a run as a program that needs nothing of this project."""

import io
import sys

import click

from twolayer.cli.options import with_config
from twolayer.cli.output import deliver, output_option, say
from twolayer.export.notebook import notebook
from twolayer.export.rungs import RUNGS, rungs
from twolayer.export.script import script
from twolayer.training.config import Config
from twolayer.training.kernels import UnavailableError

NOTEBOOK = "notebook"


@click.command("code")
@with_config
@click.option(
    "--as",
    "form",
    type=click.Choice([*rungs(Config()), NOTEBOOK]),
    help="How the program is written: "
    + ", ".join(f"{name} ({RUNGS[name].label})" for name in rungs(Config()))
    + f", or {NOTEBOOK} (Jupyter)  [default: by hand in the backend]",
)
@output_option("--output", "Write the program to this file.")
def command(config: Config, form: str | None, output: str | None) -> None:
    """Print the run as a standalone program, which needs nothing of this project."""
    text = _notebook(config) if form == NOTEBOOK else script(config, rung=form)
    if output not in (None, "-"):
        deliver(f"program: {output}", (output, text.encode))
        return
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8")  # Python reads a program as UTF-8
    say(text.rstrip("\n"))


def _notebook(config: Config) -> str:
    try:
        return notebook(config)
    except UnavailableError as error:
        raise click.UsageError(str(error)) from None
