"""language_of(): which language a message is written in, by its function words; English is the default and has no name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from vouchrec.agent.grammar import LANGUAGES, Grammar, grammar, plain, words_of
from vouchrec.agent.types import Span
from vouchrec.agent.words import common_words

_ENOUGH = 2.0
"""Weight of words from which a message is in a language: two function words, or one that hardly any other has."""
_FOREIGN_VALUE = 1.5
_HINT = 0.5
_ENGLISH_WORD = 0.75
"""Weight of a frequent English word that is no function word: many of them are words elsewhere too ("horror")."""
_SHORTENED = re.compile(r"\bw/(?:o\b)?|\b1/2\b")


def language_of(text: str, foreign: Mapping[str, int] | None = None) -> str:
    """Return the language of a message (`es`, `fr`, `de`, `it`, `pt`), or an empty string for English and all others.

    Args:
        foreign: By language the number of words that mean something there and nothing in English ("película coreana").
    """
    words = frozenset(words_of(_SHORTENED.sub(" ", plain(text))))
    scores = {
        code: _score(words, text, grammar(code)) + _FOREIGN_VALUE * (foreign or {}).get(code, 0) for code in LANGUAGES
    }
    best = max(LANGUAGES, key=lambda code: scores[code])
    if words and (foreign or {}).get(best, 0) == len(words):  # "Krimi", and nothing else
        return best
    return best if scores[best] >= _ENOUGH and scores[best] > _english(words, grammar(best)) else ""


def spoken(text: str, spans: Sequence[Span]) -> str:
    """Return the language of a linked message: what the linker took it for, else what its words say."""
    return next((s.language for s in spans if s.language), "") if spans else language_of(text)


def without(text: str, places: Iterable[tuple[int, int]]) -> str:
    """Return a text with parts of it blanked, of the same length: a name says nothing of the language around it."""
    for start, end in places:
        text = text[:start] + " " * (end - start) + text[end:]
    return text


def _score(words: frozenset[str], text: str, known: Grammar) -> float:
    english = grammar("en").common
    score = 0.0
    for word in words:
        if word in known.telling:
            score += 1.0 if word in english else 2.0
        elif word in known.common:
            score += 0.5 if word in english else 1.0
    accents = _HINT * len(known.accented & set(words_of(text.lower())))
    return score + accents + (_HINT if known.letters.search(text) else 0.0)


def _english(words: frozenset[str], other: Grammar) -> float:
    own, theirs = grammar("en").common, other.common | other.telling
    shared, function = len(words & own & theirs), len((words & own) - theirs)
    return 0.5 * shared + function + _ENGLISH_WORD * len((words & common_words()) - own - theirs)
