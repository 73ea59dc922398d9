"""Authored messages and reasons about films -> the same about another catalogue: its names, its values, its words.

What a line speaks of is kept in form: a category becomes a category, a person a person, a year a year. A line about something
that the other catalogue does not have is left out, and so is one whose plain words belong to what was exchanged ("who directed
it?" over a catalogue of books).
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from vouchrec.agent.annotations import Annotation, AuthoredTurn
from vouchrec.finetune.examples import AuthoredReason, Names
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.domain import Attribute, Domain

_ITEM_KINDS = ("title", "ref", "count")
_REFERENCE = re.compile(r"\[\[(rec1|liked[123])(?:\.([a-z_]+))?\]\]")
EXCHANGED = 0.9
"""Part of the names that are exchanged for the catalogue's own; a name it does not know stays plain text."""


class Translator:
    """Brings authored lines of one domain to a catalogue of the same or another.

    Attributes:
        attributes: For every attribute of the authored domain the one that stands for it, or None.
        foreign: True when the catalogue's items are called otherwise.
    """

    def __init__(self, source: Domain, catalogue: Catalogue) -> None:
        self._source, self._target = source, catalogue.domain
        self._names = Names(catalogue)
        self._values = {a.name: _surfaces(a, catalogue) for a in catalogue.domain.attributes}
        self.attributes = _attribute_map(source, catalogue.domain, {n for n, found in self._values.items() if found})
        self.foreign = self._target.noun not in (source.noun, *source.nouns)
        self._words = _word_map(source, self._target) if self.foreign else {}
        self._strange = self._strange_words()

    # ---- messages ---------------------------------------------------------------------------------------------

    def turn(self, turn: AuthoredTurn, rng: random.Random) -> AuthoredTurn | None:
        """Return a message in the catalogue's words, or None when it speaks of something that the catalogue does not have."""
        text, position = "", 0
        found: list[Annotation] = []
        for a in turn.annotations:
            surface = self._surface(a, turn.text[a.start : a.end], rng)
            if surface is None:
                return None
            between = self._plain(turn.text[position : a.start])
            if between is None:
                return None
            text += between
            found.append(Annotation(len(text), len(text) + len(surface), a.kind, a.role))
            text += surface
            position = a.end
        rest, before = self._plain(turn.text[position:]), self._plain(turn.before)
        if rest is None or before is None:
            return None
        return AuthoredTurn(turn.group, text + rest, tuple(found), turn.act, turn.shown, before)

    def _surface(self, a: Annotation, surface: str, rng: random.Random) -> str | None:
        """Return the words of an annotation over the catalogue; None when it has nothing of the kind."""
        if a.role == "ignore" or a.kind in ("ref", "count"):
            return surface
        if a.kind == "title":
            return self._names.alike("title", surface, rng) if rng.random() < EXCHANGED else surface
        if a.kind == "person":
            return self._names.alike("person", surface, rng) if self._target.people else None
        name = self.attributes.get(a.kind)
        attribute = self._target.attribute(name) if name else None
        if attribute is None:
            return None
        if attribute.kind in ("number", "date"):
            return surface
        own = self._names.alike(name or "", surface, rng) if name == a.kind else None
        return own if own and rng.random() < EXCHANGED else self._value(attribute.name, surface, rng)

    def _value(self, attribute: str, like: str, rng: random.Random) -> str:
        """Return a value of the catalogue, of the same rough form where there is one."""
        pool = self._values[attribute]
        alike = [v for v in pool if v.endswith("s") == like.endswith("s") and (" " in v) == (" " in like)]
        chosen = rng.choice(alike or pool)
        return chosen.lower() if like.islower() else chosen

    def _plain(self, text: str) -> str | None:
        """Return words between names; None where they speak of what the catalogue's domain does not know."""
        if self._strange and self._strange.search(text):
            return None
        return self._exchanged(text)

    def _exchanged(self, text: str) -> str:
        if not self._words:
            return text
        union = "|".join(sorted(map(re.escape, self._words), key=len, reverse=True))

        def swap(match: re.Match[str]) -> str:
            new = self._words[match.group().casefold()]
            return new.capitalize() if match.group()[:1].isupper() else new

        return re.sub(rf"\b(?:{union})\b", swap, text, flags=re.IGNORECASE)

    def _strange_words(self) -> re.Pattern[str] | None:
        """Words of authored attributes that stand for nothing, or for something of another name."""
        words = {
            word
            for a in self._source.attributes
            if self.attributes.get(a.name) != a.name
            for word in (*a.words, *(c for c in a.cues if len(c) > 4), a.label)
            if word and word not in _own_words(self._target)
        }
        union = "|".join(sorted(map(re.escape, words), key=len, reverse=True))
        return re.compile(rf"\b(?:{union})s?\b", re.IGNORECASE) if union else None

    # ---- reasons ----------------------------------------------------------------------------------------------

    def reason(self, reason: AuthoredReason) -> AuthoredReason | None:
        """Return a reason with the catalogue's attributes in its references, or None when one is missing there."""
        plan: list[tuple[str, str]] = []
        for kind, reference in reason.plan:
            renamed = self._reference(reference)
            if renamed is None:
                return None
            plan.append((kind, renamed))
        if len({reference for _, reference in plan}) < len(plan):  # two attributes have become one
            return None
        parts: list[str] = []
        position = 0
        for m in _REFERENCE.finditer(reason.text):
            plain, renamed = self._plain(reason.text[position : m.start()]), self._reference(m.group())
            if plain is None or renamed is None:
                return None
            parts += [plain, renamed]
            position = m.end()
        rest = self._plain(reason.text[position:])
        return None if rest is None else replace(reason, plan=tuple(plan), text="".join([*parts, rest]))

    def _reference(self, reference: str) -> str | None:
        m = _REFERENCE.match(reference)
        if m is None or not m[2]:
            return reference
        name = self.attributes.get(m[2])
        return f"[[{m[1]}.{name}]]" if name else None


