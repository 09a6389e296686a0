"""Measure where the time of a step goes: forward, loss, backward, update and the transfer to the host.

The comments in a kernel's step mark where each phase begins (`program.PHASES`). The profiler compiles
the same statements again with clock readings between the phases, so a normal step costs nothing extra.
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
from twolayer.training.program import PHASES, parse

IN_A_STEP = tuple(PHASES.values())
ALL = (*IN_A_STEP, "transfer")

READS_TRIED = 500


@cache
def clocked(kernel_type: type[Kernel], *, waits: bool) -> Callable[..., None]:
    """Return a kernel's step as `step(self, note, clock)`, which calls `note(clock())` at the start of
    each phase and at the end. With `waits`, it first waits for the device each time.
    """
    read = "self.synchronize(); note(clock())" if waits else "note(clock())"
    statements = parse(inspect.getsource(kernel_type.step))
    lines = [s.text for s in statements if not s.phase]  # before the first phase there is nothing to time
    for phase in IN_A_STEP:
        lines += [read, *(s.text for s in statements if s.phase == phase)]
    body = textwrap.indent("\n".join([*lines, read]), "    ")
    source = f"def step(self, note, clock):\n{body}"
    namespace: dict[str, Any] = {}
    code = compile(source, inspect.getsourcefile(kernel_type) or "<step>", "exec")
    exec(code, kernel_type.step.__globals__, namespace)  # the project's own source
    step: Callable[..., None] = namespace["step"]
    return step


def profile(
    kernel_type: type[Kernel], config: Config, problem: Problem, state: State, steps: int
) -> dict[str, float]:
    """Run `steps` steps from `state` and return the seconds per step of each phase.

    The overhead of calling a step counts as forward. The time of a clock reading is measured and
    subtracted. `transfer` is the time to copy losses and state to the host at the end, divided by `steps`.
    """
    kernel = kernel_type(config, problem, state, steps)
    waits = config.device != "cpu" or kernel_type.asynchronous
    step = clocked(kernel_type, waits=waits)
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
    spent -= _seconds_of_a_read(kernel if waits else None)
    calling, *of_phases = np.maximum(spent, 0).tolist()
    of_phases[0] += calling
    return {**dict(zip(IN_A_STEP, of_phases, strict=True)), "transfer": transfer / steps}


def _seconds_of_a_read(kernel: Kernel | None) -> float:
    """Measure the seconds of one clock reading, including the wait for an idle `kernel` if one is given."""
    times: list[float] = []
    note, clock = times.append, perf_counter
    for _ in range(READS_TRIED):
        if kernel is not None:
            kernel.synchronize()
        note(clock())
    return (times[-1] - times[0]) / (READS_TRIED - 1)
