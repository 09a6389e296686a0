"""What the Learning-rate page lets the workers do: sweeps, and one training with its curvature."""

from dataclasses import dataclass, field, replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from twolayer.dashboard.common import frame, parameters, server
from twolayer.engine.engine import LimitError
from twolayer.engine.job import Job
from twolayer.engine.run import Run
from twolayer.rates import advice, curvature
from twolayer.rates.advice import Advice
from twolayer.rates.grid import Grid, computed, parse_axes, sweep_grid
from twolayer.rates.sweep import Sweep, blocks, memory_bytes, seconds, train
from twolayer.training.config import Config
from twolayer.training.messages import Message, MessageError
from twolayer.training.pace import batched_run_seconds

LONGEST_TRAINING_SHARE = 10
"""A training of a sweep cannot be stopped on its way: it may take this part of what a run may."""
LONGEST_SWEEP = 10
"""A sweep may compute this many times as long as a run."""
MOMENT = 0.15
STRIDE = 4


@dataclass
class Search:
    """A sweep and the job that computes it."""

    sweep: Sweep
    job: Job
    bands: dict[tuple[int, ...], Advice] = field(default_factory=dict)
    """Of a grid with a learning rate: the advice for each combination of the others that is complete."""

    def update(self) -> None:
        """Take in what has arrived."""
        self.sweep.take(self.job.results(since=self.sweep.taken))
        if self.sweep.grid.position("learning_rate") is not None:
            self.bands = advice.bands(self.sweep.grid, self.sweep.there, self.bands)


@dataclass
class Focus:
    """The training that is looked at closely: a run, and λmax along it."""

    config: Config
    run: Run
    job: Job

    @property
    def curve(self) -> NDArray[np.void]:
        """Rows of `curvature.ROW` that have arrived, by step."""
        rows = [row for _, row in self.job.results()]
        return np.sort(np.concatenate(rows), order="step") if rows else np.empty(0, curvature.ROW)

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.run.over and self.job.over


def search(name: str) -> Search | None:
    """The search of this page that goes by `name`."""
    found: Search | None = st.session_state.get(f"search_{name}")
    return found


def focus() -> Focus | None:
    """The training that is looked at."""
    found: Focus | None = st.session_state.get("focus")
    return found


def refusal(name: str) -> Message | None:
    """Why the search could not be started."""
    found: Message | None = st.session_state.get(f"refusal_{name}")
    return found


def start_sweep() -> None:
    """Sweep the learning rates for the settings of the page, and look at the rate that is set."""
    st.session_state["address_errors"] = []
    try:
        config = frame.current_config()
        low, high = (st.session_state.get(end) for end in ("rate_from", "rate_to"))
        rates = advice.swept_rates(config, parameters.mended("rates"), low, high)
        grid = sweep_grid(config, rates, parameters.mended("seeds"))
    except MessageError as error:
        st.session_state["refusal_scan"] = error.message
        return
    if _start("scan", grid):
        look_at(grid.base)


def start_grid() -> None:
    """Train the grid of the page."""
    st.session_state["address_errors"] = []
    try:
        grid = chosen_grid(frame.current_config())
    except MessageError as error:
        st.session_state["refusal_grid"] = error.message
        return
    _start("grid", grid)


def chosen_grid(config: Config) -> Grid:
    """The grid that is written on the page, or else that of the two sizes. Raises `ConfigError`."""
    text = st.session_state.get("grid")
    if text:
        return Grid(computed(config), parse_axes(text))
    return advice.band_grid(config, (parameters.mended("grid_x"), parameters.mended("grid_y")))


def stop(name: str) -> None:
    """End a search; what has arrived stays."""
    found = search(name)
    if found is not None:
        server.engine().stop(found.job)


def look_at(config: Config) -> None:
    """Train `config` once more to see its losses, and follow λmax along it."""
    before, engine, viewer = focus(), server.engine(), server.viewer()
    if before is not None:
        engine.stop(before.run)
        engine.stop(before.job)
    try:
        job = engine.map(
            curvature.along,
            curvature.tasks(config),
            viewer,
            memory_bytes=curvature.memory_bytes(config),
            later=True,  # than the sweep
        )
        st.session_state["focus"] = Focus(config, engine.submit(config, viewer), job)
        st.session_state["refusal_focus"] = None
    except MessageError as error:
        st.session_state["focus"] = None
        st.session_state["refusal_focus"] = error.message


def _start(name: str, grid: Grid) -> bool:
    stop(name)
    engine = server.engine()
    try:
        _check(grid, engine.settings.max_seconds)
        # Strided, so that the whole range shows from the first points on
        tasks = blocks(grid)
        tasks = [task for first in range(STRIDE) for task in tasks[first::STRIDE]]
        memory = memory_bytes(grid, engine.settings.workers)
        job = engine.map(train, tasks, server.viewer(), memory_bytes=memory)
    except MessageError as error:
        st.session_state[f"refusal_{name}"] = error.message
        return False
    st.session_state[f"refusal_{name}"] = None
    st.session_state[f"search_{name}"] = Search(Sweep(grid), job)
    job.wait(MOMENT)
    return True


def _check(grid: Grid, limit: int) -> None:
    """Raise `LimitError` for a grid that computes for too long."""
    total, most = seconds(grid), LONGEST_SWEEP * limit
    longest = max(batched_run_seconds(grid.config(index)) for index in range(0, grid.size, grid.shape[-1]))
    if total > most or longest > limit / LONGEST_TRAINING_SHARE:
        raise LimitError(
            Message.of(
                "This would compute for about {seconds} s, up to {longest} s a training, and this server "
                "allows {most} s, {each} s a training. Choose fewer or smaller trainings.",
                seconds=f"{total:,.0f}",
                longest=f"{longest:,.0f}",
                most=f"{most:,}",
                each=f"{limit // LONGEST_TRAINING_SHARE:,}",
            )
        )


def is_live(part: str) -> bool:
    """Whether something of a part of the page is being computed: of the `scan`, the `grid`, or of the
    training in `focus`."""
    if part == "focus":
        current = focus()
        return current is not None and not current.over
    found = search(part)
    return found is not None and not found.job.over


def to_train(computed: Config, config: Config) -> Config:
    """A training of this page as the Train page would do it: in the way that `config` computes."""
    ways = {name: getattr(config, name) for name in ("backend", "device", "method", "dtype", "threads")}
    return replace(computed, **ways)
