"""Which statements a reason makes: decided from the evidence, so that each is true before a word is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vouchrec.agent.prompts import Planned
from vouchrec.agent.types import ClaimKind
from vouchrec.retrieval.domain import Attribute, Domain
from vouchrec.retrieval.types import Constraint, Item, Query, Recommendation

CAUSE_SHARE = 0.15
"""A history item is cited as a cause only when the collaborative source brought at least this share of the final score."""
CONTRIBUTOR_SHARE = 0.2
"""... and the item itself at least this share of the collaborative score."""
MAX_ENTRIES = 3
MAX_VALUES = 2
KIND_OF: Mapping[str, ClaimKind] = {
    "cause": "cause",
    "similar": "relation",
    "shared": "relation",
    "match": "match",
    "fact": "attribute",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """The statements of one reason, and what each reference stands for.

    Attributes:
        liked: Liked items by number: the first is `[[liked1]]`.
    """

    item: Item
    liked: tuple[Item, ...]
    entries: tuple[Planned, ...]

    def values(self) -> dict[str, str]:
        """Return the text of every reference that may stand in the reason."""
        found = {"[[rec1]]": self.item.title}
        found.update({f"[[liked{i}]]": item.title for i, item in enumerate(self.liked, start=1)})
        found.update({entry.reference: entry.value for entry in self.entries})
        return found


def plan_reason(recommendation: Recommendation, query: Query, domain: Domain) -> Plan:
    """Plan up to three statements: a cause or a likeness, what is shared, what was asked for, else a fact."""
    evidence = recommendation.evidence
    item = recommendation.item
    liked: list[Item] = []
    entries: list[Planned] = []
    causes = _causes(recommendation)
    if causes:
        liked.extend(causes)
        entries.extend(Planned("cause", f"[[liked{i}]]", c.title) for i, c in enumerate(causes, start=1))
    else:
        likened = next((other for other, _ in evidence.similar if other.id in query.similar_to), None)
        if likened is not None:
            liked.append(likened)
            entries.append(Planned("similar", "[[liked1]]", likened.title))
    used: set[str] = set()
    for fact in evidence.shared:
        if liked and fact.item.id == liked[0].id and len(entries) < MAX_ENTRIES:
            values = fact.values[:MAX_VALUES]
            entries.append(Planned("shared", f"[[liked1.{fact.attribute}]]", join(values)))
            used.add(fact.attribute)
            break
    for attribute, value in _matches(evidence.matched, item, domain, used):
        if len(entries) < MAX_ENTRIES:
            # Who asks for the seventies has not asked for 1979: the number is a fact about the item.
            kind = "fact" if attribute.kind == "number" else "match"
            entries.append(Planned(kind, f"[[rec1.{attribute.name}]]", value))
            used.add(attribute.name)
    for attribute in _telling(item, domain):
        if len(entries) >= 2:
            break
        if attribute.name not in used:
            entries.append(Planned("fact", f"[[rec1.{attribute.name}]]", _value(item, attribute, ())))
            used.add(attribute.name)
    return Plan(item, tuple(liked), tuple(entries))


def _causes(recommendation: Recommendation) -> list[Item]:
    evidence = recommendation.evidence
    if not evidence.exact:  # parts by ablation do not sum to the score: a likeness can be said, a cause can't
        return []
    if evidence.collaborative_share < CAUSE_SHARE or recommendation.scores["collaborative"] <= 0:
        return []
    return [c.item for c in evidence.contributions[:2] if c.value > 0 and c.share >= CONTRIBUTOR_SHARE]


def _matches(
    matched: Sequence[tuple[Constraint, tuple[str, ...]]], item: Item, domain: Domain, used: set[str]
) -> list[tuple[Attribute, str]]:
    """Return one entry per matched attribute, those a person would want named first."""
    order = {a.name: i for i, a in enumerate(domain.attributes)}
    by_attribute: dict[str, list[str]] = {}
    for constraint, values in matched:
        if constraint.attribute not in used:
            own = by_attribute.setdefault(constraint.attribute, [])
            own.extend(v for v in values if v not in own)
    found: list[tuple[Attribute, str]] = []
    for name in sorted(by_attribute, key=lambda n: order.get(n, 99)):
        attribute = domain.attribute(name)
        if attribute is not None:
            found.append((attribute, _value(item, attribute, tuple(by_attribute[name]))))
    return found


def _telling(item: Item, domain: Domain) -> list[Attribute]:
    """Return attributes worth naming when there is little else: moods and themes first, then kinds, then people."""
    having = [a for a in domain.attributes if a.filterable and item.values(a.name) and a.kind in ("list", "text")]
    return sorted(having, key=lambda a: (a.strict, a.people, a.single))


def _value(item: Item, attribute: Attribute, chosen: tuple[str, ...]) -> str:
    if attribute.kind == "number":
        number = item.number(attribute.name)
        text = f"{number:g}" if number is not None else ""
        return f"{text} {attribute.unit}".strip()
    return join((chosen or item.values(attribute.name))[:MAX_VALUES])


def join(values: Sequence[str]) -> str:
    """Return values as running text: "a", "a and b", "a, b and c"."""
    if len(values) < 2:
        return "".join(values)
    return ", ".join(values[:-1]) + " and " + values[-1]
