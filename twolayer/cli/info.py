"""`info`: what this machine has, and what a server here would allow."""

import click

from twolayer.cli.output import say
from twolayer.engine.info import limits, machine
from twolayer.engine.settings import SettingError, from_environment
from twolayer.training.capabilities import probe


@click.command("info")
def command() -> None:
    """Show the hardware, software and limits of this machine."""
    try:
        rows = [*machine(probe(load_torch=True)), *limits(from_environment())]
    except SettingError as error:
        raise click.UsageError(str(error)) from None
    say("\n".join(f"{f'{name}:':<30}{value}" for name, value in rows))
