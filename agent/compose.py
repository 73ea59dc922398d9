"""Sentences composed from facts, without a model: the fallback wording of reasons, and answers that are read off the record."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vouchrec.agent.plan import MAX_VALUES, Plan, join
from vouchrec.agent.types import Request
from vouchrec.agent.wording import phrased
from vouchrec.retrieval.domain import Attribute, Domain
from vouchrec.retrieval.types import Constraint, Item, Recommendation

NAMED = 4
"""Values of a condition that are named before the rest is counted."""
_ARTICLE = re.compile(r"\b([Aa])n?\s+(?=([\w\"“]))")
# Spelling decides except for these: sounds at odds with the first letter.
_SOUNDS_CONSONANT = re.compile(r"^(?:uni|use|usu|eur|one\b|once)", re.IGNORECASE)
_SOUNDS_VOWEL = re.compile(r"^(?:hour|honest|heir|8|11\b|18\b)", re.IGNORECASE)


def composed_reason(plan: Plan, domain: Domain) -> str:
    """Return a plain true reason made of the plan's statements, one sentence per kind of statement."""
    sentences: list[str] = []
    causes = [e.value for e in plan.entries if e.kind == "cause"]
    if causes:
        sentences.append(f"Your liking for {join(causes)} speaks for it.")
    sentences += [f"It is close to {e.value}." for e in plan.entries if e.kind == "similar"]
    shared = _phrases("shared", plan, domain)
    if shared:
        sentences.append(f"Like {plan.liked[0].title}, it is {join(shared)}.")
    matches = _phrases("match", plan, domain)
    if matches:
        sentences.append(f"As you asked, it is {join(matches)}.")
    sentences += [f"It is {fact}." for fact in _phrases("fact", plan, domain)]
    return fix_articles(" ".join(sentences)) or f"It is a {domain.noun} that I picked for you."


def _phrases(kind: str, plan: Plan, domain: Domain) -> list[str]:
    found: list[str] = []
    for entry in plan.entries:
        attribute = domain.attribute(entry.reference.strip("[]").partition(".")[2])
        if entry.kind == kind and attribute is not None:
            found.append(phrased(attribute, entry.value, domain))
    return found


def fix_articles(text: str) -> str:
    """Return text with "a" and "an" as the following word needs."""

    def repair(match: re.Match[str]) -> str:
        rest = text[match.end() :].lstrip('"“')
        vowel = rest[:1].lower() in "aeiou" and not _SOUNDS_CONSONANT.match(rest)
        vowel = vowel or bool(_SOUNDS_VOWEL.match(rest))
        return f"{match[1]}{'n' if vowel else ''} "

    return _ARTICLE.sub(repair, text)


# ---- the frame around a list ------------------------------------------------------------------------------------


def opening(request: Request, found: Sequence[Recommendation], domain: Domain, notes: Sequence[str]) -> str:
    """Return the sentence before a list: what was understood, in plain words."""
    before, after = conditions(request.constraints, domain)
    noun = domain.noun if len(found) == 1 else domain.plural
    what = " ".join([*([join(before)] if before else []), noun])
    number = "Here is one" if len(found) == 1 else f"Here are {len(found)}"
    start = {"feedback": "Noted.", "critique": "Right."}.get(request.act, "")
    rest = f" {', '.join(after)}" if after else ""
    return " ".join(filter(None, [*notes, start, f"{number} {what}{rest}."]))


def conditions(constraints: Sequence[Constraint], domain: Domain) -> tuple[list[str], list[str]]:
    """Return hard conditions in words: those that stand before the noun ("science fiction"), and those after it."""
    before: list[str] = []
    after: list[str] = []
    hard = [c for c in constraints if c.strength == "hard"]
    for constraint in hard:
        attribute = domain.attribute(constraint.attribute)
        positive = constraint.op in ("is", "any_of")
        if attribute and positive and attribute.phrase == "a {value} {noun}":
            before.append(" or ".join(constraint.values()))
            continue
        partner = next(
            (c for c in hard if c.attribute == constraint.attribute and {c.op, constraint.op} == {"min", "max"}), None
        )
        if partner is None:
            after.append(describe(constraint, domain))
        elif constraint.op == "min":
            after.append(_range(constraint, partner, attribute))
    # Who both directs and acts is ruled out twice, and said once.
    return before, list(dict.fromkeys(after))


def _range(low: Constraint, high: Constraint, attribute: Attribute | None) -> str:
    unit = f" {attribute.unit}" if attribute and attribute.unit else ""
    return f"from {float(str(low.value)):g} to {float(str(high.value)):g}{unit}"


