"""link(): find every part of a message that names something the catalogue knows, before any model reads it.

Exact names first (longest wins), then years, durations and counts, then items on the screen ("the second one"), then titles
with typing errors. A name made of ordinary words is a title only with evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vouchrec.agent.gazetteer import LONGEST_NAME, Entry, Gazetteer
from vouchrec.agent.numbers import Clock, link_numbers
from vouchrec.agent.types import Span
from vouchrec.agent.words import CARDINALS, ORDINALS, Token, common_words, tokenize
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.domain import Attribute
from vouchrec.retrieval.types import Constraint, ItemId, ItemVector, Op

MAX_SPANS = 24
LONGEST_MESSAGE = 2_000
_TITLE_CUES = frozenset(
    [
        "like",
        "love",
        "loved",
        "liked",
        "adore",
        "adored",
        "enjoyed",
        "hate",
        "hated",
        "dislike",
        "disliked",
        "seen",
        "saw",
        "finished",
        "than",
        "called",
        "titled",
        "see",
        "rewatch",
        "rewatched",
        "about",
        "enjoy",
        "loving",
        "prefer",
        "rate",
        "rated",
        "than",
        "as",
        "vs",
        "versus",
        "recommend",
        "recommended",
        "suggest",
        "watched",
        "read",
        "played",
        "heard",
        "tried",
        "similar",
    ]
)
_WEAK_CUES = frozenset(
    [
        "the",
        "a",
        "an",
        "and",
        "or",
        "film",
        "movie",
        "to",
        "of",
        "with",
        "really",
        "just",
        "again",
        "original",
        "also",
        "both",
        "either",
        "is",
        "was",
    ]
)
_REF = re.compile(
    r"\b(?:(?P<all>(?:all|these|those)\s+(?:two|three|four|five|of (?:them|these|those)))\b|(?:the\s+)?(?:(?P<firstn>first|last|top)\s+(?P<k>two|three|four|five)\b"
    r"|(?P<place>top|middle|bottom)\s+(?:one|pick|choice|film|movie|book)\b"
    r"|(?P<ord>first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|1st|2nd|3rd|4th|5th|last)(?:\s+(?:one|pick|choice|option|suggestion|film|movie|book|game|item|title))?\b"
    r"(?!\s+(?:time|hours?|minutes?|half|act|part|date|night|season|world|love|person|thing|day|two|three|hour|\d))"
    r"|(?:number|no\.?|nr\.?|option|pick)\s*(?P<num>\d{1,2}|one|two|three|four|five)\b))|#\s?(?P<hash>\d{1,2})\b"
    r"|(?<![\w.:])(?P<bare>[1-9])(?![\w.:%'’]|\s*(?:hours?|hrs?|h\b|min|m\b|years?|stars?|decades?|films?|movies?|books?|x\b|[+*/=]))",
    re.IGNORECASE,
)
_PRONOUN = re.compile(
    r"\b(?:(?:that|this)(?:\s+(?:one|film|movie|book|game|pick|title))|it|that(?=\s*[?.!,]|\s*$)|this(?=\s*[?.!,]|\s*$)|(?:its|it['’]s))\b",
    re.IGNORECASE,
)
_YEAR_AFTER = re.compile(r"^\s*[(\[,]?\s*(?:the\s+)?(?P<year>(?:19|20)\d\d)(?!\d|['’]?s\b)(?:\s+one)?(?:\s*[)\]])?")


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
        self._comparatives = _comparatives(catalogue.domain.attributes)
        years = [a.name for a in catalogue.domain.attributes if a.quantity == "year"]
        known = catalogue.numbers(years[0]) if years else np.zeros(0)
        known = known[np.isfinite(known)]
        self.clock = Clock(int(known.max()) if len(known) else 2026)

    def link(self, text: str, screen: Screen | None = None) -> list[Span]:
        """Return the spans of a message in order, none overlapping, at most 24."""
        screen = screen or Screen()
        taken = _Taken()
        tokens = tokenize(text)
        for span in self._named(text, tokens, strong=True):
            taken.add(span)
        numbers = link_numbers(text, self.catalogue.domain, self.clock)
        for span in self._references(text, screen, numbers):
            taken.add(span)
        for span in numbers:
            taken.add(span)
        for span in self._compared(text, screen):
            taken.add(span)
        for span in self._named(text, tokens, strong=False):
            taken.add(span)
        for span in self._misspelt(text, tokens, taken):
            taken.add(span)
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
        position = 0
        while position < len(tokens):
            span = self._longest(text, tokens, position, strong)
            if span is None:
                position += 1
                continue
            yield span
            while position < len(tokens) and tokens[position].start < span.end:
                position += 1

    def _longest(self, text: str, tokens: Sequence[Token], position: int, strong: bool) -> Span | None:
        for length in range(min(LONGEST_NAME, len(tokens) - position), 0, -1):
            words = tokens[position : position + length]
            entry = self.gazetteer.get(tuple(w.folded for w in words))
            if entry is None or (strong and length == 1 and not entry.items):
                continue
            span = self._meaning(text, tokens, position, length, entry)
            if span is not None and not (strong and length == 1 and span.kind != "title"):
                return span
        return None

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
        if entry.people:
            return self._person(text, start, end, entry)
        if entry.values:
            attribute, meant = entry.values[0]
            if len(surface) < 3 and not surface.isupper() and surface.lower() not in ("sf", "us"):
                return None
            if surface.lower() == "us":  # the pronoun, not the country
                return None if surface != "US" else Span(start, end, surface, attribute, constraints=meant)
            return Span(start, end, surface, attribute, constraints=meant)
        return None

    def _is_title(
        self, text: str, tokens: Sequence[Token], position: int, length: int, key: tuple[str, ...], entry: Entry
    ) -> bool:
        """Decide whether a known title is meant as one: always when its words are rare, else with evidence."""
        start, end = tokens[position].start, tokens[position + length - 1].end
        if text[:start].rstrip()[-1:] in ("“", '"', "‘", "*") or self._dated(entry, text[end:]):
            return True
        before = tokens[position - 1].folded if position else ""
        if (entry.people or entry.values) and length <= 2 and not _capitalised(tokens, position, length, text):
            return False
        if entry.values and before in ("from", "in"):  # "from Brazil"
            return False
        return length >= 4 or not self.gazetteer.is_common(key) or self._evident(text, tokens, position, length)

    def _evident(self, text: str, tokens: Sequence[Token], position: int, length: int) -> bool:
        """Return whether case or the words around say that ordinary words are meant as a title."""
        if position == 0 and length == len(tokens):
            return True
        words = tokens[position : position + length]
        bare = length == 1 and words[0].folded in _SHORT
        if text.islower() or text.isupper():
            return self._cued(tokens, position) and not bare
        # At the start of a sentence a capital says nothing, but one on the second word does, and so does "Heat was great".
        if _capitalised(tokens, position, length, text):
            after = tokens[position + length].folded if position + length < len(tokens) else ""
            told = after in ("was", "vs", "versus") and not bare
            return words[0].folded != "i" and (told or length > 1 or not _sentence_start(text, words[0].start))
        return length > 1 and self._cued(tokens, position)

    def _dated(self, entry: Entry, rest: str) -> re.Match[str] | None:
        """Return the year after a name when an item of that name is of that year: "Heat (1995)"."""
        year = _YEAR_AFTER.match(rest)
        return year if year and any(self._year_of(i) == int(year["year"]) for i in entry.items) else None

    def _person(self, text: str, start: int, end: int, entry: Entry) -> Span:
        before = text[:start].rstrip().lower()
        options: list[tuple[int, int, str, str]] = []
        for person, attributes in entry.people.items():
            for name in attributes:
                attribute = self.catalogue.domain.attribute(name)
                cued = attribute is not None and any(before.endswith(cue) for cue in attribute.cues)
                count = len(self.catalogue.rows_with(name, person))
                options.append((int(cued), count, name, person))
        options.sort(reverse=True)
        _, _, name, person = options[0]
        others = tuple(Constraint(n, "is", p) for _, _, n, p in options[1:] if p == person)
        return Span(start, end, text[start:end], "person", constraints=(Constraint(name, "is", person), *others))

    # ---- the list on the screen -------------------------------------------------------------------------------

    def _references(self, text: str, screen: Screen, numbers: Sequence[Span]) -> Iterator[Span]:
        if not screen.shown:
            return
        for m in _REF.finditer(text):
            items = _referred(m, screen.shown)
            # "give me 3" is a count; "3 and 5" points.
            counted = m["bare"] and any(s.start < m.end() and m.start() < s.end for s in numbers)
            if items and not counted:
                yield Span(m.start(), m.end(), m.group(), "ref", items=items)
        target = screen.focus or screen.shown[0]
        for m in _PRONOUN.finditer(text):
            yield Span(m.start(), m.end(), m.group(), "ref", items=(target,))

    def _compared(self, text: str, screen: Screen) -> Iterator[Span]:
        """Comparatives ("shorter") against the list on the screen, or against an item named right after "than"."""
        for attribute, op, pattern in self._comparatives:
            for m in pattern.finditer(text):
                bound = self._bound(attribute, op, text[m.end() :], screen)
                if bound is not None:
                    constraint = Constraint(attribute.name, op, bound)
                    yield Span(m.start(), m.end(), m.group(), attribute.name, constraints=(constraint,))

    def _bound(self, attribute: Attribute, op: str, rest: str, screen: Screen) -> float | None:
        than = re.match(r"\s+than\s+", rest, re.IGNORECASE)
        items: tuple[ItemId, ...] = ()
        if than:
            after = self._reference_at(rest[than.end() :], screen) or self._title_at(rest[than.end() :])
            items = after[:1]
        items = items or ((screen.focus,) if screen.focus else screen.shown)
        values = [
            v for i in items if (item := self.catalogue.get(i)) and (v := item.number(attribute.name)) is not None
        ]
        if not values:
            return None
        # Against one item: beyond it. Against a list: beyond its middle, since its extreme may leave nothing.
        middle = float(np.mean(values)) if len(values) > 1 else values[0]
        return float(np.ceil(middle) - 1 if op == "max" else np.floor(middle) + 1)

    def _reference_at(self, text: str, screen: Screen) -> tuple[ItemId, ...]:
        m = _REF.match(text)
        return _referred(m, screen.shown) if m and screen.shown else ()

    def _title_at(self, text: str) -> tuple[ItemId, ...]:
        tokens = tokenize(text)
        for length in range(min(LONGEST_NAME, len(tokens)), 0, -1):
            entry = self.gazetteer.get(tuple(t.folded for t in tokens[:length]))
            if entry and entry.items:
                return self.gazetteer.by_popularity(entry.items)
        return ()

    # ---- typing errors ----------------------------------------------------------------------------------------

    def _misspelt(self, text: str, tokens: Sequence[Token], taken: _Taken) -> Iterator[Span]:
        """Titles by likeness: windows of free words that hold an unknown word or follow a cue."""
        free = [not taken.overlaps(t.start, t.end) for t in tokens]
        position = 0
        while position < len(tokens):
            span = self._misspelt_at(text, tokens, free, position) if free[position] else None
            if span is None:
                position += 1
                continue
            yield span
            while position < len(tokens) and tokens[position].start < span.end:
                position += 1

    def _misspelt_at(self, text: str, tokens: Sequence[Token], free: Sequence[bool], position: int) -> Span | None:
        best: tuple[float, int, ItemId] | None = None
        for length in range(1, 7):
            words = tokens[position : position + length]
            if len(words) < length or not all(free[position : position + length]):
                break
            unknown = sum(len(w.folded) for w in words if w.folded not in common_words())
            letters = sum(len(w.folded) for w in words)
            cued = position > 0 and tokens[position - 1].folded in _TITLE_CUES
            if unknown < 4 or unknown < (0.25 if cued else 0.4) * letters or letters < 5:
                continue
            cutoff = 84.0 if cued or _capitalised(tokens, position, length, text) else 89.0
            near = self.gazetteer.nearest_titles(text[words[0].start : words[-1].end], 1, cutoff=cutoff)
            if near and (best is None or near[0][1] > best[0]):
                best = (near[0][1], length, near[0][0])
        if best is None:
            return None
        start, end = tokens[position].start, tokens[position + best[1] - 1].end
        return Span(start, end, text[start:end], "title", items=(best[2],), guess=True)

    def _cued(self, tokens: Sequence[Token], position: int) -> bool:
        """Return whether a name is to be expected here: "liked ...", "liked the ..."."""
        before = [t.folded for t in tokens[max(0, position - 2) : position]]
        return bool(before) and (before[-1] in _TITLE_CUES or (before[-1] in _WEAK_CUES and before[0] in _TITLE_CUES))

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


_SHORT = frozenset(
    [
        "it",
        "her",
        "up",
        "us",
        "big",
        "him",
        "them",
        "they",
        "you",
        "me",
        "i",
        "we",
        "he",
        "she",
        "this",
        "that",
        "one",
        "two",
        "go",
        "out",
        "her's",
    ]
)


class _Taken:
    """Spans found so far; a later one that overlaps an earlier one is dropped, unless it is a number inside no title."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def overlaps(self, start: int, end: int) -> bool:
        return any(start < s.end and end > s.start for s in self.spans)

    def add(self, span: Span) -> None:
        if not self.overlaps(span.start, span.end):
            self.spans.append(span)


