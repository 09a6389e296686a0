"""Trainings by the tutorial's lines, their outcomes and their curvature: nothing of the product."""

from dataclasses import dataclass
from functools import cache
from math import pi, sqrt

import numpy as np

from tests.pages.by_loops import Array, drawn


@dataclass(frozen=True)
class Trained:
    """What came of a training."""

    losses: list[float]
    """Those that are finite."""
    diverged_at: int | None
    dead: int
    """Hidden units that are active for no sample at the end."""
    zero: float
    """The loss of a network that always outputs 0."""
    outcome: str


@cache
def trained(sizes: tuple[int, int, int, int], seed: int, rate: float, steps: int) -> Trained:
    """Train with the tutorial's lines in float64; the sizes are N, D_in, H, D_out."""
    x, y, w1, w2 = drawn(*sizes, seed).values()
    losses: list[float] = []
    with np.errstate(all="ignore"):
        for _ in range(steps):
            loss = np.square(np.maximum(x @ w1, 0) @ w2 - y).sum()
            if not np.isfinite(loss):
                break
            losses.append(float(loss))
            to_w1, to_w2 = gradients(x, y, w1, w2)
            w1, w2 = w1 - rate * to_w1, w2 - rate * to_w2
    diverged_at = len(losses) if len(losses) < steps else None
    dead = sum(not any(row > 0 for row in unit) for unit in (x @ w1).T) if diverged_at is None else 0
    zero = sum(float(value) ** 2 for value in y.flat)
    return Trained(losses, diverged_at, dead, zero, outcome(sizes, losses, diverged_at, dead, zero))


def gradients(x: Array, y: Array, w1: Array, w2: Array) -> tuple[Array, Array]:
    h = x @ w1
    outer = 2 * (np.maximum(h, 0) @ w2 - y)
    return x.T @ np.where(h < 0, 0, outer @ w2.T), np.maximum(h, 0).T @ outer


def outcome(
    sizes: tuple[int, int, int, int], losses: list[float], diverged_at: int | None, dead: int, zero: float
) -> str:
    """The outcome by its definition in the documentation."""
    if diverged_at is not None:
        return "diverges"
    first, last, tenth = losses[0], losses[-1], losses[-1 - len(losses) // 10 :]
    if dead == sizes[2] and abs(last - zero) < 1e-5 * zero:
        return "dead"
    if last > 1.00001 * first:
        return "rises"
    if last < zero / 10:
        return "converges"
    if first - last < 1e-5 * first or max(tenth) - min(tenth) >= 0.01 * min(last, first - last):
        return "slow"
    chance = 2.0 ** -sizes[0]
    if dead > sizes[2] * (0.1 + chance) + 3 * sqrt(sizes[2] * chance * (1 - chance)):
        return "dead"
    return "converges" if last < zero else "slow"


def sharpness(sizes: tuple[int, int, int, int], seed: int, rate: float, steps: int) -> float:
    """λmax after so many steps: of the Hessian, column by column by differences of the gradient."""
    x, y, w1, w2 = drawn(*sizes, seed).values()
    for _ in range(steps):
        to_w1, to_w2 = gradients(x, y, w1, w2)
        w1, w2 = w1 - rate * to_w1, w2 - rate * to_w2
    columns = []
    for unit in np.eye(w1.size + w2.size) * 1e-6:
        d1, d2 = unit[: w1.size].reshape(w1.shape), unit[w1.size :].reshape(w2.shape)
        ahead, behind = (gradients(x, y, w1 + side * d1, w2 + side * d2) for side in (1, -1))
        columns.append(np.concatenate([(a - b).ravel() / 2e-6 for a, b in zip(ahead, behind, strict=True)]))
    return float(np.linalg.eigvalsh((np.array(columns) + np.array(columns).T) / 2)[-1])


def expected_sharpness(N: int, D_in: int, H: int, D_out: int) -> float:
    """What the sizes let expect of λmax at the start, with standard normal data and weights."""
    rows = H * D_in / 2 + (N - 1) * H * D_in / (2 * pi)  # of h_relu·h_reluᵀ
    active = (sqrt(N) + sqrt(D_in)) ** 2 / 4 + D_in / 4
    return 2 * rows + 2 * active * H * (1 + sqrt(2 * D_out / H)) ** 2


def recommended(shares: dict[float, list[float | None]]) -> tuple[float, float, float]:
    """The rate and its band, lowest and highest, from the final losses as shares of Σy² by rate and seed:
    None where a training does not converge. Every seed has to have come nine tenths of its way."""
    lowest = [
        min(share for share in seed if share is not None) for seed in zip(*shares.values(), strict=True)
    ]
    most = [least + 0.1 * (1 - least) if least >= 0.1 else 0.1 for least in lowest]
    good = [
        all(share is not None and share <= limit for share, limit in zip(of_rate, most, strict=True))
        for of_rate in shares.values()
    ]
    rates, best = list(shares), (0, 0)
    for start in range(len(rates)):
        end = start
        while end < len(rates) and good[end]:
            end += 1
        if end > start and end - start >= best[1] - best[0]:
            best = (start, end)
    low, high = rates[best[0]], rates[best[1] - 1]
    assert best[1] > best[0]
    return (sqrt(low * high) if high < 1.6**2 * low else high / 1.6), low, high
