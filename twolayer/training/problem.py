"""The data and the initial weights of a run, drawn from its seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twolayer.training.config import Config

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Problem:
    """The fixed batch x (N, D_in), y (N, D_out) and the initial weights w1 (D_in, H), w2 (H, D_out).

    Read-only arrays of the config's dtype. `constants` are arrays that a method derives from them once
    for the whole run.
    """

    x: Array
    y: Array
    w1: Array
    w2: Array
    constants: Mapping[str, Array] = field(default_factory=dict)


def make_problem(config: Config) -> Problem:
    """Draw x, y, w1 and w2, in this order, as float64 standard normals from the config's seed.

    Each is cast once to the config's dtype: every backend and method gets the same bytes.
    """
    g = np.random.default_rng(config.seed)

    def draw(*shape: int) -> Array:
        array = g.standard_normal(shape).astype(config.dtype, copy=False)
        array.setflags(write=False)
        return array

    return Problem(
        x=draw(config.N, config.D_in),
        y=draw(config.N, config.D_out),
        w1=draw(config.D_in, config.H),
        w2=draw(config.H, config.D_out),
    )
