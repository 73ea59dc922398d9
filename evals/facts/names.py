"""Titles and names of people as they are compared: case, accents, articles, order and transliteration don't count."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rapidfuzz import fuzz

from vouchrec.retrieval.catalogue import fold
from vouchrec.retrieval.types import Item

__all__ = ["any_same", "item_titles", "name_tokens", "same_person", "title_key", "words"]

SPELLING = 83
"""Likeness, 0 to 100, from which two words of a name are one ("Tarkovsky", "Tarkovskiy"; but not "Reno", "Renoir")."""
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "æ": "ae", "œ": "oe", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "&": " and "}
)
_NOT_WORD = re.compile(r"[^\w]+|_")
_APOSTROPHES = re.compile(r"['’`]")


def words(text: str) -> list[str]:
    """Return the words of a text without case, accents and punctuation."""
    text = _APOSTROPHES.sub("", text.casefold()).translate(_LETTERS)
    return _NOT_WORD.sub(" ", text if text.isascii() else fold(text)).split()


def title_key(title: str) -> str:
    """Return a title in the form in which titles are matched: "Godfather, The" and "The Godfather" are one."""
    tokens = words(title)
    head, comma, tail = title.rpartition(", ")
    if comma and len(tail) <= 4 and len(tokens) > 1 and head:
        tokens = [tokens[-1], *tokens[:-1]]
    if len(tokens) > 1 and tokens[0] in {"the", "a", "an"}:
        tokens = tokens[1:]
    return " ".join(tokens)


def item_titles(item: Item) -> tuple[str, ...]:
    """Return the keys of an item's title and aliases, the title first."""
    return tuple(dict.fromkeys(k for k in map(title_key, (item.title, *item.aliases)) if k))


def same_person(one: str, other: str) -> bool:
    """Tell whether two spellings name one person: order, initials, a middle name and transliteration don't count."""
    left, right = name_tokens(one), name_tokens(other)
    if "".join(left) == "".join(right):
        return True
    if min(len(left), len(right)) > 1 and (set(left) <= set(right) or set(right) <= set(left)):
        return True
    return len(left) == len(right) and all(
        a[0] == b[0] and fuzz.ratio(a, b) >= SPELLING for a, b in zip(left, right, strict=True)
    )


def name_tokens(name: str) -> list[str]:
    """Return the words of a name in alphabetical order, initials left out where words remain."""
    tokens = words(name)
    long = [t for t in tokens if len(t) > 1 and t not in {"jr", "sr"}]
    return sorted(long if len(long) > 1 else tokens)


def any_same(ours: Iterable[str], theirs: Sequence[str]) -> bool:
    """Tell whether any person of ours is one of theirs."""
    return any(same_person(a, b) for a in ours for b in theirs)
