"""The command line: the same runs without a browser."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict

import click

from twolayer.config import DEFAULTS, FIELDS, Config, ConfigError, parse_fields
from twolayer.kernels import UnavailableError
from twolayer.training import Result, fit


def config_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each field of Config."""
    for name, kind in reversed(list(FIELDS.items())):
        text = f"{kind.takes}  [default: {DEFAULTS[name]}]"
        command = click.option(f"--{name}", name, metavar="VALUE", help=text)(command)
    return command


def config_from(texts: dict[str, str | None]) -> Config:
    """The Config of the options that were given. Ends the program with status 2 if one is bad."""
    values, errors = parse_fields({k: v for k, v in texts.items() if v is not None})
    try:
        config = Config(**values)
    except ConfigError as error:
        errors.append(error)
    if errors:
        raise click.UsageError("; ".join(str(error) for error in errors))
    return config


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The two-layer network of the PyTorch tutorial, trained by hand."""


@main.command()
@config_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, for programs.")
def train(as_json: bool, **texts: str | None) -> None:
    """Train once and print what came of it.

    The progress bar goes to standard error, and only to a terminal.
    """
    config = config_from(texts)
    try:
        with click.progressbar(
            length=config.steps, label="training", file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as bar:
            result = fit(config, on_chunk=lambda chunk: bar.update(len(chunk.losses)))
    except (ConfigError, UnavailableError) as error:
        raise click.UsageError(str(error)) from None
    click.echo(_json(config, result) if as_json else _words(config, result))


def _json(config: Config, result: Result) -> str:
    return json.dumps(
        {
            "config": asdict(config),
            "method": result.method,
            "steps": len(result.losses),
            "diverged_at": result.diverged_at,
            "seconds": result.seconds,
            "losses": result.losses.tolist(),
        },
        allow_nan=False,
    )


def _words(config: Config, result: Result) -> str:
    steps = len(result.losses)
    rows = [("run", " ".join(f"{k}={v}" for k, v in asdict(config).items()))]
    if steps:
        microseconds = result.seconds / steps * 1e6
        rows += [
            ("first loss", f"{result.losses[0]:.6g}"),
            ("last loss", f"{result.losses[-1]:.6g}"),
            ("time per step", f"{microseconds:.1f} µs"),
            ("speed", f"{config.flops_per_step / microseconds / 1e3:.2f} GFLOP/s"),
            ("time in steps", f"{result.seconds:.3f} s for {steps} steps"),
        ]
    if result.diverged_at is not None:
        rows.append(("diverged", f"the loss of step {result.diverged_at} is not finite; try a smaller rate"))
    return "\n".join(f"{name + ':':<15}{value}" for name, value in rows)


def run() -> int:
    """Run the command line; what is wrong with it is said in one line."""
    try:
        main(prog_name="python -m twolayer", standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"twolayer: {error.format_message()}", file=sys.stderr)
        return error.exit_code
    except click.Abort:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(run())