def _comparatives(attributes: Sequence[Attribute]) -> list[tuple[Attribute, Op, re.Pattern[str]]]:
    found: list[tuple[Attribute, Op, re.Pattern[str]]] = []
    for attribute in attributes:
        sides: tuple[tuple[Op, tuple[str, ...]], ...] = (("max", attribute.lower), ("min", attribute.higher))
        for op, words in sides:
            if words:
                union = "|".join(re.escape(w) for w in sorted(words, key=len, reverse=True))
                found.append((attribute, op, re.compile(rf"\b(?:{union})\b", re.IGNORECASE)))
    return found


def _referred(match: re.Match[str], shown: tuple[ItemId, ...]) -> tuple[ItemId, ...]:
    """Return the items on the screen that words like "the second one" point at; empty when there is no such place."""
    groups = match.groupdict()
    if groups["all"]:
        return shown
    if groups["firstn"]:
        k = CARDINALS[groups["k"].lower()]
        return shown[-k:] if groups["firstn"].lower() == "last" else shown[:k]
    if groups["place"]:
        index = {"top": 1, "middle": (len(shown) + 1) // 2, "bottom": len(shown)}[groups["place"].lower()]
    elif groups["ord"]:
        word = groups["ord"].lower()
        index = len(shown) if word == "last" else ORDINALS[word]
    else:
        word = (groups["num"] or groups["hash"] or groups["bare"]).lower()
        index = int(word) if word.isdigit() else CARDINALS[word]
    return (shown[index - 1],) if 1 <= index <= len(shown) else ()


def _capitalised(tokens: Sequence[Token], position: int, length: int, text: str) -> bool:
    if text.isupper():
        return False
    words = tokens[position : position + length]
    return (words[0].text[:1].isupper() and words[-1].text[:1].isupper()) or words[0].text[:1].isdigit()


def _sentence_start(text: str, start: int) -> bool:
    before = text[:start].rstrip(" \"'“‘(")
    return not before or before[-1] in ".!?\n:"
