"""The table of kernels, what is missing, threads, and what a step allocates."""

import sys
import tracemalloc

import numpy as np
import pytest
import scipy.linalg.blas
import torch
from threadpoolctl import threadpool_info

from twolayer import Config, fit
from twolayer.training import kernels, training
from twolayer.training.config import FIELDS
from twolayer.training.kernels import numpy as numpy_kernels
from twolayer.training.methods import METHODS

SMALL = {"N": 7, "D_in": 11, "H": 5, "D_out": 3, "learning_rate": 1e-4}


def threads_of(backend: str) -> set[int]:
    """How many threads the products of `backend` use now."""
    if backend == "torch":
        return {torch.get_num_threads()}
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture
def fresh_registry():
    """A registry that has loaded nothing yet."""
    kernels.load.cache_clear()
    yield
    kernels.load.cache_clear()


def test_every_backend_has_every_method():
    expected = {(backend, method) for backend in FIELDS["backend"].options for method in METHODS}
    assert set(kernels.KERNELS) == expected


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        kernels.KERNELS["numpy", "other"] = "nowhere:Nothing"


def test_each_kernel_loads_and_is_one_of_its_own(kernel):
    loaded = kernels.load(**kernel)
    assert f"{loaded.__module__}:{loaded.__name__}" == kernels.KERNELS[tuple(kernel.values())]
    assert len({kernels.load(*pair) for pair in kernels.KERNELS}) == len(kernels.KERNELS)


@pytest.mark.usefixtures("fresh_registry")
def test_a_missing_library_is_named_with_how_to_install_it(kernel, monkeypatch):
    monkeypatch.setattr(kernels, "find_spec", lambda _: None)
    with pytest.raises(kernels.UnavailableError, match=f"pip install {kernel['backend']}"):
        kernels.load(**kernel)
    assert f"pip install {kernel['backend']}" in str(kernels.why_missing(kernel["backend"]))


@pytest.mark.usefixtures("fresh_registry")
@pytest.mark.parametrize("error", [ImportError, OSError])
def test_a_library_that_does_not_load_says_why(monkeypatch, error):
    def broken(_: str) -> None:
        raise error("libsomething.so: cannot open")

    monkeypatch.setattr(kernels, "import_module", broken)
    with pytest.raises(
        kernels.UnavailableError, match=f"torch is installed but fails to load: {error.__name__}"
    ):
        kernels.load("torch", "tutorial")


@pytest.mark.usefixtures("fresh_registry")
def test_fit_refuses_a_backend_that_is_missing(monkeypatch):
    monkeypatch.setattr("twolayer.training.kernels.find_spec", lambda _: None)
    monkeypatch.setattr("twolayer.training.capabilities.why_missing", kernels.why_missing)
    with pytest.raises(kernels.UnavailableError, match="pip install torch"):
        fit(Config(backend="torch", **SMALL))


@pytest.mark.parametrize("count", [1, 2])
def test_threads_are_set_for_the_steps_and_restored(kernel, count, monkeypatch):
    if kernel["backend"] == "numba" and count == 2:
        pytest.skip("its Config refuses more than one thread")
    kernel_type, seen = kernels.load(**kernel), []
    compute = kernel_type.steps

    def watched(self: kernels.Kernel, steps: int) -> None:
        seen.append(threads_of(kernel["backend"]))
        compute(self, steps)

    monkeypatch.setattr(kernel_type, "steps", watched)
    config = Config(**kernel, **SMALL, threads=count)
    problem = training.prepare(config)
    before = threads_of(kernel["backend"])
    training.advance(config, problem, training.start(config, problem), 3)
    assert len(seen) >= 3  # a kernel that is compiled takes steps before that
    assert all(threads == {count} for threads in seen)
    assert threads_of(kernel["backend"]) == before


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("work", ["constants", "weights"])
def test_what_surrounds_the_steps_has_the_threads_of_the_run(kernel, count, work, monkeypatch):
    if kernel["backend"] == "numba" and count == 2:
        pytest.skip("its Config refuses more than one thread")
    kernel_type, seen = kernels.load(**kernel), []
    compute = getattr(kernel_type, work)

    def watched(*values):
        seen.append(threads_of(kernel["backend"]))
        return compute(*values)

    monkeypatch.setattr(kernel_type, work, staticmethod(watched))
    config = Config(**kernel, **SMALL, threads=count)
    problem = training.prepare(config)
    training.weights(config, problem, training.start(config, problem))
    assert seen == [{count}]


