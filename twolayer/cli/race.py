"""`race`: a race in this process, as a table or as a file."""

from typing import Any

import click

from twolayer.cli.options import progress_bar, whole, with_config
from twolayer.cli.output import deliver, output_option, say
from twolayer.race import crossover, verdict
from twolayer.race.contenders import by_default, chosen
from twolayer.race.contenders import contenders as all_contenders
from twolayer.race.file import to_csv, to_json
from twolayer.race.plan import Plan, parse_sweep, race
from twolayer.race.result import Race
from twolayer.race.timing import CLOCK, ROUNDS
from twolayer.training.capabilities import probe
from twolayer.training.config import Config
from twolayer.training.machine import Machine
from twolayer.training.messages import MessageError


@click.command("race")
@with_config
@whole("--rounds", ROUNDS)
@click.option(
    "--contenders",
    metavar="NAMES",
    help="Implementations to benchmark, such as numpy.gram,jax.gram  [default: all but those of jax]",
)
@click.option(
    "--sweep",
    metavar="FIELD=A,B,…",
    help="Repeat the benchmark for each value of one dimension, such as H=64,128,256.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all results as JSON, which the Race page reads.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the table as CSV.")
@output_option(
    "--output", "Write all results to this file as JSON; as a CSV table with --csv, or to a .csv file."
)
def command(config: Config, contenders: str | None, **options: Any) -> None:
    """Benchmark every backend and method on this machine. PyTorch autograd takes part for comparison.

    So does JAX where it is installed, if it is named in --contenders.
    """
    try:
        # What is refused is refused before PyTorch is loaded
        sweep = None if options["sweep"] is None else parse_sweep(options["sweep"])
        found = probe(load_torch=True)
        here = all_contenders(found.machine.devices, config)
        taking_part = by_default(here)
        if contenders is not None:
            taking_part = chosen(contenders, here, dict(found.missing))
        plan = Plan(config, tuple(taking_part), options["rounds"], sweep)
        with progress_bar(100, "racing") as bar:
            races = race(plan, on_progress=lambda share: bar.update(100 * share - bar.pos))
    except MessageError as error:
        raise click.UsageError(str(error)) from None
    output, as_csv = options["output"], options["as_csv"]
    if output is None and (as_csv or options["as_json"]):
        say((to_json if options["as_json"] else to_csv)(races).rstrip("\n"))
        return
    said = [_machine(races[0].machine), *map(_table, races)]
    if plan.sweep is not None:
        said.append("\n".join(map(str, crossover.sentences(plan.sweep.field, races))))
    write = to_csv if as_csv or str(output).endswith(".csv") else to_json
    deliver("\n\n".join(said), (output, lambda: write(races).encode()))


def _machine(machine: Machine) -> str:
    versions = ", ".join(f"{library} {version}" for library, version in machine.versions)
    gpus = "".join(f", {name}" for name in machine.gpus)
    described = f"{machine.processor}, {machine.cores} cores{gpus}; {machine.blas}; {versions}"
    return "\n".join([described, *map(str, machine.notes)])


def _table(result: Race) -> str:
    """A race as a table for the terminal, under its verdict."""
    lines = [
        str(verdict.size(result.config)),
        *map(str, verdict.sentences(result)),
        "",
        f"{'implementation':<18}{'µs/step':>10}{'p95':>10}{'spread':>8}{'× NumPy':>9}{'GFLOP/s':>9}"
        f"{'of peak':>9}{'loss error':>12}{'last loss ×':>13}{'weight error':>14}",
    ]
    for row in result.rows():
        faster = f"{row['speed_up']:9.2f}" if row["speed_up"] else f"{'':9}"
        lines.append(
            f"{row['contender']:<18}{row['median_us']:10.1f}{row['p95_us']:10.1f}{row['spread']:8.0%}{faster}"
            f"{row['gflops']:9.1f}{row['share_of_ceiling']:9.0%}{row['loss_error']:12.1e}"
            f"{row['last_ratio']:13.3g}{row['weight_error']:14.1e}{'' if row['right'] else '  INCORRECT'}"
        )
    steps = result.standings[0].agreement
    roof = result.roofline
    assert steps is not None, "a race that ran to its end has compared everyone"
    assert roof is not None, "and measured the machine"
    lines += [
        "",
        f"peak: the larger of {roof.gflops_large:.0f} GFLOP/s (large matrix product) and "
        f"{roof.gflops_here:.0f} GFLOP/s (x·w1 at this size); memory bandwidth: {roof.gbytes:.0f} GB/s",
        f"errors: relative to the formulas in float64 over {steps.steps} steps; "
        "× NumPy: speedup over the tutorial's NumPy loop",
        CLOCK,
        *map(str, verdict.compiling(result)),
    ]
    return "\n".join(lines)
