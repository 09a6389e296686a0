"""What the Learning-rate page lets the workers do: sweeps, and one training with its curvature."""

from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from twolayer.dashboard.common import address, jobs, parameters, server, visitors
from twolayer.dashboard.common.jobs import PageJob
from twolayer.engine import limits
from twolayer.engine.job import Job
from twolayer.engine.run import Run
from twolayer.rates import advice, curvature
from twolayer.rates.advice import Advice
from twolayer.rates.grid import Grid, computed, parse_axes, sweep_grid
from twolayer.rates.sweep import TASK_SECONDS, Sweep, blocks, memory_bytes, seconds, train
from twolayer.training.config import Config
from twolayer.training.pace import batched_run_seconds

MOMENT = 0.15
STRIDE = 4


@dataclass
class Search(PageJob):
    """A sweep and the job that computes it."""

    sweep: Sweep
    bands: dict[tuple[int, ...], Advice] = field(default_factory=dict)
    """Of a grid with a learning rate: the advice for each combination of the others that is complete."""

    def update(self) -> None:
        """Take in what has arrived."""
        self.sweep.take(self.job.results(since=self.sweep.taken))
        if self.sweep.grid.position("learning_rate") is not None:
            self.bands = advice.bands(self.sweep.grid, self.sweep.there, self.bands)


@cache
def example() -> Sweep:
    """Return a sweep of the default settings that was computed before: what a sweep looks like."""
    sweep = Sweep(sweep_grid(Config(), advice.swept_rates(Config(), 60), 3))
    sweep.take([(0, np.load(Path(__file__).with_name("example.npy")))])
    return sweep


@dataclass
class Focus(PageJob):
    """The run that is looked at closely, and the job that follows λmax along it."""

    config: Config
    run: Run

    @property
    def curve(self) -> NDArray[np.void]:
        """Rows of `curvature.ROW` that have arrived, by step."""
        rows = [row for _, row in self.job.results()]
        return np.sort(np.concatenate(rows), order="step") if rows else np.empty(0, curvature.ROW)

    @property
    def live(self) -> bool:
        """Whether more of it may come."""
        return not (self.run.over and self.job.over)


def start_sweep() -> None:
    """Sweep the learning rates for the settings of the page."""
    address.forget_errors()
    if jobs.guarded("scan", _start_sweep):
        look()


def why() -> str:
    """Return the key of the section that tells why.

    It is a new one each time that a click on a point opens the section: a browser that has not drawn it yet
    says that the one before is folded.
    """
    opened = st.session_state.get("why_opened", 0)
    return f"why_{opened}" if opened else "why"


def open_why() -> None:
    """Unfold the section that tells why."""
    if not st.session_state.get(why()):
        st.session_state["why_opened"] = st.session_state.get("why_opened", 0) + 1


def look() -> None:
    """Look closely at the rate that is set, if somebody wants to know why."""
    if st.session_state.get(why()):
        jobs.guarded("focus", lambda: look_at(computed(address.current_config())))


def _start_sweep() -> bool:
    config = address.current_config()
    low, high = (st.session_state.get(end) for end in ("rate_from", "rate_to"))
    rates = advice.swept_rates(config, parameters.mended("rates"), low, high)
    _start("scan", sweep_grid(config, rates, parameters.mended("seeds")))
    return True


def start_grid() -> None:
    """Train the grid of the page."""
    address.forget_errors()
    jobs.guarded("grid", lambda: _start("grid", chosen_grid(address.current_config())))


def chosen_grid(config: Config) -> Grid:
    """Return the grid that is written on the page, or else that of the two sizes. Raises `ConfigError`."""
    text = st.session_state.get("grid")
    if text:
        return Grid(computed(config), parse_axes(text))
    return advice.band_grid(config, (parameters.mended("grid_x"), parameters.mended("grid_y")))


def _start(name: str, grid: Grid) -> None:
    jobs.stop(name)
    settings = server.engine().settings
    longest = max(batched_run_seconds(grid.config(index)) for index in range(0, grid.size, grid.shape[-1]))
    limits.check_sweep(settings, seconds(grid), longest)
    # Strided, so that the whole range shows from the first points on
    tasks = blocks(grid)
    tasks = [task for first in range(STRIDE) for task in tasks[first::STRIDE]]
    costs = {
        "memory_bytes": memory_bytes(grid, settings.workers),
        "task_seconds": max(longest, TASK_SECONDS),
    }
    jobs.start(name, partial(Search, sweep=Sweep(grid)), train, tasks, **costs).wait(MOMENT)


def look_at(config: Config) -> None:
    """Train `config` once more to see its losses, and follow λmax along it."""
    stop_looking()
    jobs.guarded("focus", partial(_look_at, config))


def _look_at(config: Config) -> None:
    def made(job: Job) -> Focus:
        return Focus(job, config, server.engine().submit(config, visitors.token()))

    tasks, memory = curvature.tasks(config), curvature.memory_bytes(config)
    jobs.start("focus", made, curvature.along, tasks, memory_bytes=memory, manner="later")  # than the sweep


def stop_looking() -> None:
    """Stop the run that is looked at, and what follows it."""
    before: Focus | None = jobs.current("focus")
    if before is not None:
        server.engine().stop(before.run)


def to_train(computed: Config, config: Config) -> Config:
    """A training of this page as the Train page would do it: in the way that `config` computes."""
    ways = {name: getattr(config, name) for name in ("backend", "device", "method", "dtype", "threads")}
    return replace(computed, **ways)
