"""`train`: one training in this process."""

import json
from dataclasses import asdict

import click

from twolayer.cli.options import progress_bar, with_config
from twolayer.cli.output import deliver, output_option
from twolayer.training.config import RANDOM, Config
from twolayer.training.figures import FIGURES, FIRST_LOSS, LOSS, SPEED, STEP_TIME, STEPS, TOTAL_TIME
from twolayer.training.learned import has_classes
from twolayer.training.messages import MessageError
from twolayer.training.methods import flops_once, gain_of_auto
from twolayer.training.training import Result, fit

FORMS = {
    STEPS: "d",
    FIRST_LOSS: ".6g",
    LOSS: ".6g",
    STEP_TIME: ".1f",
    SPEED: ".4g",
    TOTAL_TIME: ".3f",
}
"""The figures of a training and how they are written, in their order."""


@click.command("train")
@with_config
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@output_option("--output", "Write the result to this file as JSON.")
def command(config: Config, as_json: bool, output: str | None) -> None:
    """Train one run and print a summary. The exit status is 1 if the loss diverges.

    Progress is shown on standard error if it is a terminal.
    """
    try:
        with progress_bar(config.steps, "training") as bar:
            result = fit(config, on_chunk=lambda chunk: bar.update(len(chunk.losses)))
    except MessageError as error:
        raise click.UsageError(str(error)) from None
    fields = {
        "config": asdict(config),
        "method": result.method,
        "steps": len(result.losses),
        "diverged_at": result.diverged_at,
        "seconds": result.seconds,
        "losses": result.losses.tolist(),
    }
    as_text = json.dumps(fields, allow_nan=False)
    words = as_text if as_json and output is None else _words(config, result)
    deliver(words, (output, as_text.encode))
    if result.diverged_at is not None:
        raise click.exceptions.Exit(1)


def _words(config: Config, result: Result) -> str:
    rows = [("run", " ".join(f"{k}={v}" for k, v in asdict(config).items() if v != ""))]
    for name, form in FORMS.items() if len(result.losses) else ():
        figure = FIGURES[name]
        rows.append((figure.label.lower(), f"{figure.of(config, result):{form}} {figure.unit}".strip()))
    if result.compile_seconds:
        rows.append(("compiling", f"{result.compile_seconds:.1f} s, not in the time of the steps"))
    if config.data != RANDOM and len(result.held_out):
        _step, loss, right = result.held_out[-1]
        share = f", {right:.2%} of the rows right" if has_classes(config) else ""
        rows.append(("held out", f"mean loss per entry {loss:.4g}{share}"))
    if flops_once(config):
        rows.append(("before the steps", f"{flops_once(config):.2g} FLOPs for x·xᵀ and x·w1"))
    if (gain := gain_of_auto(config)) > 1:
        rows.append(("faster here", f"--method auto; gram takes an estimated {gain:.3g} times as many FLOPs"))
    if result.diverged_at is not None:
        from twolayer.rates.advice import working_rate  # loads SciPy, and computes for a moment

        rows += [
            ("diverged", f"at step {result.diverged_at} (loss not finite)"),
            ("a rate that works", f"--learning_rate {working_rate(config):g}"),
        ]
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"{name + ':':<{width}}{value}" for name, value in rows)
