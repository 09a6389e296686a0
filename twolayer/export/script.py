"""Write a run as one plain Python program that needs nothing of this project.

`scripts/` holds whole programs: that of the default Config for each rung, and by hand for each method.
Another run is the same program with other values in its header. By hand it computes in the run's own
method with the same operations in the same order, so that on the same machine it prints the run's losses
to the last bit.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from textwrap import fill

from twolayer.export import data_source
from twolayer.export.rungs import RUNGS, Rung
from twolayer.training import methods
from twolayer.training.config import BACKENDS, DEFAULTS, Config
from twolayer.training.edits import Edit, current

_WIDTH = 100
_ALWAYS_NAMED = {"backend", "method", "dtype", "seed"}


def script(
    config: Config, edits: Sequence[Edit] = (), steps: int | None = None, rung: str | None = None
) -> str:
    """Return a standalone Python program that reproduces a run, or its first `steps` steps.

    It is written as the row `rung` of `RUNGS`, by default by hand in the config's backend. The program
    prints a line `step loss` for each step with a finite loss. It needs the package whose data file it
    trains on.
    """
    rung = rung or config.backend
    row = RUNGS[rung]
    if rung in BACKENDS:
        config = replace(config, backend=rung, device=config.device if rung == "torch" else "cpu")
    total = current(config, edits, "steps") if steps is None else steps
    text = filled(row.path(config).read_text("utf-8"), config, total, row)
    return with_changes(text, edits, row)


def with_changes(text: str, edits: Sequence[Edit], rung: Rung = RUNGS["numpy"]) -> str:
    """Return a program with the changes of its learning rate."""
    changes = (
        rung.change.format(step=edit.step, value=edit.value)
        for edit in edits
        if edit.field == "learning_rate"
    )
    return text.replace(rung.anchor, rung.anchor + "".join(changes))


def filled(text: str, config: Config, steps: int, rung: Rung | None = None) -> str:
    """Return a program of the default Config with the header of `config`."""
    by_hand = rung is not None and rung.by_hand
    default = Config(backend=config.backend, method=methods.used(config))
    pieces = zip(
        _header(default, default.steps, by_hand=by_hand),
        _header(config, steps, by_hand=by_hand),
        strict=True,
    )
    for written, filled_in in pieces:
        text = text.replace(written, filled_in)
    return text


def settings(config: Config, *, by_hand: bool = True) -> str:
    """Return the settings of a run in words, as its program names them."""
    fields = {**asdict(config), "method": methods.used(config)}
    if not by_hand:
        del fields["backend"], fields["method"]
    return ", ".join(f"{k} {v}" for k, v in fields.items() if k in _ALWAYS_NAMED or v != DEFAULTS[k])


def _header(config: Config, steps: int, *, by_hand: bool) -> tuple[str, ...]:
    """Return all text of a program that depends on the Config. No piece occurs in another one."""
    letter = "s" if config.dtype == "float32" else "d"
    platform, _, number = config.device.partition(":")
    return (
        _wrapped(settings(config, by_hand=by_hand)),
        f'_NUM_THREADS"] = "{config.threads}"',
        f"torch.set_num_threads({config.threads})",
        f'torch.device("{config.device}")',
        f'jax.devices("{"cuda" if platform == "cuda" else "cpu"}")[{number or 0}]',
        f'"jax_enable_x64", {config.dtype == "float64"}',
        f"import {letter}axpy as axpy, {letter}dot as dot, {letter}gemm as gemm",
        f"N, D_in, H, D_out = {config.N}, {config.D_in}, {config.H}, {config.D_out}",
        f"learning_rate = {config.learning_rate!r}\nsteps = {steps}\n",
        data_source.batch(config),
    )


def _wrapped(words: str) -> str:
    """Return settings in short lines, none of which parts a name from its value."""
    together = words.replace(", ", ",\n").replace(" ", "\N{NO-BREAK SPACE}")
    return fill(together, _WIDTH).replace("\N{NO-BREAK SPACE}", " ")