def starting_question(domain: Domain) -> str:
    """Return the one question for a person of whom nothing is known and who said nothing to go by."""
    return f"Tell me one {domain.noun} you love, or what you are in the mood for, and I can do much better than this."


def nothing_found(request: Request, relaxations: Sequence[tuple[Constraint, int]], domain: Domain) -> str:
    """Return an honest no, naming the condition whose loss would help most."""
    wanted = [describe(c, domain) for c in request.constraints if c.strength == "hard"]
    text = (
        f"I know no {domain.noun} that is all of this: {join(wanted)}."
        if wanted
        else f"I have no {domain.noun} left to suggest."
    )
    if not relaxations:
        return text + (" No single condition is to blame: try giving up two of them." if len(wanted) > 1 else "")
    best, count = relaxations[0]
    others = f"{count} {domain.plural if count > 1 else domain.noun}"
    return f"{text} Without “{describe(best, domain)}” there would be {others}. Shall I drop that?"


def describe(constraint: Constraint, domain: Domain) -> str:
    """Return a constraint in words: "not horror", "from 1980 or later", "at most 120 minutes"."""
    attribute = domain.attribute(constraint.attribute)
    label = attribute.label if attribute else constraint.attribute
    unit = f" {attribute.unit}" if attribute and attribute.unit else ""
    values = constraint.values()
    if constraint.op in ("min", "max") and attribute and attribute.quantity == "year":
        bound = f"{float(str(constraint.value)):g}"
        return f"from {bound} or later" if constraint.op == "min" else f"from {bound} or earlier"
    if constraint.op in ("min", "max"):
        return f"{'at least' if constraint.op == 'min' else 'at most'} {float(values[0]):g}{unit}"
    if attribute and attribute.quantity == "year" and constraint.op == "none_of" and len(values) > 2:
        return f"not from {values[0]} to {values[-1]}"
    # "a Scandinavian film" is any of five countries, "a foreign one" of eighty: the first few say enough.
    shown = values if len(values) <= NAMED + 1 else (*values[:NAMED], f"{len(values) - NAMED} others")
    joined = " or ".join(shown)
    if constraint.op in ("is_not", "none_of"):
        return f"without {joined}" if attribute and attribute.people else f"not {joined}"
    if attribute and (attribute.people or attribute.single):
        return phrased(attribute, joined, domain).removeprefix(f"a {domain.noun} ")
    return f"{label} {joined}" if attribute is None else joined


# ---- answers about one item -------------------------------------------------------------------------------------


def answer_about(item: Item, asked: Sequence[Attribute], domain: Domain) -> str:
    """Answer a question about an item from its record; all of it when the question names no attribute."""
    known = [a for a in asked if item.values(a.name)]
    missing = [a for a in asked if not item.values(a.name)]
    sentences = [fix_articles(f"{item.title} is {fact(item, a, domain)}.") for a in known]
    sentences += [f"I have no {a.label} on record for {item.title}." for a in missing]
    if not asked:
        sentences.append(summary(item, domain))
        if item.description:
            sentences.append(item.description)
    return " ".join(sentences)


def summary(item: Item, domain: Domain) -> str:
    """Return an item in one sentence: its most telling attributes."""
    facts = [fact(item, a, domain) for a in domain.attributes if a.strict and item.values(a.name)][:3]
    return fix_articles(f"{item.title} is {join(facts)}.") if facts else f"{item.title}."


def fact(item: Item, attribute: Attribute, domain: Domain, limit: int = 5) -> str:
    """Return one attribute of an item as it stands after "is"."""
    values = item.values(attribute.name)[:limit]
    if attribute.kind == "number":
        number = item.number(attribute.name)
        return phrased(attribute, f"{number:g} {attribute.unit}".strip(), domain)
    return phrased(attribute, join(values), domain)


def comparison(items: Sequence[Item], domain: Domain) -> str:
    """Set two items side by side: what they share, then what tells them apart."""
    first, second = items[0], items[1]
    parts: list[str] = []
    for attribute in domain.attributes:
        ours, theirs = first.values(attribute.name), second.values(attribute.name)
        both = [v for v in ours if v in theirs]
        if both and attribute.kind == "list" and len(parts) < 1:
            parts.append(
                fix_articles(f"Both are {phrased(attribute, join(both[:MAX_VALUES]), domain).replace('a ', '', 1)}.")
            )
    for item in (first, second):
        parts.append(summary(item, domain))
        if item.description:
            parts.append(item.description)
    return " ".join(parts)
