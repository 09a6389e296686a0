"""Write a run as one plain Python script that needs nothing of this project.

`scripts/` holds one whole program for each backend and method: that of the default Config. Another run is
the same program with other values in its header. It computes in the run's own method with the same
operations in the same order, so that on the same machine it prints the run's losses to the last bit.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from twolayer.export import data_source
from twolayer.training import methods
from twolayer.training.config import DEFAULTS, Config
from twolayer.training.edits import Edit, current

SCRIPTS = Path(__file__).with_name("scripts")
_ALWAYS_NAMED = {"backend", "method", "dtype", "seed"}
_LOOP = "for t in range(steps):\n"


def script(config: Config, edits: Sequence[Edit] = (), steps: int | None = None) -> str:
    """Return a standalone Python script that reproduces a run, or its first `steps` steps.

    The script prints a line `step loss` for each step with a finite loss. It needs NumPy, and SciPy for
    the methods `fused` and `gram` of NumPy, or PyTorch, and the package whose data file it trains on.
    """
    method = methods.used(config)
    text = (SCRIPTS / f"{config.backend}_{method}.py").read_text("utf-8")
    text = text.replace(data_source.RANDOM_BATCH, data_source.batch(config))
    default = Config(backend=config.backend, method=method)
    total = current(config, edits, "steps") if steps is None else steps
    for written, filled in zip(_header(default, default.steps), _header(config, total), strict=True):
        text = text.replace(written, filled)
    changes = "".join(
        f"    if t == {edit.step}:  # changed on the way\n        learning_rate = {edit.value!r}\n\n"
        for edit in edits
        if edit.field == "learning_rate"
    )
    return text.replace(_LOOP, _LOOP + changes)


def _header(config: Config, steps: int) -> tuple[str, ...]:
    """Return all text of a program that depends on the Config. No piece occurs in another one."""
    fields = {**asdict(config), "method": methods.used(config)}
    settings = (f"{k} {v}" for k, v in fields.items() if k in _ALWAYS_NAMED or v != DEFAULTS[k])
    letter = "s" if config.dtype == "float32" else "d"
    return (
        ", ".join(settings),
        f'_NUM_THREADS"] = "{config.threads}"',
        f"torch.set_num_threads({config.threads})",
        f'torch.device("{config.device}")',
        f"import {letter}axpy as axpy, {letter}dot as dot, {letter}gemm as gemm",
        f"N, D_in, H, D_out = {config.N}, {config.D_in}, {config.H}, {config.D_out}",
        f"learning_rate = {config.learning_rate!r}\nsteps = {steps}\n",
        f"default_rng({config.seed})",
        f"np.{config.dtype}",
    )
