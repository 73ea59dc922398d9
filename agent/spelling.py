"""Titles with typing errors: windows of words that nothing else explains, compared with all known titles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from vouchrec.agent.gazetteer import LONGEST_PLAIN, Entry, Gazetteer
from vouchrec.agent.people import People
from vouchrec.agent.titles import TITLE_CUES, capitalised
from vouchrec.agent.types import Span
from vouchrec.agent.words import Token, common_words, name_key, scan
from vouchrec.retrieval.types import ItemId

_LONGEST = 6
_SHORTEST_VALUE = 5
"""Letters from which an unknown word can be a misspelt value."""
_WRITTEN_AS_TITLE = 92.0
"""Likeness from which capitalised words are a title before any of them is taken as a value ("Forest Gump")."""


def misspelt_titles(text: str, tokens: Sequence[Token], free: Sequence[bool], gazetteer: Gazetteer) -> Iterator[Span]:
    """Yield titles by likeness: windows of free words that hold an unknown word or follow a cue."""
    return scan(tokens, lambda at: _misspelt_at(text, tokens, free, at, gazetteer) if free[at] else None)


def written_as_titles(text: str, tokens: Sequence[Token], free: Sequence[bool], gazetteer: Gazetteer) -> Iterator[Span]:
    """Yield titles that two or more capitalised words are nearly spelt like; "Forest" in "Forest Gump" is no theme."""
    return scan(tokens, lambda at: _written_at(text, tokens, free, at, gazetteer))


def misspelt_people(
    text: str, tokens: Sequence[Token], free: Sequence[bool], gazetteer: Gazetteer, people: People
) -> Iterator[Span]:
    """Yield people by likeness: a long word that is no word but nearly a well-known surname ("tarrantino")."""

    def at(position: int) -> Span | None:
        return full(position, 3) or full(position, 2) or surname(position)

    def full(position: int, length: int) -> Span | None:
        words = tokens[position : position + length]
        if len(words) < length or not all(free[position : position + length]):
            return None
        if any(len(w.folded) < 3 or w.folded in common_words() for w in words):
            return None
        near = gazetteer.nearest_person(text[words[0].start : words[-1].end])
        key = name_key(next(iter(near))) if near else None
        meant = people.known(text, words[0].start, words[-1].end, key) if key else None
        return None if meant is None else replace(meant, guess=True)

    def surname(position: int) -> Span | None:
        word = tokens[position]
        if not free[position] or len(word.folded) < LONGEST_PLAIN or word.folded in common_words():
            return None
        if gazetteer.is_ordinary(word.folded) or (word.folded,) in gazetteer:
            return None
        key = gazetteer.nearest_surname(word.folded)
        meant = people.known(text, word.start, word.end, key) if key else None
        return None if meant is None else replace(meant, guess=True)

    return scan(tokens, at)


def misspelt_values(
    tokens: Sequence[Token], free: Sequence[bool], gazetteer: Gazetteer
) -> Iterator[tuple[int, int, Entry]]:
    """Yield the first token, the number of tokens and the meaning of words that are nearly a value ("comdey")."""
    for position, word in enumerate(tokens):
        if not free[position] or len(word.folded) < _SHORTEST_VALUE or word.folded in common_words():
            continue
        if gazetteer.is_ordinary(word.folded) or (word.folded,) in gazetteer:
            continue
        both = position + 1 < len(tokens) and free[position + 1]
        pair = gazetteer.nearest_value(f"{word.folded} {tokens[position + 1].folded}") if both else None
        key = pair or gazetteer.nearest_value(word.folded)
        entry = gazetteer.get(key) if key else None
        if entry is not None:
            yield position, 2 if pair else 1, entry


def _written_at(
    text: str, tokens: Sequence[Token], free: Sequence[bool], position: int, gazetteer: Gazetteer
) -> Span | None:
    for words in range(_capitals(text, tokens, free, position), 1, -1):
        start, end = tokens[position].start, tokens[position + words - 1].end
        near = gazetteer.nearest_titles(text[start:end], 1, cutoff=_WRITTEN_AS_TITLE)
        if near:
            return Span(start, end, text[start:end], "title", items=(near[0][0],), guess=True)
    return None


def _capitals(text: str, tokens: Sequence[Token], free: Sequence[bool], position: int) -> int:
    """Return how many free words from here on have capitals."""
    length = 0
    while length < _LONGEST and position + length < len(tokens) and free[position + length]:
        if not capitalised(text, tokens, position + length, 1):
            break
        length += 1
    return length


def _misspelt_at(
    text: str, tokens: Sequence[Token], free: Sequence[bool], position: int, gazetteer: Gazetteer
) -> Span | None:
    best: tuple[float, int, ItemId] | None = None
    for length in range(1, _LONGEST + 1):
        words = tokens[position : position + length]
        if len(words) < length or not all(free[position : position + length]):
            break
        unknown = sum(len(w.folded) for w in words if w.folded not in common_words())
        letters = sum(len(w.folded) for w in words)
        cued = position > 0 and tokens[position - 1].folded in TITLE_CUES
        if unknown < 4 or unknown < (0.25 if cued else 0.4) * letters or letters < 5:
            continue
        if length == 1 and gazetteer.is_ordinary(words[0].folded):  # a "beginner" is no misspelt "Beginners"
            continue
        cutoff = 84.0 if cued or capitalised(text, tokens, position, length) else 89.0
        near = gazetteer.nearest_titles(text[words[0].start : words[-1].end], 1, cutoff=cutoff)
        if near and (best is None or near[0][1] > best[0]):
            best = (near[0][1], length, near[0][0])
    if best is None:
        return None
    start, end = tokens[position].start, tokens[position + best[1] - 1].end
    return Span(start, end, text[start:end], "title", items=(best[2],), guess=True)
