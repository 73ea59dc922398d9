"""The learned blend: a conditional logit over all films, one weight per signal and group of contexts.

P(j | context) is the softmax over the films that may be ranked of the sum of weight x signal. The likelihood is concave in the
weights, so Newton's method finds the one best solution, without a learning rate or a seed.

Source: McFadden, "Conditional logit analysis of qualitative choice behavior", 1973.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vouchrec.evals.redial.features import Floats

__all__ = ["Blend", "Choices", "fit_blend"]

Doubles = npt.NDArray[np.float64]
ROUNDS = 25
TOLERANCE = 1e-5
SHORTEST = 1e-3
"""Part of a Newton step below which no shorter one is tried."""


@dataclass(frozen=True, slots=True)
class Choices:
    """Contexts with what was named next.

    Attributes:
        signals: (n, n films, n signals) float32.
        banned: (n, n films) bool, films that may not be ranked.
        wanted: (n, n films) bool, the films that were named; none of them banned.
        groups: (n,) int, the group of each context, from 0.
    """

    signals: Floats
    banned: npt.NDArray[np.bool_]
    wanted: npt.NDArray[np.bool_]
    groups: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Blend:
    """Learned weights.

    Attributes:
        names: Of the signals.
        weights: (n groups, n signals) float64.
    """

    names: tuple[str, ...]
    weights: Doubles

    def score(self, signals: Floats, groups: npt.NDArray[np.int64]) -> Floats:
        """Return (n, n films) float32 for signals (n, n films, n signals)."""
        weights = self.weights[groups].astype(np.float32)
        return np.matmul(signals, weights[:, :, None])[:, :, 0]


def fit_blend(names: Sequence[str], choices: Sequence[Choices], *, l2: float, group_l2: float, groups: int) -> Blend:
    """Return the weights that make what was named likeliest.

    Args:
        names: Of the signals.
        choices: Contexts in blocks, which may have been scored by different models; at least one context names something.
        l2: Penalty on the common weights; a context that names something counts 1.
        group_l2: Penalty on a group's distance from the common weights.
        groups: Number of groups.
    """
    common = _newton([*choices], np.zeros(len(names)), l2, None)
    rows = [_newton([*choices], common, group_l2, group) for group in range(groups)]
    return Blend(tuple(names), np.stack(rows))


def _newton(choices: Sequence[Choices], centre: Doubles, l2: float, group: int | None) -> Doubles:
    """Maximise the likelihood less l2 / 2 times the squared distance from a centre."""
    weights = centre.copy()
    value, slope, bend = _likelihood(choices, weights, centre, l2, group)
    for _ in range(ROUNDS):
        step = np.linalg.solve(bend, slope)
        size = 1.0
        tried = _likelihood(choices, weights + step, centre, l2, group)
        while tried[0] < value and size > SHORTEST:
            size /= 2
            tried = _likelihood(choices, weights + size * step, centre, l2, group)
        gain = tried[0] - value
        if gain < 0:
            break
        weights = weights + size * step
        value, slope, bend = tried
        if gain < TOLERANCE * abs(value):
            break
    return weights


def _likelihood(
    choices: Sequence[Choices], weights: Doubles, centre: Doubles, l2: float, group: int | None
) -> tuple[float, Doubles, Doubles]:
    """Return the penalised log-likelihood, its gradient and the negative of its Hessian."""
    away = weights - centre
    value, slope = -0.5 * l2 * float(away @ away), -l2 * away
    bend = l2 * np.eye(len(weights))
    for block in choices:
        kept = np.flatnonzero(block.wanted.any(axis=1) & ((block.groups == group) if group is not None else True))
        for row in kept:
            part = _one(block.signals[row], block.banned[row], block.wanted[row], weights)
            value, slope, bend = value + part[0], slope + part[1], bend + part[2]
    return value, slope, bend


def _one(
    signals: Floats, banned: npt.NDArray[np.bool_], wanted: npt.NDArray[np.bool_], weights: Doubles
) -> tuple[float, Doubles, Doubles]:
    """One context's log-likelihood (mean over what was named), gradient and information."""
    logits = np.where(banned, -np.inf, signals @ weights.astype(np.float32))
    highest = float(logits.max())
    chances = np.exp(logits - highest)
    total = float(chances.sum())
    chances /= total
    value = float(logits[wanted].mean()) - highest - float(np.log(total))
    mean = chances @ signals
    bend = (signals * chances[:, None]).T @ signals - np.outer(mean, mean)
    return value, (signals[wanted].mean(axis=0) - mean).astype(np.float64), bend.astype(np.float64)
