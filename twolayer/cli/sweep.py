"""`sweep`: many trainings on the cluster of the settings, and which learning rate to take."""

from collections.abc import Callable
from functools import partial
from time import sleep
from typing import Any

import click
import numpy as np

from twolayer.cli.options import progress_bar, whole, with_config
from twolayer.cli.output import deliver, output_option
from twolayer.engine.settings import from_environment
from twolayer.rates import curvature
from twolayer.rates.advice import Advice, advise, bands, mean_loss_rate, swept_rates
from twolayer.rates.curvature import Curvature
from twolayer.rates.grid import RATES, SEEDS, Axis, Grid, arithmetic, computed, parse_axes, sweep_grid
from twolayer.rates.outcomes import OUTCOME_NAMES, OUTCOMES
from twolayer.rates.sweep import Sweep, blocks, memory_bytes, train, zones
from twolayer.training.config import Config
from twolayer.training.messages import MessageError

POLL_SECONDS = 0.05
OF_CURVATURE = ("data", "init", "N", "D_in", "H", "D_out", "seed")
"""The fields that λmax at the start depends on."""


@click.command("sweep")
@with_config
@whole("--rates", RATES)
@click.option("--from", "low", metavar="RATE", help="Lowest learning rate.  [default: chosen by the sizes]")
@click.option("--to", "high", metavar="RATE", help="Highest learning rate.  [default: chosen by the sizes]")
@whole("--seeds", SEEDS)
@click.option(
    "--grid",
    "axes",
    metavar="FIELD=VALUES;…",
    help="Sweep these fields instead (up to three), such as 'H=50,100,200; learning_rate=1e-8:1e-5:25'.",
)
@output_option("--csv", "Write one CSV row per run to this file.")
@output_option("--parquet", "Write the same rows as Parquet.")
@output_option("--output", "Write the same rows: as Parquet to a .parquet file, else as CSV.")
def command(
    config: Config, csv: str | None, parquet: str | None, output: str | None, **grid_options: Any
) -> None:
    """Sweep learning rates (or any grid) and recommend one.

    Runs on an embedded Dask cluster, or on the one at TWOLAYER_SCHEDULER. Ctrl+C stops the sweep; finished
    runs are still reported and written.
    """
    try:
        sweep = Sweep(_grid(computed(config), **grid_options))
        with progress_bar(sweep.grid.size, "training") as bar:
            start, complete = compute(sweep, lambda done: bar.update(done - bar.pos))
    except MessageError as error:
        raise click.UsageError(str(error)) from None
    as_csv, as_parquet = partial(_file, "csv", sweep), partial(_file, "parquet", sweep)
    by_name = as_parquet if str(output).endswith(".parquet") else as_csv
    deliver(words(sweep, start), (csv, as_csv), (parquet, as_parquet), (output, by_name))
    if not complete:
        raise click.Abort


def _file(form: str, sweep: Sweep) -> bytes:
    from twolayer.export import files  # loads Arrow

    content: bytes = getattr(files, form)(files.sweep_table(sweep))
    return content


def _grid(
    config: Config, axes: str | None, rates: int, low: str | None, high: str | None, seeds: int
) -> Grid:
    """Return the grid of the options. Raise `ConfigError`."""
    ends = [None if text is None else Axis.parse(f"learning_rate={text}").values[0] for text in (low, high)]
    if axes is not None:
        return Grid(config, parse_axes(axes))
    return sweep_grid(config, swept_rates(config, rates, *ends), seeds)


