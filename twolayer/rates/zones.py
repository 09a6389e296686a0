"""The zones of the learning rate: which there are, and why a training is in the one that it is in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twolayer.rates.outcomes import CONVERGES, DEAD, DIVERGES, OUTCOMES, outcome
from twolayer.rates.sweep import Scan
from twolayer.training.config import Config
from twolayer.training.messages import Message

LITTLE = 1.001
"""Up to this factor the loss did not really rise."""


@dataclass(frozen=True)
class Zone:
    """Neighbouring learning rates of a scan whose seeds came out the same way."""

    low: float
    high: float
    outcomes: tuple[str, ...]


def zones(scan: Scan) -> list[Zone]:
    """The zones of a scan over learning rates, or over learning rates and seeds, from low to high."""
    grid, rows = scan.grid, scan.there
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
    """Why the training of `config` came out as it did, in sentences, from its losses, the number of hidden
    units that are dead at its end, and λmax along it (rows of `curvature.ROW` from step 0 on)."""
    rate, limit = config.learning_rate, 2 / config.learning_rate
    start = curve[0]
    if not start["value"] > 0 or not len(losses):
        return [Message.of("The loss is flat at the start: λmax is 0, as if every unit were dead.")]
    threshold = 2 / start["value"]
    said = [
        Message.of(
            "At the start λmax is {value}, so gradient descent on a quadratic like the loss there diverges "
            "above 2/λmax = {threshold}. The rate η = {rate} is {ratio} times that.",
            value=f"{start['value']:.4g}",
            threshold=f"{threshold:.3g}",
            rate=f"{rate:.3g}",
            ratio=f"{rate / threshold:.3g}",
        )
    ]
    kind = outcome(config, losses, diverged_at, dead)
    peak, top = float(losses.max() / losses[0]), int(np.argmax(losses))
    under = curve[curve["value"] < limit]
    over = curve[curve["value"] >= limit]
    if kind == DIVERGES:
        said.append(
            Message.of(
                "The loss rises and takes λmax up with it, to {value} at step {step}: nothing brings it down "
                "to 2/η = {limit} in time, and the training diverges.",
                value=f"{curve[-1]['value']:.3g}",
                step=int(curve[-1]["step"]),
                limit=f"{limit:.3g}",
            )
        )
    elif kind == DEAD:
        said.append(
            Message.of(
                "The loss jumps to {peak} times the first at step {step}, and the jump leaves {dead} of {H} "
                "hidden units dead. λmax falls to {value}, for dead units have no curvature: what is left is "
                "stable and settles at a loss of {loss}, not far from N·D_out = {zero}, which a network that "
                "answers 0 has.",
                peak=f"{peak:.3g}",
                step=top,
                dead=dead,
                H=config.H,
                value=f"{curve[-1]['value']:.3g}",
                loss=f"{losses[-1]:.4g}",
                zero=config.N * config.D_out,
            )
        )
    elif rate > threshold and len(under):
        said.append(
            Message.of(
                "The loss is no quadratic, though. It rises to {peak} times the first at step {step}, and on "
                "that way λmax falls, under 2/η = {limit} by step {under} and to {value} at the end, where "
                "2/λmax = {later} is above η: the training has moved to a flatter place that bears it.",
                peak=f"{peak:.3g}",
                step=top,
                limit=f"{limit:.3g}",
                under=int(under[0]["step"]),
                value=f"{curve[-1]['value']:.3g}",
                later=f"{2 / curve[-1]['value']:.3g}",
            )
            if peak > LITTLE
            else Message.of(
                "The loss is no quadratic, though: λmax falls at once, under 2/η = {limit} by step {under}, "
                "and to {value} at the end, where 2/λmax = {later} is above η.",
                limit=f"{limit:.3g}",
                under=int(under[0]["step"]),
                value=f"{curve[-1]['value']:.3g}",
                later=f"{2 / curve[-1]['value']:.3g}",
            )
        )
    elif len(over) and rate <= threshold:
        said.append(
            Message.of(
                "λmax grows along the training (progressive sharpening) and reaches 2/η = {limit} by step "
                "{step}: from there the training goes on at the edge of stability, where the loss need not "
                "fall in every step.",
                limit=f"{limit:.3g}",
                step=int(over[0]["step"]),
            )
        )
    else:
        said.append(
            Message.of(
                "λmax goes to {value} at the end and stays under 2/η = {limit}: no step overshoots, and "
                "how fast the loss falls is a matter of the small eigenvalues.",
                value=f"{curve[-1]['value']:.3g}",
                limit=f"{limit:.3g}",
            )
        )
    if kind not in (CONVERGES, DEAD, DIVERGES):
        said.append(Message.of("When the steps are over the loss is still falling: take more steps."))
    return said
