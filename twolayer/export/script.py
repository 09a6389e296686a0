"""Eject: a run as one plain Python script that needs nothing of this project.

The script is written in the tutorial's style and in the run's own method, with the same operations in
the same order, so that on the same machine it prints the run's losses to the last bit. The tests run
the scripts; this is what keeps them equal to the kernels.
"""

from collections.abc import Sequence
from dataclasses import asdict
from string import Template

from twolayer.training.config import DEFAULTS, Config
from twolayer.training.edits import Edit

_HEAD = Template('''\
"""A two-layer ReLU network trained by gradient descent, its backward pass written by hand.

$settings

After the PyTorch tutorial "Learning PyTorch with Examples": h = x·w1, h_relu = max(h, 0),
y_pred = h_relu·w2, loss = Σ (y_pred − y)². Prints each step and its loss, from before its update.
"""

$imports

N, D_in, H, D_out = $N, $D_in, $H, $D_out
learning_rate = $learning_rate
steps = $steps

# One fixed random batch and the initial weights, drawn in this order
g = np.random.default_rng($seed)
x = g.standard_normal((N, D_in)).astype(np.$dtype)
y = g.standard_normal((N, D_out)).astype(np.$dtype)
w1 = g.standard_normal((D_in, H)).astype(np.$dtype)
w2 = g.standard_normal((H, D_out)).astype(np.$dtype)
$prepare
for t in range(steps):
$edits$step
''')

_NUMPY_THREADS = """\
import os

for library in ("OPENBLAS", "MKL", "OMP", "VECLIB", "BLIS"):  # before NumPy is loaded
    os.environ[f"{library}_NUM_THREADS"] = "$threads"

import numpy as np
"""
_NUMPY_IMPORTS = (
    _NUMPY_THREADS
    + """
np.seterr(over="ignore", invalid="ignore")
"""
)
_SCIPY_IMPORTS = (
    _NUMPY_THREADS
    + """from scipy.linalg.blas import $axpy as axpy, $dot as dot, $gemm as gemm

np.seterr(over="ignore", invalid="ignore")
"""
)
_TORCH_IMPORTS = """\
import numpy as np
import torch

np.seterr(over="ignore")
torch.set_num_threads($threads)
device = torch.device("$device")
"""

_SHOW = """\
    if not np.isfinite(loss):
        break
    print(t, float(loss))
"""

_GRAM_CONSTANTS = """
# The dual form: the batch is fixed, so w1 = w1_start − xᵀ·S, and h = h_start − K·S needs x no more.
# Its constants are products in float64, rounded once.
K = (x.astype(np.float64) @ x.astype(np.float64).T).astype(x.dtype, order="F")
h_start = (x.astype(np.float64) @ w1.astype(np.float64)).astype(x.dtype, order="F") + 0
S = np.zeros_like(h_start)
"""

_NUMPY_TUTORIAL_STEP = (
    """\
    # Forward pass: predicted y
    h = x.dot(w1)
    h_relu = np.maximum(h, 0)
    y_pred = h_relu.dot(w2)

    # Loss
    loss = np.square(y_pred - y).sum()
"""
    + _SHOW
    + """
    # Backward pass: the gradients of the loss with respect to w1 and w2
    grad_y_pred = 2.0 * (y_pred - y)
    grad_w2 = h_relu.T.dot(grad_y_pred)
    grad_h_relu = grad_y_pred.dot(w2.T)
    grad_h = grad_h_relu.copy()
    grad_h[h < 0] = 0
    grad_w1 = x.T.dot(grad_h)

    # Weight update
    w1 -= learning_rate * grad_w1
    w2 -= learning_rate * grad_w2"""
)

_BLAS_ARRAYS = """
# Arrays that are made once, in the order of Fortran, which BLAS wants. gemm(α, a, b, β, c) writes
# α·a·b + β·c into c.
y, w2 = np.asfortranarray(y), np.asfortranarray(w2)
h = np.empty((N, H), x.dtype, order="F")
h_relu, grad_h = np.empty_like(h), np.empty_like(h)
difference = np.empty_like(y)
"""


def _blas_step(hidden: str, update: str) -> str:
    return f"""\
    # Forward pass: y_pred − y
{hidden}
    np.maximum(h, 0, out=h_relu)
    np.copyto(difference, y)
    gemm(1.0, h_relu, w2, -1.0, difference, overwrite_c=True)

    # Loss
    loss = dot(difference.ravel("K"), difference.ravel("K"))
{_SHOW}
    # Backward pass; the factor 2 of grad_y_pred is in the rate
    rate = 2 * learning_rate
    gemm(1.0, difference, w2, 0.0, grad_h, trans_b=True, overwrite_c=True)
    grad_h[h < 0] = 0

    # Weight update
    gemm(-rate, h_relu, difference, 1.0, w2, trans_a=True, overwrite_c=True)
{update}"""


_TENSORS = """
# The same numbers as tensors
$names = (torch.tensor(array, device=device) for array in ($arrays))
"""

