"""Take one iteration of a run apart: what each statement computed, and how.

A large matrix travels as a picture of block means and a window of a few cells with their numbers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twolayer.backprop import bugs, check, snapshot
from twolayer.backprop.cell_formulas import Cells
from twolayer.backprop.pooling import means
from twolayer.training.config import Config
from twolayer.training.kernels.numpy import Tutorial
from twolayer.training.program import AXES, SIZES, STEPS, run

WINDOW = 8
"""Rows and columns of a window."""
MOST_ROWS = 100
"""The most samples, or outputs, for which the chain rule is written out."""


@dataclass(frozen=True)
class Chosen:
    """The indices of the chosen cell in every value: sample, input, hidden unit and output."""

    n: int = 0
    i: int = 0
    j: int = 0
    o: int = 0

    def within(self, config: Config) -> "Chosen":
        """Return the nearest cell within the sizes of `config`."""
        return Chosen(*(min(getattr(self, i), getattr(config, size) - 1) for i, size in SIZES.items()))


@dataclass(frozen=True)
class View:
    """What is shown of one value."""

    shape: tuple[int, ...]
    minimum: float
    maximum: float
    zeros: float
    """The share of entries that are exactly 0."""
    picture: NDArray[np.float32]
    """The mean of each block."""
    block: tuple[int, int]
    window: NDArray[np.float64]
    """Some cells with all their digits."""
    first: tuple[int, int]
    """Row and column of the window's first cell."""
    chosen: tuple[int, int]
    """Row and column of the chosen cell, which is in the window."""
    sums: tuple[tuple[str, ...], ...]
    """How each cell of the window was computed, in numbers."""

    @property
    def whole(self) -> bool:
        """Whether the window shows the whole value."""
        return self.window.size == max(1, int(np.prod(self.shape)))


@dataclass(frozen=True)
class Chain:
    """The chain rule for one entry w1[i, j]: its gradient is the sum over the samples n of
    x[n, i] · (1 where h[n, j] ≥ 0) · Σ_o grad_y_pred[n, o] · w2[j, o]."""

    samples: NDArray[np.float64]
    """Rows of n, x[n, i], h[n, j], grad_h_relu[n, j], grad_h[n, j], x[n, i] · grad_h[n, j], for the samples
    with the largest products."""
    other_samples: int
    other_sum: float
    """The sum of the products of the omitted samples."""
    total: float
    """grad_w1[i, j]."""
    outputs: NDArray[np.float64]
    """Rows of o, y_pred[n, o], y[n, o], grad_y_pred[n, o], `factor` and the product of the last two, for the
    chosen sample n."""
    factor: str
    """What grad_y_pred is multiplied by: w2[j, o], unless a bug is planted there."""
    other_outputs: int
    before: float
    """w1[i, j]."""
    after: float


@dataclass(frozen=True)
class Observation:
    """One iteration of a run, as the page shows it."""

    config: Config
    at: int
    diverged_at: int | None
    chosen: Chosen
    planted: str | None
    changed: bool
    """Whether the bug changes a weight's gradient here."""
    loss: float
    views: dict[str, View]
    chain: Chain
    wrong: tuple[str, ...]
    """The gradients that the check finds wrong."""


def observe(config: Config, at: int, planted: str | None = None, chosen: Chosen | None = None) -> Observation:
    """Run the reference's statements for the iteration after `at` steps, in the run's dtype, on a worker.

    With a bug of `bugs.BUGS` planted, the values are those of the wrong program. Raises what
    `snapshot.take` raises.
    """
    with Tutorial.threads(config.threads):
        taken = snapshot.take(config, at)
        inputs = taken.inputs
        values = run(bugs.program(planted), inputs, config.learning_rate)
        found = check.examine(config, taken, planted, check.Settings(valley=False))
    cells = Cells(inputs, values, config.learning_rate, bugs.formulas(planted))
    chosen = (chosen or Chosen()).within(config)
    return Observation(
        config=config,
        at=taken.at,
        diverged_at=taken.diverged_at,
        chosen=chosen,
        planted=planted,
        changed=found.changed,
        loss=float(values["loss"]),
        views={name: view(name, cells, chosen) for name in STEPS},
        chain=chain(cells, chosen),
        wrong=found.wrong,
    )


def view(name: str, cells: Cells, chosen: Chosen) -> View:
    """Return what is shown of one value, with the window around the chosen cell."""
    value = cells.values[name]
    matrix = value.reshape(1, 1) if value.ndim == 0 else value
    at = [getattr(chosen, axis) for axis in AXES[name]] or [0, 0]
    first_row, first_column = (
        min(index // WINDOW * WINDOW, max(0, size - WINDOW))
        for index, size in zip(at, matrix.shape, strict=True)
    )
    window = matrix[first_row : first_row + WINDOW, first_column : first_column + WINDOW]
    picture, block = means(matrix)
    return View(
        shape=value.shape,
        minimum=float(matrix.min()),
        maximum=float(matrix.max()),
        zeros=float(np.mean(matrix == 0)),
        picture=picture,
        block=block,
        window=window.astype(np.float64),
        first=(first_row, first_column),
        chosen=(at[0], at[1]),
        sums=tuple(
            tuple(
                cells.cell(name, first_row + row, first_column + column) for column in range(window.shape[1])
            )
            for row in range(window.shape[0])
        ),
    )


def chain(cells: Cells, chosen: Chosen) -> Chain:
    """Write out the chain rule for the chosen entry of w1."""
    n, i, j = chosen.n, chosen.i, chosen.j
    inputs, values = cells.inputs, cells.values
    hidden = [values[name][:, j] for name in ("h", "grad_h_relu", "grad_h")]
    samples = np.column_stack([np.arange(len(inputs["x"])), inputs["x"][:, i], *hidden]).astype(np.float64)
    samples = np.column_stack([samples, samples[:, 1] * samples[:, 4]])
    order = np.argsort(-np.abs(samples[:, 5]), kind="stable")
    factors = cells.factors("grad_h_relu", n, j)
    back = [values["y_pred"][n], inputs["y"][n], *factors.values()]
    outputs = np.column_stack([np.arange(len(back[0])), *back]).astype(np.float64)
    outputs = np.column_stack([outputs, outputs[:, 3] * outputs[:, 4]])
    return Chain(
        samples=samples[np.sort(order[:MOST_ROWS])],
        other_samples=len(order[MOST_ROWS:]),
        other_sum=float(samples[order[MOST_ROWS:], 5].sum()),
        total=float(values["grad_w1"][i, j]),
        outputs=outputs[:MOST_ROWS],
        factor=list(factors)[1],
        other_outputs=len(outputs[MOST_ROWS:]),
        before=float(inputs["w1"][i, j]),
        after=float(values["w1"][i, j]),
    )
