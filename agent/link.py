"""link(): find every part of a message that names something the catalogue knows, before any model reads it.

Exact names first (longest wins), then years, durations and counts, then items on the screen ("the second one"), then titles
with typing errors. A name made of ordinary words is a title only with evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vouchrec.agent.amounts import clock_of
from vouchrec.agent.foreign import Foreign
from vouchrec.agent.gazetteer import LONGEST_NAME, Entry, Gazetteer
from vouchrec.agent.numbers import link_numbers, plain_bound
from vouchrec.agent.people import People
from vouchrec.agent.references import References
from vouchrec.agent.spelling import misspelt_people, misspelt_titles, misspelt_values, written_as_titles
from vouchrec.agent.symbols import Symbols
from vouchrec.agent.titles import capitalised, evident, in_unknown_name, list_goes_on, sentence_start
from vouchrec.agent.types import Span
from vouchrec.agent.words import Token, scan, tokenize
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.domain import Attribute, Quantity
from vouchrec.retrieval.types import Constraint, ItemId, ItemVector, Op

MAX_SPANS = 24
LONGEST_MESSAGE = 2_000
_ADVERB = re.compile(
    r"\b(?:(?:no|any|much)\s+longer|which(?:\s+one)?(?:\s+is|['’]s)\s+\w+|(?:you|see|said|asked|told|mentioned|wrote|typed|maybe|watch)\s+(?:it\s+|me\s+|that\s+)?(?:later|earlier)"
    r"|(?:hours?|days?|weeks?|years?|minutes?)\s+(?:later|earlier))$",
    re.IGNORECASE,
)
_PEOPLE_AFTER = re.compile(
    r"\s+(?:than\s+(?:me|i\s+am|us|we\s+are|(?:my|your|our|his|her|their)\s+(?:own\s+)?(?:mom|mum|mother|dad|father|parents?|gran\w*|grand\w*|kids?|child\w*|wife|husband|sister|brother|uncle|aunt|house|car|cat|dog|self))\b|of\s+the\s+two\b|(?:brothers?|sisters?|siblings?|people|person|persons|men|man|women|woman|kids?|child|children|couples?|folks?|relatives?|"
    r"cousins?|boys?|girls?|actors?|actress(?:es)?|attention)\b)",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"\b(?:about|set\s+(?:in|on|at)|takes?\s+place\s+in|taking\s+place\s+in|happens?\s+in|happening\s+in|story\s+of)\s+(?:the\s+|a\s+)?$",
    re.IGNORECASE,
)
"""What stands before a place that a work shows, and not where it was made."""
_YEAR_AFTER = re.compile(r"^\s*[(\[,]?\s*(?:the\s+)?(?P<year>(?:19|20)\d\d)(?!\d|['’]?s\b)(?:\s+one)?(?:\s*[)\]])?")

_FAR = r"(?:(?<!not )\btoo|(?:\b(?:are|is|was|were)|['’](?:re|s))\s+(?:all\s+|both\s+|just\s+)?so)\s+(?:(?:bloody|damn|fucking|freaking)\s+)?"
_NO_PURPOSE = r"\b(?!\s+to\b|-)"
_TOO: Mapping[tuple[Quantity, str], re.Pattern[str]] = {
    ("year", "much"): re.compile(rf"{_FAR}(?:modern|new|recent){_NO_PURPOSE}", re.IGNORECASE),
    ("year", "little"): re.compile(rf"{_FAR}(?:old(?:[\s-]fashioned)?|dated|ancient){_NO_PURPOSE}", re.IGNORECASE),
    ("duration", "much"): re.compile(rf"{_FAR}long{_NO_PURPOSE}", re.IGNORECASE),
    ("duration", "little"): re.compile(rf"{_FAR}short{_NO_PURPOSE}", re.IGNORECASE),
}
"""What is said of a list that has too much or too little of a quantity."""


@dataclass(frozen=True, slots=True)
class Screen:
    """What the person sees while typing: the last list, and the item last talked about."""

    shown: tuple[ItemId, ...] = ()
    focus: ItemId | None = None


class Linker:
    """Links messages against one open catalogue; safe to share between threads.

    Args:
        popularity: (n_items,) prior by row for names that several items share.
    """

    def __init__(self, catalogue: Catalogue, popularity: ItemVector) -> None:
        self.catalogue = catalogue
        self.gazetteer = Gazetteer(catalogue, popularity)
        self._people = People(catalogue, self.gazetteer)
        self._references = References(catalogue, self.gazetteer)
        self._comparatives = _comparatives(catalogue.domain.attributes)
        self.clock = clock_of(catalogue)
        self._foreign = Foreign(catalogue, self.gazetteer, self._people, self.clock)
        self._symbols = Symbols.of(catalogue)

    def link(self, text: str, screen: Screen | None = None) -> list[Span]:
        """Return the spans of a message in order, none overlapping, at most 24."""
        screen = screen or Screen()
        language = self._foreign.language(text)
        return self._link_foreign(text, screen, language) if language else self._link_english(text, screen)

    def _link_foreign(self, text: str, screen: Screen, language: str) -> list[Span]:
        taken = _Taken()
        taken.add(replace(span, language=language) for span in self._symbols.spans(text))
        taken.add(self._foreign.link(text, language, screen.shown, lambda a, op: self._bound(a, op, "", screen)))
        return sorted(taken.spans, key=lambda s: s.start)[:MAX_SPANS]

    def _link_english(self, text: str, screen: Screen) -> list[Span]:
        taken, tokens = _Taken(), tokenize(text)
        taken.add(self._symbols.spans(text))
        taken.add(self._references.described(text, screen.shown))
        taken.add(self._named(text, tokens, strong=True))
        numbers = link_numbers(text, self.catalogue.domain, self.clock)
        taken.add(self._references.found(text, screen.shown, screen.focus, numbers, tuple(taken.spans)))
        taken.add(self._complaints(text, screen))
        taken.add(numbers)
        taken.add(self._compared(text, screen))
        taken.add(written_as_titles(text, tokens, taken.free(tokens), self.gazetteer))
        taken.add(self._named(text, tokens, strong=False))
        taken.add(self._people.unknown(text, tokens, tuple(taken.spans)))
        taken.add(misspelt_people(text, tokens, taken.free(tokens), self.gazetteer, self._people))
        taken.add(self._misspelt_values(text, tokens, taken.free(tokens)))
        taken.add(misspelt_titles(text, tokens, taken.free(tokens), self.gazetteer))
        return sorted(taken.spans, key=lambda s: s.start)[:MAX_SPANS]

    def resolve(self, title: str) -> tuple[ItemId, ...]:
        """Return the items a typed title can mean, most likely first; empty when none is near."""
        match = re.match(r"^(.*?)\s*\(?((?:19|20)\d\d)?\)?\s*$", title.strip())
        name, year = (match[1], match[2]) if match and match[1] else (title, None)
        for candidate in (title, name):
            entry = self.gazetteer.get(tuple(t.folded for t in tokenize(candidate)))
            if entry and entry.items:
                ranked = self.gazetteer.by_popularity(entry.items)
                return self._of_year(ranked, int(year)) if year else ranked
        near = [item for item, _ in self.gazetteer.nearest_titles(name)]
        return self._of_year(tuple(near), int(year)) if year else tuple(near)

    # ---- names ------------------------------------------------------------------------------------------------

    def _named(self, text: str, tokens: Sequence[Token], *, strong: bool) -> Iterator[Span]:
        """Yield spans of known names; strong ones are titles with evidence and names of two words or more."""
        return scan(tokens, lambda position: self._longest(text, tokens, position, strong))

    def _longest(self, text: str, tokens: Sequence[Token], position: int, strong: bool) -> Span | None:
        for length in range(min(LONGEST_NAME, len(tokens) - position), 0, -1):
            words = tokens[position : position + length]
            entry = self._entry(tuple(w.folded for w in words))
            if entry is None or (strong and length == 1 and not entry.items):
                continue
            span = self._meaning(text, tokens, position, length, entry)
            if span is not None and not (strong and length == 1 and span.kind != "title"):
                return span
        return None

    def _misspelt_values(self, text: str, tokens: Sequence[Token], free: Sequence[bool]) -> Iterator[Span]:
        for position, length, entry in misspelt_values(tokens, free, self.gazetteer):
            if self._foreign.knows(tokens[position].folded):  # "comedia" is no misspelt comedy
                continue
            if (
                not capitalised(text, tokens, position, 1)
                or text.isupper()
                or sentence_start(text, tokens[position].start)
            ):
                start, end = tokens[position].start, tokens[position + length - 1].end
                attribute, meant = entry.values[0]
                others = tuple(constraints[0] for _, constraints in entry.values[1:])
                yield Span(start, end, text[start:end], attribute, constraints=meant, others=others, guess=True)

    def _entry(self, key: tuple[str, ...]) -> Entry | None:
        return self.gazetteer.get(key) or (Entry() if self.gazetteer.known_as(key) else None)

    def _meaning(self, text: str, tokens: Sequence[Token], position: int, length: int, entry: Entry) -> Span | None:
        start, end = tokens[position].start, tokens[position + length - 1].end
        key = tuple(t.folded for t in tokens[position : position + length])
        surface = text[start:end]
        if entry.items and self._is_title(text, tokens, position, length, key, entry):
            items = self.gazetteer.by_popularity(entry.items)
            year = self._dated(entry, text[end:])
            if year:
                items, end = self._of_year(items, int(year["year"])), end + year.end()
            return Span(start, end, text[start:end], "title", items=items)
        person = self._people.span(text, tokens, position, length)
        if person is not None:
            return person
        if entry.values:
            if in_unknown_name(text, tokens, position, length):
                return None
            values = self._of_subject(text[:start], entry)
            attribute, meant = values[0]
            if len(surface) < 3 and not surface.isupper() and surface.lower() not in ("sf", "us"):
                return None
            if surface.lower() == "us":  # the pronoun, not the country
                return None if surface != "US" else Span(start, end, surface, attribute, constraints=meant)
            others = tuple(constraints[0] for _, constraints in values[1:])
            return Span(start, end, surface, attribute, constraints=meant, others=others)
        return None

    def _of_subject(self, before: str, entry: Entry) -> Sequence[tuple[str, tuple[Constraint, ...]]]:
        """Return a name's meanings, what it says of the subject first where it is spoken of: "about Vietnam", "set in Japan"."""
        if len(entry.values) < 2 or not _SUBJECT.search(before):
            return entry.values
        single = {a.name for a in self.catalogue.domain.attributes if a.single}
        return sorted(entry.values, key=lambda value: value[0] in single)

    def _is_title(
        self, text: str, tokens: Sequence[Token], position: int, length: int, key: tuple[str, ...], entry: Entry
    ) -> bool:
        """Decide whether a known title is meant as one: always when its words are rare, else with evidence."""
        start, end = tokens[position].start, tokens[position + length - 1].end
        if text[:start].rstrip()[-1:] in ("“", '"', "‘", "*") or self._dated(entry, text[end:]):
            return True
        before = tokens[position - 1].folded if position else ""
        if entry.people and self._people.announced(text, start):  # "with the Rock"
            return False
        if (entry.people or entry.values) and length <= 2 and not capitalised(text, tokens, position, length):
            return False
        if entry.values and before in ("from", "in"):  # "from Brazil"
            return False
        return (
            length >= 3
            or not self.gazetteer.is_common(key)
            or evident(text, tokens, position, length)
            or self._listed(text, tokens, position, length)
        )

    def _listed(self, text: str, tokens: Sequence[Token], position: int, length: int) -> bool:
        """Return whether a known title follows as in a list: "Heat, Collateral", where the first capital alone says nothing."""
        follower = list_goes_on(text, tokens, position, length)
        return follower is not None and bool(self._title_at(text[tokens[follower].start :]))

    def _dated(self, entry: Entry, rest: str) -> re.Match[str] | None:
        """Return the year after a name when an item of that name is of that year: "Heat (1995)"."""
        year = _YEAR_AFTER.match(rest)
        return year if year and any(self._year_of(i) == int(year["year"]) for i in entry.items) else None

    # ---- the list on the screen -------------------------------------------------------------------------------

    def _compared(self, text: str, screen: Screen) -> Iterator[Span]:
        """Comparatives ("shorter") against the list on the screen, or against an item named right after "than"."""
        for attribute, op, pattern in self._comparatives:
            for m in pattern.finditer(text):
                if _otherwise(text, m):
                    continue
                bound = self._bound(attribute, op, text[m.end() :], screen)
                if bound is not None:
                    constraint = Constraint(attribute.name, op, bound)
                    yield Span(m.start(), m.end(), m.group(), attribute.name, constraints=(constraint,))

    def _complaints(self, text: str, screen: Screen) -> Iterator[Span]:
        """What a list has too much of: "these are too modern" asks for older ones than those on the screen."""
        for attribute in self.catalogue.domain.attributes:
            sides: tuple[tuple[Op, str], ...] = (("max", "much"), ("min", "little"))
            for op, side in sides:
                words = _TOO.get((attribute.quantity, side))
                for m in words.finditer(text) if words is not None and screen.shown else ():
                    bound = self._bound(attribute, op, "", screen)
                    if bound is not None:
                        constraint = Constraint(attribute.name, op, bound)
                        yield Span(m.start(), m.end(), m.group(), attribute.name, constraints=(constraint,))

    def _bound(self, attribute: Attribute, op: Op, rest: str, screen: Screen) -> float | None:
        than = re.match(r"\s+than\s+(?!(?:that|this|those|these|my|usual|it)\b)", rest, re.IGNORECASE)
        items: tuple[ItemId, ...] = ()
        if than:
            after = self._references.at(rest[than.end() :], screen.shown) or self._title_at(rest[than.end() :])
            items = after[:1]
        items = items or ((screen.focus,) if screen.focus else screen.shown)
        values = [
            v for i in items if (item := self.catalogue.get(i)) and (v := item.number(attribute.name)) is not None
        ]
        if not values:  # nothing to compare with: the wish for something short or old must not be lost
            return None if than else plain_bound(attribute, op, self.clock)
        # Against one item: beyond it. Against a list: beyond its middle, since its extreme may leave nothing.
        middle = float(np.mean(values)) if len(values) > 1 else values[0]
        return float(np.ceil(middle) - 1 if op == "max" else np.floor(middle) + 1)

    def _title_at(self, text: str) -> tuple[ItemId, ...]:
        tokens = tokenize(text)
        for length in range(min(LONGEST_NAME, len(tokens)), 0, -1):
            entry = self.gazetteer.get(tuple(t.folded for t in tokens[:length]))
            if entry and entry.items:
                return self.gazetteer.by_popularity(entry.items)
        return ()

    # ---- small helpers ----------------------------------------------------------------------------------------

    def _year_of(self, item_id: ItemId) -> int | None:
        item = self.catalogue.get(item_id)
        for attribute in self.catalogue.domain.attributes:
            if item is not None and attribute.quantity == "year":
                year = item.number(attribute.name)
                return None if year is None else int(year)
        return None

    def _of_year(self, items: tuple[ItemId, ...], year: int) -> tuple[ItemId, ...]:
        """Return items with those of the year first; nothing else when one fits exactly."""
        exact = tuple(i for i in items if self._year_of(i) == year)
        if exact:
            return exact
        near = tuple(i for i in items if abs((self._year_of(i) or 0) - year) <= 1)
        return near or items


