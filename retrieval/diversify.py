"""Diversity: maximal marginal relevance over embeddings and attributes.

Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents", SIGIR 1998.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

TRADE_OFF = 0.75
"""Lambda of MMR: 1 is relevance only, 0 diversity only."""


def mmr(
    relevance: npt.NDArray[np.float32],
    similarity: Callable[[int, int], float],
    n: int,
    *,
    trade_off: float = TRADE_OFF,
) -> list[int]:
    """Return positions of n picks, each maximising trade_off x relevance - (1 - trade_off) x likeness to the picks before.

    Args:
        relevance: (m,) float32; scaled here so that the best counts 1 and the worse of 0 and the least counts 0.
        similarity: Likeness in [0, 1] of two positions.
    """
    low, high = float(relevance.min(initial=0)), float(relevance.max(initial=0))
    scaled = (relevance - low) / (high - low) if high > low else np.ones_like(relevance)
    left = list(np.argsort(-relevance, kind="stable"))
    likest = np.zeros(len(relevance), np.float32)
    picks: list[int] = []
    while left and len(picks) < n:
        best = max(left, key=lambda i: trade_off * scaled[i] - (1 - trade_off) * likest[i])
        picks.append(int(best))
        left.remove(best)
        for i in left:
            likest[i] = max(likest[i], similarity(int(i), int(best)))
    return picks


def overlap(a: Sequence[str], b: Sequence[str]) -> float:
    """Return the Jaccard overlap of two value lists, in [0, 1]; 0 when both are empty."""
    left, right = set(a), set(b)
    return len(left & right) / len(left | right) if left | right else 0.0
