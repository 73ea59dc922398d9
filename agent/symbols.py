"""Flags and other signs in a message as spans: a flag always, another sign where it stands for words rather than beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from vouchrec.agent.grammar import LANGUAGES, grammar
from vouchrec.agent.lexicon import Lexicon, lexicon
from vouchrec.agent.types import Span
from vouchrec.agent.words import tokenize
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.types import Constraint
from vouchrec.retrieval.vocabulary import SYMBOLS, Vocabulary

MOST_WORDS = 4
"""Words up to which a message is short of words, so that a sign in it is a wish of its own."""
_FLAG = re.compile("[\U0001f1e6-\U0001f1ff]{2}|\U0001f3f4[\U000e0020-\U000e007f]+")
_NOT = re.compile("(?:\U0001f6ab|❌|⛔|\U0001f645)\ufe0f?\\s*$")
_TONE = "[\ufe0f\U0001f3fb-\U0001f3ff]*"
_UNWANTED: Mapping[str, str] = {"is": "is_not", "any_of": "none_of"}


class Symbols:
    """The signs of a domain.

    Args:
        lexicon: What each means.
        nouns: English words for an item, which say nothing beside a sign.
    """

    def __init__(self, lexicon: Lexicon, nouns: frozenset[str]) -> None:
        self._lexicon = lexicon
        self._idle = nouns
        signs = sorted((key[0] for key in lexicon.values), key=len, reverse=True)
        union = "|".join(re.escape(sign.rstrip("\ufe0f")) for sign in signs)
        self._pattern = re.compile(f"(?:{union}){_TONE}") if signs else None

    @classmethod
    def of(cls, catalogue: Catalogue) -> Symbols:
        """Return the signs of a catalogue's domain."""
        domain = catalogue.domain
        nouns = frozenset(word.lower() for word in (domain.noun, domain.plural, *domain.nouns))
        return cls(lexicon(domain.words.get(SYMBOLS, Vocabulary()), catalogue), nouns)

    def spans(self, text: str) -> Iterator[Span]:
        """Yield the spans of signs that are wishes; behind a sign of prohibition what they mean is unwanted."""
        if self._pattern is None or text.isascii():
            return
        for m in self._pattern.finditer(text):
            sign = m.group().rstrip("\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")
            meant = self._lexicon.values.get((sign,)) or self._lexicon.values.get((sign + "\ufe0f",)) or ()
            if meant and (_FLAG.fullmatch(m.group()) or self._stands_alone(text, m)):
                yield _span(text, m, meant[0])

    def _stands_alone(self, text: str, match: re.Match[str]) -> bool:
        """Return whether a sign is a wish: few words, and none before it that say something by themselves."""
        before = [t.folded for t in tokenize(text[: match.start()])]
        if len(tokenize(text)) > MOST_WORDS:
            return False
        return all(word in self._idle or _is_function_word(word) for word in before)


def _is_function_word(word: str) -> bool:
    return any(word in grammar(code).common for code in ("en", *LANGUAGES)) and word not in _VERDICTS


_VERDICTS = frozenset({"loved", "liked", "saw", "seen", "watched", "good", "thanks", "love", "like", "best", "great"})
"""Function words that judge: a sign behind them shows a feeling."""


def _span(text: str, match: re.Match[str], meant: tuple[str, tuple[Constraint, ...]]) -> Span:
    attribute, constraints = meant
    prohibited = _NOT.search(text[: match.start()])
    start = prohibited.start() if prohibited else match.start()
    if prohibited:
        constraints = tuple(replace(c, op="is_not" if _UNWANTED[c.op] == "is_not" else "none_of") for c in constraints)
    return Span(start, match.end(), text[start : match.end()], attribute, constraints=constraints)
