"""Advancing a run: chunks, divergence, clocks, and fit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch.utils._python_dispatch import TorchDispatchMode

from twolayer import Config, ConfigError, Result, fit
from twolayer.training import kernels, training
from twolayer.training.laps import LAPS_PER_CHUNK
from twolayer.training.training import Chunk

SHAPE = {"N": 13, "D_in": 5, "H": 11, "D_out": 2, "seed": 5}


def diverging(**values: object) -> Config:
    """A Config whose losses overflow after some steps."""
    return Config(**SHAPE, learning_rate=0.02, **values)


def cut(config: Config, steps: int) -> list[Chunk]:
    """The chunks of a run that is advanced by `steps` at a time."""
    problem = training.prepare(config)
    chunks = [training.start(config, problem)]
    while chunks[-1].step < config.steps and chunks[-1].diverged_at is None:
        count = min(steps, config.steps - chunks[-1].step)
        chunks.append(training.advance(config, problem, chunks[-1], count))
    return chunks


def test_the_rest_of_a_chunk_has_the_shapes_of_a_whole_one():
    config = Config(N=3, D_in=4, H=5, D_out=2)
    problem = training.prepare(config, tested=True)
    chunk = training.advance(config, problem, training.start(config, problem), 20)
    rest = chunk.without_losses()
    for name in ("losses", "laps", "dead", "held_out"):
        whole, none = getattr(chunk, name), getattr(rest, name)
        assert len(none) == 0 < len(whole)
        assert none.shape[1:] == whole.shape[1:]


def test_fit_gives_everything_the_contract_names(kernel, dtype):
    config = Config(**kernel, **SHAPE, dtype=dtype, steps=30, learning_rate=1e-4)
    result = fit(config)
    assert isinstance(result, Result)
    assert (result.losses.shape, result.losses.dtype) == ((30,), np.float64)
    assert (result.w1.shape, result.w1.dtype) == ((5, 11), dtype)
    assert (result.w2.shape, result.w2.dtype) == ((11, 2), dtype)
    assert type(result.w1) is type(result.w2) is np.ndarray
    assert result.method == kernel["method"]
    assert result.diverged_at is None
    assert result.seconds > 0


def test_two_fits_of_one_config_are_the_same_bits(kernel, dtype):
    config = Config(**kernel, **SHAPE, dtype=dtype, steps=50, learning_rate=1e-3)
    first, second = fit(config), fit(config)
    assert_array_equal(first.losses, second.losses)
    assert_array_equal(first.w1, second.w1)
    assert_array_equal(first.w2, second.w2)


def test_a_diverged_run_keeps_everything_up_to_that_step(kernel, dtype):
    result = fit(diverging(**kernel, dtype=dtype))
    step = result.diverged_at
    assert 1 < step < 100
    assert result.losses.shape == (step,)
    assert np.isfinite(result.losses).all()
    shorter = fit(diverging(**kernel, dtype=dtype, steps=step))
    assert shorter.diverged_at is None
    assert_array_equal(result.losses, shorter.losses)
    assert_array_equal(result.w1, shorter.w1)
    assert_array_equal(result.w2, shorter.w2)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 500])
def test_divergence_does_not_depend_on_the_cut(kernel, dtype, steps):
    config = diverging(**kernel, dtype=dtype)
    result, chunks = fit(config), cut(config, steps)
    assert chunks[-1].diverged_at == chunks[-1].step == result.diverged_at
    assert all(chunk.diverged_at is None for chunk in chunks[:-1])
    assert_array_equal(np.concatenate([chunk.losses for chunk in chunks]), result.losses)
    w1, w2 = training.weights(config, training.prepare(config), chunks[-1])
    assert_array_equal(w1, result.w1)
    assert_array_equal(w2, result.w2)


def test_nothing_comes_after_divergence(kernel):
    config = diverging(**kernel)
    last = cut(config, 500)[-1]
    after = training.advance(config, training.prepare(config), last, 5)
    assert (after.step, after.diverged_at) == (last.step, last.diverged_at)
    assert after.losses.shape == (0,)
    assert after.laps.shape == (0, 2)
    for name, array in after.state.items():
        assert_array_equal(array, last.state[name])


def test_a_first_loss_that_is_not_finite_leaves_an_empty_run(kernel):
    config = Config(**kernel, **SHAPE, dtype="float32")
    problem = training.prepare(config)
    huge = training.prepare(config, problem=replace(problem, x=problem.x * np.float32(1e30)))
    chunk = training.advance(config, huge, training.start(config, huge), 5)
    assert (chunk.diverged_at, chunk.step, chunk.losses.shape) == (0, 0, (0,))
    for weight, start in zip(training.weights(config, huge, chunk), (problem.w1, problem.w2), strict=True):
        assert_array_equal(weight, start)


@pytest.mark.parametrize("steps", [1, 2, 15, 16, 17, 100, 333])
def test_laps_count_every_step_once_and_sum_to_the_seconds(kernel, steps):
    config = Config(**kernel, **SHAPE, learning_rate=1e-5, steps=steps)
    problem = training.prepare(config)
    chunk = training.advance(config, problem, training.start(config, problem), steps)
    assert chunk.laps[:, 0].sum() == chunk.losses.size == chunk.step == steps
    assert (chunk.laps > 0).all()
    assert len(chunk.laps) <= 2 * LAPS_PER_CHUNK
    assert chunk.seconds == chunk.laps[:, 1].sum()


@pytest.mark.parametrize(
    "config", [Config(**SHAPE, learning_rate=1e-5), diverging()], ids=["whole", "diverged"]
)
def test_the_laps_of_a_fit_are_those_of_its_losses(config):
    result = fit(config)
    assert result.laps[:, 0].sum() == len(result.losses)
    assert result.seconds == pytest.approx(result.laps[:, 1].sum())


@pytest.mark.parametrize(("fields", "expected"), [({}, 2.0), ({"backend": "torch", "threads": 2}, None)])
def test_the_pace_of_a_run_is_that_of_its_own_thread(monkeypatch, fields, expected):
    """On a busy machine a step takes longer by the wall clock, and no more of the thread's time."""
    now = iter(range(100))
    monkeypatch.setattr(training, "thread_time", lambda: 2.0 * next(now))
    config = Config(**SHAPE, **fields)
    problem = training.prepare(config)
    chunk = training.advance(config, problem, training.start(config, problem), 5)
    assert chunk.processor_seconds == (chunk.seconds if expected is None else expected)


