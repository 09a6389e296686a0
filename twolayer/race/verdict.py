"""The verdict of a race in words: the fastest contender, if the timings allow to name one.

The timings of two contenders are paired by rounds. One beats the other if it was faster by more than
`MARGIN` in so many rounds that, for a true ratio of just the margin, chance would give as many in at most
one of two hundred races. This sign test is exact, and insensitive to how far off a disturbed round is.
The winner beats every other right contender, so that more contenders make a false winner rarer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import log
from typing import Any

import numpy as np

from twolayer.race.contenders import BASELINE
from twolayer.race.result import Race, Standing
from twolayer.training.messages import N_, Message

MARGIN = 1.03
"""Two timings of the same code differ by up to 3 %, depending on where its arrays lie in memory."""
CHANCE = 1 / 200


@cache
def rounds_needed(rounds: int) -> int:
    """Return the fewest of `rounds` rounds in which a winner has to be faster.

    The sign test: the number of wins whose tail of the binomial distribution is still above `CHANCE`.
    More than `rounds` if there are too few for any verdict.
    """
    from scipy.special import bdtrc  # 0.15 s: not for a page without a race

    return int(np.count_nonzero(bdtrc(np.arange(rounds + 1) - 1, rounds, 0.5) > CHANCE))


def beats(faster: Sequence[float], slower: Sequence[float]) -> bool:
    """Return whether one contender was faster than another, beyond the margin and chance.

    `faster` and `slower` are their times in the same rounds.
    """
    ahead = np.log(slower) - np.log(faster) > log(MARGIN)
    return int(np.count_nonzero(ahead)) >= rounds_needed(len(faster))


@dataclass(frozen=True)
class Verdict:
    """The verdict of a race."""

    winner: Standing | None
    first: tuple[Standing, ...]
    """The winner; or the fastest and all that it does not beat, fastest first. Empty if none is right."""
    runner_up: Standing | None
    """The fastest right one of the others."""
    wrong: tuple[Standing, ...]
    unchecked: tuple[Standing, ...]
    """Not compared with the reference yet: they cannot win."""


def judge(race: Race) -> Verdict:
    """Find the winner among the right contenders."""
    right = [s for s in race.ranked if s.agreement is not None and s.agreement.right]
    tied = [s for s in right[1:] if not beats(right[0].seconds, s.seconds)]
    first = (*right[:1], *tied)
    return Verdict(
        winner=right[0] if len(right) > 1 and not tied else None,
        first=first,
        runner_up=next((s for s in right if s not in first), None),
        wrong=tuple(s for s in race.ranked if s.wrong),
        unchecked=tuple(s for s in race.ranked if s.agreement is None),
    )


def sentences(race: Race) -> list[Message]:
    """Put the verdict in words."""
    verdict = judge(race)
    left_out = (
        (N_("Excluded from the verdict because the results are incorrect: {names}."), verdict.wrong),
        (N_("Not in the verdict because not yet checked: {names}."), verdict.unchecked),
    )
    names = [(text, _names(standings)) for text, standings in left_out if standings]
    return [_opening(race, verdict), *(Message(text, (("names", of_text),)) for text, of_text in names)]


def of_sweep(field: str, races: Sequence[Race]) -> list[Message]:
    """Name the fastest contender of each size in a sweep, in one sentence per contender."""
    sizes: dict[str | None, list[str]] = {}
    for race in races:
        winner = judge(race).winner
        name = winner.contender.name if winner else None
        sizes.setdefault(name, []).append(f"{getattr(race.config, field):,}")
    named, nobody = N_("Fastest at {field} = {sizes}: {name}."), N_("No clear winner at {field} = {sizes}.")
    return [
        Message(named if name else nobody, (("field", field), ("sizes", ", ".join(of_name)), ("name", name)))
        for name, of_name in sizes.items()
    ]


def disturbances(races: Sequence[Race]) -> list[Message]:
    """Say how many rounds ran while the machine was busy, if any."""
    rounds, repeated, busy = (
        sum(values) for values in zip(*((r.rounds, r.repeated, r.busy) for r in races), strict=True)
    )
    if not (busy or repeated):
        return []
    text = N_("Other processes disturbed {repeated} of {rounds} rounds; these were repeated.")
    if busy:
        text = N_(
            "Other processes disturbed {repeated} of {rounds} rounds, which were repeated; disturbed again: "
            "{busy}. Interpret these timings with care."
        )
    return [Message(text, (("repeated", repeated), ("rounds", rounds), ("busy", busy)))]


def _opening(race: Race, verdict: Verdict) -> Message:
    where = Message.of(
        "On this machine, at {N} × {D_in} → {H} → {D_out} in {dtype} (threads: {threads})",
        **{name: getattr(race.config, name) for name in ("N", "D_in", "H", "D_out", "dtype", "threads")},
    )
    if not verdict.first:
        return Message.of("{where}, there is no clear winner yet.", where=where)
    fastest, next_one = verdict.first[0], verdict.runner_up
    values: dict[str, Any] = {
        "where": where,
        "name": fastest.contender.name,
        "names": _names(verdict.first),
        "time": microseconds(fastest.median),
    }
    speedup = race.speedup(fastest)
    if len(verdict.first) == 1 and verdict.winner is None:
        text = N_(
            "{where}, {name} takes {time} per step. There was no other implementation to compare it with."
        )
    elif rounds_needed(race.rounds) > race.rounds:
        values |= {"rounds": race.rounds, "least": next(n for n in range(1, 100) if rounds_needed(n) <= n)}
        text = N_("{where}, {rounds} rounds are too few for a verdict; at least {least} are needed.")
    elif next_one is None or verdict.winner is None:
        text = N_("{where}, {names} are too close to call, at about {time} per step.")
    else:
        values |= {"ahead": ratio(next_one.median / fastest.median), "next": next_one.contender.name}
        text = N_("{where}, {name} is fastest: {time} per step, {ahead}× as fast as {next}.")
        if speedup is not None and BASELINE not in (fastest.contender, next_one.contender):
            values["speed_up"] = ratio(speedup)
            text = N_(
                "{where}, {name} is fastest: {time} per step, {ahead}× as fast as {next} and {speed_up}× as "
                "fast as the tutorial’s NumPy loop."
            )
    return Message(text, tuple(values.items()))


def _names(standings: Sequence[Standing]) -> str:
    return ", ".join(s.contender.name for s in standings)


def microseconds(seconds: float) -> str:
    """Format a step time with three digits: 19.8 µs, 345 µs, 54,900 µs."""
    value = seconds * 1e6
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} µs"


def ratio(value: float) -> str:
    """Format a ratio with three digits: 1.08, 17.4, 350."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
