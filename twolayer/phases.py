"""Where the time of a step goes: forward, loss, backward, update, and the transfer to the host.

A kernel's step says in its comments where each phase begins. The profile compiles the same lines once
more with a clock in the place of these comments, so that a step which is not profiled pays nothing.
"""

import inspect
import textwrap
from time import perf_counter
from typing import Any

import numpy as np

from twolayer import training
from twolayer.config import Config
from twolayer.kernels import Kernel, load

PHASES = {
    "# Forward pass": "forward",
    "# Loss": "loss",
    "# Backward pass": "backward",
    "# Weight update": "update",
}
"""How the comments in a step begin, and the phase that begins there."""

BLOCKS = 5


class _Clock:
    """Adds up the time between marks."""

    def mark(self, phase: str | None) -> None:
        self.synchronize()  # type: ignore[attr-defined]  # mixed into a kernel
        now = perf_counter()
        if self.phase is not None:
            self.spent[self.phase] += now - self.since
        self.phase, self.since = phase, now

    phase: str | None = None
    since: float = 0.0
    spent: dict[str, float]


def profiled(kernel_type: type[Kernel]) -> type[Any]:
    """The kernel with a clock between the phases of its step; `spent` holds the seconds of each."""
    lines = textwrap.dedent(inspect.getsource(kernel_type.step)).splitlines()
    marked = []
    for line in lines:
        comment = line.strip()
        phase = next((name for mark, name in PHASES.items() if comment.startswith(mark)), None)
        indent = line[: len(line) - len(line.lstrip())]
        marked.append(line if phase is None else f"{indent}self.mark({phase!r})")
    marked.append("    self.mark(None)")
    namespace: dict[str, Any] = {}
    code = compile("\n".join(marked), inspect.getsourcefile(kernel_type) or "<step>", "exec")
    exec(code, kernel_type.step.__globals__, namespace)  # our own source, no input
    return type(f"Profiled{kernel_type.__name__}", (_Clock, kernel_type), namespace)


def profile(config: Config, steps: int, kernel_type: type[Kernel] | None = None) -> dict[str, float]:
    """Seconds per step of each phase: medians over some blocks of `steps` steps, after one for warming up.

    `transfer` is what it takes to bring losses and state to the host at the end, shared by the steps.
    """
    kernel_type = kernel_type or load(config.backend, config.method_used)
    problem = training.prepare(config, kernel_type=kernel_type)
    clocked = profiled(kernel_type)
    state = kernel_type.start(problem)
    with kernel_type.threads(config.threads), np.errstate(over="ignore", invalid="ignore"):
        blocks = []
        for _ in range(1 + BLOCKS):
            kernel = clocked(config, problem, state, steps)
            kernel.spent = dict.fromkeys(PHASES.values(), 0.0)
            for _ in range(steps):
                kernel.step()
            begin = perf_counter()
            kernel.losses()
            kernel.state()
            blocks.append(kernel.spent | {"transfer": perf_counter() - begin})
    return {phase: float(np.median([block[phase] for block in blocks[1:]])) / steps for phase in blocks[0]}
