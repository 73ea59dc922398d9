"""Bootstrap intervals over cases (people, dialogues): how far a figure would move with other people of the same kind.

Source: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 6 and 13. Everything is seeded: the same
values and seed give the same interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Interval", "bootstrap", "bootstrap_statistic", "paired_bootstrap"]

Resample: TypeAlias = npt.NDArray[np.int64]
"""(n,) int64: indices of cases, drawn with replacement."""
_AT_ONCE = 2_000_000
"""Indices drawn at a time, which bounds memory (16 MB)."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its confidence interval.

    Attributes:
        value: The figure over all cases.
        low, high: Ends of the interval.
    """

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside: for a difference, whether its sign is established at this confidence."""
        return self.low > 0 or self.high < 0


def bootstrap(values: Sequence[float], *, seed: int, resamples: int = 10_000, confidence: float = 0.95) -> Interval:
    """Return the mean with its percentile bootstrap interval.

    Args:
        values: One number per case; undefined ones (NaN) must have been left out.
        seed: Seed of the resampling.
        resamples: Number of resamples.
        confidence: Coverage of the interval, in (0, 1).

    Raises:
        ValueError: No values, or one is not finite.
    """
    array = _checked(values)
    means = np.empty(resamples)
    rng = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // len(array))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        means[start : start + size] = array[rng.integers(len(array), size=(size, len(array)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(array.mean()), float(low), float(high))


def paired_bootstrap(
    values: Sequence[float],
    baseline: Sequence[float],
    *,
    seed: int,
    resamples: int = 10_000,
    confidence: float = 0.95,
) -> Interval:
    """Return the mean difference of two methods over the same cases, with its interval.

    Args:
        values: One number per case.
        baseline: The baseline's number for the same case, in the same order.
        seed: Seed of the resampling.
        resamples: Number of resamples.
        confidence: Coverage of the interval, in (0, 1).

    Raises:
        ValueError: No values, one is not finite, or the lengths differ.
    """
    mine, theirs = _checked(values), _checked(baseline)
    if len(mine) != len(theirs):
        raise ValueError(f"{len(mine)} values against {len(theirs)}: the cases must be the same")
    return bootstrap((mine - theirs).tolist(), seed=seed, resamples=resamples, confidence=confidence)


def bootstrap_statistic(
    statistic: Callable[[Resample], float],
    n: int,
    *,
    seed: int,
    resamples: int = 1_000,
    confidence: float = 0.95,
) -> Interval:
    """Return a figure of a whole set of cases that is not a mean (coverage), with a normal interval around it.

    The spread is the standard deviation over resamples. The ends are not percentiles: a resample repeats cases, so that
    a count of distinct things is smaller in it, and its percentiles would lie beside the figure.

    Args:
        statistic: Takes indices of cases and returns the figure; called once with all cases in order.
        n: Number of cases.
        seed: Seed of the resampling.
        resamples: Number of resamples.
        confidence: Coverage of the interval, in (0, 1).

    Raises:
        ValueError: There are no cases.
    """
    if n < 1:
        raise ValueError("no cases")
    rng = np.random.default_rng(seed)
    value = statistic(np.arange(n, dtype=np.int64))
    spread = float(np.std([statistic(rng.integers(n, size=n)) for _ in range(resamples)]))
    half = NormalDist().inv_cdf((1 + confidence) / 2) * spread
    return Interval(value, value - half, value + half)


def _checked(values: Sequence[float] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if len(array) == 0:
        raise ValueError("no values")
    if not np.isfinite(array).all():
        raise ValueError("a value is not finite: leave undefined cases out")
    return array
