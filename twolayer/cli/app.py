"""The command line: the same runs without a browser."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from textwrap import shorten
from typing import Any, BinaryIO

import click

from twolayer.engine.info import limits, machine
from twolayer.engine.settings import SettingError, from_environment
from twolayer.race import crossover, verdict
from twolayer.race.contenders import ContenderError, chosen
from twolayer.race.contenders import contenders as all_contenders
from twolayer.race.file import to_csv, to_json
from twolayer.race.plan import Plan, PlanError, parse_sweep, race
from twolayer.race.result import Race
from twolayer.race.timing import CLOCK, ROUNDS
from twolayer.rates.grid import (
    MOST_SEEDS,
    MOST_VALUES,
    RATES,
    SEEDS,
    Axis,
    Grid,
    computed,
    parse_axes,
    sweep_grid,
)
from twolayer.training.capabilities import probe
from twolayer.training.config import DEFAULTS, FIELDS, Config, ConfigError, parse_fields
from twolayer.training.kernels import UnavailableError
from twolayer.training.machine import Machine
from twolayer.training.messages import MessageError
from twolayer.training.training import Result, fit

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
@click.option("--contenders", metavar="NAMES", help="Who races, as in numpy.gram,torch.fused  [default: all]")
@click.option("--sweep", metavar="FIELD=A,B,…", help="Race once for each of these values of a dimension.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON, for the Race page.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the table as CSV.")
def race_command(
    rounds: int, contenders: str | None, sweep: str | None, as_json: bool, as_csv: bool, **texts: str | None
) -> None:
    """Let every backend and method race on this machine, with PyTorch's autograd as a peer."""
    config = config_from(texts)
    try:
        here = all_contenders(probe(load_torch=True).machine.devices, config.dtype)
        taking_part = here if contenders is None else chosen(contenders, here)
        plan = Plan(config, tuple(taking_part), rounds, None if sweep is None else parse_sweep(sweep))
        with _bar(100, "racing") as bar:
            races = race(plan, on_progress=lambda share: bar.update(100 * share - bar.pos))
    except (ConfigError, ContenderError, PlanError, UnavailableError) as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(to_json(races))
    elif as_csv:
        click.echo(to_csv(races), nl=False)
    else:
        said = [*map(_table, races), *([] if plan.sweep is None else [_crossovers(plan.sweep.field, races)])]
        click.echo("\n\n".join([_machine(races[0].machine), *said]))


@main.command("scan")
@config_options
@click.option("--rates", type=click.IntRange(2, MOST_VALUES), default=RATES, show_default=True)
@click.option("--from", "low", metavar="RATE", help="Lowest learning rate.  [default: by the sizes]")
@click.option("--to", "high", metavar="RATE", help="Highest learning rate.  [default: by the sizes]")
@click.option("--seeds", type=click.IntRange(1, MOST_SEEDS), default=SEEDS, show_default=True)
@click.option(
    "--grid",
    "axes",
    metavar="FIELD=VALUES;…",
    help="Instead of rates and seeds: up to three fields, each with values as in H=50,100,200 or "
    "learning_rate=1e-8:1e-5:25.",
)
@click.option(
    "--csv", "csv_file", type=click.File("wb", lazy=False), help="Write a row for each training, as CSV."
)
@click.option("--parquet", "parquet_file", type=click.File("wb", lazy=False), help="The same as Parquet.")
def sweep_command(
    rates: int,
    low: str | None,
    high: str | None,
    seeds: int,
    axes: str | None,
    csv_file: BinaryIO | None,
    parquet_file: BinaryIO | None,
    **texts: str | None,
) -> None:
    """Train a whole grid: by default many learning rates with some seeds; and say which rate to take.

    It runs on an embedded cluster, or on that of TWOLAYER_SCHEDULER. Ctrl+C stops it; what is done by
    then is told and written all the same.
    """
    # Dask's cluster and Arrow are for this command alone
    from twolayer.cli import sweep
    from twolayer.export import sweep_files
    from twolayer.rates.advice import swept_rates
    from twolayer.rates.sweep import Sweep

    config = computed(config_from(texts))
    try:
        ends = [
            None if text is None else Axis.parse(f"learning_rate={text}").values[0] for text in (low, high)
        ]
        if axes is not None:
            grid = Grid(config, parse_axes(axes))
        else:
            grid = sweep_grid(config, swept_rates(config, rates, *ends), seeds)
        runs = Sweep(grid)
        with _bar(grid.size, "training") as bar:
            start, complete = sweep.compute(runs, lambda done: bar.update(done - bar.pos))
    except MessageError as error:
        raise click.UsageError(str(error)) from None
    click.echo(sweep.words(runs, start))
    if csv_file is not None:
        sweep_files.write_csv(runs, csv_file)
    if parquet_file is not None:
        sweep_files.write_parquet(runs, parquet_file)
    if not complete:
        raise click.Abort


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


def _machine(machine: Machine) -> str:
    versions = ", ".join(f"{library} {version}" for library, version in machine.versions)
    gpus = "".join(f", {name}" for name in machine.gpus)
    described = f"{machine.processor}, {machine.cores} cores{gpus}; {machine.blas}; {versions}"
    return "\n".join([described, *map(str, machine.notes)])


def _crossovers(field: str, races: list[Race]) -> str:
    return "\n".join(map(str, crossover.sentences(field, races)))


def _table(result: Race) -> str:
    """A race as a table for the terminal, under its verdict."""
    lines = [
        *map(str, verdict.sentences(result)),
        *map(str, verdict.disturbances([result])),
        "",
        f"{'contender':<18}{'µs/step':>10}{'p95':>10}{'spread':>8}{'× NumPy':>9}{'GFLOP/s':>9}{'of peak':>9}"
        f"{'loss error':>12}{'last loss ×':>13}{'weight error':>14}",
    ]
    for row in result.rows():
        faster = f"{row['speed_up']:9.2f}" if row["speed_up"] else f"{'':9}"
        lines.append(
            f"{row['contender']:<18}{row['median_us']:10.1f}{row['p95_us']:10.1f}{row['spread']:8.0%}{faster}"
            f"{row['gflops']:9.1f}{row['share_of_ceiling']:9.0%}{row['loss_error']:12.1e}"
            f"{row['last_ratio']:13.3g}{row['weight_error']:14.1e}{'' if row['right'] else '  wrong'}"
        )
    steps = result.standings[0].agreement
    roof = result.roofline
    assert steps is not None, "a race that ran to its end has compared everyone"
    assert roof is not None, "and measured the machine"
    lines += [
        "",
        f"ceilings: {roof.gflops_here:.0f} GFLOP/s for x·w1 here, {roof.gflops_large:.0f} for a large "
        f"product (the peak is the larger one), {roof.gbytes:.0f} GB/s of memory",
        f"errors: against the formulas in float64 over {steps.steps} steps; "
        "× NumPy: against the tutorial's NumPy loop",
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
