"""Words and their places in a message, and the word lists that linking and the rules share. English, no domain words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from vouchrec.agent.types import Span
from vouchrec.retrieval.catalogue import fold

# "Fincher-like" is a name and what is made of it: the ending is a word of its own.
_TOKEN = re.compile(r"[^\W_]+(?:(?!-(?:like|ish|esque|level|style|type)\b)['’.&-][^\W_]+)*", re.UNICODE | re.IGNORECASE)
_ARTICLES = ("the ", "a ", "an ")

ORDINALS = {
    "first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "fifth": 5, "5th": 5,
    "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10,
}  # fmt: skip
CARDINALS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "a dozen": 12, "dozen": 12, "a couple": 2, "couple": 2, "a couple of": 2, "a few": 3, "few": 3, "a handful": 5,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a message with its character offsets and its folded form."""

    start: int
    end: int
    text: str
    folded: str


def tokenize(text: str) -> list[Token]:
    """Return the words of a text; apostrophes, dots, ampersands and hyphens inside a word belong to it."""
    return [Token(m.start(), m.end(), m.group(), normal(m.group())) for m in _TOKEN.finditer(text)]


def scan(tokens: Sequence[Token], find: Callable[[int], Span | None]) -> Iterator[Span]:
    """Yield what is found at the tokens from left to right, going on behind each span."""
    end = 0
    for position, token in enumerate(tokens):
        if token.start >= end and (span := find(position)) is not None:
            yield span
            end = span.end


def normal(text: str) -> str:
    """Return text folded, with curly apostrophes straight and possessive endings gone."""
    plain = fold(text).replace("’", "'")
    return plain.removesuffix("'s") if plain.endswith("'s") and len(plain) > 3 else plain


@lru_cache(maxsize=65_536)
def name_key(name: str) -> tuple[str, ...]:
    """Return the folded words of a name, as `tokenize` would see them."""
    return tuple(token.folded for token in tokenize(name))


def without_article(name: str) -> str:
    """Return a name without its leading English article."""
    lowered = name.casefold()
    for article in _ARTICLES:
        if lowered.startswith(article) and len(name) > len(article) + 2:
            return name[len(article) :]
    return name


@lru_cache(maxsize=1)
def common_words() -> frozenset[str]:
    """Return frequent English words: a name made of these alone needs evidence that it is meant as a name."""
    path = Path(__file__).parent / "data" / "common_words.txt"
    return frozenset(path.read_text(encoding="utf-8").split())


@lru_cache(maxsize=1)
def plain_words() -> frozenset[str]:
    """Return words that state nothing by themselves, which a reason may use without proof (written by `finetune.plain_words`)."""
    path = Path(__file__).parent / "data" / "plain_words.txt"
    return frozenset(path.read_text(encoding="utf-8").split())


@lru_cache(maxsize=1)
def empty_words() -> frozenset[str]:
    """Return words of conversation that say nothing of what is wanted: they are left out of the text to search with."""
    path = Path(__file__).parent / "data" / "empty_words.txt"
    return frozenset(path.read_text(encoding="utf-8").split())
