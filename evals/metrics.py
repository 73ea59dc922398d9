"""Ranking and beyond-accuracy metrics, as pure functions over one list (or one set of lists).

Every list is ordered best first and holds distinct items; `relevant` is the set to be found. A metric that is undefined
for a case returns NaN, never a made-up 0: `mean` leaves such cases out. `k` below 1 is an error everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from vouchrec.retrieval import ranking
from vouchrec.retrieval.types import Embeddings, ItemId

__all__ = [
    "auc",
    "average_precision",
    "coverage",
    "hit",
    "intra_list_diversity",
    "mean",
    "ndcg",
    "novelty",
    "precision",
    "recall",
    "reciprocal_rank",
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


def coverage(lists: Iterable[Sequence[ItemId]], n_items: int) -> float:
    """Return the part of the catalogue that is recommended to anyone: distinct items in all lists / n_items.

    Source: Ge, Delgado-Battenfeld & Jannach, "Beyond accuracy", RecSys 2010. It grows with the number of lists: compare
    over the same people only.
    Range [0, 1]. No lists: 0. Empty catalogue: NaN.
    """
    return len({item for ranked in lists for item in ranked}) / n_items if n_items else math.nan


def intra_list_diversity(vectors: Embeddings) -> float:
    """Return the mean of 1 - cosine over all pairs of a list's items.

    Source: Ziegler et al., "Improving recommendation lists through topic diversification", WWW 2005.

    Args:
        vectors: (k, d) float32, rows of unit length.

    Range [0, 2], higher is more diverse, 1 for unrelated items. Fewer than two items: NaN.
    """
    pairs = [1.0 - float(vectors[a] @ vectors[b]) for a, b in combinations(range(len(vectors)), 2)]
    return sum(pairs) / len(pairs) if pairs else math.nan


def novelty(ranked: Sequence[ItemId], people: Mapping[ItemId, float], n_people: int) -> float:
    """Return the mean self-information of a list's items: mean of -log2 p(i).

    p(i) = (people of i + 1) / (n_people + 1); the added ones keep an item that nobody has touched finitely novel.
    Source: Zhou et al., "Solving the apparent diversity-accuracy dilemma", PNAS 2010; Vargas & Castells, RecSys 2011.

    Args:
        ranked: The list.
        people: Number of people by item; absent items count 0.
        n_people: Number of all people.

    Range [0, log2(n_people + 1)], higher is less known. Nothing ranked: NaN.
    """
    bits = [-math.log2((people.get(item, 0) + 1) / (n_people + 1)) for item in ranked]
    return sum(bits) / len(bits) if bits else math.nan


def mean(values: Iterable[float]) -> float:
    """Return the mean of the defined values; NaN (undefined cases) are left out, and nothing left gives NaN."""
    defined = [value for value in values if not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else math.nan
