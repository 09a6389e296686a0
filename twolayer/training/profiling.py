"""Where the time of a step goes: forward, loss, backward, update, and the transfer to the host.

A kernel's step says in its comments where each phase begins. The profile compiles the same lines once
more with a reading of the clock in the place of these comments, so that a step which is not profiled
pays nothing.
"""

import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from time import perf_counter
from typing import Any

import numpy as np

from twolayer.training.config import Config
from twolayer.training.kernels import Kernel, State
from twolayer.training.problem import Problem

PHASES = {
    "# Forward pass": "forward",
    "# Loss": "loss",
    "# Backward pass": "backward",
    "# Weight update": "update",
}
"""How the comments in a step begin, and the phase that begins there. In the order of a step."""

IN_A_STEP = tuple(PHASES.values())
ALL = (*IN_A_STEP, "transfer")

READS_TRIED = 500


@cache
def clocked(kernel_type: type[Kernel], *, waits: bool) -> Callable[..., None]:
    """The step of a kernel as a function `step(self, note)` that gives `note` the time where each
    phase begins, and at its end. With `waits` it waits for the device before."""
    lines = textwrap.dedent(inspect.getsource(kernel_type.step)).splitlines()
    read = "self.synchronize(); note(clock())" if waits else "note(clock())"
    marked = ["def step(self, note, clock):", *lines[1:], f"    {read}"]
    for i, line in enumerate(marked):
        if line.strip().startswith(tuple(PHASES)):
            marked[i] = line[: len(line) - len(line.lstrip())] + read
    namespace: dict[str, Any] = {}
    code = compile("\n".join(marked), inspect.getsourcefile(kernel_type) or "<step>", "exec")
    exec(code, kernel_type.step.__globals__, namespace)  # our own source, no input
    step: Callable[..., None] = namespace["step"]
    return step


def profile(
    kernel_type: type[Kernel], config: Config, problem: Problem, state: State, steps: int
) -> dict[str, float]:
    """Take `steps` steps from `state`: seconds per step of each phase.

    What it takes to call a step counts as forward. Reading the clock takes time too: it is measured,
    and taken off each phase. `transfer` is what it takes to bring losses and state to the host at the
    end, shared by the steps.
    """
    kernel = kernel_type(config, problem, state, steps)
    step = clocked(kernel_type, waits=config.device != "cpu")
    times: list[float] = []
    note, clock = times.append, perf_counter
    kernel.synchronize()
    begin = perf_counter()
    for _ in range(steps):
        step(kernel, note, clock)
    end = perf_counter()
    kernel.losses()
    kernel.state()
    transfer = perf_counter() - end
    spent = np.diff(times, prepend=begin).reshape(steps, 1 + len(IN_A_STEP)).mean(axis=0)
    spent -= _seconds_of_a_read(kernel if config.device != "cpu" else None)
    calling, *of_phases = np.maximum(spent, 0).tolist()
    of_phases[0] += calling
    return {**dict(zip(IN_A_STEP, of_phases, strict=True)), "transfer": transfer / steps}


def _seconds_of_a_read(kernel: Kernel | None) -> float:
    """What a reading of the clock takes by itself, with the wait for an idle device if there is one."""
    times: list[float] = []
    note, clock = times.append, perf_counter
    for _ in range(READS_TRIED):
        if kernel is not None:
            kernel.synchronize()
        note(clock())
    return (times[-1] - times[0]) / (READS_TRIED - 1)
