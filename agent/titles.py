"""Evidence that words are meant as a title: cues before them, verdicts after them, capitals, and where a sentence starts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vouchrec.agent.words import Token

TITLE_CUES = frozenset([
    "like", "love", "loved", "liked", "adore", "adored", "enjoyed", "enjoy", "loving", "hate", "hated", "dislike",
    "disliked", "seen", "saw", "see", "finished", "than", "called", "titled", "rewatch", "rewatched", "about", "prefer",
    "rate", "rated", "as", "vs", "versus", "recommend", "recommended", "suggest", "watched", "read", "played", "heard",
    "tried", "similar",
])  # fmt: skip
_WEAK_CUES = frozenset([
    "the", "a", "an", "and", "or", "film", "movie", "to", "of", "with", "really", "just", "again", "original", "also",
    "both", "either", "is", "was",
])  # fmt: skip
_NOT_CUES = frozenset(["not", "nor", "neither", "except"])
_SHORT = frozenset([
    "it", "her", "up", "us", "big", "him", "them", "they", "you", "me", "i", "we", "he", "she", "this", "that", "one",
    "two", "go", "out", "her's",
])  # fmt: skip
_PRONOUNS = frozenset([
    "it", "him", "them", "they", "you", "me", "i", "we", "he", "she", "this", "that", "one", "two", "her's",
])  # fmt: skip
_ANSWERS = frozenset(["no", "yes", "ok", "more", "next", "please", "thanks", "hi", "hello", "none", "stop"])
"""Words that answer something, whatever is called so."""
_SMALL = frozenset([
    "the", "a", "an", "of", "in", "on", "and", "to", "my", "is", "for", "at", "it",
])  # fmt: skip
_DONE = re.compile(
    r"\s*[,:]?\s*(?:(?:(?:is|was|already|i|ive|i['’]ve|i have)\s+){0,2}(?:seen|watched|rewatched)\b(?!\s+(?:by|in|as)\b)"
    r"|done\b|yes\b(?!\s+please)|10/10)",
    re.IGNORECASE,
)
_VERDICT = re.compile(
    r"\s*(?:was\b|vs\b|versus\b|(?:made|bored|wrecked|saved|broke|scared|ruined|destroyed|hit|put)\s+(?:me|us)\b"
    r"|(?:rocked|ruled|slaps|rules)\b|>|is\s+(?:my|obvious|overrated|underrated|an?\s+masterpiece|banned)\b|yeah\b|should have\b"
    r"|did nothing\b)",
    re.IGNORECASE,
)
_LISTED = re.compile(r"\s*(?:[,/>]|(?:or|and)\b)\s*")


def evident(text: str, tokens: Sequence[Token], position: int, length: int) -> bool:
    """Return whether case or the words around say that ordinary words are meant as a title."""
    if length == 1 and tokens[position].folded in _ANSWERS:
        return False
    if position == 0 and length == len(tokens):
        return True
    words = tokens[position : position + length]
    if (length > 1 or words[0].folded not in _PRONOUNS) and _judged(text, tokens, position, length):
        return True
    bare = length == 1 and words[0].folded in _SHORT
    if text.islower() or text.isupper():
        return (cued(tokens, position) and not bare) or (_wordy(words) and ruled_out(tokens, position))
    # At the start of a sentence a capital says nothing, but one on the second word does.
    if capitalised(text, tokens, position, length):
        return words[0].folded != "i" and (length > 1 or not sentence_start(text, words[0].start))
    return length > 1 and (cued(tokens, position) or (_wordy(words) and ruled_out(tokens, position)))


def _judged(text: str, tokens: Sequence[Token], position: int, length: int) -> bool:
    """Return whether a verdict follows: "Heat was great", "scream seen", "the raid: seen"."""
    start, end = tokens[position].start, tokens[position + length - 1].end
    if _DONE.match(text, end):
        return _clause_start(text, start) or capitalised(text, tokens, position, length)
    if _VERDICT.match(text, end) is None:
        return False
    if length == 1 or not _wordy(tokens[position : position + length]):
        return capitalised(text, tokens, position, length) and tokens[position].folded not in _SHORT - {"up"}
    return _clause_start(text, start) or capitalised(text, tokens, position, length)


def list_goes_on(text: str, tokens: Sequence[Token], position: int, length: int) -> int | None:
    """Return the position of the capitalised word that a list goes on with after a name: "Heat, Collateral"."""
    if tokens[position].folded in _PRONOUNS or not capitalised(text, tokens, position, length):
        return None
    match = _LISTED.match(text, tokens[position + length - 1].end)
    follower = position + length
    while match and follower < len(tokens) and tokens[follower].start < match.end():
        follower += 1
    found = match is not None and follower < len(tokens) and capitalised(text, tokens, follower, 1)
    return follower if found else None


def cued(tokens: Sequence[Token], position: int) -> bool:
    """Return whether a name is to be expected here: "liked ...", "liked the ..."."""
    before = [t.folded for t in tokens[max(0, position - 2) : position]]
    return bool(before) and (before[-1] in TITLE_CUES or (before[-1] in _WEAK_CUES and before[0] in TITLE_CUES))


def ruled_out(tokens: Sequence[Token], position: int) -> bool:
    """Return whether a name is named so as not to get it: "not die hard"."""
    return position > 0 and tokens[position - 1].folded in _NOT_CUES


def capitalised(text: str, tokens: Sequence[Token], position: int, length: int) -> bool:
    """Return whether words are written as a name, in a text that isn't all capitals."""
    if text.isupper():
        return False
    words = tokens[position : position + length]
    return (words[0].text[:1].isupper() and words[-1].text[:1].isupper()) or words[0].text[:1].isdigit()


def in_unknown_name(text: str, tokens: Sequence[Token], position: int, length: int) -> bool:
    """Return whether words are part of a longer name in capitals, such as a title that no catalogue has: "Out of Africa".

    Told by a small word with a capital inside a sentence ("The Odd Couple"), or by a title's cue before it ("seen Out of Africa").
    """
    if text.isupper() or not tokens[position].text[:1].isupper():
        return False
    first, last = position, position + length - 1
    while first > 0 and _continues(text, tokens, first - 1):
        first -= 1
    while last + 1 < len(tokens) and _continues(text, tokens, last):
        last += 1
    while tokens[first].text[:1].islower():
        first += 1
    while tokens[last].text[:1].islower():
        last -= 1
    run = tokens[first : last + 1]
    if len(run) <= length or sum(t.text[:1].isupper() for t in run) < 2:
        return False
    small = [t for t in run if t.folded in _SMALL | {"out", "no", "all"} and t.text[:1].isupper()]
    return any(not sentence_start(text, t.start) for t in small) or (first > 0 and cued(tokens, first))


def _continues(text: str, tokens: Sequence[Token], position: int) -> bool:
    """Return whether a word and the next one can belong to one written name."""
    here, after = tokens[position], tokens[position + 1]
    both = [t.text[:1].isupper() or t.folded in _SMALL for t in (here, after)]
    return text[here.end : after.start] == " " and all(both)


def sentence_start(text: str, start: int) -> bool:
    """Return whether a sentence starts here, so that a capital says nothing."""
    before = text[:start].rstrip(" \"'“‘(")
    return not before or before[-1] in ".!?\n:"


def _clause_start(text: str, start: int) -> bool:
    before = text[:start].rstrip(" \"'“‘(")
    return not before or before[-1] in ".!?\n:,;"


def _wordy(words: Sequence[Token]) -> bool:
    """Return whether a name has two words that mean something: "die hard" has, "the thing" hasn't."""
    return sum(w.folded not in _SMALL for w in words) >= 2
