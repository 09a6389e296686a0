"""The race of this visitor: started on the engine, and what of it has arrived."""

from dataclasses import dataclass, field
from functools import partial

from twolayer.dashboard.common import jobs, server
from twolayer.dashboard.common.jobs import PageJob
from twolayer.engine import limits
from twolayer.race.plan import Plan, Task, perform
from twolayer.race.result import Race


@dataclass
class Heat(PageJob):
    """A race on the engine."""

    plan: Plan
    _collected: tuple[int, list[Race]] = field(default_factory=lambda: (0, []))

    @property
    def races(self) -> list[Race]:
        """What has been found so far, a race for each size that has a round."""
        results = self.job.results()
        if len(results) != self._collected[0]:
            self._collected = (len(results), self.plan.collect(dict(results)))
        return self._collected[1]

    @property
    def now(self) -> Task:
        """The task that is computed now or next; the tasks run one after the other."""
        return self.plan.tasks[min(self.job.done, self.job.total - 1)]


def start(plan: Plan) -> None:
    """Start a race in place of the one before, unless the server refuses it."""
    jobs.stop("race")
    jobs.guarded("race", partial(_start, plan))


def _start(plan: Plan) -> None:
    _check(plan)
    tasks = [(task,) for task in plan.tasks]
    made = partial(Heat, plan=plan)
    jobs.start("race", made, perform, tasks, memory_bytes=plan.run_bytes, manner="exclusive")


def _check(plan: Plan) -> None:
    """Raise for a race that the server would not take, or that its workers cannot do."""
    engine = server.engine()
    limits.check_race(engine.settings, plan.seconds)
    if engine.capabilities is not None:
        for config in plan.configs:
            engine.capabilities.require(config)
