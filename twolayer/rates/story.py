"""Explain the outcome of a run by its losses, its dead units and its sharpness.

λmax is the sharpness, the largest eigenvalue of the Hessian of the loss (`curvature`).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from twolayer.rates.outcomes import DEAD_SHARE, RISES, SLOW, at_rest, outcome, unfinished
from twolayer.training.config import Config
from twolayer.training.messages import N_, Message

LITTLE = 1.001
"""Up to this factor over the first loss it did not really rise."""
SHARPER = 1.1
"""From this factor on, growth of λmax while the loss falls is named."""
GRADUAL = 4
"""Growth within fewer measured points is no progressive one."""
EDGE = 0.2
"""λmax is at the edge of stability while it is within this share of 2/η."""


def story(
    config: Config,
    losses: NDArray[np.float64],
    diverged_at: int | None,
    dead: int,
    zero_loss: float,
    curve: NDArray[np.void],
) -> list[Message]:
    """Explain the outcome of a run in sentences, each a claim that holds for these measurements.

    `dead` is the number of dead units at its end, `zero_loss` Σy², `curve` λmax along it: rows of
    `curvature.ROW` from step 0 on.
    """
    if not curve["value"][0] > 0:
        return [Message.of("The loss is flat at the initial weights (λmax = 0): every hidden unit is dead.")]
    rate, kind = config.learning_rate, outcome(config, losses, diverged_at, dead, zero_loss)
    said = [_start(rate, curve)]
    if diverged_at is not None:
        return [*said, _diverges(rate, diverged_at, curve)]
    if losses.max() > LITTLE * losses[0]:
        values = {"peak": f"{losses.max() / losses[0]:.4g}", "step": int(np.argmax(losses))}
        said.append(Message.of("The loss rises to {peak} times its initial value at step {step}.", **values))
    if curve["dead"][-1] - curve["dead"][0] > DEAD_SHARE * config.H:
        said.append(_units_die(config, curve))
    said += _sharpness(rate, kind, curve)
    said.append(_end(losses, zero_loss))
    if kind == RISES:
        said.append(
            Message.of(
                "The last loss is {ratio} times the first, and finite: more steps would show whether it "
                "falls or diverges.",
                ratio=f"{losses[-1] / losses[0]:.4g}",
            )
        )
    return said + unfinished(losses) if kind == SLOW else said


def _start(rate: float, curve: NDArray[np.void]) -> Message:
    value = curve["value"][0]
    return Message.of(
        "At initialization λmax = {value}. On a quadratic with that curvature, gradient descent would "
        "diverge for any learning rate above 2/λmax = {threshold}. Here η = {rate}, which is {ratio} "
        "times that.",
        value=f"{value:.4g}",
        threshold=f"{2 / value:.3g}",
        rate=f"{rate:.3g}",
        ratio=f"{rate * value / 2:.3g}",
    )


def _diverges(rate: float, diverged_at: int, curve: NDArray[np.void]) -> Message:
    first, last = curve[0], curve[-1]
    text = N_(
        "Training diverges: the loss is not finite from step {diverged_at} on. The last λmax before that is "
        "{value}, at step {step} (2/η = {limit})."
    )
    if last["loss"] > first["loss"] and last["value"] > first["value"] and (curve["value"] >= 2 / rate).all():
        text = N_(
            "The loss grows and λmax grows with it, to {value} at step {step}. It does not fall below 2/η = "
            "{limit}, so training diverges: the loss is not finite from step {diverged_at} on."
        )
    figures = {"value": f"{last['value']:.4g}", "step": int(last["step"]), "limit": f"{2 / rate:.4g}"}
    return Message(text, (*figures.items(), ("diverged_at", diverged_at)))


def _units_die(config: Config, curve: NDArray[np.void]) -> Message:
    """Say when units died. A dead unit gets no gradient, so their number never falls."""
    dead, end = curve["dead"], int(curve["dead"][-1])
    middle = np.flatnonzero(dead - dead[0] >= (end - dead[0]) / 2)[0]
    return Message.of(
        "Hidden units die: {start} of {H} are dead at initialization, {half} by step {middle}, {dead} by "
        "step {step}. Dead units contribute no curvature and get no gradient.",
        start=int(dead[0]),
        H=config.H,
        half=int(dead[middle]),
        middle=int(curve["step"][middle]),
        dead=end,
        step=int(curve["step"][np.flatnonzero(dead == end)[0]]),
    )


def _end(losses: NDArray[np.float64], zero_loss: float) -> Message:
    values = {"loss": f"{losses[-1]:.4g}", "zero": f"{zero_loss:.4g}"}
    text = N_("The last loss is {loss}; a network that always outputs 0 has a loss of Σy² = {zero}.")
    if at_rest(losses):
        text = N_(
            "The loss has come to rest at {loss}; a network that always outputs 0 has a loss of Σy² = {zero}."
        )
    return Message(text, tuple(values.items()))


def _sharpness(rate: float, kind: str, curve: NDArray[np.void]) -> Iterator[Message]:
    """Say where λmax is below 2/η, and where it grows while the loss falls."""
    values, limit = curve["value"], 2 / rate
    below = values < limit
    figures = {"limit": f"{limit:.4g}", "half": f"{limit / 2:.4g}", "value": f"{values[-1]:.4g}"}
    if not below.any():
        if kind != RISES:
            yield Message.of(
                "λmax is not below 2/η = {limit} at any measured step, and is {value} at the end. A "
                "quadratic with this curvature would diverge; this loss is not quadratic.",
                **figures,
            )
        return
    if not below[0]:
        under = int(curve["step"][np.argmax(below)])
        yield Message.of(
            "The loss is not quadratic: λmax falls below 2/η = {limit} by step {under}.",
            **figures,
            under=under,
        )
        if not values[-1] > 0:
            yield Message.of("At the end λmax = 0: the loss is flat there.")
        elif below[-1]:
            yield Message.of(
                "At the end λmax = {value}: 2/λmax = {later} exceeds η, and a quadratic with this curvature "
                "would be stable.",
                **figures,
                later=f"{2 / values[-1]:.4g}",
            )
    elif (values < limit / 2).all():
        yield Message.of(
            "λmax is {value} at the end and below 1/η = {half} at every measured step: on a quadratic no "
            "step would overshoot. How fast the loss falls is set by η and the smaller eigenvalues.",
            **figures,
        )
    elif below.all():
        yield Message.of(
            "λmax is {value} at the end and below 2/η = {limit} at every measured step, but not always below "
            "1/η = {half}: on a quadratic steps would overshoot, and the oscillation would die out.",
            **figures,
        )
    yield from _sharpening(curve)
    yield from _edge(limit, curve)


def _sharpening(curve: NDArray[np.void]) -> Iterator[Message]:
    """Name the strongest growth of λmax over some measured steps at which the loss was not above the first
    of them."""
    values, losses, steps = curve["value"], curve["loss"], curve["step"]
    best, low, high = 0.0, 0, 0
    for start in range(len(curve)):
        left = np.flatnonzero((losses[start:] > losses[start]) | (values[start:] < values[start]))
        stop = start + left[0] if len(left) else len(curve)  # up to there it was as sharp, the loss as low
        end = start + int(np.argmax(values[start:stop]))
        if (
            values[start] > 0
            and end - start >= GRADUAL
            and losses[end] < losses[start]
            and values[end] > best * values[start]
        ):
            best, low, high = values[end] / values[start], start, end
    if best >= SHARPER:
        yield Message.of(
            "From step {low} to step {high} the loss falls while λmax grows from {least} to {most} "
            "(progressive sharpening).",
            low=int(steps[low]),
            high=int(steps[high]),
            least=f"{values[low]:.4g}",
            most=f"{values[high]:.4g}",
        )


def _edge(limit: float, curve: NDArray[np.void]) -> Iterator[Message]:
    """Say where λmax rises to 2/η, and whether it stays there."""
    values, steps = curve["value"], curve["step"]
    crossings = np.flatnonzero((values[1:] >= limit) & (values[:-1] < limit)) + 1
    if not len(crossings):
        return
    at = int(crossings[0])
    after = values[at:] / limit
    text = N_("λmax rises to 2/η = {limit} or above by step {step}.")
    if len(after) >= 3 and (np.abs(after - 1) <= EDGE).all():
        text = N_(
            "λmax reaches 2/η = {limit} by step {step} and stays within {percent} % of it at every later "
            "measured step. This is the edge of stability, where the loss need not decrease at every step."
        )
    figures = {"limit": f"{limit:.4g}", "step": int(steps[at]), "percent": f"{100 * EDGE:.0f}"}
    yield Message(text, tuple(figures.items()))
