"""The words of the retrieval side: items, interactions, queries, profiles, recommendations.

Plain frozen values; nothing here imports a heavy library. Array aliases name shape and dtype once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

ItemId: TypeAlias = str
"""Identifier from the user's file, never a row number."""
UserId: TypeAlias = str
Row: TypeAlias = int
"""Position of an item in the catalogue, 0 to n_items - 1; valid for one open workspace only."""

AttributeValue: TypeAlias = str | float | int | tuple[str, ...]
"""text: str; number: int or float; list: tuple of str; date: ISO 8601 str."""

ItemVector: TypeAlias = npt.NDArray[np.float32]
"""(n_items,) float32: one number per catalogue row."""
RowMask: TypeAlias = npt.NDArray[np.bool_]
"""(n_items,) bool: True where a row is allowed."""
Embeddings: TypeAlias = npt.NDArray[np.float32]
"""(n, d) float32, rows of unit Euclidean length."""

Op: TypeAlias = Literal["is", "is_not", "any_of", "none_of", "min", "max"]
Strength: TypeAlias = Literal["hard", "soft"]
Source: TypeAlias = Literal["semantic", "lexical", "collaborative", "neighbours", "match", "popularity", "recency"]
SOURCES: tuple[Source, ...] = (
    "semantic",
    "lexical",
    "collaborative",
    "neighbours",
    "match",
    "popularity",
    "recency",
)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that can be recommended.

    Attributes:
        id: Unique identifier.
        title: What a person calls it.
        description: Free text; may be empty.
        attributes: Values by attribute name, as the domain file declares them.
        aliases: Other names people use for it.
    """

    id: ItemId
    title: str
    description: str = ""
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict[str, AttributeValue])
    aliases: tuple[str, ...] = ()

    def values(self, attribute: str) -> tuple[str, ...]:
        """Return the attribute's values as strings; empty when the item has none."""
        value = self.attributes.get(attribute)
        if value is None:
            return ()
        return value if isinstance(value, tuple) else (str(value),)

    def number(self, attribute: str) -> float | None:
        """Return a numeric attribute's value, or None when it is absent or not a number."""
        value = self.attributes.get(attribute)
        return float(value) if isinstance(value, int | float) else None


@dataclass(frozen=True, slots=True)
class Interaction:
    """One thing a user did with an item: a rating, a play count, a like.

    Attributes:
        value: The rating, the count, or 1.0 for a plain event.
        time: Seconds since 1970, or None when unknown.
    """

    user: UserId
    item: ItemId
    value: float = 1.0
    time: float | None = None


@dataclass(frozen=True, slots=True)
class Constraint:
    """A condition on one attribute.

    Attributes:
        op: `is`, `is_not` (one value), `any_of`, `none_of` (a tuple), `min`, `max` (an inclusive bound).
        strength: `hard` conditions are never broken; `soft` ones raise or lower the score.
    """

    attribute: str
    op: Op
    value: AttributeValue
    strength: Strength = "hard"

    def values(self) -> tuple[str, ...]:
        """Return the value or values as strings."""
        return self.value if isinstance(self.value, tuple) else (str(self.value),)


@dataclass(frozen=True, slots=True)
class Query:
    """What is wanted now.

    Attributes:
        wish: Free text that is searched by meaning, as people say it; may be empty.
        constraints: Hard and soft conditions.
        similar_to: Items this request asks for more of.
        unlike: Items this request wants to get away from; not recommended, and what resembles them ranks lower.
        exclude: Items that must not come back (already shown, for instance).
        n: How many recommendations.
        words: What is searched by word: the telling words of the wish; the wish itself where empty.
    """

    wish: str = ""
    constraints: tuple[Constraint, ...] = ()
    similar_to: tuple[ItemId, ...] = ()
    unlike: tuple[ItemId, ...] = ()
    exclude: tuple[ItemId, ...] = ()
    n: int = 5
    words: str = ""

    @property
    def is_silent(self) -> bool:
        """True when nothing is said: no wish and no item to be like."""
        return not self.wish.strip() and not self.similar_to


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of the person.

    Attributes:
        history: Weight per liked or consumed item, in (0, 1]; newer and more strongly liked items weigh more.
        disliked: Items that are never recommended and whose likes are ranked lower.
        seen: Items that are never recommended, whatever the person thought of them.
    """

    history: Mapping[ItemId, float] = field(default_factory=dict[ItemId, float])
    disliked: frozenset[ItemId] = frozenset()
    seen: frozenset[ItemId] = frozenset()


@dataclass(frozen=True, slots=True)
class Contribution:
    """The part of a recommendation's collaborative score that one history item brought.

    Attributes:
        value: Signed part, on the scale of `scores["collaborative"]`; the parts sum to it.
        share: Value divided by the sum of absolute values, in [-1, 1].
    """

    item: Item
    value: float
    share: float


@dataclass(frozen=True, slots=True)
class SharedFact:
    """Attribute values that a recommendation has in common with an item the person likes."""

    item: Item
    attribute: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why an item was recommended, in facts that can be checked.

    Attributes:
        contributions: Exact parts of the collaborative score, largest absolute value first.
        exact: True when the parts sum to the score by algebra (not by ablation).
        shares: Part of the final score that each source brought, as absolute values that sum to 1.
        collaborative_share: That of the collaborative source, in [0, 1].
        matched: Constraints of the query that the item satisfies, with the item's own values.
        shared: Facts shared with liked or contributing items.
        similar: Liked items whose content is close, with the cosine similarity.
    """

    contributions: tuple[Contribution, ...] = ()
    exact: bool = True
    shares: Mapping[Source, float] = field(default_factory=dict[Source, float])
    collaborative_share: float = 0.0
    matched: tuple[tuple[Constraint, tuple[str, ...]], ...] = ()
    shared: tuple[SharedFact, ...] = ()
    similar: tuple[tuple[Item, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One recommended item.

    Attributes:
        rank: 1 for the first.
        score: Sum over sources of weight times source score.
        scores: Score by source, scaled as docs/conventions.md says.
    """

    rank: int
    item: Item
    score: float
    scores: Mapping[Source, float]
    evidence: Evidence
