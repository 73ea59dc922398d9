"""Roles of values -> constraints: what one message states, and what still holds from the turns before it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from vouchrec.agent.types import Act, Request, Role, Span
from vouchrec.retrieval.domain import Domain
from vouchrec.retrieval.types import Constraint, Strength

MANY = 12
"""Values above which a word names no choice among them: "subtitled", "foreign"."""
_OR = re.compile(
    r"[\s,]*\b(?:or|o|ou|oder|oppure)\b\s*(?:an?|the|some|maybe|un[aeo]?|uma?|eine?n?|d[ei])?\s*", re.IGNORECASE
)
_AND = re.compile(r"\s*(?:and|&|alongside|together with)\s*(?:with\s+)?", re.IGNORECASE)
_QUANTITIES: Mapping[str, tuple[str, ...]] = {
    "year": ("year", "years", "decade", "decades", "era", "period"),
    "duration": ("length", "running time", "duration"),
}
"""What the quantities of numeric attributes are called."""


def stated_constraints(message: str, pairs: Sequence[tuple[Span, Role]], domain: Domain) -> tuple[Constraint, ...]:
    """Return what the spans of one message ask for and rule out, alternatives joined ("French or Italian")."""
    found: list[Constraint] = []
    previous: Span | None = None
    for span, role in pairs:
        if span.is_item or role in ("about", "ignore") or not span.constraints:
            continue
        if role in ("exclude", "avoid"):
            found.extend(_negated(span, "hard" if role == "exclude" else "soft", domain))
            continue
        for constraint in span.constraints[:1] if span.kind == "person" else span.constraints:
            attribute = domain.attribute(constraint.attribute)
            strict = attribute is None or attribute.strict
            made = replace(constraint, strength="hard" if role == "must" and strict else "soft")
            either = previous is not None and _OR.fullmatch(message[previous.end : span.start]) is not None
            both = previous is not None and _AND.fullmatch(message[previous.end : span.start]) is not None
            makers = attribute is not None and attribute in domain.people[:1]
            people = attribute is not None and attribute.people and (makers or not both)
            joined = attribute is not None and (attribute.single or people or either)
            _add_wanted(found, made, alternatives=joined)
        previous = span
    return _consistent(_without_contradictions(found))


def _without_contradictions(found: Sequence[Constraint]) -> Iterator[Constraint]:
    """Yield conditions of one message; what it asks for by name it does not rule out: "westerns, but no spaghetti westerns"."""
    wanted = {(c.attribute, v.casefold()) for c in found if c.op in ("is", "any_of") for v in c.values()}
    for constraint in found:
        if constraint.op not in ("is_not", "none_of"):
            yield constraint
            continue
        left = tuple(v for v in constraint.values() if (constraint.attribute, v.casefold()) not in wanted)
        if len(left) == len(constraint.values()):
            yield constraint
        elif left:
            yield _without(replace(constraint, op="any_of", value=left), constraint.strength)


def _add_wanted(found: list[Constraint], new: Constraint, *, alternatives: bool) -> None:
    """Add a wanted value: as one more alternative (this country or that one), or as one more condition (comedy and horror)."""
    if alternatives and new.op in ("is", "any_of"):
        for i, old in enumerate(found):
            if old.attribute == new.attribute and old.op in ("is", "any_of") and old.strength == new.strength:
                found[i] = _either(old, new)
                return
    found.append(new)


def _either(old: Constraint, new: Constraint) -> Constraint:
    """Join two wanted values as alternatives; beside one that is named, a word for very many ("subtitles") adds none."""
    few, many = sorted((old, new), key=lambda c: len(c.values()))
    if len(many.values()) > MANY >= len(few.values()):
        return few
    return replace(old, op="any_of", value=tuple(dict.fromkeys((*old.values(), *new.values()))))


def _negated(span: Span, strength: Strength, domain: Domain) -> list[Constraint]:
    """Return the conditions that keep a span's meaning out.

    All meanings of its words are kept out, but for where a work is set: "nothing Japanese" is no word against Tokyo.
    """
    numeric = [c for c in span.constraints if c.op in ("min", "max")]
    if len(numeric) == 2:  # a range: no value of it
        low, high = sorted(int(float(str(c.value))) for c in numeric)
        if high - low <= 200:
            return [Constraint(numeric[0].attribute, "none_of", tuple(str(v) for v in range(low, high + 1)), strength)]
        return []
    if numeric:
        only = numeric[0]
        value = float(str(only.value))
        flipped = ("max", value - 1) if only.op == "min" else ("min", value + 1)
        return [Constraint(only.attribute, "max" if flipped[0] == "max" else "min", flipped[1], strength)]
    first = domain.attribute(span.constraints[0].attribute)
    others = [
        c
        for c in span.others
        if first is None or not first.single or ((a := domain.attribute(c.attribute)) is not None and a.strict)
    ]
    chosen = span.constraints if span.kind == "person" else (span.constraints[0], *others)
    return [_without(c, strength) for c in chosen]


def _without(wanted: Constraint, strength: Strength) -> Constraint:
    only, *others = wanted.values()
    if others:
        return Constraint(wanted.attribute, "none_of", (only, *others), strength)
    return Constraint(wanted.attribute, "is_not", only, strength)


def _consistent(constraints: Iterable[Constraint]) -> tuple[Constraint, ...]:
    """Drop repeats; a later condition replaces an earlier one that it contradicts or that bounds the same side."""
    kept: list[Constraint] = []
    for new in constraints:
        kept = [old for old in kept if not _replaces(new, old)]
        kept.append(new)
    return tuple(kept)


def _replaces(new: Constraint, old: Constraint) -> bool:
    if new.attribute != old.attribute:
        return False
    if new.op in ("min", "max"):
        if old.op == new.op:
            return True
        if old.op in ("min", "max"):  # "actually after 1990" takes "before 1980" back
            low, high = (new, old) if new.op == "min" else (old, new)
            return float(str(low.value)) > float(str(high.value))
        return False
    if old.op in ("min", "max"):
        return False
    same = {v.casefold() for v in new.values()} & {v.casefold() for v in old.values()}
    return bool(same)


def carry(
    act: Act,
    previous: Request | None,
    stated: tuple[Constraint, ...],
    lifted: tuple[Constraint, ...],
    domain: Domain,
    dropped: frozenset[str] = frozenset(),
) -> tuple[Constraint, ...]:
    """Join what was said before with what is said now.

    A new request keeps only what was ruled out; a critique and feedback keep everything that is not contradicted.
    """
    if previous is None or act not in ("recommend", "critique", "feedback"):
        return stated
    new = act == "recommend"
    kept = [c for c in previous.constraints if not new or c.op in ("is_not", "none_of")]
    kept = [c for c in kept if c.attribute not in dropped]
    # "War is fine after all" also takes back the other things that "no war" ruled out.
    kept = [c for c in kept if not any(_rules_out(c, other) for other in lifted)]
    left = [rest for old in kept if (rest := _left_of(old, stated, domain)) is not None]
    return _consistent([*left, *stated])


def given_up(message: str, domain: Domain) -> frozenset[str]:
    """Return the attributes whose conditions a message takes back by name: "never mind the countries"."""
    names = {form: a.name for a in domain.attributes for form in (a.label.casefold(), f"{a.label.casefold()}s", a.name)}
    names |= {word: a.name for a in domain.attributes for word in _QUANTITIES.get(a.quantity, ())}
    words = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    found = re.finditer(
        rf"\b(?:never mind|forget|drop|ignore|scrap|any)\s+(?:about\s+)?(?:the\s+)?({words})\b", message.casefold()
    )
    return frozenset(names[m[1]] for m in found) if words else frozenset()


_THAN_THAT = re.compile(
    r"\b(?:(?P<before>before|earlier\s+than|older\s+than)|(?P<after>after|since|later\s+than|newer\s+than))\s+(?:then|that)(?=\s*(?:$|[?.!,]))",
    re.IGNORECASE,
)
_DECADE_AWAY = re.compile(
    r"\bdecade\s+(?:(?P<before>before|earlier)|(?P<after>after|later))\b|\b(?:(?P<previous>previous|preceding)|(?P<next>next|following))\s+decade\b",
    re.IGNORECASE,
)


def moved_bounds(
    message: str, stated: tuple[Constraint, ...], previous: Request | None, domain: Domain
) -> tuple[Constraint, ...]:
    """Return what a message states with years that it gives by those before: "any from before then?", "the decade after"."""
    year = next((a.name for a in domain.attributes if a.quantity == "year"), "")
    bounds = (
        {c.op: float(str(c.value)) for c in previous.constraints if c.attribute == year and c.op in ("min", "max")}
        if previous and year
        else {}
    )
    low, high = bounds.get("min"), bounds.get("max")
    moved: list[Constraint] = []
    decade, beyond = _DECADE_AWAY.search(message), _THAN_THAT.search(message)
    if decade and low is not None and high is not None:
        shift = -10 if decade["before"] or decade["previous"] else 10
        moved = [Constraint(year, "min", low + shift), Constraint(year, "max", high + shift)]
    elif beyond and beyond["before"] and low is not None:
        moved = [Constraint(year, "max", low - 1)]
    elif beyond and beyond["after"] and high is not None:
        moved = [Constraint(year, "min", high + 1)]
    return (*(c for c in stated if c.attribute != year), *moved) if moved else stated


def _rules_out(old: Constraint, wanted: Constraint) -> bool:
    """Return whether an earlier condition keeps a wanted value out."""
    same = old.attribute == wanted.attribute and {v.casefold() for v in old.values()} & {
        v.casefold() for v in wanted.values()
    }
    return old.op in ("is_not", "none_of") and bool(same)


def _left_of(old: Constraint, stated: Sequence[Constraint], domain: Domain) -> Constraint | None:
    """Return what is left of an earlier condition, of whose values some may have been taken back; None when nothing is."""
    attribute = domain.attribute(old.attribute)
    now = [c for c in stated if c.attribute == old.attribute]
    wanted = old.op in ("is", "any_of")
    if wanted and attribute is not None and attribute.single and any(c.op in ("is", "any_of") for c in now):
        return None  # "make it Italian" takes "French" back
    if old.op not in ("any_of", "none_of"):
        return old
    left = tuple(v for v in old.values() if not _taken_back(v, now, wanted=wanted))
    if len(left) > 1:
        return replace(old, value=left)
    return replace(old, op="is" if wanted else "is_not", value=left[0]) if left else None


def _taken_back(value: str, now: Sequence[Constraint], *, wanted: bool) -> bool:
    """Return whether what is said now is the opposite of an earlier wish for a value, or of its exclusion."""
    opposite = ("is_not", "none_of") if wanted else ("is", "any_of")
    if any(value.casefold() in {v.casefold() for v in c.values()} for c in now if c.op in opposite):
        return True
    bounds = {c.op: float(str(c.value)) for c in now if c.op in ("min", "max")}
    return not wanted and len(bounds) == 2 and bounds["min"] <= float(value) <= bounds["max"]
