"""How the sources are scaled and weighed into one score. The only place where weights stand, and
the only one that knows which a request gets; a workspace may have its own (`retrieval.tuned`).

Three tables: for requests that say something (`Weights()`) and for those that name an item to be like
(`Weights.for_reference()`), both set by hand (see docs/conventions.md), and for requests where nothing but the history
speaks (`Weights.for_history()`), tuned on held-out people (see docs/log.md, 2026-11-22).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from vouchrec.retrieval.types import SOURCES, ItemVector, Profile, Query, Source


@dataclass(frozen=True, slots=True)
class Weights:
    """Weight per source; every source is scaled to about [0, 1] first (signed ones to [-1, 1])."""

    semantic: float = 1.0
    lexical: float = 0.35
    collaborative: float = 0.9
    neighbours: float = 0.6
    match: float = 0.7
    popularity: float = 0.15
    recency: float = 0.03

    @staticmethod
    def for_history() -> Weights:
        """Return the weights of a request without a wish and without reference items, where the history alone speaks.

        Relative to the collaborative score, likeness in content counts 0.4, the logarithm of popularity 0.2 and newness
        nothing; the rest is as in the other table.
        """
        return Weights(neighbours=0.36, popularity=0.18, recency=0.0)

    @staticmethod
    def for_reference() -> Weights:
        """Return the weights of a request that names an item to be like: likeness first, the wish tells the difference."""
        return Weights(semantic=0.7, lexical=0.2, collaborative=0.6, neighbours=1.8, match=1.0)

    @staticmethod
    def of_request(query: Query, profile: Profile) -> Weights:
        """Return the table that `recommend` uses for a request when it is given none and the workspace has no own."""
        return WeightTables().of_request(query, profile)

    def of(self, source: Source) -> float:
        """Return one weight."""
        return float(getattr(self, source))


@dataclass(frozen=True, slots=True)
class WeightTables:
    """The three tables of weights that a workspace uses.

    Attributes:
        request: For a request that says something.
        reference: For one that names an item to be like.
        history: For one where neither is said and only a history speaks.
    """

    request: Weights = field(default_factory=Weights)
    reference: Weights = field(default_factory=Weights.for_reference)
    history: Weights = field(default_factory=Weights.for_history)

    def of_request(self, query: Query, profile: Profile) -> Weights:
        """Return the table for a request."""
        if query.similar_to:
            return self.reference
        silent = not query.wish.strip()
        return self.history if silent and profile.history else self.request


def unit_scale(scores: ItemVector) -> tuple[ItemVector, float]:
    """Scale scores so that the largest absolute value is 1; return them with the factor used (1.0 for all zeros)."""
    top = float(np.abs(scores).max(initial=0.0))
    factor = 1.0 / top if top > 0 else 1.0
    return (scores * factor).astype(np.float32), factor


def semantic_scale(cosines: ItemVector) -> ItemVector:
    """Scale cosines of a wish with items: 0 at or below 0.1, 1 at 0.7, linear between, the range MiniLM really uses."""
    return np.clip((cosines - 0.1) / 0.6, 0.0, 1.0).astype(np.float32)


def blend(scores: Mapping[Source, npt.NDArray[np.float32]], weights: Weights) -> npt.NDArray[np.float32]:
    """Return the sum over sources of weight times score, (n,) float32."""
    total = np.zeros(len(next(iter(scores.values()))), np.float32)
    for source in SOURCES:
        total += np.float32(weights.of(source)) * scores[source]
    return total


def source_shares(scores: Mapping[Source, float], weights: Weights) -> dict[Source, float]:
    """Return the part of each source in a final score: |weight x score| over the sum of all; empty for a score of nothing."""
    parts: dict[Source, float] = {source: abs(weights.of(source) * scores[source]) for source in SOURCES}
    whole = sum(parts.values())
    return {source: part / whole for source, part in parts.items()} if whole > 0 else {}
