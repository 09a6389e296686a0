"""Methods: the ways to compute the same iteration, with their words and costs, one row each.

The costs are estimates that need no arrays. The sizes in a row count array elements.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from twolayer.training.config import RANDOM, Config
from twolayer.training.data.own import CSV

Count = Callable[[Config], int]

MOST_FRESH = 64
"""Rows of fresh random numbers that a run on random data is tested on, or fewer if fewer train."""


@dataclass(frozen=True)
class Method:
    """What a method is, and its costs for a Config."""

    words: str
    operations: Count
    """Floating-point operations of one step in the products that span the inputs (a multiply-add is two)."""
    state: Count
    """What a run carries from chunk to chunk: w1 and w2, or for `gram` S and w2."""
    arrays: Count
    """The arrays of a step beside the state, and what the weights at the end need, if that is more."""
    constants: Count = lambda _: 0
    """What is computed from the data once: for `gram` K and h at the start."""
    once: Count = lambda _: 0
    """Floating-point operations of computing the constants."""
    passes: Count = lambda _: 0
    """Operations of a step in passes over arrays that the other methods do not have."""


def _weights(config: Config) -> int:
    return (config.D_in + config.D_out) * config.H


def _activations(config: Config, hidden: int, outputs: int) -> int:
    """Return the size of `hidden` arrays (N, H) and `outputs` arrays (N, D_out)."""
    return config.N * (hidden * config.H + outputs * config.D_out)


METHODS: Mapping[str, Method] = {
    "tutorial": Method(
        "the formulas as the tutorial writes them, with a new array on each line",
        operations=lambda c: 4 * c.N * c.D_in * c.H,
        state=_weights,
        # h, h_relu, grad_h_relu, grad_h; the outputs; the gradients and what is subtracted
        arrays=lambda c: _activations(c, 4, 4) + 2 * _weights(c),
    ),
    "fused": Method(
        "the same arithmetic with preallocated arrays, in place",
        operations=lambda c: 4 * c.N * c.D_in * c.H,
        state=_weights,
        arrays=lambda c: c.N * c.D_in + _activations(c, 5, 2),  # Fortran's order wants a copy of x
    ),
    "gram": Method(
        "the same iterates from x·xᵀ: far fewer operations while N is below 2·D_in",
        operations=lambda c: 2 * c.N * c.N * c.H,
        state=lambda c: (c.N + c.D_out) * c.H,
        # the step; or, at the end, w1 and what is subtracted from it
        arrays=lambda c: max(_activations(c, 5, 2), 2 * _weights(c)),
        constants=lambda c: c.N * (c.N + c.H),
        once=lambda c: 2 * c.N * c.D_in * (c.N + c.H),
        passes=lambda c: 3 * c.N * c.H,  # h_start is copied, S is summed up
    ),
}
"""How the same iteration can be computed. `auto` picks the cheapest of these for the sizes."""


def used(config: Config) -> str:
    """Return the name of the method that computes the run: for `auto` the one with the fewest operations.

    The dual form has fewer while N < 2·D_in, unless the steps are too few to pay for x·xᵀ.
    """
    if config.method != "auto":
        return config.method
    return min("fused", "gram", key=lambda method: run_flops(config, method))


def gain_of_auto(config: Config) -> float:
    """Return how many times as many operations `gram` takes for the whole run as `auto`, to two decimals.

    1 for the other methods: they are baselines, chosen for what they show.
    """
    if config.method != "gram":
        return 1.0
    best = used(replace(config, method="auto"))
    return round(run_flops(config, "gram") / run_flops(config, best), 2)


def run_flops(config: Config, method: str) -> int:
    """Return the operations of a whole run: its steps, and what is computed once before them."""
    row = METHODS[method]
    return (flops_per_step(config, method) + row.passes(config)) * config.steps + row.once(config)


def flops_once(config: Config) -> int:
    """Return the floating-point operations before the first step: of x·xᵀ and x·w1 for `gram`, else 0."""
    return METHODS[used(config)].once(config)


def flops_per_step(config: Config, method: str | None = None) -> int:
    """Return the floating-point operations of the matrix products in one step (a multiply-add is two).

    They are those of `method`, by default of the one that is used.
    """
    return METHODS[method or used(config)].operations(config) + 6 * config.N * config.H * config.D_out


def item_bytes(config: Config) -> int:
    """Return the bytes of an array element."""
    return 4 if config.dtype == "float32" else 8


def state_bytes(config: Config) -> int:
    """Return the bytes that a run carries from chunk to chunk."""
    return METHODS[used(config)].state(config) * item_bytes(config)


def bytes_per_step(config: Config) -> int:
    """Return the least bytes that a step moves: each array that outlives the step is read once, and
    written once if it changes. The arrays within a step may stay in the caches, and do not count."""
    method = METHODS[used(config)]
    read = method.constants(config) or config.N * config.D_in
    return (read + config.N * config.D_out + 2 * method.state(config)) * item_bytes(config)


def held_out_rows(config: Config) -> int:
    """Return the rows that a run is tested on: those of the data set that do not train, or fresh ones."""
    if config.data == RANDOM:
        return min(config.N, MOST_FRESH)
    return config.data_set.rows - config.N


def held_out_bytes(config: Config) -> int:
    """Return the bytes of the held-out rows, of what the method computes from them, and of their h."""
    constants = config.N + config.H if METHODS[used(config)].constants(config) else 0
    per_row = config.D_in + 3 * config.D_out + 2 * config.H + constants
    return held_out_rows(config) * per_row * item_bytes(config)


def losses_bytes(config: Config) -> int:
    """Return the bytes of a run's losses, kept once."""
    return 8 * config.steps


def run_bytes(config: Config) -> int:
    """Return the estimated peak memory in bytes of a run in one process, with two copies of the losses."""
    return working_bytes(config) + 2 * losses_bytes(config)


def working_bytes(config: Config) -> int:
    """Return the estimated peak memory in bytes of a run but for its losses.

    It counts data, weights and their copies, the arrays of a step, what is drawn or multiplied in float64
    first, and a checkpoint.
    """
    method, item = METHODS[used(config)], item_bytes(config)
    x, y = config.N * config.D_in, config.N * config.D_out
    constants, state, arrays = method.constants(config), method.state(config), method.arrays(config)
    in_float64 = constants
    if config.dtype == "float32":  # drawn or multiplied, then cast
        in_float64 += max(x, config.D_in * config.H) + (x if constants else 0)
    if config.backend != "numpy":
        arrays += constants or x + y  # tensors are copies
    working = max(8 * in_float64, (arrays + 2 * state) * item + config.N * config.H)
    problem = x + y + _weights(config) + constants
    return (problem + state) * item + working + held_out_bytes(config) + own_table_bytes(config)


def own_table_bytes(config: Config) -> int:
    """Return the bytes of a table of one's own, as it travels and as it is read; 0 for other data."""
    if config.data != CSV:
        return 0
    return 2 * 8 * config.data_set.rows * (config.D_in + config.D_out)
