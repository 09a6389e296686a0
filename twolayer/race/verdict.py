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

import numpy as np

from twolayer.race.contenders import BASELINE
from twolayer.race.result import Race, Standing
from twolayer.training.messages import Message

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
    enough: bool
    """Whether there are enough rounds for a verdict."""


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
        enough=rounds_needed(race.rounds) <= race.rounds,
    )


def sentences(race: Race) -> list[Message]:
    """Put the verdict in words."""
    verdict = judge(race)
    said = [_opening(race, verdict)]
    if verdict.wrong:
        said.append(
            Message.of(
                "Excluded from the verdict because the results are incorrect: {names}.",
                names=_names(verdict.wrong),
            )
        )
    if verdict.unchecked:
        said.append(
            Message.of(
                "Not in the verdict because not yet checked: {names}.",
                names=_names(verdict.unchecked),
            )
        )
    return said


def of_sweep(field: str, races: Sequence[Race]) -> list[Message]:
    """Name the fastest contender of each size in a sweep, in one sentence per contender."""
    sizes: dict[str | None, list[str]] = {}
    for race in races:
        winner = judge(race).winner
        name = winner.contender.name if winner else None
        sizes.setdefault(name, []).append(f"{getattr(race.config, field):,}")
    said = []
    for name, of_name in sizes.items():
        listed = ", ".join(of_name)
        if name is None:
            said.append(Message.of("No clear winner at {field} = {sizes}.", field=field, sizes=listed))
        else:
            said.append(
                Message.of("Fastest at {field} = {sizes}: {name}.", field=field, sizes=listed, name=name)
            )
    return said


def disturbances(races: Sequence[Race]) -> list[Message]:
    """Say how many rounds ran while the machine was busy, if any."""
    rounds, repeated, busy = (
        sum(values) for values in zip(*((r.rounds, r.repeated, r.busy) for r in races), strict=True)
    )
    if busy:
        return [
            Message.of(
                "Other processes disturbed {repeated} of {rounds} rounds, which were repeated; disturbed "
                "again: {busy}. Interpret these timings with care.",
                repeated=repeated,
                rounds=rounds,
                busy=busy,
            )
        ]
    if repeated:
        return [
            Message.of(
                "Other processes disturbed {repeated} of {rounds} rounds; these were repeated.",
                repeated=repeated,
                rounds=rounds,
            )
        ]
    return []


def _opening(race: Race, verdict: Verdict) -> Message:
    where = Message.of(
        "On this machine, at {N} × {D_in} → {H} → {D_out} in {dtype} (threads: {threads})",
        N=race.config.N,
        D_in=race.config.D_in,
        H=race.config.H,
        D_out=race.config.D_out,
        dtype=race.config.dtype,
        threads=race.config.threads,
    )
    if not verdict.first:
        return Message.of("{where}, there is no clear winner yet.", where=where)
    fastest = verdict.first[0]
    time = microseconds(fastest.median)
    if len(verdict.first) == 1 and verdict.winner is None:
        return Message.of(
            "{where}, {name} takes {time} per step. There was no other implementation to compare it with.",
            where=where,
            name=fastest.contender.name,
            time=time,
        )
    if not verdict.enough:
        return Message.of(
            "{where}, {rounds} rounds are too few for a verdict; at least {least} are needed.",
            where=where,
            rounds=race.rounds,
            least=next(n for n in range(1, 100) if rounds_needed(n) <= n),
        )
    if verdict.winner is None:
        return Message.of(
            "{where}, {names} are too close to call, at about {time} per step.",
            where=where,
            names=_names(verdict.first),
            time=time,
        )
    assert verdict.runner_up is not None
    figures = {
        "where": where,
        "name": fastest.contender.name,
        "time": time,
        "ahead": ratio(verdict.runner_up.median / fastest.median),
        "next": verdict.runner_up.contender.name,
    }
    speedup = race.speedup(fastest)
    if speedup is None or BASELINE in (fastest.contender, verdict.runner_up.contender):
        return Message.of(
            "{where}, {name} is fastest: {time} per step, {ahead}× as fast as {next}.", **figures
        )
    return Message.of(
        "{where}, {name} is fastest: {time} per step, {ahead}× as fast as {next} and {speed_up}× as fast "
        "as the tutorial’s NumPy loop.",
        **figures,
        speed_up=ratio(speedup),
    )


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