def test_threads_are_restored_after_an_error(kernel):
    before = threads_of(kernel["backend"])
    with pytest.raises(ZeroDivisionError), kernels.load(**kernel).threads(2):
        raise ZeroDivisionError
    assert threads_of(kernel["backend"]) == before


def test_a_state_outlives_its_kernel_and_later_steps(kernel, dtype):
    config = Config(**kernel, **SMALL, dtype=dtype)
    problem = training.prepare(config)
    start = kernels.load(**kernel).start(problem)
    made = kernels.load(**kernel)(config, problem, start, 4)
    made.step()
    assert made.losses().dtype == np.float64
    assert made.losses().shape == (1,)
    assert all(array.dtype == dtype for array in made.state().values())
    assert all(type(array) is np.ndarray for array in made.state().values())


def growth_of_a_step(method: str, dtype: str) -> int:
    """Bytes by which the traced memory peaks above its start in 20 steps of the NumPy kernel.

    The least of three measurements: other threads of the process allocate memory too.
    """
    config = Config(method=method, N=40, D_in=60, H=50, D_out=30, dtype=dtype, learning_rate=1e-6)
    problem = training.prepare(config)
    kernel = kernels.load("numpy", method)(config, problem, kernels.load("numpy", method).start(problem), 65)
    tracemalloc.start()
    try:
        for _ in range(5):
            kernel.step()
        growths = []
        for _ in range(3):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(20):
                kernel.step()
            growths.append(tracemalloc.get_traced_memory()[1] - before)
        return min(growths)
    finally:
        tracemalloc.stop()


def test_the_fused_numpy_kernel_allocates_no_array_in_a_step(dtype):
    assert growth_of_a_step("fused", dtype) < 1000  # the smallest array of this run has 1200 bytes
    assert growth_of_a_step("tutorial", dtype) > 4000  # the measurement does see arrays


def test_a_step_and_all_steps_in_one_call_are_the_same_bits(kernel, dtype):
    config = Config(**kernel, **SMALL, dtype=dtype)
    problem = training.prepare(config)
    kernel_type = kernels.load(**kernel)
    one, all_at_once = (kernel_type(config, problem, kernel_type.start(problem), 7) for _ in range(2))
    for _ in range(7):
        one.step()
    all_at_once.steps(3)
    all_at_once.steps(4)
    np.testing.assert_array_equal(one.losses(), all_at_once.losses())
    for name, array in one.state().items():
        np.testing.assert_array_equal(array, all_at_once.state()[name])


def test_only_kernels_that_are_needed_at_once_are_loaded_in_advance(monkeypatch):
    loaded = []
    monkeypatch.setattr(kernels, "load", lambda *pair: loaded.append(pair[0]))
    assert kernels.load_all() == {}
    assert set(loaded) == {"numpy", "torch"}


LOADED_ALONE = """
import sys
from twolayer import Config, fit
config = Config(method="gram", steps=3)
losses = fit(config).losses
assert not {"scipy.linalg", "numpy.f2py", "distributed", "importlib.metadata"} & set(sys.modules)
from scipy.linalg import blas
from twolayer.training.kernels import numpy
assert numpy.BLAS.sgemm is blas.sgemm
assert (fit(config).losses == losses).all()
"""


def test_a_run_loads_the_blas_without_the_rest_of_scipy(python):
    ran = python("-c", LOADED_ALONE)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("broken", ["find_spec", "module_from_spec"])
def test_a_blas_that_does_not_load_alone_comes_with_the_rest_of_scipy(monkeypatch, broken):
    def fails(*_: object) -> None:
        raise ImportError

    monkeypatch.delitem(sys.modules, "scipy.linalg._fblas")
    monkeypatch.setattr(numpy_kernels, broken, fails)
    assert numpy_kernels.load_blas() is scipy.linalg.blas
