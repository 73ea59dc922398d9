"""Rows -> figures: each measure of each method with its interval, and its difference to the baseline over the same cases."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vouchrec.evals.intervals import (
    Interval,
    Resample,
    bootstrap_ratio,
    bootstrap_statistic,
    holm,
    paired_ratio,
    swap_test,
)
from vouchrec.evals.metrics import gini
from vouchrec.evals.runs.measures import Measure, Row
from vouchrec.evals.runs.records import Manifest

__all__ = ["Difference", "Figure", "differences", "figures"]

_Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure of one method.

    Attributes:
        cases: Number of cases that it is made of.
        gain: Difference to the baseline over the cases that both have; None for the baseline itself, or without one.
    """

    group: str
    method: str
    measure: Measure
    interval: Interval
    cases: int
    gain: Difference | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """How a measure of two methods differs over the same cases.

    Attributes:
        interval: Own minus base.
        p: Two-sided, by swapping case by case; NaN for figures of whole sets of lists, which have no value per case.
        adjusted: The same after Holm's correction for all differences of one comparison.
        cases: Number of cases that both have.
    """

    interval: Interval
    p: float
    adjusted: float
    cases: int

    @property
    def established(self) -> bool:
        """Whether the sign is established at 95%: by the corrected p-value, or by the interval where there is none."""
        return self.interval.excludes_zero and (math.isnan(self.adjusted) or self.adjusted < 0.05)


def figures(manifest: Manifest, rows: Sequence[Row]) -> list[Figure]:
    """Return all figures of a run: by group, then method, then measure; measures without any value are left out."""
    n_items = int(str(manifest.facts.get("items", 0)))
    found: list[Figure] = []
    for group in dict.fromkeys(row.group for row in rows):
        by_method = {m: [r for r in rows if r.group == group and r.method == m] for m in manifest.methods}
        base = by_method.get(manifest.baseline, [])
        for method, own in by_method.items():
            compared = (
                differences(manifest.measures, own, base, manifest.seed, n_items) if method != manifest.baseline else {}
            )
            for measure in manifest.measures:
                value = _figure(measure, own, manifest.seed, n_items)
                if value is not None:
                    found.append(Figure(group, method, measure, value[0], value[1], compared.get(measure.name)))
    return found


def differences(
    measures: Iterable[Measure], own: Sequence[Row], base: Sequence[Row], seed: int, n_items: int = 0
) -> dict[str, Difference]:
    """Compare two methods over the cases that both have, measure by measure; p-values are corrected for their number.

    Args:
        own, base: Rows of one group; paired by case.
        seed: Seed of resamples and swaps.
        n_items: Size of the catalogue, for figures of whole sets of lists.
    """
    theirs = {row.case: row for row in base}
    pairs = [(row, theirs[row.case]) for row in own if row.case in theirs]
    raw: dict[str, Difference] = {}
    for measure in measures:
        found = _difference(measure, pairs, seed, n_items) if pairs else None
        if found is not None:
            raw[measure.name] = found
    tested = [name for name, d in raw.items() if not math.isnan(d.p)]
    adjusted = dict(zip(tested, holm([raw[name].p for name in tested]), strict=True))
    return {name: Difference(d.interval, d.p, adjusted.get(name, math.nan), d.cases) for name, d in raw.items()}


def _figure(measure: Measure, rows: Sequence[Row], seed: int, n_items: int) -> tuple[Interval, int] | None:
    if measure.kind in ("coverage", "gini"):
        listed = [row for row in rows if row.items]
        if not listed or not n_items:
            return None
        statistic = _Whole(measure, listed, n_items)
        return bootstrap_statistic(lambda sample: statistic(sample), len(listed), seed=seed, resamples=500), len(listed)
    parts, wholes = _columns(measure, rows)
    if not wholes.sum():
        return None
    return bootstrap_ratio(parts, wholes, seed=seed), int((wholes > 0).sum())


def _difference(measure: Measure, pairs: Sequence[tuple[Row, Row]], seed: int, n_items: int) -> Difference | None:
    if measure.kind in ("coverage", "gini"):
        listed = [(a, b) for a, b in pairs if a.items and b.items]
        if not listed or not n_items:
            return None
        mine, theirs = (_Whole(measure, [pair[side] for pair in listed], n_items) for side in (0, 1))
        interval = bootstrap_statistic(
            lambda sample: mine(sample) - theirs(sample), len(listed), seed=seed, resamples=500
        )
        return Difference(interval, math.nan, math.nan, len(listed))
    ours, base = (_columns(measure, [pair[side] for pair in pairs]) for side in (0, 1))
    both = (ours[1] > 0) & (base[1] > 0) if measure.kind == "mean" else np.ones(len(pairs), np.bool_)
    (a, b), (c, d) = ((p[both], w[both]) for p, w in (ours, base))
    if not len(a) or not b.sum() or not d.sum():
        return None
    interval = paired_ratio((a, b), (c, d), seed=seed)
    return Difference(interval, swap_test((a, b), (c, d), seed=seed), math.nan, len(a))


def _columns(measure: Measure, rows: Sequence[Row]) -> tuple[_Numbers, _Numbers]:
    """Return numerator and denominator of each case; an undefined value counts in neither."""
    parts = np.asarray([row.values.get(measure.column, math.nan) for row in rows], np.float64)
    over = [row.values.get(measure.over, math.nan) for row in rows] if measure.over else [1.0] * len(rows)
    wholes = np.asarray(over, np.float64)
    defined = np.isfinite(parts) & np.isfinite(wholes)
    return np.where(defined, parts, 0.0), np.where(defined, wholes, 0.0)


class _Whole:
    """A figure of all lists together, over a resample of them."""

    def __init__(self, measure: Measure, rows: Sequence[Row], n_items: int) -> None:
        self._measure, self._n_items = measure, n_items
        ids: Mapping[str, int] = {i: n for n, i in enumerate(dict.fromkeys(i for row in rows for i in row.items))}
        longest = max(len(row.items) for row in rows)
        self._lists = np.full((len(rows), longest), len(ids), np.int64)
        for index, row in enumerate(rows):
            self._lists[index, : len(row.items)] = [ids[i] for i in row.items]
        self._known = len(ids)

    def __call__(self, sample: Resample) -> float:
        counts = np.bincount(self._lists[sample].ravel(), minlength=self._known + 1)[: self._known]
        if self._measure.kind == "coverage":
            return float((counts > 0).sum()) / self._n_items
        return gini(np.concatenate([np.zeros(max(0, self._n_items - self._known), np.int64), counts]))
