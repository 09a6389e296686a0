"""The figures of a training from its `Result`."""

import numpy as np
import pytest

from twolayer import Config, fit
from twolayer.training.figures import FIGURES


def test_the_figures_of_a_fit_are_those_of_its_arrays():
    config = Config(N=6, D_in=9, H=5, D_out=3, learning_rate=1e-4, steps=200)
    result = fit(config)
    steps = result.laps[:, 0].astype(int)
    step = np.sort(np.repeat(result.laps[:, 1] / steps, steps))[200 // 2 - 1]
    expected = {
        "steps": (200, ""),
        "first_loss": (result.losses[0], ""),
        "loss": (result.losses[-1], ""),
        "step_time": (1e6 * step, "µs"),
        "speed": ((4 * 6 * 9 * 5 + 6 * 6 * 5 * 3) / step / 1e9, "GFLOP/s"),
        "seconds": (result.laps[:, 1].sum(), "s"),
        "dead_units": (result.dead[-1, 1], ""),
    }
    assert FIGURES.keys() == expected.keys()
    for name, (value, unit) in expected.items():
        assert FIGURES[name].of(config, result) == pytest.approx(value), name
        assert FIGURES[name].unit == unit