def _surfaces(attribute: Attribute, catalogue: Catalogue) -> tuple[str, ...]:
    """Return what can be said for an attribute: values, repeated ones first, and synonyms; empty when nothing has it."""
    if attribute.kind in ("number", "date"):
        has = any(item.attributes.get(attribute.name) is not None for item in catalogue.items)
        return ("number",) if has else ()
    if not attribute.filterable:
        return ()
    counts = catalogue.values(attribute.name)
    repeated = [v for v, count in counts.items() if count >= 2]
    return (*(repeated or counts), *attribute.synonyms)


def _attribute_map(source: Domain, target: Domain, filled: set[str]) -> dict[str, str | None]:
    """Return which attribute stands for which: that of the same name, else one of the same form that is not taken yet."""
    having = [a for a in target.attributes if a.name in filled]
    found: dict[str, str | None] = {a.name: None for a in source.attributes}
    found.update({a.name: a.name for a in having if a.name in found})
    taken = {name for name in found.values() if name}
    for a in source.attributes:
        if found[a.name] is None:
            near = next((t for t in having if t.name not in taken and _same_form(a, t)), None)
            found[a.name] = near.name if near else None
            taken |= {near.name} if near else set()
    return found


def _same_form(a: Attribute, b: Attribute) -> bool:
    if a.kind in ("number", "date") or b.kind in ("number", "date"):
        return a.kind == b.kind and a.quantity == b.quantity and bool(a.quantity)
    return a.people == b.people and a.single == b.single


def _own_words(domain: Domain) -> frozenset[str]:
    return frozenset(w for a in domain.attributes for w in (a.label, *a.words, *a.cues))


def _word_map(source: Domain, target: Domain) -> Mapping[str, str]:
    """Return what the words for an item and for having one become: film and films, watch, watched, watching, watches."""
    plurals = {source.plural, *(n for n in source.nouns if n.endswith("s"))}
    words = {noun: target.plural if noun in plurals else target.noun for noun in (source.noun, *plurals, *source.nouns)}
    forms: Sequence[tuple[str, str]] = (
        (source.consume, target.consume),
        (source.consumed, target.consumed),
        (_continuous(source.consume), _continuous(target.consume)),
        (f"{source.consume}es" if source.consume.endswith("ch") else f"{source.consume}s", f"{target.consume}s"),
    )
    return words | dict(forms)


def _continuous(verb: str) -> str:
    return f"{verb.removesuffix('e')}ing"
