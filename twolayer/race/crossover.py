"""Crossovers: where in a sweep one contender overtakes another.

Between two sizes, the time of a step is nearly linear on log–log axes, and so is the ratio of two
contenders. The crossover is where that ratio is 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import exp, log

from twolayer.race.contenders import Contender
from twolayer.race.result import Race
from twolayer.race.verdict import beats
from twolayer.training.messages import N_, Message


@dataclass(frozen=True)
class Crossover:
    """`overtaker` is slower below the size `at` and faster above."""

    overtaker: Contender
    overtaken: Contender
    at: float


def crossovers(field: str, races: Sequence[Race], one: Contender, other: Contender) -> list[Crossover]:
    """Return where in the sweep over `field` two contenders change places.

    Only sizes at which one beats the other count, so that a tie makes no crossovers.
    """
    decided: list[tuple[float, float]] = []  # log of the size, log of the speedup of `one`
    for race in races:
        if _ahead(race, one, other):
            size, medians = getattr(race.config, field), {s.contender: s.median for s in race.standings}
            decided.append((log(size), log(medians[other] / medians[one])))
    found = []
    for (low, before), (high, after) in pairwise(decided):
        if (before > 0) != (after > 0):
            at = exp(low + (high - low) * before / (before - after))
            found.append(Crossover(one, other, at) if after > 0 else Crossover(other, one, at))
    return found


def _ahead(race: Race, one: Contender, other: Contender) -> int:
    """Return 1 if `one` beats `other`, -1 if `other` beats `one`, 0 if it is too close to call."""
    mine, theirs = race.find(one), race.find(other)
    if mine is None or theirs is None:
        return 0
    return beats(mine.seconds, theirs.seconds) - beats(theirs.seconds, mine.seconds)


def sentences(field: str, races: Sequence[Race]) -> list[Message]:
    """Put the crossovers of a sweep in words, in the order of their sizes.

    For the same method on two backends or devices, also say if there is none. Wrong contenders are left
    out.
    """
    wrong = {s.contender for race in races for s in race.standings if s.wrong}
    taking_part = [s.contender for s in races[0].standings if s.contender not in wrong]
    said: list[tuple[float, Message]] = []
    for one, other in combinations(taking_part, 2):
        found = crossovers(field, races, one, other)
        for crossover in found:
            message = Message.of(
                "{overtaker} becomes faster than {overtaken} at {field} ≈ {at}.",
                overtaker=crossover.overtaker.name,
                overtaken=crossover.overtaken.name,
                field=field,
                at=f"{float(f'{crossover.at:.2g}'):,.4g}",
            )
            said.append((crossover.at, message))
        if not found and one.method == other.method:
            said.append((float("inf"), _not_here(field, races, one, other)))
    return [message for _, message in sorted(said, key=lambda pair: pair[0])]


def _not_here(field: str, races: Sequence[Race], one: Contender, other: Contender) -> Message:
    """Say that two contenders do not cross, and which is ahead."""
    ahead = [_ahead(race, one, other) for race in races]
    sizes = [getattr(race.config, field) for race in races]
    fast, slow = (one, other) if sum(ahead) > 0 else (other, one)
    text = N_("{slow} does not become faster than {fast} for {field} from {low} to {high}.")
    if not any(ahead):
        text = N_("{one} and {other} are too close to call for {field} from {low} to {high}.")
    names = {"one": one.name, "other": other.name, "slow": slow.name, "fast": fast.name}
    return Message(text, (*names.items(), ("field", field), ("low", min(sizes)), ("high", max(sizes))))
