"""Write a run as a Jupyter notebook that needs nothing of this project."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twolayer.backprop import latex
from twolayer.export.rungs import SCRIPTS
from twolayer.export.script import filled, settings, with_changes
from twolayer.training import data
from twolayer.training.config import Config
from twolayer.training.edits import Edit, current
from twolayer.training.kernels import UnavailableError, why_missing
from twolayer.training.messages import N_
from twolayer.training.program import GRADIENTS

LIBRARY = "nbformat"
_CELL = re.compile(r"^# %% (\w+)\n", re.MULTILINE)
_DIFFERENCE = (
    r"\frac{\partial L}{\partial w} \approx \frac{L(w + \varepsilon) - L(w - \varepsilon)}{2\,\varepsilon}"
)


@dataclass(frozen=True)
class Heading:
    """What stands above a cell of the program."""

    title: str
    """In English."""
    text: str
    """Markdown, in English, with places for `{settings}` and `{packages}`."""
    values: tuple[str, ...] = ()
    """The values of an iteration whose formulas follow."""
    formula: str = ""
    """Another formula that follows, in LaTeX."""


HEADINGS: Mapping[str, Heading] = {
    "setup": Heading(
        N_("Two layers by hand"),
        N_(
            "A two-layer ReLU network, trained by gradient descent with a hand-written backward pass, after "
            "the NumPy program of the PyTorch tutorial “Learning PyTorch with Examples”. This notebook is "
            "one run: {settings}. It needs {packages}."
        ),
    ),
    "data": Heading(
        N_("Data"),
        N_("The fixed batch x, y, and the initial weights w1, w2. What is random is drawn from the seed."),
    ),
    "forward": Heading(
        N_("Forward pass"),
        N_("The network has no biases, and the loss is a sum, not a mean."),
        ("h", "h_relu", "y_pred", "loss"),
    ),
    "backward": Heading(
        N_("Backward pass"),
        N_(
            "The chain rule, from the loss back to the weights. Each gradient has the shape of the value "
            "that it belongs to."
        ),
        GRADIENTS,
    ),
    "check": Heading(
        N_("Gradient check"),
        N_(
            "If one weight w moves by ±ε, the change of the loss must match the gradient. This compares 20 "
            "random entries of each array, in float64. Entries for which a ReLU switches between −ε and +ε "
            "are left out, since the loss has a kink there."
        ),
        formula=_DIFFERENCE,
    ),
    "training": Heading(
        N_("Training"),
        N_("Gradient descent with the learning rate η. The loss of a step is the one before its update."),
        ("w1", "w2"),
    ),
    "curve": Heading(N_("Loss"), N_("The loss of each step, on a logarithmic scale.")),
}
"""What stands above each cell of the program `scripts/notebook.py`."""


def available() -> bool:
    """Return whether the library that writes notebooks is installed."""
    return why_missing(LIBRARY) is None


def notebook(
    config: Config,
    edits: Sequence[Edit] = (),
    steps: int | None = None,
    translate: Callable[[str], str] = str,
) -> str:
    """Return the text of a notebook (.ipynb) that computes a run, or its first `steps` steps.

    It has the formulas, the code, a gradient check and the curve of the loss, with texts that `translate`
    is given in English. Raises `UnavailableError` without the library that writes notebooks.
    """
    missing = why_missing(LIBRARY)
    if missing is not None:
        raise UnavailableError(missing)
    import nbformat  # loads a validator of JSON

    v4: Any = nbformat.v4
    cells = []
    for name, code in program_cells(config, edits, steps):
        cells.append(v4.new_markdown_cell(_above(HEADINGS[name], config, translate), id=f"{name}-text"))
        cells.append(v4.new_code_cell(code, id=name))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    return str(v4.writes(book)) + "\n"


def _above(heading: Heading, config: Config, translate: Callable[[str], str]) -> str:
    """Return the Markdown above a cell."""
    said = {"settings": settings(config, by_hand=False), "packages": ", ".join(_packages(config))}
    text = translate(heading.text).format(**said)
    formulas = [latex.formula(name, config) for name in heading.values]
    formulas += [heading.formula] if heading.formula else []
    title = f"{'#' if heading is HEADINGS['setup'] else '##'} {translate(heading.title)}"
    return "\n\n".join([title, text, *(f"$${formula}$$" for formula in formulas)])


def _packages(config: Config) -> list[str]:
    """Return the packages that the notebook of a run needs."""
    ours = data.DATA_SETS[config.data].package if config.data in data.DATA_SETS else ""
    needed = ["NumPy", "Plotly"]
    return needed if ours in ("", "plotly") else [*needed, data.INSTALLED_AS.get(ours, ours)]


def program_cells(
    config: Config, edits: Sequence[Edit] = (), steps: int | None = None
) -> list[tuple[str, str]]:
    """Return the cells of the notebook's program: their names, and their code."""
    total = current(config, edits, "steps") if steps is None else steps
    text = filled((SCRIPTS / "notebook.py").read_text("utf-8"), config, total)
    _, *parts = _CELL.split(with_changes(text, edits))
    return [(name, code.strip("\n")) for name, code in zip(parts[::2], parts[1::2], strict=True)]