class _Taken:
    """Spans found so far; a later one that overlaps an earlier one is dropped, unless it is a number inside no title."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def overlaps(self, start: int, end: int) -> bool:
        return any(start < s.end and end > s.start for s in self.spans)

    def free(self, tokens: Sequence[Token]) -> list[bool]:
        return [not self.overlaps(t.start, t.end) for t in tokens]

    def add(self, spans: Iterable[Span]) -> None:
        for span in spans:
            if not self.overlaps(span.start, span.end):
                self.spans.append(span)


def _otherwise(text: str, match: re.Match[str]) -> bool:
    """Return whether a comparative says something else: "no longer", "see you later", "my older brother"."""
    return bool(_ADVERB.search(text[: match.end()]) or _PEOPLE_AFTER.match(text, match.end()))


def is_complaint(span: Span) -> bool:
    """Return whether a span says what the list has too much of; it then holds what is wanted instead."""
    return any(pattern.fullmatch(span.text) for pattern in _TOO.values())


def _comparatives(attributes: Sequence[Attribute]) -> list[tuple[Attribute, Op, re.Pattern[str]]]:
    found: list[tuple[Attribute, Op, re.Pattern[str]]] = []
    for attribute in attributes:
        sides: tuple[tuple[Op, tuple[str, ...]], ...] = (("max", attribute.lower), ("min", attribute.higher))
        for op, words in sides:
            if words:
                union = "|".join(re.escape(w) for w in sorted(words, key=len, reverse=True))
                found.append((attribute, op, re.compile(rf"\b(?:{union})\b", re.IGNORECASE)))
    return found
