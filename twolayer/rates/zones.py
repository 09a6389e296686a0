"""The zones of the learning rate, and why a run is in its zone.

λmax is the sharpness, the largest eigenvalue of the Hessian of the loss (`curvature`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twolayer.rates.outcomes import DEAD, DIVERGES, OUTCOMES, SLOW, outcome
from twolayer.rates.sweep import Sweep
from twolayer.training.config import Config
from twolayer.training.messages import Message

LITTLE = 1.001
"""Up to this factor over the first loss it did not really rise."""


@dataclass(frozen=True)
class Zone:
    """Neighbouring learning rates of a sweep with the same outcomes over the seeds."""

    low: float
    high: float
    outcomes: tuple[str, ...]


def zones(sweep: Sweep) -> list[Zone]:
    """Return the zones of a sweep over learning rates, or over learning rates and seeds, from low to high."""
    grid, rows = sweep.grid, sweep.there
    axis = grid.position("learning_rate")
    assert axis is not None
    places = np.unravel_index(rows["index"], grid.shape)[axis]
    found: list[Zone] = []
    for place, rate in sorted(enumerate(grid.axes[axis].values), key=lambda pair: pair[1]):
        kinds = tuple(OUTCOMES[kind] for kind in np.unique(rows["outcome"][places == place]))
        if found and found[-1].outcomes == kinds:
            found[-1] = Zone(found[-1].low, rate, kinds)
        elif kinds:
            found.append(Zone(rate, rate, kinds))
    return found


def story(
    config: Config,
    losses: NDArray[np.float64],
    diverged_at: int | None,
    dead: int,
    curve: NDArray[np.void],
) -> list[Message]:
    """Explain the outcome of a run.

    `dead` is the number of dead units at its end, `curve` λmax along it: rows of `curvature.ROW` from
    step 0 on.
    """
    sharpness = curve["value"]
    if not sharpness[0] > 0 or not len(losses):
        return [Message.of("The loss is flat at the initial weights (λmax = 0), as if every unit were dead.")]
    rate, threshold = config.learning_rate, 2 / sharpness[0]
    said = [
        Message.of(
            "At initialization λmax = {value}. On a quadratic with that curvature, gradient descent would "
            "diverge for any learning rate above 2/λmax = {threshold}. Here η = {rate}, which is {ratio} "
            "times that.",
            value=f"{sharpness[0]:.4g}",
            threshold=f"{threshold:.3g}",
            rate=f"{rate:.3g}",
            ratio=f"{rate / threshold:.3g}",
        )
    ]
    kind = outcome(config, losses, diverged_at, dead)
    if kind == DIVERGES:
        said.append(_diverges(rate, curve))
    elif kind == DEAD:
        said.append(_loses_units(config, losses, dead, curve))
    elif rate > threshold and (sharpness < 2 / rate).any():
        said.append(_moves_to_a_flatter_place(rate, losses, curve))
    elif rate <= threshold and (sharpness >= 2 / rate).any():
        said.append(_reaches_the_edge_of_stability(rate, curve))
    else:
        said.append(_stays_stable(rate, curve))
    if kind == SLOW:
        said.append(Message.of("The loss is still decreasing at the end: train for more steps."))
    return said


def _diverges(rate: float, curve: NDArray[np.void]) -> Message:
    return Message.of(
        "The loss grows and λmax grows with it, to {value} at step {step}. It does not fall below 2/η = "
        "{limit}, so training diverges.",
        value=f"{curve[-1]['value']:.3g}",
        step=int(curve[-1]["step"]),
        limit=f"{2 / rate:.3g}",
    )


def _loses_units(config: Config, losses: NDArray[np.float64], dead: int, curve: NDArray[np.void]) -> Message:
    return Message.of(
        "The loss peaks at {peak} times its initial value at step {step}. By the end, {dead} of {H} hidden "
        "units are dead. Dead units contribute no curvature, so λmax falls to {value}: training is stable, "
        "but the loss stays at {loss}. (A network that always outputs 0 has a loss of about N·D_out = "
        "{zero}.)",
        peak=f"{losses.max() / losses[0]:.3g}",
        step=int(np.argmax(losses)),
        dead=dead,
        H=config.H,
        value=f"{curve[-1]['value']:.3g}",
        loss=f"{losses[-1]:.4g}",
        zero=config.N * config.D_out,
    )


def _moves_to_a_flatter_place(rate: float, losses: NDArray[np.float64], curve: NDArray[np.void]) -> Message:
    value, peak = curve[-1]["value"], losses.max() / losses[0]
    figures = {
        "limit": f"{2 / rate:.3g}",
        "under": int(curve["step"][curve["value"] < 2 / rate][0]),
        "value": f"{value:.3g}",
        "later": f"{2 / value:.3g}",
    }
    if peak <= LITTLE:
        return Message.of(
            "But the loss is not quadratic: λmax falls at once, below 2/η = {limit} by step {under}, and "
            "is {value} at the end, where 2/λmax = {later}.",
            **figures,
        )
    return Message.of(
        "But the loss is not quadratic. It rises to {peak} times its initial value at step {step}, and "
        "meanwhile λmax falls: below 2/η = {limit} by step {under}, and to {value} at the end. There "
        "2/λmax = {later} exceeds η: training has moved to a flatter region where this learning rate is "
        "stable.",
        peak=f"{peak:.3g}",
        step=int(np.argmax(losses)),
        **figures,
    )


def _reaches_the_edge_of_stability(rate: float, curve: NDArray[np.void]) -> Message:
    return Message.of(
        "The sharpness λmax grows during training (progressive sharpening) and reaches 2/η = {limit} by "
        "step {step}. From there training runs at the edge of stability, where the loss need not decrease "
        "at every step.",
        limit=f"{2 / rate:.3g}",
        step=int(curve["step"][curve["value"] >= 2 / rate][0]),
    )


def _stays_stable(rate: float, curve: NDArray[np.void]) -> Message:
    return Message.of(
        "λmax is {value} at the end and was below 2/η = {limit} at every measured step: steps may "
        "overshoot (where λmax > 1/η), but the oscillation dies out. How fast the loss falls is set by the "
        "small eigenvalues.",
        value=f"{curve[-1]['value']:.3g}",
        limit=f"{2 / rate:.3g}",
    )
