"""Rows -> figures: each measure of each method with its interval, and its difference to the baseline over the same cases."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

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
    wilson,
)
from vouchrec.evals.metrics import gini
from vouchrec.evals.runs.measures import Measure, Row
from vouchrec.evals.runs.records import Manifest

__all__ = ["Difference", "Figure", "differences", "figures"]

_Numbers = npt.NDArray[np.float64]
_OF_LISTS = ("coverage", "gini")
"""Kinds of measures that have no value per case."""


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
            compared: dict[str, Difference] = {}
            if method != manifest.baseline:
                compared = differences(manifest.measures, own, base, manifest.seed, n_items)
            values = _values(manifest.measures, own, manifest.seed, n_items)
            found += [
                Figure(group, method, m, *values[m.name], compared.get(m.name))
                for m in manifest.measures
                if m.name in values
            ]
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
    listed = list(measures)
    raw = _of_cases(listed, pairs, seed) | _of_lists(listed, pairs, seed, n_items) if pairs else {}
    tested = [name for name, d in raw.items() if not math.isnan(d.p)]
    adjusted = dict(zip(tested, holm([raw[name].p for name in tested]), strict=True))
    return {m.name: replace(raw[m.name], adjusted=adjusted.get(m.name, math.nan)) for m in listed if m.name in raw}


def _values(
    measures: Sequence[Measure], rows: Sequence[Row], seed: int, n_items: int
) -> dict[str, tuple[Interval, int]]:
    """Return each measure with its interval and the number of cases that it is made of."""
    plain, parts, wholes = _columns(measures, rows)
    found: dict[str, tuple[Interval, int]] = {}
    if plain:
        cases = (wholes > 0).sum(axis=0)
        intervals = bootstrap_ratio(parts, wholes, seed=seed)
        found = {m.name: (interval, int(n)) for m, interval, n in zip(plain, intervals, cases, strict=True)}
    # Where all cases are alike, drawing them again says nothing: a share has Wilson's interval.
    for column, measure in enumerate(plain):
        if measure.kind == "share":
            hits, total = round(parts[:, column].sum()), found[measure.name][1]
            found[measure.name] = (Interval(hits / total, *wilson(hits, total)), total)
    shown = [row for row in rows if row.items]
    for measure in measures if shown and n_items else ():
        if measure.kind in _OF_LISTS:
            interval = bootstrap_statistic(_Whole(measure, shown, n_items), len(shown), seed=seed, resamples=500)
            found[measure.name] = (interval, len(shown))
    return found


def _of_cases(measures: Sequence[Measure], pairs: Sequence[tuple[Row, Row]], seed: int) -> dict[str, Difference]:
    """Compare measures that have a value per case; a mean over the cases for which both methods have one."""
    kept = [m for m in measures if m.kind not in _OF_LISTS]
    (a, b), (c, d) = (_matrices(kept, [pair[side] for pair in pairs]) for side in (0, 1))
    for column, measure in enumerate(kept):
        if measure.kind in ("mean", "share"):
            both = (b[:, column] > 0) & (d[:, column] > 0)
            for matrix in (a, b, c, d):
                matrix[~both, column] = 0.0
    able = np.flatnonzero((b.sum(axis=0) > 0) & (d.sum(axis=0) > 0))
    if not len(able):
        return {}
    own, base = (a[:, able], b[:, able]), (c[:, able], d[:, able])
    intervals, ps = paired_ratio(own, base, seed=seed), swap_test(own, base, seed=seed)
    counts = ((own[1] > 0) | (base[1] > 0)).sum(axis=0)
    return {
        kept[column].name: Difference(interval, p, math.nan, int(n))
        for column, interval, p, n in zip(able, intervals, ps, counts, strict=True)
    }


def _of_lists(
    measures: Sequence[Measure], pairs: Sequence[tuple[Row, Row]], seed: int, n_items: int
) -> dict[str, Difference]:
    """Compare figures of whole sets of lists, over the cases in which both methods have a list."""
    listed = [(a, b) for a, b in pairs if a.items and b.items]
    found: dict[str, Difference] = {}
    for measure in measures if listed and n_items else ():
        if measure.kind in _OF_LISTS:
            mine, theirs = (_Whole(measure, [pair[side] for pair in listed], n_items) for side in (0, 1))

            def difference(sample: Resample, mine: _Whole = mine, theirs: _Whole = theirs) -> float:
                return mine(sample) - theirs(sample)

            interval = bootstrap_statistic(difference, len(listed), seed=seed, resamples=500)
            found[measure.name] = Difference(interval, math.nan, math.nan, len(listed))
    return found


def _columns(measures: Sequence[Measure], rows: Sequence[Row]) -> tuple[list[Measure], _Numbers, _Numbers]:
    """Return the measures that are defined for some case, with numerators and denominators, a column each."""
    kept = [m for m in measures if m.kind not in _OF_LISTS]
    parts, wholes = _matrices(kept, rows)
    able = np.flatnonzero(wholes.sum(axis=0) > 0)
    return [kept[column] for column in able], parts[:, able], wholes[:, able]


def _matrices(measures: Sequence[Measure], rows: Sequence[Row]) -> tuple[_Numbers, _Numbers]:
    """Return numerator and denominator of each case (row) and measure (column); an undefined value counts in neither."""
    shape = (len(rows), len(measures))
    raw = [row.values.get(m.column, math.nan) for row in rows for m in measures]
    over = [row.values.get(m.over, math.nan) if m.over else 1.0 for row in rows for m in measures]
    parts, wholes = (np.asarray(values, np.float64).reshape(shape) for values in (raw, over))
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
