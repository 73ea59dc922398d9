"""Facts of an item and its evidence in the words of its domain; plain values, no markup and no width."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vouchrec.retrieval.domain import Attribute, Domain
from vouchrec.retrieval.types import Evidence, Item, Source

SOURCE_LABELS: Mapping[Source, str] = {
    "semantic": "fits what you said",
    "lexical": "has your words",
    "collaborative": "people with your taste",
    "neighbours": "close to what you like",
    "match": "has what you asked for",
    "popularity": "well known",
    "recency": "recent",
}
MIN_SHARE = 0.02
"""Smallest part of a score that is worth showing."""
HOUR = 60


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What an item's card shows beside its title.

    Attributes:
        year: The year as text; empty when the item has none.
        figures: Other numbers with their unit.
        credits: The first attribute that names people, phrased.
        kinds: Values of the most important list attribute.
        more: The other people, phrased, and the other hard attributes.
        tags: Values of the soft attributes.
    """

    year: str = ""
    figures: tuple[str, ...] = ()
    credits: str = ""
    kinds: tuple[str, ...] = ()
    more: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()


def card_facts(item: Item, domain: Domain) -> CardFacts:
    """Choose what a card shows, from the order and the kinds of the domain's attributes alone."""
    attributes = [a for a in domain.attributes if a.name in item.attributes]
    years = [a for a in attributes if a.quantity == "year"]
    figures = tuple(t for a in attributes if a.quantity not in ("", "year") and (t := number_text(item, a)))
    people = [a for a in attributes if a.people]
    lists = [a for a in attributes if a.kind in ("list", "text") and not a.people and a.filterable]
    hard = [a for a in lists if a.strict]
    soft = [a for a in lists if not a.strict] or hard[1:2]
    used = {a.name for a in [*years, *people[:1], *hard[:1], *soft] if a.name}
    rest = [a for a in attributes if a.name not in used and not (a.kind == "text" and not a.filterable)]
    return CardFacts(
        year=number_text(item, years[0]) if years else "",
        figures=figures,
        credits=_phrased(item, people[0], 2) if people else "",
        kinds=item.values(hard[0].name)[:3] if hard else (),
        more=tuple((a.label or a.name, attribute_text(item, a)) for a in rest),
        tags=tuple(dict.fromkeys(v for pair in _interleave([item.values(a.name)[:3] for a in soft]) for v in pair))[:5],
    )


def attribute_text(item: Item, attribute: Attribute, limit: int = 6) -> str:
    """Return an attribute's value as text."""
    if attribute.kind == "number":
        return number_text(item, attribute)
    return ", ".join(item.values(attribute.name)[:limit])


def number_text(item: Item, attribute: Attribute) -> str:
    """Return an item's number as people write it; empty when it has none."""
    number = item.number(attribute.name)
    return "" if number is None else amount_text(number, attribute)


def amount_text(value: str | float, attribute: Attribute) -> str:
    """Return a value of a numeric attribute as people write it: a year bare, minutes in hours, others with their unit."""
    try:
        number = float(value)
    except ValueError:
        return str(value)
    if attribute.quantity == "duration" and attribute.unit.startswith("min") and number >= HOUR:
        hours, minutes = divmod(round(number), HOUR)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    shown = f"{int(number)}" if number.is_integer() else f"{number:g}"
    return shown if attribute.quantity == "year" else f"{shown} {attribute.unit}".strip()


def shares(evidence: Evidence) -> list[tuple[Source, float]]:
    """Return the part of each source in a score, largest first; parts below 2% are left out."""
    found: list[tuple[Source, float]] = [
        (source, part) for source, part in evidence.shares.items() if part >= MIN_SHARE
    ]
    found.sort(key=lambda pair: -pair[1])
    return found


def _phrased(item: Item, attribute: Attribute, limit: int) -> str:
    return attribute.phrase.replace("{value}", " and ".join(item.values(attribute.name)[:limit]))


def _interleave(groups: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the first value of each group, then the second of each, and so on."""
    longest = max((len(g) for g in groups), default=0)
    return [tuple(g[i] for g in groups if i < len(g)) for i in range(longest)]
