"""The results of a race: the figures of each contender, for tables and files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from twolayer.race.agreement import Agreement
from twolayer.race.contenders import BASELINE, Contender
from twolayer.race.roofline import Roofline
from twolayer.race.timing import Load, Round
from twolayer.training import methods
from twolayer.training.config import Config
from twolayer.training.machine import Machine
from twolayer.training.profiling import ALL as ALL_PHASES


@dataclass(frozen=True)
class Standing:
    """A contender's figures at one size."""

    contender: Contender
    seconds: tuple[float, ...]
    """Seconds per step of each round."""
    phases: Mapping[str, float]
    """Seconds per step of each phase: the median over the rounds of its share of the step timed beside it,
    times the median step. They need not add up to the step."""
    flops: int
    """Operations of a step."""
    moved: int
    """Bytes that a step must move."""
    agreement: Agreement | None
    """None before the comparison."""
    compile_seconds: float = 0.0
    """Seconds in which it was compiled, before it was timed; 0 if it is not compiled."""

    @cached_property
    def median(self) -> float:
        """Median seconds per step."""
        return float(np.median(self.seconds))

    @cached_property
    def p95(self) -> float:
        """95th percentile of the seconds per step."""
        return float(np.quantile(self.seconds, 0.95))

    @property
    def spread(self) -> float:
        """Interquartile range over the median."""
        low, high = np.quantile(self.seconds, [0.25, 0.75])
        return float((high - low) / self.median)

    @property
    def gflops(self) -> float:
        """10⁹ operations per second, by the contender's own count."""
        return self.flops / self.median / 1e9

    @property
    def arithmetic_intensity(self) -> float:
        """Operations per byte."""
        return self.flops / self.moved

    @property
    def wrong(self) -> bool:
        """Whether the comparison failed."""
        return self.agreement is not None and not self.agreement.right


@dataclass(frozen=True)
class Race:
    """A race on one config so far."""

    config: Config
    machine: Machine
    roofline: Roofline | None
    standings: tuple[Standing, ...]
    """In the order of the plan."""
    loads: tuple[Load, ...]
    """The other load of the machine in each round."""
    repeated: int
    """Rounds that were repeated because the machine was busy."""

    @property
    def rounds(self) -> int:
        """Rounds that count."""
        return len(self.loads)

    @property
    def busy(self) -> int:
        """Rounds in which the machine was still busy at the second attempt."""
        return sum(load.busy for load in self.loads)

    @property
    def ranked(self) -> list[Standing]:
        """Fastest first."""
        return sorted(self.standings, key=lambda s: s.median)

    def find(self, contender: Contender) -> Standing | None:
        """Return a contender's figures, if it takes part."""
        return next((s for s in self.standings if s.contender == contender), None)

    def speedup(self, standing: Standing) -> float | None:
        """Return the speedup over the tutorial's NumPy loop, if that takes part."""
        baseline = self.find(BASELINE)
        return baseline.median / standing.median if baseline else None

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each contender, fastest first. Times are in microseconds."""
        return [self._row(standing) for standing in self.ranked]

    def _row(self, s: Standing) -> dict[str, Any]:
        a = s.agreement
        return {
            "contender": s.contender.name,
            "median_us": s.median * 1e6,
            "p95_us": s.p95 * 1e6,
            "spread": s.spread,
            "speed_up": self.speedup(s),
            "gflops": s.gflops,
            "share_of_ceiling": s.gflops / self.roofline.peak if self.roofline else None,
            "loss_error": a.drift.loss if a else None,
            "loss_error_allowed": a.allowed(a.one_rounding.loss) if a else None,
            "last_ratio": a.drift.last_ratio if a else None,
            "weight_error": a.drift.weight if a else None,
            "weight_error_allowed": a.allowed(a.one_rounding.weight) if a else None,
            "right": a.right if a else None,
            **{f"{phase}_us": s.phases[phase] * 1e6 for phase in ALL_PHASES},
            "compile_seconds": s.compile_seconds,
        }


def race_from(
    config: Config,
    contenders: Sequence[Contender],
    machine: Machine,
    roofline: Roofline | None,
    rounds: Sequence[Round],
    agreements: Mapping[Contender, Agreement],
) -> Race:
    """Combine the results of a race so far, which has at least one round."""
    standings = []
    for i, contender in enumerate(contenders):
        its_config = contender.config(config)
        seconds = [one.seconds[i] for one in rounds]
        step = float(np.median(seconds))
        standings.append(
            Standing(
                contender=contender,
                seconds=tuple(seconds),
                phases={
                    phase: step * float(np.median([one.phases[i][phase] / one.seconds[i] for one in rounds]))
                    for phase in ALL_PHASES
                },
                flops=methods.flops_per_step(its_config),
                moved=methods.bytes_per_step(its_config),
                agreement=agreements.get(contender),
                compile_seconds=max(one.compiling.get(i, 0.0) for one in rounds),
            )
        )
    return Race(
        config=config,
        machine=machine,
        roofline=roofline,
        standings=tuple(standings),
        loads=tuple(one.load for one in rounds),
        repeated=sum(one.repeated for one in rounds),
    )
