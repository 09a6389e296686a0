"""The formulas of an iteration as LaTeX, each value with its shape beneath it."""

from twolayer.backprop import bugs
from twolayer.training.config import Config
from twolayer.training.program import AXES, SIZES


class _Value:
    """A value in a LaTeX format string: `{w2}`, transposed as `{w2:T}`, without its shape as `{w2:name}`."""

    def __init__(self, name: str, config: Config | None) -> None:
        self.symbol = r"\mathtt{" + name.replace("_", r"\_") + "}"
        sizes = [SIZES[axis] for axis in AXES[name]]
        self.sizes = [getattr(config, size) if config else size.replace("_", r"\_") for size in sizes]

    def __format__(self, form: str) -> str:
        if form == "name" or not self.sizes:
            return self.symbol
        rows, columns = reversed(self.sizes) if form == "T" else self.sizes
        power = r"^{\mathsf{T}}" if form == "T" else ""
        return rf"\underset{{{rows}\times {columns}}}{{{self.symbol}{power}}}"


def formula(name: str, config: Config | None = None, planted: str | None = None) -> str:
    """Return how the value `name` is computed, in the program with the bug `planted`.

    Without a config the shapes are in letters.
    """
    values = {each: _Value(each, config) for each in AXES}
    arrow = r"\leftarrow" if name in ("w1", "w2") else "="
    return f"{values[name]} {arrow} {bugs.formulas(planted)[name].latex.format_map(values)}"
