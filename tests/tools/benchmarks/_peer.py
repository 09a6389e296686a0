"""The contenders of `peers`, and the child process that one of them lives in.

A contender is a function that takes a Config, prepares all that is not to be timed and returns a
*block*: called with a number of steps it trains that long from the initial weights, and returns
seconds and losses. The peers are written out here, independent of the kernels they are compared with; JAX
is the peer of the Race page.
"""

import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from time import perf_counter
from typing import Any

import numpy as np

from twolayer.training.config import BACKENDS, Config
from twolayer.training.machine import keep_freed_memory
from twolayer.training.methods import flops_per_step
from twolayer.training.problem import make_problem

Block = Callable[[int], tuple[float, Sequence[float]]]

CHECKED_STEPS = 20
LONGEST = 500
"""Steps from the initial weights; a block of more starts again, since losses at rest are another job."""
BLOCK_SECONDS = 0.075
LARGE = 1024
"""Rows and columns of the product that shows the peak of the machine."""


def numpy_loop(config: Config) -> Block:
    """The tutorial's loop, as it stands there."""
    problem = make_problem(config)
    x, y, learning_rate = problem.x, problem.y, config.learning_rate

    def block(steps: int) -> tuple[float, Sequence[float]]:
        w1, w2, losses = problem.w1.copy(), problem.w2.copy(), []
        begin = perf_counter()
        for _ in range(steps):
            h = x.dot(w1)
            h_relu = np.maximum(h, 0)
            y_pred = h_relu.dot(w2)
            losses.append(np.square(y_pred - y).sum())
            grad_y_pred = 2.0 * (y_pred - y)
            grad_w2 = h_relu.T.dot(grad_y_pred)
            grad_h_relu = grad_y_pred.dot(w2.T)
            grad_h = grad_h_relu.copy()
            grad_h[h < 0] = 0
            grad_w1 = x.T.dot(grad_h)
            w1 -= learning_rate * grad_w1
            w2 -= learning_rate * grad_w2
        return perf_counter() - begin, losses

    return block


def _torch_step(x: Any, y: Any, w1: Any, w2: Any, learning_rate: float) -> Any:
    """One iteration of the tutorial's tensor version; w1 and w2 are changed in place."""
    h = x.mm(w1)
    h_relu = h.clamp(min=0)
    y_pred = h_relu.mm(w2)
    loss = (y_pred - y).pow(2).sum()
    grad_y_pred = 2.0 * (y_pred - y)
    grad_w2 = h_relu.t().mm(grad_y_pred)
    grad_h_relu = grad_y_pred.mm(w2.t())
    grad_h = grad_h_relu.clone()
    grad_h[h < 0] = 0
    grad_w1 = x.t().mm(grad_h)
    w1 -= learning_rate * grad_w1
    w2 -= learning_rate * grad_w2
    return loss


def _torch_block(config: Config, step: Callable[..., Any]) -> Block:
    import torch

    torch.set_num_threads(config.threads)
    problem = make_problem(config)
    x, y = torch.tensor(problem.x), torch.tensor(problem.y)

    def block(steps: int) -> tuple[float, Sequence[float]]:
        w1, w2, losses = torch.tensor(problem.w1), torch.tensor(problem.w2), []
        begin = perf_counter()
        for _ in range(steps):
            losses.append(step(x, y, w1, w2, config.learning_rate).item())
        return perf_counter() - begin, losses

    return block


def torch_loop(config: Config) -> Block:
    """The tutorial's loop in tensors."""
    return _torch_block(config, _torch_step)


def torch_compile(config: Config) -> Block:
    """The same step, compiled."""
    import torch

    return _torch_block(config, torch.compile(_torch_step))


def torch_autograd(config: Config) -> Block:
    """Forward, `loss.backward()`, `optimizer.step()`."""
    import torch

    torch.set_num_threads(config.threads)
    problem = make_problem(config)
    x, y = torch.tensor(problem.x), torch.tensor(problem.y)

    def block(steps: int) -> tuple[float, Sequence[float]]:
        w1 = torch.tensor(problem.w1, requires_grad=True)
        w2 = torch.tensor(problem.w2, requires_grad=True)
        optimizer = torch.optim.SGD([w1, w2], lr=config.learning_rate)
        losses = []
        begin = perf_counter()
        for _ in range(steps):
            loss = (x.mm(w1).clamp(min=0).mm(w2) - y).pow(2).sum()
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return perf_counter() - begin, losses

    return block


def jax_scan(method: str) -> Callable[[Config], Block]:
    """The iteration in `lax.scan`, compiled whole: no Python between the steps. For `gram`, x·xᵀ and x·w1 are
    computed before."""

    def contender(config: Config) -> Block:
        from twolayer.training.kernels.jax import Gram, Tutorial
        from twolayer.training.training import prepare

        kernel_type = Gram if method == "gram" else Tutorial
        problem = prepare(config, kernel_type=kernel_type)

        def block(steps: int) -> tuple[float, Sequence[float]]:
            with kernel_type.threads(config.threads):
                kernel = kernel_type(config, problem, kernel_type.start(problem), steps)
                kernel.synchronize()
                begin = perf_counter()
                kernel.steps(steps)
                kernel.synchronize()
                return perf_counter() - begin, kernel.losses().tolist()

        return block

    return contender


