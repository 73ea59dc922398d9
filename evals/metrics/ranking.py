"""Accuracy of a ranked list: what part of the items to be found stands where."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Set

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from vouchrec.retrieval import ranking
from vouchrec.retrieval.types import ItemId

__all__ = [
    "auc",
    "average_precision",
    "f1",
    "hit",
    "mean",
    "ndcg",
    "precision",
    "recall",
    "reciprocal_rank",
    "roc",
]


def _hits(ranked: Sequence[ItemId], relevant: Set[ItemId], k: int) -> list[int]:
    """Ranks, from 1, of the relevant items among the first k."""
    if k < 1:
        raise ValueError(f"k is {k}; it must be at least 1")
    return [rank for rank, item in enumerate(ranked[:k], start=1) if item in relevant]


def recall(ranked: Sequence[ItemId], relevant: Set[ItemId], k: int) -> float:
    """Return the part of the relevant items found among the first k: hits / |relevant|.

    Source: Manning, Raghavan & Schütze, "Introduction to Information Retrieval", 2008, section 8.3.
    Range [0, 1], 1 best; below 1 at best where more than k are relevant. Nothing ranked: 0. Nothing relevant: NaN.
    """
    hits = _hits(ranked, relevant, k)
    return len(hits) / len(relevant) if relevant else math.nan


def precision(ranked: Sequence[ItemId], relevant: Set[ItemId], k: int) -> float:
    """Return the part of the first k places that hold a relevant item: hits / k, also where fewer are ranked.

    Source: Manning, Raghavan & Schütze 2008, section 8.4.
    Range [0, 1], 1 best. Nothing ranked: 0. Nothing relevant: NaN.
    """
    hits = _hits(ranked, relevant, k)
    return len(hits) / k if relevant else math.nan


def f1(ranked: Sequence[ItemId], relevant: Set[ItemId], k: int) -> float:
    """Return the harmonic mean of precision and recall at k: 2 P R / (P + R) = 2 hits / (k + |relevant|).

    Source: van Rijsbergen, "Information Retrieval", 1979, chapter 7; Manning, Raghavan & Schütze 2008, section 8.3.
    Range [0, 1], 1 where exactly the k relevant items stand in front. Nothing ranked: 0. Nothing relevant: NaN.
    """
    hits = _hits(ranked, relevant, k)
    return 2 * len(hits) / (k + len(relevant)) if relevant else math.nan


def hit(ranked: Sequence[ItemId], relevant: Set[ItemId], k: int) -> float:
    """Return 1 where at least one of the first k is relevant, else 0.

    With a single relevant item it equals recall (Deshpande & Karypis, "Item-based top-N recommendation", TOIS 2004).
    Range {0, 1}. Nothing ranked: 0. Nothing relevant: NaN.
    """
    hits = _hits(ranked, relevant, k)
    return float(bool(hits)) if relevant else math.nan


def reciprocal_rank(ranked: Sequence[ItemId], relevant: Set[ItemId], k: int) -> float:
    """Return 1 / rank of the first relevant item among the first k, 0 where there is none; its mean is MRR@k.

    Source: Voorhees, "The TREC-8 Question Answering Track Report", 1999.
    Range [0, 1], 1 best. Nothing ranked: 0. Nothing relevant: NaN.
    """
    hits = _hits(ranked, relevant, k)
    if not relevant:
        return math.nan
    return 1 / hits[0] if hits else 0.0


def average_precision(ranked: Sequence[ItemId], relevant: Set[ItemId], k: int) -> float:
    """Return the average precision of the first k; its mean is MAP@k.

    AP = sum over the ranks r <= k of relevant items of (hits up to r) / r, divided by min(k, |relevant|).
    Source: Manning, Raghavan & Schütze 2008, section 8.4, cut at k.
    Range [0, 1], 1 best. Nothing ranked: 0. Nothing relevant: NaN.
    """
    hits = _hits(ranked, relevant, k)
    if not relevant:
        return math.nan
    return sum(number / rank for number, rank in enumerate(hits, start=1)) / min(k, len(relevant))


def ndcg(ranked: Sequence[ItemId], relevant: Set[ItemId], k: int) -> float:
    """Return the normalised discounted cumulative gain of the first k, with a gain of 1 per relevant item.

    DCG = sum over ranks r <= k of rel(r) / log2(r + 1); NDCG = DCG / DCG of min(k, |relevant|) hits in front.
    Source: Järvelin & Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002.
    Range [0, 1], 1 best. Nothing ranked: 0. Nothing relevant: NaN.
    """
    if k < 1:
        raise ValueError(f"k is {k}; it must be at least 1")
    return ranking.ndcg(ranked, relevant, k)


def auc(scores: npt.NDArray[np.floating], relevant: npt.NDArray[np.bool_]) -> float:
    """Return the chance that a relevant item outscores an irrelevant one, a tie counting one half.

    AUC = (R - p (p + 1) / 2) / (p q), with R the sum of the relevant items' ascending average ranks, p relevant and q
    irrelevant items. Source: Hanley & McNeil, "The meaning and use of the area under a ROC curve", Radiology 1982.

    Args:
        scores: (n,) any float, higher is better.
        relevant: (n,) bool.

    Range [0, 1], 1 best, 0.5 for random or constant scores. Nothing relevant, or nothing irrelevant: NaN.
    """
    positive = int(relevant.sum())
    negative = len(relevant) - positive
    if positive == 0 or negative == 0:
        return math.nan
    ranks = rankdata(scores)
    total = float(np.asarray(ranks)[relevant].sum())
    return (total - positive * (positive + 1) / 2) / (positive * negative)


def roc(
    scores: npt.NDArray[np.floating], relevant: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the ROC curve: false and true positive rate at every threshold, from (0, 0) to (1, 1).

    Items of equal score pass a threshold together, so that the area under the curve by trapezoids is `auc`.
    Source: Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 2006.

    Args:
        scores: (n,) any float, higher is better.
        relevant: (n,) bool.

    Returns:
        Two (t + 1,) float64 arrays for t distinct scores, both ascending in [0, 1].

    Raises:
        ValueError: Nothing relevant, or nothing irrelevant: the curve is undefined.
    """
    positive, negative = int(relevant.sum()), int((~relevant).sum())
    if positive == 0 or negative == 0:
        raise ValueError("a ROC curve needs relevant and irrelevant items")
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    passed = np.cumsum(relevant[order])[last]
    false = (last + 1 - passed) / negative
    return np.concatenate([[0.0], false]), np.concatenate([[0.0], passed / positive])


def mean(values: Iterable[float]) -> float:
    """Return the mean of the defined values; NaN (undefined cases) are left out, and nothing left gives NaN."""
    defined = [value for value in values if not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else math.nan
