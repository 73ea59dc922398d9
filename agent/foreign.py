"""Linking in Spanish, French, German, Italian and Portuguese: what a simple request in one of them names.

The same kinds of spans as in English, found with tables instead of a model: titles with evidence, people, years, lengths,
counts, the domain's values by their words in that language, and the list on the screen by number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from vouchrec.agent.amounts import Clock
from vouchrec.agent.foreign_numbers import count_before, foreign_counts, foreign_durations, foreign_years
from vouchrec.agent.gazetteer import LONGEST_NAME, Entry, Gazetteer
from vouchrec.agent.grammar import LANGUAGES, Grammar, alternatives, grammar, plain, whole
from vouchrec.agent.language import language_of, without
from vouchrec.agent.lexicon import Lexicon, lexicon
from vouchrec.agent.people import People
from vouchrec.agent.titles import capitalised
from vouchrec.agent.types import Span
from vouchrec.agent.words import Token, common_words, name_key, scan, tokenize
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.domain import Attribute
from vouchrec.retrieval.types import Constraint, ItemId, Op
from vouchrec.retrieval.vocabulary import Vocabulary

Bound = Callable[[Attribute, Op], float | None]
"""What a comparative means for the list on the screen, or None."""
_WORD = re.compile(r"[^\W_]+")
_QUOTES = ("“", '"', "‘", "«", "„", "'", "*")
_DATED = re.compile(r"\s*\((?:19|20)\d\d\)")
_CLAUSE = re.compile(r"[.;!?\n,]")
_LONGEST_CUE = 80
"""Characters before a name in which a cue is looked for."""
_SHORTEST_ENGLISH = 4
"""Letters from which an English name of a value is understood in a message of another language ("thriller")."""


class Foreign:
    """Links messages in the languages that rules read.

    Args:
        catalogue: Items and domain, whose `words` say what the values are called.
        gazetteer: Names of the catalogue.
        people: Its people.
        clock: What relative years count from.
    """

    def __init__(self, catalogue: Catalogue, gazetteer: Gazetteer, people: People, clock: Clock) -> None:
        self._catalogue = catalogue
        self._gazetteer = gazetteer
        self._people = people
        self._clock = clock
        words = catalogue.domain.words
        self._lexicons = {code: lexicon(words.get(code, Vocabulary()), catalogue) for code in LANGUAGES}

    def language(self, text: str) -> str:
        """Return the language of a message other than English, judged without the names in it; else an empty string."""
        tokens = tokenize(text)
        places = [(s.start, s.end) for s in scan(tokens, lambda at: self._name(text, tokens, at))]
        rest = without(text, places)
        return language_of(rest, {code: self._foreign_words(rest, code) for code in LANGUAGES})

    def link(self, text: str, language: str, shown: Sequence[ItemId], bound: Bound) -> list[Span]:
        """Return the spans of a message in a language, in order, none overlapping."""
        known, words = grammar(language), self._lexicons[language]
        tokens = tokenize(text)
        taken: list[Span] = []
        stages: tuple[Callable[[], Iterator[Span]], ...] = (
            lambda: scan(tokens, lambda at: self._title(text, tokens, at, language)),
            lambda: scan(tokens, lambda at: self._person(text, tokens, at, language)),
            lambda: iter(_apart([*self._numbers(text, known, words), *self._compared(text, known, bound)])),
            lambda: self._values(text, words),
            lambda: scan(tokens, lambda at: self._english(text, tokens, at, known)),
            lambda: self._counts(text, known, taken),
            lambda: self._unknown_people(text, tokens, language, taken),
            lambda: _ordinals(text, known, shown),
        )
        for stage in stages:
            for span in list(stage()):
                if all(span.end <= s.start or span.start >= s.end for s in taken):
                    taken.append(replace(span, language=language))
        return sorted(taken, key=lambda s: s.start)

    # ---- language ---------------------------------------------------------------------------------------------

    def _name(self, text: str, tokens: Sequence[Token], position: int) -> Span | None:
        """Return a title or a person of two words or more, written with a capital: it says nothing of the language."""
        if not tokens[position].text[:1].isupper():
            return None
        for length in range(min(LONGEST_NAME, len(tokens) - position), 1, -1):
            words = tokens[position : position + length]
            entry = self._gazetteer.get(tuple(w.folded for w in words))
            if entry and (entry.items or entry.people):
                return Span(words[0].start, words[-1].end, text[words[0].start : words[-1].end], "title")
        return None

    def _foreign_words(self, text: str, language: str) -> int:
        """Count words that mean something for the domain in the language and nothing in English."""
        words, said = self._lexicons[language], plain(text)
        values = {s.text.lower() for s in self._values(text, words) if not self._is_english(s.text)}
        nouns = {m.group() for m in whole(words.noun_pattern).finditer(said) if not self._is_english(m.group())}
        return len(values | nouns)

    def _is_english(self, surface: str) -> bool:
        key = name_key(surface)
        domain = self._catalogue.domain
        nouns = {domain.noun, domain.plural, *domain.nouns}
        return (
            self._gazetteer.is_value(key)
            or surface.lower() in nouns
            or all(word in common_words() or self._gazetteer.is_value((word,)) for word in key)
        )

    # ---- names ------------------------------------------------------------------------------------------------

    def _title(self, text: str, tokens: Sequence[Token], position: int, language: str) -> Span | None:
        for length in range(min(LONGEST_NAME, len(tokens) - position), 0, -1):
            words = tokens[position : position + length]
            entry = self._gazetteer.get(tuple(w.folded for w in words))
            if entry and entry.items and self._is_title(text, tokens, position, length, entry, language):
                start, end = words[0].start, words[-1].end
                items = self._gazetteer.by_popularity(entry.items)
                return Span(start, end, text[start:end], "title", items=items)
        return None

    def _is_title(
        self, text: str, tokens: Sequence[Token], position: int, length: int, entry: Entry, language: str
    ) -> bool:
        """Decide whether a known title is meant: by quotes, a year, a cue beside it, or by being several words."""
        known = grammar(language)
        words = tokens[position : position + length]
        start, end = words[0].start, words[-1].end
        if text[:start].endswith(_QUOTES) or _DATED.match(text, end) or length == len(tokens):
            return True
        if all(self._is_word(w.folded, language) for w in words):
            return False
        before = tokens[position - 1].folded if position else ""
        named = capitalised(text, tokens, position, length) or text.islower()
        if length >= 3:
            return named
        if any(_right_before(known.pattern(cue), plain(text[:start])) for cue in ("like", "negators")):
            return named
        if (
            not named
            or known.pattern("place").fullmatch(before)
            or (entry.people and self._cue(plain(text[:start]), language))
        ):
            return False
        clause = _clause(text, start, end)
        cued = any(known.pattern(cue).search(plain(clause)) for cue in ("like", "liked", "disliked", "seen"))
        return cued and not text.islower()

    def knows(self, word: str) -> bool:
        """Return whether a folded word is one of another language."""
        return any(self._is_word(word, language) for language in LANGUAGES)

    def _is_word(self, word: str, language: str) -> bool:
        """Return whether a folded word is one of the language, as far as the tables know it."""
        known, words = grammar(language), self._lexicons[language]
        return word in known.common or word in known.telling or word in words.nouns or (word,) in words.values

    def _person(self, text: str, tokens: Sequence[Token], position: int, language: str) -> Span | None:
        for length in range(min(4, len(tokens) - position), 0, -1):
            words = tokens[position : position + length]
            cue = self._cue(plain(text[: words[0].start]), language)
            written = all(w.text[:1].isupper() for w in (words[0], words[-1]))
            alone = length == 1 and self._is_word(words[0].folded, language)
            if alone or not (length > 1 or written or (cue and text.islower())):
                continue
            span = self._people.span(text, tokens, position, length)
            if span is not None:
                ordered = sorted(span.constraints, key=lambda c: c.attribute != cue)
                return replace(span, constraints=tuple(ordered))
        return None

    def _cue(self, before: str, language: str) -> str:
        """Return the attribute of people whose words stand directly before a name, or an empty string."""
        for attribute, cues in self._lexicons[language].cues.items():
            if self._catalogue.domain.attribute(attribute) and _right_before(
                whole(alternatives(";".join(cues))), before
            ):
                return attribute
        return ""

    def _unknown_people(
        self, text: str, tokens: Sequence[Token], language: str, taken: Sequence[Span]
    ) -> Iterator[Span]:
        """Yield names of two capitalised words behind a cue whom the catalogue lacks, so that the answer can say so."""
        for first, second in pairwise(tokens):
            pair = (first, second)
            cue = self._cue(plain(text[: first.start]), language)
            if not cue or any(s.start < second.end and first.start < s.end for s in taken):
                continue
            plain_words = any(self._is_word(w.folded, language) or w.folded in common_words() for w in pair)
            if plain_words or not all(w.text[:1].isupper() for w in pair) or text[first.end : second.start] != " ":
                continue
            name = text[first.start : second.end]
            if not any(name in f"{item.title}\n{item.description}" for item in self._catalogue.items):
                yield Span(first.start, second.end, name, "person", constraints=(Constraint(cue, "is", name),))

    # ---- values -----------------------------------------------------------------------------------------------

    def _values(self, text: str, words: Lexicon) -> Iterator[Span]:
        """Yield the domain's values by their words in the language, the longest first at each place."""
        found = list(_WORD.finditer(plain(text)))
        position = 0
        while position < len(found):
            for length in range(min(words.longest, len(found) - position), 0, -1):
                run = found[position : position + length]
                meant = words.values.get(tuple(m.group() for m in run))
                if meant:
                    start, end = run[0].start(), run[-1].end()
                    others = tuple(constraints[0] for _, constraints in meant[1:])
                    yield Span(start, end, text[start:end], meant[0][0], constraints=meant[0][1], others=others)
                    position += length - 1
                    break
            position += 1

    def _english(self, text: str, tokens: Sequence[Token], position: int, known: Grammar) -> Span | None:
        """Return a value by its English name, which many languages borrow; never a word that means something else."""
        for length in range(min(3, len(tokens) - position), 0, -1):
            words = tokens[position : position + length]
            key = tuple(w.folded for w in words)
            entry = self._gazetteer.get(key)
            ordinary = any(word in known.common or word in known.false_friends for word in key)
            if entry is None or not entry.values or ordinary or len(" ".join(key)) < _SHORTEST_ENGLISH:
                continue
            attribute, meant = entry.values[0]
            start, end = words[0].start, words[-1].end
            others = tuple(constraints[0] for _, constraints in entry.values[1:])
            return Span(start, end, text[start:end], attribute, constraints=meant, others=others)
        return None

    # ---- numbers ----------------------------------------------------------------------------------------------

    def _numbers(self, text: str, known: Grammar, words: Lexicon) -> Iterator[Span]:
        nouns = words.noun_pattern
        for attribute in self._catalogue.domain.attributes:
            if attribute.quantity == "year":
                yield from foreign_years(text, attribute.name, known, nouns, self._clock)
            elif attribute.quantity == "duration":
                yield from foreign_durations(text, attribute.name, known, nouns)
        yield from foreign_counts(text, known, nouns)

    def _counts(self, text: str, known: Grammar, taken: Sequence[Span]) -> Iterator[Span]:
        """Yield counts of a kind: "drei Western". A place or a mood behind a number is counted by nobody."""
        for span in tuple(taken):
            attribute = self._catalogue.domain.attribute(span.kind)
            if attribute and attribute.kind == "list" and attribute.strict and not attribute.single:
                count = count_before(text, span.start, known)
                if count is not None:
                    yield count

    def _compared(self, text: str, known: Grammar, bound: Bound) -> Iterator[Span]:
        """Yield comparatives ("más corta"), which mean what they would in English: against the list, or short at all."""
        said = plain(text)
        for word, (quantity, op) in _COMPARATIVES.items():
            pattern = whole(alternatives(known.raw["comparatives"][word]))
            for attribute in self._catalogue.domain.attributes:
                value = bound(attribute, op) if attribute.quantity == quantity and pattern.search(said) else None
                for m in pattern.finditer(said) if value is not None else ():
                    limit = (Constraint(attribute.name, op, value),) if value is not None else ()
                    yield Span(m.start(), m.end(), text[m.start() : m.end()], attribute.name, constraints=limit)


