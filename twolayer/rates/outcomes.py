"""The outcome of a run: it converges, is slow, is stuck with dead units, rises, or diverges."""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from twolayer.training.config import Config
from twolayer.training.messages import N_, Message

MISSING = 0.1
"""A run has converged if at most this share is missing of the way from Σy², the loss of a network that
always outputs 0, to what the run can reach: its last loss if it is at rest, 0 if it is not."""
AT_REST = 0.01
"""A loss is at rest if it varied in the last tenth of the steps by less than this share of itself, and of
its whole decrease."""
DEAD_SHARE = 0.1
ROUNDING = 1e-5
"""Changes of a loss below this share of it may be rounding."""

CONVERGES, SLOW, DEAD, DIVERGES, RISES = OUTCOMES = ("converges", "slow", "dead", "diverges", "rises")
"""The index of a name is what rows store: append only."""

OUTCOME_NAMES = {
    CONVERGES: N_("converges"),
    SLOW: N_("not converged yet"),
    DEAD: N_("stuck with dead units"),
    DIVERGES: N_("diverges"),
    RISES: N_("loss rises"),
}


def outcome(
    config: Config, losses: NDArray[np.float64], diverged_at: int | None, dead: int, zero_loss: float
) -> str:
    """Return the outcome of a run with these losses and `dead` dead units at its end. `zero_loss` is Σy².

    - diverges: a loss is not finite (`diverged_at`);
    - dead: all units are dead; or over a tenth of them (not counting those that may be dead by chance at
      the start, each with probability 2⁻ᴺ), and the loss is at rest above a tenth of Σy²;
    - rises: the last loss is above the first;
    - converges: the last loss is below a tenth of Σy², or at rest below Σy²;
    - slow: none of these.
    """
    if diverged_at is not None or not len(losses):
        return DIVERGES
    first, last = losses[0], losses[-1]
    if dead == config.H and abs(last - zero_loss) <= ROUNDING * zero_loss:
        return DEAD
    if last > (1 + ROUNDING) * first:
        return RISES
    if last < MISSING * zero_loss:
        return CONVERGES
    if not at_rest(losses):
        return SLOW
    chance = 0.5**config.N
    by_chance = config.H * chance + 3 * sqrt(config.H * chance * (1 - chance))
    if dead - by_chance > DEAD_SHARE * config.H:
        return DEAD
    return CONVERGES if last < zero_loss else SLOW


def at_rest(losses: NDArray[np.float64]) -> bool:
    """Return whether a loss has fallen and come to rest."""
    first, last, end = losses[0], losses[-1], losses[-1 - len(losses) // 10 :]
    fallen = first - last
    if len(losses) < 10 or fallen <= ROUNDING * first:
        return False
    return bool(end.max() - end.min() < AT_REST * min(last, fallen))


def unfinished(losses: NDArray[np.float64]) -> list[Message]:
    """Say what a run that is slow needs, if its losses tell."""
    if len(losses) == 1:
        return [Message.of("A single step computes the loss only once, before the update: use more steps.")]
    if losses.max() - losses.min() <= ROUNDING * losses[0]:
        return [Message.of("The loss has hardly changed: use more steps or a higher learning rate.")]
    if losses[-1] < losses[-1 - max(1, len(losses) // 10)]:
        return [Message.of("The loss is still decreasing at the end: train for more steps.")]
    return []


def written(loss: float) -> str:
    """Return four digits of a loss as a person writes them: 31,520,000 or 0.00004138; as 4.138e-12 if it is
    very large or small."""
    rounded = float(f"{loss:.4g}")
    if not 1e-7 <= abs(rounded) < 1e12:
        return f"{loss:.4g}"
    if rounded >= 1000:
        return f"{rounded:,.0f}"
    return np.format_float_positional(rounded, trim="-")


def verdict(
    config: Config, losses: NDArray[np.float64], dead: int, zero_loss: float, seconds: float
) -> tuple[str, list[Message]]:
    """Return the outcome of a run that took all its steps, and sentences about it."""
    kind = outcome(config, losses, None, dead, zero_loss)
    first, last, zero = map(written, (losses[0], losses[-1], zero_loss))
    if kind == DEAD and abs(losses[0] - zero_loss) <= ROUNDING * zero_loss and dead == config.H:
        text = N_(
            "Finished, but every hidden unit is dead, and the output is 0 for every sample: the loss is "
            "Σy² = {zero} from the first step to the last. Try another seed or more hidden units."
        )
    elif kind == DEAD:
        text = N_(
            "Finished, but {dead} of {H} hidden units are dead: they output 0 for every sample and cannot "
            "recover. The loss is stuck at {last}; a network that always outputs 0 would have a loss of "
            "Σy² = {zero}. Try a lower learning rate."
        )
    elif kind == RISES:
        text = N_("Finished, but the loss rose: {first} → {last}. Try a lower learning rate.")
    elif losses[-1] < losses[0]:
        text = N_("Finished: the loss decreased from {first} to {last} in {seconds} s of compute time.")
    else:
        text = N_("Finished: the loss is {last} after {seconds} s of compute time.")
    values = {"first": first, "last": last, "zero": zero, "dead": dead, "H": config.H}
    said = [Message(text, (*values.items(), ("seconds", f"{seconds:.3g}")))]
    if kind == SLOW:
        zeros = Message.of("A network that always outputs 0 would have a loss of Σy² = {zero}.", zero=zero)
        said += [zeros, *unfinished(losses)]
    return kind, said
