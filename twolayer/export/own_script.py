"""Write a learner's program as a plain script of its own, in NumPy or PyTorch, with its own check in it."""

import textwrap
from dataclasses import replace
from pathlib import Path

from twolayer.backprop.expressions import parse
from twolayer.backprop.levels import SOLUTIONS, Exercise, Texts
from twolayer.export import data_source
from twolayer.training.config import Config
from twolayer.training.program import STEPS

SCRIPTS = Path(__file__).with_name("scripts")
_BEGIN, _END = "    # Begin of the program\n", "    # End of the program\n"


def own_script(config: Config, exercise: Exercise, texts: Texts) -> str:
    """Return the script. Raises `LineError` for a line that is not in the language: it is not written."""
    written = dict(texts)
    lines = (
        parse(name, written.get(name, "") if name in exercise.open else text, exercise.dialect).text
        for name, text in ((name, SOLUTIONS[exercise.dialect][name]) for name in STEPS)
    )
    text = (SCRIPTS / f"exercise_{exercise.dialect}.py").read_text("utf-8")
    before, rest = text.split(_BEGIN)
    program = textwrap.indent(
        "\n".join(lines).replace("w1 -= ", "w1 = w1 - ").replace("w2 -= ", "w2 = w2 - "), "    "
    )
    text = before + _BEGIN + program + "\n" + _END + rest.split(_END)[1]
    for old, new in zip(_header(Config()), _header(config), strict=True):
        text = text.replace(old, new)
    return text


def _header(config: Config) -> tuple[str, ...]:
    """Return all text of a program that depends on the Config."""
    return (
        f"dtype {config.dtype}, seed {config.seed}",
        f"N, D_in, H, D_out = {config.N}, {config.D_in}, {config.H}, {config.D_out}",
        f"learning_rate = {config.learning_rate!r}\nsteps = {config.steps}\n",
        f"astype(np.{config.dtype})",
        f"to(torch.{config.dtype})",
        data_source.batch(replace(config, dtype="float64")),
    )