_COMPARATIVES: dict[str, tuple[str, Op]] = {
    "shorter": ("duration", "max"),
    "longer": ("duration", "min"),
    "older": ("year", "max"),
    "newer": ("year", "min"),
}


def _ordinals(text: str, known: Grammar, shown: Sequence[ItemId]) -> Iterator[Span]:
    for number, words in known.raw["ordinals"].items():
        if int(number) <= len(shown):
            for m in whole(alternatives(words)).finditer(plain(text)):
                yield Span(m.start(), m.end(), text[m.start() : m.end()], "ref", items=(shown[int(number) - 1],))


def _apart(spans: Sequence[Span]) -> list[Span]:
    """Return spans that don't overlap, the longer of two that do."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda s: s.start - s.end):
        if all(span.end <= other.start or span.start >= other.end for other in kept):
            kept.append(span)
    return kept


def _right_before(pattern: re.Pattern[str], before: str) -> bool:
    """Return whether a text ends with the pattern, but for space, an article and opening quotes."""
    stripped = before[-_LONGEST_CUE:].rstrip(" '\"“«„*")
    return any(m.end() == len(stripped) for m in pattern.finditer(stripped))


def _clause(text: str, start: int, end: int) -> str:
    left = max((m.end() for m in _CLAUSE.finditer(text, 0, start)), default=0)
    right = _CLAUSE.search(text, end)
    return text[left : right.start() if right else len(text)]