_TORCH_TUTORIAL_STEP = (
    """\
    # Forward pass: predicted y
    h = x.mm(w1)
    h_relu = h.clamp(min=0)
    y_pred = h_relu.mm(w2)

    # Loss
    loss = (y_pred - y).pow(2).sum().item()
"""
    + _SHOW
    + """
    # Backward pass: the gradients of the loss with respect to w1 and w2
    grad_y_pred = 2.0 * (y_pred - y)
    grad_w2 = h_relu.t().mm(grad_y_pred)
    grad_h_relu = grad_y_pred.mm(w2.t())
    grad_h = grad_h_relu.clone()
    grad_h[h < 0] = 0
    grad_w1 = x.t().mm(grad_h)

    # Weight update
    w1 -= learning_rate * grad_w1
    w2 -= learning_rate * grad_w2"""
)

_TORCH_ARRAYS = """
# Tensors that are made once
h = torch.empty(N, H, dtype=y.dtype, device=device)
h_relu, grad_h, difference = torch.empty_like(h), torch.empty_like(h), torch.empty_like(y)
"""


def _torch_step(hidden: str, update: str) -> str:
    return f"""\
    # Forward pass: y_pred − y
{hidden}
    torch.clamp(h, min=0, out=h_relu)
    torch.addmm(y, h_relu, w2, beta=-1, out=difference)

    # Loss
    loss = torch.dot(difference.view(-1), difference.view(-1)).item()
{_SHOW}
    # Backward pass; the factor 2 of grad_y_pred is in the rate
    rate = 2 * learning_rate
    torch.mm(difference, w2.t(), out=grad_h)
    grad_h.masked_fill_(h < 0, 0.0)

    # Weight update
    w2.addmm_(h_relu.t(), difference, alpha=-rate)
{update}"""


_PARTS = {
    ("numpy", "tutorial"): (_NUMPY_IMPORTS, "", _NUMPY_TUTORIAL_STEP),
    ("numpy", "fused"): (
        _SCIPY_IMPORTS,
        _BLAS_ARRAYS + "x, w1 = np.asfortranarray(x), np.asfortranarray(w1)\n",
        _blas_step(
            "    gemm(1.0, x, w1, 0.0, h, overwrite_c=True)",
            "    gemm(-rate, x, grad_h, 1.0, w1, trans_a=True, overwrite_c=True)",
        ),
    ),
    ("numpy", "gram"): (
        _SCIPY_IMPORTS,
        _GRAM_CONSTANTS + _BLAS_ARRAYS,
        _blas_step(
            "    np.copyto(h, h_start)\n    gemm(-1.0, K, S, 1.0, h, overwrite_c=True)",
            '    axpy(grad_h.ravel("K"), S.ravel("K"), a=rate)  # S += rate · grad_h',
        ),
    ),
    ("torch", "tutorial"): (
        _TORCH_IMPORTS,
        Template(_TENSORS).substitute(names="x, y, w1, w2", arrays="x, y, w1, w2"),
        _TORCH_TUTORIAL_STEP,
    ),
    ("torch", "fused"): (
        _TORCH_IMPORTS,
        Template(_TENSORS).substitute(names="x, y, w1, w2", arrays="x, y, w1, w2") + _TORCH_ARRAYS,
        _torch_step(
            "    torch.mm(x, w1, out=h)", "    w1.addmm_(x.t(), grad_h, alpha=-rate)"
        ),
    ),
    ("torch", "gram"): (
        _TORCH_IMPORTS,
        _GRAM_CONSTANTS
        + Template(_TENSORS).substitute(names="K, h_start, S, y, w2", arrays="K, h_start, S, y, w2")
        + _TORCH_ARRAYS,
        _torch_step(
            "    torch.addmm(h_start, K, S, alpha=-1, out=h)", "    S.add_(grad_h, alpha=rate)"
        ),
    ),
}  # fmt: skip
"""For each backend × method: the imports, what is prepared, and the step."""


def script(config: Config, edits: Sequence[Edit] = (), steps: int | None = None) -> str:
    """The run of `config` and `edits` as a Python script; only its first `steps` steps, if given.

    It prints a line `step loss` for each step whose loss is finite. What it needs is NumPy, SciPy for
    the methods `fused` and `gram`, or PyTorch.
    """
    imports, prepare, step = _PARTS[config.backend, config.method_used]
    single = config.dtype == "float32"
    blas = {name: f"{'s' if single else 'd'}{name}" for name in ("gemm", "axpy", "dot")}
    changed = [edit for edit in edits if edit.field == "learning_rate"]
    total = (
        steps if steps is not None else [config.steps, *(e.value for e in edits if e.field == "steps")][-1]
    )
    return _HEAD.substitute(
        asdict(config),
        settings=_settings(config),
        imports=Template(imports).substitute(asdict(config), **blas).rstrip(),
        learning_rate=repr(config.learning_rate),
        steps=total,
        prepare=prepare,
        edits="".join(
            f"    if t == {edit.step}:  # changed on the way\n        learning_rate = {edit.value!r}\n\n"
            for edit in changed
        ),
        step=step,
    )


def _settings(config: Config) -> str:
    fields = {**asdict(config), "method": config.method_used}
    told = {"backend", "method", "dtype", "seed"}
    return ", ".join(f"{k} {v}" for k, v in fields.items() if k in told or v != DEFAULTS[k])