def compute(sweep: Sweep, on_progress: Callable[[int], None]) -> tuple[Curvature | None, bool]:
    """Train the grid of `sweep` on the cluster: λmax at the start of its first training and
    whether all is done.

    Ctrl+C stops it; what is done by then stays in `sweep`. `on_progress` is given how many trainings are
    done. Raises `MessageError`.
    """
    from twolayer.engine.engine import Engine  # loads Dask

    engine = Engine(from_environment(), preload=False)  # a sweep does without PyTorch
    try:
        grid = sweep.grid
        first = grid.config(0)
        start = engine.map(
            curvature.largest_eigenvalue, [(first,)], memory_bytes=curvature.memory_bytes(first)
        )
        job = engine.map(train, blocks(grid), memory_bytes=memory_bytes(grid, engine.settings.workers))
        try:
            while not (job.over and start.over):
                sleep(POLL_SECONDS)
                sweep.take(job.results(since=sweep.taken))
                on_progress(sweep.done)
        except KeyboardInterrupt:
            engine.stop(job)
        sweep.take(job.results(since=sweep.taken))
        for one in (start, job):
            if one.message is not None:
                raise MessageError(one.message)
        return (start.results()[0][1] if start.done else None), job.state == "finished"
    finally:
        engine.close()


def words(sweep: Sweep, start: Curvature | None) -> str:
    """What came of a sweep, for the terminal."""
    grid, base = sweep.grid, sweep.grid.base
    plurals = {"seed": "seeds", "learning_rate": "learning rates"}
    along = " × ".join(
        f"{len(axis.values)} {plurals.get(axis.field, f'values of {axis.field}')}" for axis in grid.axes
    )
    named = {axis.field: axis.field for axis in grid.axes}
    fields = vars(base) | {"dtype": arithmetic(base)} | named
    lines = [
        "{N} × {D_in} → {H} → {D_out}, {dtype}, {steps} steps".format(**fields),
        f"{sweep.done} of {grid.size} runs ({along})",
        "",
    ]
    counts = np.bincount(sweep.there["outcome"], minlength=len(OUTCOMES))
    lines += [f"{count:>7}  {OUTCOME_NAMES[name]}" for name, count in zip(OUTCOMES, counts, strict=True)]
    if grid.position("learning_rate") is not None:
        lines += ["", *_rates(sweep)]
    if start is not None:
        first = [f"{name}={value}" for name, value in grid.values(0).items() if name in OF_CURVATURE]
        lines += [
            "",
            f"λmax at initialization{' with ' if first else ''}{', '.join(first)}: {start.value:.6g} "
            f"(residual {start.residual:.1g}, {start.products} products); 2/λmax: {start.threshold:.3g}",
        ]
    return "\n".join(lines)


def _rates(sweep: Sweep) -> list[str]:
    """The zones of the learning rate and the advice; of a grid over more fields, the advice for each."""
    grid = sweep.grid
    outer = [axis for axis in grid.axes if axis.field not in ("learning_rate", "seed")]
    if not outer:
        named = [(zone, " / ".join(OUTCOME_NAMES[name] for name in zone.outcomes)) for zone in zones(sweep)]
        lines = [f"{zone.low:.2e} – {zone.high:.2e}  {names}" for zone, names in named]
        return [*lines, "", *_advice(grid.base, advise(grid, sweep.there))]
    lines = ["".join(f"{axis.field:>10}" for axis in outer) + f"{'recommended':>14}{'safe range':>22}"]
    for places, found in bands(grid, sweep.there).items():
        values = [axis.values[place] for axis, place in zip(outer, places, strict=True)]
        band = _band(found, "{low:.3g} – {high:.3g}", "none")
        rate = f"{found.rate:.2g}" if found.rate is not None else "–"
        lines.append("".join(f"{value!s:>10}" for value in values) + f"{rate:>14}{band:>22}")
    return lines


def _advice(base: Config, found: Advice) -> list[str]:
    if found.rate is None:
        return [str(found.reason)]
    return [
        f"recommended: {found.rate:.2g}" + _band(found, ", safe from {low:.3g} to {high:.3g}", ""),
        str(found.reason),
        f"equivalent learning rate for the mean loss: {mean_loss_rate(base, found.rate):.2g} "
        f"(its gradient is N·D_out = {base.N * base.D_out} times smaller)",
    ]


def _band(found: Advice, form: str, none: str) -> str:
    return none if not found.safe else form.format(low=found.low, high=found.high)
