"""The command line: the same runs without a browser."""

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from textwrap import shorten
from typing import Any

import click

from twolayer.capabilities import probe
from twolayer.config import DEFAULTS, FIELDS, Config, ConfigError, parse_fields
from twolayer.info import limits, machine
from twolayer.kernels import UnavailableError
from twolayer.race import CLOCK, ROUNDS, Race, race
from twolayer.settings import SettingError, from_environment
from twolayer.training import Result, fit

LONGEST_MESSAGE = 4000


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
        with _bar(config.steps, "training") as bar:
            result = fit(config, on_chunk=lambda chunk: bar.update(len(chunk.losses)))
    except (ConfigError, UnavailableError) as error:
        raise click.UsageError(str(error)) from None
    click.echo(_json(config, result) if as_json else _words(config, result))


@main.command("race")
@config_options
@click.option("--rounds", type=click.IntRange(3, 1000), default=ROUNDS, show_default=True)
@click.option("--sweep", metavar="FIELD=A,B,…", help="Race once for each of these values of a field.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON, for programs.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the table as CSV.")
def race_command(rounds: int, sweep: str | None, as_json: bool, as_csv: bool, **texts: str | None) -> None:
    """Let every backend and method race on this machine, with PyTorch's autograd as a peer."""
    configs = [config_from(texts)]
    if sweep is not None:
        field, _, values = sweep.partition("=")
        configs = [config_from(texts | {field: value}) for value in values.split(",")]
    races = []
    for config in configs:
        try:
            with _bar(100, "racing") as bar:
                races.append(
                    race(config, count=rounds, on_progress=lambda share: bar.update(100 * share - bar.pos))
                )
        except (ConfigError, UnavailableError) as error:
            raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(json.dumps([one.to_json() for one in races]))
    elif as_csv:
        fields = [
            {k: v for k, v in asdict(one.config).items() if k not in ("backend", "device", "method")}
            for one in races
        ]
        writer = csv.DictWriter(sys.stdout, [*fields[0], *races[0].rows()[0]], lineterminator="\n")
        writer.writeheader()
        for shared, one in zip(fields, races, strict=True):
            writer.writerows(shared | row for row in one.rows())
    else:
        click.echo("\n\n".join(map(_table, races)))


@main.command()
def info() -> None:
    """Print what this machine has, what is missing and how to get it, and what a server here would allow."""
    try:
        rows = [*machine(probe(load_torch=True)), *limits(from_environment())]
    except SettingError as error:
        raise click.UsageError(str(error)) from None
    click.echo("\n".join(f"{f'{name}:':<30}{value}" for name, value in rows))


def _bar(length: int, label: str) -> Any:
    """A progress bar on standard error, if that is a terminal."""
    return click.progressbar(length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())


def _table(result: Race) -> str:
    """A race as a table for the terminal."""
    c, machine, roof = result.config, result.machine, result.ceiling
    versions = ", ".join(f"{library} {version}" for library, version in machine.versions)
    lines = [
        f"{c.N} × {c.D_in} → {c.H} → {c.D_out}, {c.dtype}, threads: {c.threads}, {c.steps} steps",
        f"{machine.processor}, {machine.cores} cores; {machine.blas}; {versions}",
        "",
        f"{'contender':<18}{'µs/step':>10}{'p95':>10}{'spread':>8}{'× NumPy':>9}{'GFLOP/s':>9}{'of peak':>9}"
        f"{'loss error':>12}{'last loss ×':>13}{'weight error':>14}",
    ]
    for row in result.rows():
        faster = f"{row['speed_up']:9.2f}" if row["speed_up"] else f"{'':9}"
        lines.append(
            f"{row['contender']:<18}{row['median_us']:10.1f}{row['p95_us']:10.1f}{row['spread']:8.0%}{faster}"
            f"{row['gflops']:9.1f}{row['share_of_ceiling']:9.0%}{row['loss_error']:12.1e}"
            f"{row['last_ratio']:13.3g}{row['weight_error']:14.1e}"
        )
    lines += [
        "",
        f"ceilings: {roof.gflops_here:.0f} GFLOP/s for x·w1 here, {roof.gflops_large:.0f} for a large "
        f"product (the peak above), {roof.gbytes:.0f} GB/s of memory",
        "errors: against the formulas in float64; × NumPy: against the tutorial's NumPy loop",
        CLOCK,
    ]
    return "\n".join(lines)


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
        # click repeats what it was given, with its line breaks and at its length
        line = shorten(error.format_message(), LONGEST_MESSAGE, placeholder=" …")
        click.echo(f"twolayer: {line}", file=sys.stderr)
        return error.exit_code
    except click.Abort:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(run())
