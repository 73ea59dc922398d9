"""Bootstrap intervals over cases (people, dialogues): how far a figure would move with other people of the same kind.

Source: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 6 and 13. Whether two methods differ at all
is asked of the same cases by swapping. Everything is seeded: the same values and seed give the same interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "Interval",
    "bootstrap",
    "bootstrap_ratio",
    "bootstrap_statistic",
    "holm",
    "paired_bootstrap",
    "paired_ratio",
    "swap_test",
    "wilson",
]

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
    _same_length(mine, theirs)
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


Values: TypeAlias = Sequence[float] | npt.NDArray[np.float64]
"""(n,) one number per case, or (n, m): a column per figure, all over the same cases."""
_Matrix: TypeAlias = npt.NDArray[np.float64]


def bootstrap_ratio(
    parts: Values, wholes: Values, *, seed: int, resamples: int = 10_000, confidence: float = 0.95
) -> list[Interval]:
    """Return sum(parts) / sum(wholes) of each column with its percentile interval over cases.

    For shares whose cases are of unequal size: the turns of one conversation are not independent, so what is drawn again is
    the conversation with all of its turns. With wholes of 1 it is the mean.

    Args:
        parts: Numerator of each case.
        wholes: Denominator of each case, from 0 up; 0 where the figure is undefined for the case.
        seed: Seed of the resampling; every column is resampled alike.
        resamples: Number of resamples; those without a denominator are left out.
        confidence: Coverage of the interval, in (0, 1).

    Raises:
        ValueError: No cases, a number is not finite, the shapes differ, or all wholes of a column are 0.
    """
    above, below = _pair(parts, wholes)
    found = [_divided(w @ above, w @ below) for w in _draws(len(above), seed, resamples)]
    return _percentiles(above.sum(axis=0) / below.sum(axis=0), np.concatenate(found), confidence)


def paired_ratio(
    own: tuple[Values, Values],
    base: tuple[Values, Values],
    *,
    seed: int,
    resamples: int = 10_000,
    confidence: float = 0.95,
) -> list[Interval]:
    """Return the difference of two ratios over the same cases (own - base) of each column, with its percentile interval.

    Args:
        own: Numerators and denominators, as in `bootstrap_ratio`.
        base: The same of the other method for the same cases, in the same order.
        seed: Seed of the resampling.
        resamples: Number of resamples.
        confidence: Coverage of the interval, in (0, 1).

    Raises:
        ValueError: As `bootstrap_ratio`.
    """
    (a, b), (c, d) = _pair(*own), _pair(*base)
    _same_length(a, c)
    found = [_divided(w @ a, w @ b) - _divided(w @ c, w @ d) for w in _draws(len(a), seed, resamples)]
    return _percentiles(_difference(a, b, c, d), np.concatenate(found), confidence)


def swap_test(
    own: tuple[Values, Values], base: tuple[Values, Values], *, seed: int, trials: int = 10_000
) -> list[float]:
    """Return for each column the two-sided p-value of "the methods are interchangeable": how often swapping them case by
    case at random gives a difference of ratios at least as large as the one seen.

    p = (1 + trials at least as large) / (1 + trials), so never 0. Source: Fisher's randomisation test, as Smucker, Allan &
    Carterette, "A comparison of statistical significance tests for information retrieval evaluation", CIKM 2007.

    Raises:
        ValueError: As `bootstrap_ratio`.
    """
    (a, b), (c, d) = _pair(*own), _pair(*base)
    _same_length(a, c)
    seen = np.abs(_difference(a, b, c, d))
    rng = np.random.default_rng(seed)
    larger, done = np.zeros(a.shape[1], np.int64), 0
    while done < trials:
        size = min(max(1, _AT_ONCE // len(a)), trials - done)
        swapped = (rng.random((size, len(a))) < 0.5).astype(np.float64)
        above, below = swapped @ (c - a), swapped @ (d - b)  # what our sums gain and theirs lose by swapping
        ours = _divided(a.sum(axis=0) + above, b.sum(axis=0) + below)
        theirs = _divided(c.sum(axis=0) - above, d.sum(axis=0) - below)
        larger += (np.abs(ours - theirs) >= seen - 1e-12).sum(axis=0)
        done += size
    return [float((1 + count) / (1 + trials)) for count in larger]


def wilson(hits: int, total: int) -> tuple[float, float]:
    """Return Wilson's 95% interval of a proportion; (0, 1) when there are no cases (Wilson, JASA 22, 1927)."""
    if total == 0:
        return 0.0, 1.0
    z, p = 1.959964, hits / total
    centre = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return max(0.0, centre - half), min(1.0, centre + half)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number: the chance of any false alarm stays at the level.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 1979.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, p_values[index] * (len(p_values) - place)))
        adjusted[index] = highest
    return adjusted


def _draws(n: int, seed: int, resamples: int) -> Iterator[_Matrix]:
    """Yield (some, n) float64: how often each case is drawn in each resample, a bounded number at a time."""
    rng = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // n)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        flat = rng.integers(n, size=(size, n)) + np.arange(size)[:, None] * n
        yield np.bincount(flat.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def _divided(parts: _Matrix, wholes: _Matrix) -> _Matrix:
    """Return parts / wholes, NaN where there is no whole."""
    return np.divide(parts, wholes, out=np.full(parts.shape, np.nan), where=wholes > 1e-12)


def _difference(a: _Matrix, b: _Matrix, c: _Matrix, d: _Matrix) -> _Matrix:
    return a.sum(axis=0) / b.sum(axis=0) - c.sum(axis=0) / d.sum(axis=0)


def _percentiles(values: _Matrix, found: _Matrix, confidence: float) -> list[Interval]:
    low, high = np.nanquantile(found, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return [Interval(float(v), float(a), float(b)) for v, a, b in zip(values, low, high, strict=True)]


def _pair(parts: Values, wholes: Values) -> tuple[_Matrix, _Matrix]:
    """Return both as (n, m)."""
    above, below = _checked(parts), _checked(wholes)
    _same_length(above, below)
    if (below < 0).any() or (below.sum(axis=0) == 0).any():
        raise ValueError("the denominators must be from 0 up, and not all 0")
    return above.reshape(len(above), -1), below.reshape(len(below), -1)


def _same_length(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> None:
    if len(one) != len(other):
        raise ValueError(f"{len(one)} values against {len(other)}: the cases must be the same")
    if one.shape != other.shape:
        raise ValueError(f"{one.shape} values against {other.shape}: the figures must be the same")


def _checked(values: Sequence[float] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if len(array) == 0:
        raise ValueError("no values")
    if not np.isfinite(array).all():
        raise ValueError("a value is not finite: leave undefined cases out")
    return array
