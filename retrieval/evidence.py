"""Why an item was recommended: contributions, shared facts, matched wishes. Facts only, no words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vouchrec.retrieval.catalogue import Catalogue, fold
from vouchrec.retrieval.collaborative import CollaborativeScorer
from vouchrec.retrieval.types import Constraint, Contribution, Item, ItemId, SharedFact

MIN_SIMILARITY = 0.35
"""Cosine from which two items' contents count as close."""
COMMON_VALUE = 0.12
"""A value that more than this fraction of the catalogue has (drama, English) says nothing when shared."""


def contributions(
    scorer: CollaborativeScorer, catalogue: Catalogue, history: Mapping[ItemId, float], item: ItemId, factor: float
) -> tuple[Contribution, ...]:
    """Return the exact parts of a collaborative score, largest absolute value first, on the scaled score's scale."""
    parts = scorer.contributions(history, item)
    whole = sum(abs(v) for v in parts.values())
    found = [
        Contribution(known, value * factor, value / whole if whole else 0.0)
        for item_id, value in parts.items()
        if (known := catalogue.get(item_id)) is not None
    ]
    return tuple(sorted(found, key=lambda c: -abs(c.value)))


def matched(
    catalogue: Catalogue, constraints: Sequence[Constraint], row: int
) -> tuple[tuple[Constraint, tuple[str, ...]], ...]:
    """Return each positive constraint that the item satisfies, with the item's own values for it."""
    item = catalogue.items[row]
    found: list[tuple[Constraint, tuple[str, ...]]] = []
    for constraint in constraints:
        if constraint.op in ("is_not", "none_of") or not catalogue.satisfied(constraint, row):
            continue
        own = item.values(constraint.attribute)
        if constraint.op in ("is", "any_of"):
            wanted = {fold(v) for v in constraint.values()}
            own = tuple(v for v in own if fold(v) in wanted)
        found.append((constraint, own))
    return tuple(found)


def shared_facts(catalogue: Catalogue, item: Item, liked: Sequence[Item]) -> tuple[SharedFact, ...]:
    """Return what an item has in common with liked ones: people first, then the rarer values of each list attribute."""
    found: list[SharedFact] = []
    for other in liked:
        for attribute in sorted(catalogue.domain.attributes, key=lambda a: not a.people):
            if attribute.kind != "list":
                continue
            theirs = {fold(v) for v in other.values(attribute.name)}
            values = [v for v in item.values(attribute.name) if fold(v) in theirs]
            limit = max(2, COMMON_VALUE * len(catalogue))
            rare = [v for v in values if attribute.people or len(catalogue.rows_with(attribute.name, v)) <= limit]
            if rare:
                found.append(SharedFact(other, attribute.name, tuple(rare)))
    return tuple(found)
