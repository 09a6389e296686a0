"""`check`: a learner's own file with functions `forward` and `backward`, judged as the page judges lines."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np

from twolayer.backprop import exercise, snapshot
from twolayer.backprop.exercise import Numbers, Verdict
from twolayer.backprop.proof import compare
from twolayer.backprop.sentences import details, headline
from twolayer.cli.learner import FORWARD
from twolayer.cli.options import with_config
from twolayer.cli.output import deliver
from twolayer.training.config import Config
from twolayer.training.messages import Message, MessageError
from twolayer.training.program import GRADIENTS

SECONDS = 60
ROOT = Path(__file__).parents[2]
LEARNER = """import runpy, sys
sys.path.append(sys.argv.pop(1))  # where this package is
runpy.run_module("twolayer.cli.learner", run_name="__main__", alter_sys=True)
"""
"""The program of the learner's process, whose arguments are `ROOT`, the file, and a folder."""


@click.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@with_config
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(config: Config, file: str, as_json: bool) -> None:
    """Check the functions forward and backward of your own Python file. The exit status is 1 if one is wrong.

    forward(x, w1, w2) returns h, h_relu, y_pred. backward(x, y, w2, h, h_relu, y_pred) returns grad_w1 and
    grad_w2, or all five gradients in their order, or a dictionary by name. Arrays are NumPy's, or tensors if
    the file imports torch. The file runs in a process of its own, with your rights.
    """
    try:
        given = exercise.numbers(snapshot.take(config, 0), config.learning_rate)
    except MessageError as error:
        raise click.UsageError(str(error)) from None
    found, failed = _run(file, given)
    verdicts = _verdicts(given, found)
    ours = {name: found[f"alone {name}"] for name in GRADIENTS if f"alone {name}" in found}
    fits = {name: array for name, array in ours.items() if array.shape == given.right[name].shape}
    proof = compare(given, lambda _forward: fits, config.seed)
    right = bool(verdicts) and not failed and all(v.state == "right" for v in verdicts)
    fields = {
        "right": right,
        "failed": failed,
        "lines": [
            {
                "value": v.value,
                "state": v.state,
                "kind": v.kind,
                "says": [str(m) for m in (headline(v), *details(v))],
            }
            for v in verdicts
        ],
        "agreements": [vars(one) for one in proof.agreements],
        "no_autograd": str(proof.no_autograd) if proof.no_autograd else None,
    }
    deliver(json.dumps(fields) if as_json else _words(fields))
    if not right:
        raise click.exceptions.Exit(1)


def _run(file: str, given: Numbers) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
    """Return the arrays that the functions of a file return, and what failed."""
    with tempfile.TemporaryDirectory() as folder:
        forward = {name: given.right[name] for name in (*FORWARD, "loss")}
        np.savez(Path(folder, "given.npz"), **given.inputs, **forward)  # type: ignore[arg-type]
        program = [sys.executable, "-c", LEARNER, str(ROOT), file, folder]
        try:
            ran = subprocess.run(program, timeout=SECONDS, check=False, stdout=sys.stderr.fileno())
        except subprocess.TimeoutExpired:
            raise click.UsageError(f"{click.format_filename(file)}: not done after {SECONDS} s") from None
        if ran.returncode:
            raise click.UsageError(
                f"{click.format_filename(file)}: its process ended with status {ran.returncode}"
            )
        failed = json.loads(Path(folder, "failed.json").read_text("utf-8"))
        with np.load(Path(folder, "found.npz"), allow_pickle=False) as stored:
            return dict(stored), failed


def _verdicts(given: Numbers, found: dict[str, np.ndarray[Any, Any]]) -> list[Verdict]:
    """Judge each value that the functions returned."""
    verdicts = []
    for name in (*FORWARD, *GRADIENTS):
        array = found.get(f"alone {name}" if name in GRADIENTS else f"chain {name}")
        if array is None:
            continue
        right = given.right[name]
        if array.shape != right.shape:
            kind = "transpose" if array.shape == right.shape[::-1] else None
            words = Message.of(
                "{value} must have the shape {right}; it has {found}.",
                value=name,
                right=str(right.shape),
                found=str(array.shape),
            )
            verdicts.append(Verdict(name, "", "refused", message=words, kind=kind))
            continue
        verdict = exercise.judge(given, name, array)
        chained = found.get(f"chain {name}")
        fits = chained is not None and chained.shape == right.shape
        verdicts.append(exercise.with_chain(verdict, given, chained if fits else None))
    return verdicts


def _words(fields: dict[str, Any]) -> str:
    lines = [f"{line['value'] + ':':<13}{' '.join(line['says'])}" for line in fields["lines"]]
    for name, why in fields["failed"].items():
        lines.append(
            f"{name + ':':<13}{'There is no such function in the file.' if why == 'missing' else why}"
        )
    for one in fields["agreements"]:
        against = {"autograd": "PyTorch's autograd", "differences": "central differences"}[one["against"]]
        state = f"{one['wrong']} of {one['compared']} entries differ" if one["wrong"] else "agrees"
        lines.append(
            f"{one['gradient'] + ':':<13}{state} with {against}".replace("differ with", "differ from")
        )
    return "\n".join([*lines, *filter(None, [fields["no_autograd"]])])
