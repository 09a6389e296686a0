"""How λmax and the gradients depend on the sizes, as the pages say, over many random networks."""

from dataclasses import replace

import numpy as np
import pytest

from twolayer import Config, fit
from twolayer.dashboard.common.presets import PRESETS
from twolayer.rates.curvature import expected, largest_eigenvalue
from twolayer.rates.outcomes import outcome
from twolayer.training.problem import make_problem
from twolayer.training.reference import backward, forward

SIZES = [
    Config(N=N, D_in=D_in, H=H, D_out=D_out, seed=seed)
    for seed, (N, D_in, H, D_out) in enumerate(
        np.random.default_rng(9).integers((64, 40, 40, 1), (128, 200, 100, 20), (12, 4)).tolist()
    )
]


def sharpness(config: Config) -> float:
    return largest_eigenvalue(config).value


def mean_ratio(change: dict[str, int]) -> float:
    """How many times larger λmax is with each of these sizes multiplied, on average."""
    larger = [replace(c, **{name: getattr(c, name) * times for name, times in change.items()}) for c in SIZES]
    return float(np.mean([sharpness(a) / sharpness(b) for a, b in zip(larger, SIZES, strict=True)]))


@pytest.mark.parametrize("field", ["N", "H", "D_in"])
def test_twice_as_large_a_size_makes_lambda_max_about_twice_as_large(field):
    assert 1.6 < mean_ratio({field: 2}) < 2.2


def test_lambda_max_hardly_depends_on_the_outputs():
    assert 0.95 < mean_ratio({"D_out": 4}) < 1.25


def test_twice_the_samples_make_the_gradients_about_1_4_and_1_9_times_as_long():
    ratios = []
    for seed in range(4):
        norms = []
        for N in (64, 128):
            p = make_problem(Config(N=N, seed=seed, dtype="float64"))
            norms.append([np.linalg.norm(g) for g in backward(p.x, p.y, p.w2, *forward(p.x, p.w1, p.w2))])
        ratios.append(np.divide(norms[1], norms[0]))
    np.testing.assert_allclose(np.mean(ratios, axis=0), [1.4, 1.9], rtol=0.05)


def test_the_first_part_is_the_largest_for_large_N_only():
    def share(N: int) -> float:
        config = Config(N=N)
        return N * config.H * config.D_in / np.pi / expected(config)

    assert share(4) < 0.5 < share(64) < share(1000)


def test_what_the_presets_say_is_what_their_runs_do():
    found = {}
    for name, preset in PRESETS.items():
        run = fit(preset.config)
        dead = int(run.dead[-1, 1]) if run.diverged_at is None else 0
        kind = outcome(preset.config, run.losses, run.diverged_at, dead, run.zero_loss)
        found[name] = run, dead, kind
    losses = found["tutorial"][0].losses
    assert 2.9e7 < losses[0] < 3.3e7
    assert losses[-1] < 1e-4
    run, _, kind = found["edge"]
    assert kind == "converges"
    assert run.losses.max() / run.losses[0] == pytest.approx(9, abs=0.5)
    limit = 2 / sharpness(PRESETS["edge"].config)
    assert PRESETS["edge"].config.learning_rate / limit == pytest.approx(1.8, abs=0.05)
    run, dead, kind = found["dead"]
    assert (kind, dead > 50) == ("dead", True)
    assert int(np.argmax(run.losses)) < 10
    run, _, kind = found["diverges"]
    assert kind == "diverges"
    assert (np.diff(run.losses) > 0).all()
    wide = PRESETS["wide"].config
    assert sharpness(wide) / sharpness(replace(wide, H=100)) == pytest.approx(20, rel=0.1)
    assert {found[name][2] for name in ("tutorial", "tiny", "wide")} == {"converges"}
