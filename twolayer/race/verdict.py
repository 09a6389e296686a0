"""The verdict of a race in words: the same program in each library, a smarter method, and how sure that is.

The timings of two contenders are paired by rounds. One beats the other if it was faster by more than
`MARGIN` in so many rounds that, for a true ratio of just the margin, chance would give as many in at most
one of two hundred races. This sign test is exact, and insensitive to how far off a disturbed round is.
The winner beats every other right contender, so that more contenders make a false winner rarer. Nobody wins
a race most of whose rounds were disturbed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import log

import numpy as np

from twolayer.race.contenders import BASELINE
from twolayer.race.result import Race, Standing
from twolayer.training.config import Config
from twolayer.training.messages import N_, Message

MARGIN = 1.03
"""Two timings of the same code differ by up to 3 %, depending on where its arrays lie in memory."""
CHANCE = 1 / 200
WHAT = {
    "fused": Message.of("the same arithmetic in arrays that are kept"),
    "gram": Message.of("the same losses by way of x·xᵀ"),
    "autograd": Message.of("PyTorch derives the backward pass"),
}
"""What a method is, in half a sentence."""


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
    """The verdict on some contenders of a race."""

    winner: Standing | None
    first: tuple[Standing, ...]
    """The winner; or the fastest and all that it does not beat, fastest first. Empty if none is right."""
    runner_up: Standing | None
    """The fastest right one of the others."""


def is_reliable(race: Race) -> bool:
    """Return whether most rounds ran undisturbed."""
    return 2 * race.busy <= race.rounds


def has_enough_rounds(race: Race) -> bool:
    """Return whether there are enough rounds for a verdict."""
    return rounds_needed(race.rounds) <= race.rounds


def judge(race: Race, among: Sequence[Standing] | None = None) -> Verdict:
    """Find the winner among the right contenders, or among those of them that are in `among`."""
    checked = [s for s in race.ranked if s.agreement is not None and s.agreement.right]
    right = [s for s in checked if among is None or s in among]
    tied = [s for s in right[1:] if not beats(right[0].seconds, s.seconds)]
    won = len(right) > 1 and not tied and is_reliable(race)
    first = (*right[:1], *tied)
    return Verdict(right[0] if won else None, first, next((s for s in right if s not in first), None))


def sentences(race: Race) -> list[Message]:
    """Put the verdict in three lines: the same program, a smarter method, how sure."""
    there = [s for s in race.ranked if not s.wrong]
    same = [s for s in there if s.contender.method == BASELINE.method]
    other = [s for s in there if s.contender.method != BASELINE.method]
    return [_same_program(race, same), _smarter_method(race, same, other), *_how_sure(race)]


def _same_program(race: Race, same: Sequence[Standing]) -> Message:
    """Compare the libraries by the tutorial's own loop."""
    if not same:
        return Message.of("The same program: the tutorial’s loop is not in this race.")
    times = ", ".join(f"{s.contender.library} {microseconds(s.median)}" for s in same)
    found = judge(race, same)
    if found.winner and found.runner_up:
        return Message.of(
            "The same program: {times} per step. {name} is {ahead}× as fast as {other} here.",
            times=times,
            name=found.winner.contender.library,
            other=found.runner_up.contender.library,
            ahead=ratio(found.runner_up.median / found.winner.median),
        )
    if len(found.first) > 1 and is_reliable(race) and has_enough_rounds(race):
        return Message.of("The same program: {times} per step, too close to call here.", times=times)
    return Message.of("The same program: {times} per step.", times=times)


def _smarter_method(race: Race, same: Sequence[Standing], other: Sequence[Standing]) -> Message:
    """Name the fastest of the other methods, and how much faster it is than the tutorial's loop."""
    if not other:
        return Message.of("A smarter method: none is in this race.")
    tied = judge(race, other).first[1:] if is_reliable(race) and has_enough_rounds(race) else ()
    values = {
        "name": _names([other[0], *tied]),
        "time": microseconds(other[0].median),
        "what": WHAT[other[0].contender.method],
    }
    base = race.find(BASELINE) or next(iter(same), None)
    if base is None or (winner := judge(race, [base, other[0]]).winner) is None:
        return Message.of("A smarter method: {name}, {time} per step: {what}.", **values)
    if winner == base:
        return Message.of(
            "A smarter method: none is faster than {base} here; {name} takes {time}.",
            base=base.contender.name,
            **values,
        )
    return Message.of(
        "A smarter method: {name}, {time} per step, {ahead}× as fast as {base}: {what}.",
        ahead=ratio(base.median / other[0].median),
        base=base.contender.name,
        **values,
    )


def _how_sure(race: Race) -> Iterator[Message]:
    unchecked = tuple(s for s in race.ranked if s.agreement is None)
    figures = {"rounds": race.rounds, "repeated": race.repeated, "busy": race.busy}
    if not unchecked and not has_enough_rounds(race):
        least = next(n for n in range(1, 100) if rounds_needed(n) <= n)
        yield Message.of(
            "How sure: {rounds} rounds are too few for a verdict; at least {least} are needed.",
            least=least,
            **figures,
        )
    elif not is_reliable(race):
        yield Message.of(
            "Not reliable now: other processes disturbed {busy} of {rounds} rounds, and their repetition "
            "too. Race again while the machine is idle.",
            **figures,
        )
    elif unchecked:
        yield Message.of("How sure: no clear winner yet. Rounds so far: {rounds}.", **figures)
    else:
        yield Message.of(
            "How sure: a lead counts if it is over 3 % in {needed} of {rounds} rounds (by chance at "
            "most 1 race in 200). Rounds repeated: {repeated}.",
            needed=rounds_needed(race.rounds),
            **figures,
        )
    if wrong := [s for s in race.ranked if s.wrong]:
        yield Message.of(
            "Excluded from the verdict because the results are incorrect: {names}.", names=_names(wrong)
        )
    if unchecked and len(unchecked) < len(race.standings):
        yield Message.of(
            "Not in the verdict because not yet checked: {count} of {all} implementations.",
            count=len(unchecked),
            all=len(race.standings),
        )


def size(config: Config) -> Message:
    """Return what the timings of a race depend on."""
    return Message.of("{N} × {D_in} → {H} → {D_out}, {dtype}, threads: {threads}", **vars(config))


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


def compiling(race: Race) -> list[Message]:
    """Say how long each contender that is compiled took for it, if any is."""
    times = ", ".join(
        f"{s.contender.name} {s.compile_seconds:.1f} s" for s in race.ranked if s.compile_seconds
    )
    if not times:
        return []
    return [
        Message.of(
            "Compile time (or loading compiled code from the cache), not included in the timings: {times}.",
            times=times,
        )
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


def _names(standings: Sequence[Standing]) -> str:
    return ", ".join(s.contender.name for s in standings)


def microseconds(seconds: float) -> str:
    """Format a step time with three digits: 19.8 µs, 345 µs, 54,900 µs."""
    value = float(f"{seconds * 1e6:.3g}")
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} µs"


def ratio(value: float) -> str:
    """Format a ratio with three digits: 1.08, 17.4, 350."""
    value = float(f"{value:.3g}")
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
