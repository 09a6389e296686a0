"""`sweep`: many trainings on the cluster of the settings, and which learning rate to take."""

from collections.abc import Callable
from time import sleep
from typing import Any, BinaryIO

import click
import numpy as np

from twolayer.cli.options import progress_bar, whole, with_config
from twolayer.engine.settings import from_environment
from twolayer.rates import curvature
from twolayer.rates.advice import Advice, advise, bands, mean_loss_rate, scanned_rates
from twolayer.rates.curvature import Curvature
from twolayer.rates.grid import RATES, SEEDS, Axis, Grid, computed, parse_axes, scan_grid
from twolayer.rates.outcomes import OUTCOME_NAMES, OUTCOMES
from twolayer.rates.sweep import Scan, blocks, memory_bytes, train
from twolayer.rates.zones import zones
from twolayer.training.config import Config
from twolayer.training.messages import MessageError

POLL_SECONDS = 0.05


@click.command("sweep")
@with_config
@whole("--rates", RATES)
@click.option("--from", "low", metavar="RATE", help="Lowest learning rate.  [default: by the sizes]")
@click.option("--to", "high", metavar="RATE", help="Highest learning rate.  [default: by the sizes]")
@whole("--seeds", SEEDS)
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
def command(
    config: Config, csv_file: BinaryIO | None, parquet_file: BinaryIO | None, **grid_options: Any
) -> None:
    """Train a whole grid: by default many learning rates with some seeds; and say which rate to take.

    It runs on an embedded cluster, or on that of TWOLAYER_SCHEDULER. Ctrl+C stops it; what is done by
    then is told and written all the same.
    """
    from twolayer.export import sweep_files, tables  # load Arrow

    try:
        scan = Scan(_grid(computed(config), **grid_options))
        with progress_bar(scan.grid.size, "training") as bar:
            start, complete = compute(scan, lambda done: bar.update(done - bar.pos))
    except MessageError as error:
        raise click.UsageError(str(error)) from None
    click.echo(words(scan, start))
    if csv_file is not None:
        csv_file.write(tables.csv(sweep_files.table(scan)))
    if parquet_file is not None:
        parquet_file.write(tables.parquet(sweep_files.table(scan)))
    if not complete:
        raise click.Abort


def _grid(
    config: Config, axes: str | None, rates: int, low: str | None, high: str | None, seeds: int
) -> Grid:
    """Return the grid of the options. Raise `ConfigError`."""
    ends = [None if text is None else Axis.parse(f"learning_rate={text}").values[0] for text in (low, high)]
    if axes is not None:
        return Grid(config, parse_axes(axes))
    return scan_grid(config, scanned_rates(config, rates, *ends), seeds)


def compute(scan: Scan, on_progress: Callable[[int], None]) -> tuple[Curvature | None, bool]:
    """Train the grid of `scan` on the cluster: λmax at the start of its base, and whether all is done.

    Ctrl+C stops it; what is done by then stays in `scan`. `on_progress` is given how many trainings are
    done. Raises `MessageError`.
    """
    from twolayer.engine.engine import Engine  # loads Dask

    engine = Engine(from_environment())
    try:
        grid = scan.grid
        start = engine.map(
            curvature.largest_eigenvalue, [(grid.base,)], memory_bytes=curvature.memory_bytes(grid.base)
        )
        job = engine.map(train, blocks(grid), memory_bytes=memory_bytes(grid, engine.settings.workers))
        try:
            while not (job.over and start.over):
                sleep(POLL_SECONDS)
                scan.take(job.results(since=scan.taken))
                on_progress(scan.done)
        except KeyboardInterrupt:
            engine.stop(job)
        scan.take(job.results(since=scan.taken))
        for one in (start, job):
            if one.message is not None:
                raise MessageError(one.message)
        return (start.results()[0][1] if start.done else None), job.state == "finished"
    finally:
        engine.close()


def words(scan: Scan, start: Curvature | None) -> str:
    """What came of a scan, for the terminal."""
    grid, base = scan.grid, scan.grid.base
    along = ", ".join(f"{axis.field}: {len(axis.values)}" for axis in grid.axes)
    lines = [
        f"{base.N} × {base.D_in} → {base.H} → {base.D_out}, {base.dtype}, {base.steps} steps",
        f"{scan.done} of {grid.size} trainings ({along})",
        "",
    ]
    counts = np.bincount(scan.there["outcome"], minlength=len(OUTCOMES))
    lines += [f"{count:>7}  {OUTCOME_NAMES[name]}" for name, count in zip(OUTCOMES, counts, strict=True)]
    if grid.position("learning_rate") is not None:
        lines += ["", *_rates(scan)]
    if start is not None:
        lines += [
            "",
            f"λmax at the start: {start.value:.6g} (residual {start.residual:.1g}, {start.products} products)"
            f"; 2/λmax: {start.threshold:.3g}",
        ]
    return "\n".join(lines)


def _rates(scan: Scan) -> list[str]:
    """The zones of the learning rate and the advice; of a grid over more fields, the advice for each."""
    grid = scan.grid
    outer = [axis for axis in grid.axes if axis.field not in ("learning_rate", "seed")]
    if not outer:
        found = advise(grid, scan.there)
        return [*_zones(scan), "", *_advice(scan, found)]
    lines = ["".join(f"{axis.field:>10}" for axis in outer) + f"{'recommended':>14}{'safe band':>22}"]
    for places, found in bands(grid, scan.there).items():
        values = [axis.values[place] for axis, place in zip(outer, places, strict=True)]
        band = f"{found.low:.2g} – {found.high:.2g}" if found.low is not None else "none"
        rate = f"{found.rate:.2g}" if found.rate is not None else "–"
        lines.append("".join(f"{value!s:>10}" for value in values) + f"{rate:>14}{band:>22}")
    return lines


def _zones(scan: Scan) -> list[str]:
    """The zones of the learning rate, a line each."""
    named = [(zone, " / ".join(OUTCOME_NAMES[name] for name in zone.outcomes)) for zone in zones(scan)]
    return [f"{zone.low:.2e} – {zone.high:.2e}  {names}" for zone, names in named]


def _advice(scan: Scan, found: Advice) -> list[str]:
    if found.rate is None:
        return [str(found.reason)]
    base = scan.grid.base
    return [
        f"recommended: {found.rate:.2g}, safe from {found.low:.2g} to {found.high:.2g}",
        str(found.reason),
        f"with the mean loss for the sum the same steps take {mean_loss_rate(base, found.rate):.2g}: "
        f"its gradient is N·D_out = {base.N * base.D_out} times smaller",
    ]
