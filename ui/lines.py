"""Items, reasons and evidence as lines of plain text, for the terminal. Every string is made safe to print."""

from __future__ import annotations

from collections.abc import Iterable

from vouchrec.agent.profile import Portrait
from vouchrec.agent.types import Explained, Reply
from vouchrec.retrieval.domain import Attribute, Domain
from vouchrec.retrieval.types import Constraint, Item, Recommendation
from vouchrec.ui.facts import MIN_SHARE, SOURCE_LABELS, amount_text, number_text, shares
from vouchrec.ui.text import printable

BAR = 20
"""Characters of a full bar."""
FEW = 3
"""Values of one attribute that a line shows."""


def item_line(item: Item, domain: Domain) -> str:
    """Return one item in a line: title, then its most telling attributes."""
    year = next((t for a in domain.attributes if a.quantity == "year" and (t := number_text(item, a))), "")
    title = f"{item.title} ({year})" if year else item.title
    parts = [p for a in domain.attributes if a.quantity != "year" and (p := _attribute_part(item, a))]
    return printable(" · ".join([title, *parts[:4]]))


def recommendation_lines(recommendations: Iterable[Recommendation], domain: Domain) -> list[str]:
    """Return one numbered line per recommendation."""
    return [f"{r.rank:>3}  {item_line(r.item, domain)}" for r in recommendations]


def explained_lines(explained: Iterable[Explained], domain: Domain) -> list[str]:
    """Return each recommendation with its reason and whether that is verified."""
    lines: list[str] = []
    for one in explained:
        mark = "verified" if one.reason.verified else "not verified"
        lines += [
            f"{one.recommendation.rank:>3}  {item_line(one.recommendation.item, domain)}",
            f"     {printable(one.reason.text)}",
            f"     [{mark}, {'written by the model' if one.reason.source == 'model' else 'composed from the evidence'}]",
        ]
    return lines


def reply_lines(reply: Reply, domain: Domain) -> list[str]:
    """Return a whole reply: its text, then the list."""
    listed = recommendation_lines((e.recommendation for e in reply.explained), domain)
    return [printable(reply.text), *(["", *listed] if listed else [])]


def why_lines(recommendation: Recommendation, domain: Domain) -> list[str]:
    """Return what drove a recommendation: shares of the sources, contributions of history items, matched and shared facts."""
    evidence = recommendation.evidence
    lines = [item_line(recommendation.item, domain), "  What drove it"]
    lines += [
        f"    {_bar(part)} {part:4.0%}  {SOURCE_LABELS[source]}" for source, part in shares(recommendation.evidence)
    ]
    brought = [c for c in evidence.contributions if abs(c.share) >= MIN_SHARE][:5]
    if brought:
        exact = "exact" if evidence.exact else "approximate"
        lines.append(f"  What you like counts like this ({exact})")
        for c in brought:
            lines.append(f"    {_bar(abs(c.share))} {c.share:+4.0%}  {printable(c.item.title)}")
    if evidence.matched:
        lines.append("  What you asked for and it has")
        lines += [f"    {printable(constraint_text(c, domain, values))}" for c, values in evidence.matched]
    if evidence.shared:
        lines.append("  What it shares with what you like")
        for fact in evidence.shared[:6]:
            lines.append(f"    {printable(fact.item.title)}: {printable(', '.join(fact.values[:FEW]))}")
    return lines


def constraint_text(constraint: Constraint, domain: Domain, values: Iterable[str] = ()) -> str:
    """Return a satisfied constraint in words: the attribute, the item's own values and the bound."""
    attribute = domain.attribute(constraint.attribute)
    label = attribute.label if attribute and attribute.label else constraint.attribute
    bounds = {"min": "at least", "max": "at most"}
    if attribute is None or constraint.op not in bounds:
        return f"{label}: {', '.join(values) or ', '.join(constraint.values())}"
    own = ", ".join(amount_text(v, attribute) for v in values)
    bound = f"{bounds[constraint.op]} {amount_text(constraint.values()[0], attribute)}"
    return f"{label}: {own} ({bound})" if own else f"{label}: {bound}"


def portrait_lines(portrait: Portrait) -> list[str]:
    """Return what is known of a person."""
    lines: list[str] = []
    if portrait.tastes:
        lines.append("Tastes")
        lines += [f"  {_bar(w)}  {printable(value)} ({printable(label)})" for label, value, w in portrait.tastes[:8]]
    for title, items in (("Liked", portrait.liked), ("Disliked", portrait.disliked), ("Seen", portrait.seen)):
        if items:
            lines += [title, *(f"  {printable(item.title)}" for item in items)]
    return lines or ["Nothing yet. Like something, or say what you enjoyed."]


def _attribute_part(item: Item, attribute: Attribute) -> str:
    if attribute.kind == "number":
        return number_text(item, attribute) if attribute.quantity else ""
    if attribute.kind == "text" and not attribute.filterable:
        return ""
    return ", ".join(item.values(attribute.name)[:FEW])


def _bar(part: float) -> str:
    filled = round(max(0.0, min(1.0, part)) * BAR)
    return "█" * filled + "░" * (BAR - filled)