def large_product(config: Config) -> Block:
    """No training: a large product, as the time that the operations of the dual form take at its speed."""
    g = np.random.default_rng(0)
    a, b = (g.standard_normal((LARGE, LARGE)).astype(config.dtype) for _ in range(2))
    out = np.empty_like(a)
    share = flops_per_step(config, "gram") / (2 * LARGE**3)

    def block(steps: int) -> tuple[float, Sequence[float]]:
        begin = perf_counter()
        np.matmul(a, b, out=out)
        return (perf_counter() - begin) * share * steps, []

    return block


def scikit_learn(config: Config) -> Block:
    """`MLPRegressor`, full batch, without momentum or penalty. No losses: they are not the same."""
    from sklearn.neural_network import MLPRegressor

    warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")
    problem = make_problem(config)
    x, y = problem.x, problem.y.ravel() if config.D_out == 1 else problem.y
    model = MLPRegressor(
        hidden_layer_sizes=(config.H,),
        solver="sgd",
        alpha=0,
        momentum=0,
        batch_size=config.N,
        learning_rate_init=2 * config.N * config.learning_rate,
        shuffle=False,
        tol=0,
        warm_start=True,
        n_iter_no_change=LONGEST + 1,
    )
    model.partial_fit(x, y)  # makes the arrays of weights

    def block(steps: int) -> tuple[float, Sequence[float]]:
        model.set_params(max_iter=steps)
        model.coefs_ = [problem.w1.copy(), problem.w2.copy()]
        model.intercepts_ = [np.zeros_like(b) for b in model.intercepts_]
        begin = perf_counter()
        model.fit(x, y)
        return perf_counter() - begin, []

    return block


def ours(backend: str, method: str) -> Callable[[Config], Block]:
    """One of this project's own kernels, by its public functions."""

    def contender(config: Config) -> Block:
        from twolayer.training.training import advance, prepare, start

        config = replace(config, backend=backend, method=method)
        problem = prepare(config)
        first = start(config, problem)

        def block(steps: int) -> tuple[float, Sequence[float]]:
            chunk = advance(config, problem, first, steps)
            if chunk.diverged_at is not None:
                raise FloatingPointError(f"the loss of step {chunk.diverged_at} is not finite")
            return chunk.seconds, chunk.losses.tolist()

        return block

    return contender


CONTENDERS: dict[str, tuple[str, Callable[[Config], Block]]] = {
    "NumPy, the tutorial's loop": ("numpy", numpy_loop),
    "torch, the tutorial's loop": ("torch", torch_loop),
    "torch autograd, optim.SGD": ("torch", torch_autograd),
    "torch.compile of the step": ("torch", torch_compile),
    "JAX, jit and lax.scan": ("jax", jax_scan("tutorial")),
    "scikit-learn MLPRegressor": ("sklearn", scikit_learn),
    "JAX, the dual form": ("jax", jax_scan("gram")),
    "gram's operations at peak": ("numpy", large_product),
    **{
        f"ours: {backend} {method}": (backend, ours(backend, method))
        for backend in BACKENDS
        for method in ("tutorial", "fused", "gram")
    },
}
"""Name: the module it needs, and how it is prepared."""


def page_faults() -> int:
    """Those of this process so far; 0 where the platform does not tell."""
    if find_spec("resource") is None:
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def main() -> None:
    """Prepare the contender that the first argument names, then time a round for each line read."""
    keep_freed_memory()
    from threadpoolctl import threadpool_info

    # Answers are lines of JSON; what libraries print goes elsewhere
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    np.seterr(over="ignore", invalid="ignore")
    block = CONTENDERS[sys.argv[1]][1](Config(**json.loads(sys.argv[2])))

    _, losses = block(CHECKED_STEPS)  # compiles
    seconds = block(CHECKED_STEPS)[0] / CHECKED_STEPS
    steps = max(1, min(LONGEST, round(BLOCK_SECONDS / seconds)))
    block(steps)  # compiles for this length
    repeats = max(1, round(BLOCK_SECONDS / block(steps)[0]))
    blas = {f"{i['internal_api']} {i['version']} {i.get('architecture', '')}" for i in threadpool_info()}
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    answer = {"losses": list(map(float, losses)), "blas": sorted(blas), "cores": affinity}
    print(json.dumps(answer | {"steps": steps * repeats}), file=answers)
    for _ in sys.stdin:
        block(steps)  # not timed: caches and clock rates
        faults = page_faults()
        seconds = sum(block(steps)[0] for _ in range(repeats))
        faults = page_faults() - faults
        answer = {"seconds": seconds / (steps * repeats), "faults": faults / (steps * repeats)}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
