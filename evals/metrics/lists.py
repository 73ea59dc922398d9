"""Beyond accuracy: how broad, varied, little known, surprising, even and in proportion recommendations are."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import combinations

import numpy as np
import numpy.typing as npt

from vouchrec.retrieval.types import Embeddings, ItemId

__all__ = [
    "calibration",
    "coverage",
    "distribution",
    "gini",
    "intra_list_diversity",
    "novelty",
    "popularity_lift",
    "serendipity",
    "user_coverage",
]
_SMOOTHING = 0.01
"""Part of the history's distribution that is mixed into the list's, so that a kind it lacks is finitely bad (Steck 2018)."""


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


def user_coverage(values: Iterable[float]) -> float:
    """Return the part of people for whom at least one recommendation is right.

    Source: Ge, Delgado-Battenfeld & Jannach 2010 (coverage of users); Gunawardana & Shani 2015, section 8.3.

    Args:
        values: Hits, recall or any metric that is 0 without a hit, one per person; undefined ones (NaN) are left out.

    Range [0, 1]. Nobody: NaN.
    """
    defined = [value for value in values if not math.isnan(value)]
    return sum(value > 0 for value in defined) / len(defined) if defined else math.nan


def serendipity(ranked: Sequence[ItemId], relevant: Set[ItemId], expected: Set[ItemId], k: int) -> float:
    """Return the part of the first k places that hold something right that a primitive recommender would not have shown.

    Source: Ge, Delgado-Battenfeld & Jannach 2010, with the first k by popularity as the primitive recommender.

    Args:
        ranked: The list.
        relevant: Items to be found.
        expected: What the primitive recommender shows this person in its first k places.
        k: Places that count.

    Range [0, 1], at most precision. Nothing ranked: 0. Nothing relevant: NaN.

    Raises:
        ValueError: k is below 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}; it must be at least 1")
    surprising = sum(item in relevant and item not in expected for item in ranked[:k])
    return surprising / k if relevant else math.nan


def gini(counts: npt.NDArray[np.integer]) -> float:
    """Return how unevenly recommendations fall on items: the Gini index of their counts.

    G = sum over i of (2 i - n - 1) x(i) / (n sum x), x ascending, i from 1.
    Source: Fleder & Hosanagar, "Blockbuster culture's next rise or fall", Management Science 2009.

    Args:
        counts: (n,) times that each item of the catalogue was recommended, zeros included.

    Range [0, 1), 0 where every item is recommended equally often. No recommendations: NaN.
    """
    total = int(counts.sum())
    if total == 0:
        return math.nan
    n = len(counts)
    ranks = 2 * np.arange(1, n + 1) - n - 1
    return float((ranks * np.sort(counts)).sum() / (n * total))


def popularity_lift(ranked: Sequence[ItemId], history: Iterable[ItemId], people: Mapping[ItemId, float]) -> float:
    """Return how much more popular a list is than what the person chose: mean popularity of the list over the history's, less 1.

    Source: Abdollahpouri, Mansoury, Burke & Mobasher, "The connection between popularity bias, calibration, and fairness
    in recommendation", RecSys 2020.

    Args:
        ranked: The list.
        history: What the person chose.
        people: Number of people by item; absent items count 0.

    Range [-1, inf), 0 where the list is as popular as the history. Nothing ranked, no history, or a history that nobody
    else touched: NaN.
    """
    own = [people.get(item, 0.0) for item in history]
    shown = [people.get(item, 0.0) for item in ranked]
    if not shown or not sum(own):
        return math.nan
    return (sum(shown) / len(shown)) / (sum(own) / len(own)) - 1


def distribution(kinds: Iterable[Sequence[str]], weights: Iterable[float] | None = None) -> dict[str, float]:
    """Return how a list falls on kinds (genres): each item counts once, shared evenly among its kinds.

    Args:
        kinds: The kinds of each item; items without one are left out.
        weights: How much each item counts; 1 by default.

    Returns:
        Part by kind, which sum to 1; empty where no item has a kind.
    """
    parts: defaultdict[str, float] = defaultdict(float)
    listed = list(kinds)
    for own, weight in zip(listed, weights or [1.0] * len(listed), strict=True):
        for kind in own:
            parts[kind] += weight / len(own)
    total = sum(parts.values())
    return {kind: part / total for kind, part in parts.items()} if total else {}


def calibration(wanted: Mapping[str, float], shown: Mapping[str, float]) -> float:
    """Return how far the kinds of a list are from those of the history: KL(p || q~), q~ = .99 q + .01 p, in nats.

    Source: Steck, "Calibrated recommendations", RecSys 2018.

    Args:
        wanted: p, part by kind of the history, as `distribution` gives it.
        shown: q, part by kind of the list.

    Range [0, log(100)], 0 where the proportions are the same. Either is empty: NaN.
    """
    if not wanted or not shown:
        return math.nan
    total = 0.0
    for kind, p in wanted.items():
        mixed = (1 - _SMOOTHING) * shown.get(kind, 0.0) + _SMOOTHING * p
        total += p * math.log(p / mixed) if p > 0 else 0.0
    return max(0.0, total)