class ToHost(TorchDispatchMode):
    """Notes the operations that bring a value from the device to the host."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default):
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("method", ["tutorial", "fused", "gram"])
def test_no_step_waits_for_the_device_of_pytorch(method):
    config = Config(backend="torch", method=method, **SHAPE)
    problem = training.prepare(config)
    kernel_type = kernels.load("torch", method)
    kernel = kernel_type(config, problem, kernel_type.start(problem), 20)
    with ToHost() as to_host:
        kernel.steps(20)
        dead = kernel.dead()
        assert to_host.seen == []
        float(dead)
    assert to_host.seen == ["aten._local_scalar_dense.default"]  # the watch does see a transfer


def test_on_chunk_sees_every_loss_in_order():
    config = Config(**SHAPE, learning_rate=1e-5, steps=5000)
    seen = []
    result = fit(config, on_chunk=seen.append)
    assert len(seen) > 1
    assert [chunk.step for chunk in seen] == list(np.cumsum([len(chunk.losses) for chunk in seen]))
    assert_array_equal(np.concatenate([chunk.losses for chunk in seen]), result.losses)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"backend": "torch", "device": "cuda:99"}, "device"),
        ({"threads": 256}, "threads"),
        ({"N": 100_000, "D_in": 100_000, "H": 100_000}, "N"),
    ],
)
def test_fit_refuses_what_this_machine_lacks(values, field):
    with pytest.raises(ConfigError) as caught:
        fit(Config(**values))
    assert caught.value.field == field
