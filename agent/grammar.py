"""The grammar words of a language, read from `agent/data/languages`: negators, cues, numbers, expressions of time.

Each entry of such a file is a list of patterns separated by semicolons, written as people write, accents included; texts and
patterns are compared without accents and case (`plain`).
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

FOLDER = Path(__file__).parent / "data" / "languages"
LANGUAGES = ("fr", "es", "de", "it", "pt")
"""Languages besides English whose simple wishes are read, by rules."""
NEVER = re.compile(r"(?!)")
_SPACE = re.compile(r"\(\?<[!=][^)]*\)|\s+")
"""White space, and what looks back, in which no length may vary."""


@dataclass(frozen=True, slots=True, eq=False)
class Grammar:
    """What is known of one language.

    Attributes:
        name: What it is called in English.
        common: Its function words, folded.
        accented: Its function words that have accents, as written: what tells "três" from "tres".
        telling: Words that hardly any other language has, folded; they count double.
        letters: Spellings that hint at it.
        false_friends: Its words that mean something else in English.
        numbers: Value by number word, with the word that joins them.
        patterns: Every other entry as one pattern; an absent one matches nothing.
        raw: The entries of the sections `time`, `year`, `comparatives`, `ordinals` and `numbers` as written.
    """

    code: str
    name: str
    common: frozenset[str]
    accented: frozenset[str]
    telling: frozenset[str]
    letters: re.Pattern[str]
    false_friends: frozenset[str]
    numbers: Mapping[str, float]
    patterns: Mapping[str, re.Pattern[str]]
    raw: Mapping[str, Mapping[str, str]]

    def pattern(self, name: str) -> re.Pattern[str]:
        """Return the pattern of an entry, whole words only."""
        return self.patterns.get(name, NEVER)


def plain(text: str) -> str:
    """Return a text without accents and case, of the same length, so that places in it are places in the text."""
    return "".join(_plain(c) for c in text)


@lru_cache(maxsize=2_048)
def _plain(character: str) -> str:
    if character in "’‘`´":
        return "'"
    base = unicodedata.normalize("NFKD", character)[:1]
    lowered = base.lower()
    return lowered if len(lowered) == 1 else character


def words_of(text: str) -> list[str]:
    """Return the words of a plain text; an apostrophe parts words."""
    return re.findall(r"[^\W_]+", text)


def alternatives(phrases: str) -> str:
    """Return patterns separated by semicolons as one alternation, the longest first; empty text gives a pattern of nothing."""
    parts = sorted(filter(None, (part.strip() for part in phrases.split(";"))), key=len, reverse=True)
    return "(?:" + "|".join(_SPACE.sub(_any_space, unaccented(p)) for p in parts) + ")" if parts else "(?!)"


def _any_space(match: re.Match[str]) -> str:
    return match[0] if match[0].startswith("(") else r"\s+"


def unaccented(pattern: str) -> str:
    """Return a pattern without accents: only letters that have one change, so that escapes stay what they are."""
    return "".join(_plain(c) if not c.isascii() else c for c in pattern)


def whole(pattern: str) -> re.Pattern[str]:
    """Return a pattern that matches whole words only, whatever the case."""
    return re.compile(rf"(?<![^\W_])(?:{pattern})(?![^\W_])", re.IGNORECASE)


@lru_cache(maxsize=8)
def grammar(code: str) -> Grammar:
    """Return the grammar of a language: `en`, or one of `LANGUAGES`."""
    with (FOLDER / f"{code}.toml").open("rb") as file:
        data = tomllib.load(file)
    sections = {k: cast("Mapping[str, str]", v) for k, v in data.items() if isinstance(v, dict)}
    texts = {k: v for k, v in data.items() if isinstance(v, str)}
    numbers = sections.get("numbers", {}).get("words", "")
    written = " ".join((texts.get("common", ""), texts.get("telling", ""), re.sub(r"=\S+", "", numbers)))
    return Grammar(
        code=code,
        name=texts["name"],
        common=_word_set(texts.get("common", "")) | frozenset(valued(numbers)),
        accented=frozenset(w for w in written.lower().split() if not w.isascii()),
        telling=_word_set(texts.get("telling", "")),
        letters=re.compile(texts["letters"], re.IGNORECASE) if "letters" in texts else NEVER,
        false_friends=_word_set(texts.get("false_friends", "").replace(";", " ")),
        numbers=valued(numbers),
        patterns={name: whole(alternatives(text)) for name, text in texts.items() if name not in _WORD_LISTS},
        raw=sections,
    )


_WORD_LISTS = frozenset({"name", "common", "telling", "letters", "false_friends"})


def valued(text: str) -> dict[str, float]:
    """Return a table written as `eins=1 zwei=2`, with plain words as keys."""
    pairs = (entry.rsplit("=", 1) for entry in text.split())
    return {plain(word): float(value) for word, value in pairs}


def number_pattern(known: Grammar) -> str:
    """Return a pattern of a whole number in words, of several parts where need be: `noventa y cinco`, `neunundneunzig`."""
    entry = _union(known.numbers)
    join = alternatives(known.raw.get("numbers", {}).get("join", ""))
    return rf"(?:{entry}(?:[\s-]*(?:{join}[\s-]*)?{entry})*)"


def number_value(text: str, known: Grammar) -> float:
    """Return the value of a number in digits or words; 0 for none."""
    digits = re.fullmatch(r"\d+(?:[.,]\d+)?", text.strip())
    if digits:
        return float(text.strip().replace(",", "."))
    values = {joined(word): value for word, value in known.numbers.items()}
    return sum(values[joined(m)] for m in re.findall(_union(known.numbers), plain(text)))


def joined(word: str) -> str:
    """Return a number word without the hyphens and spaces that it may be written with: "quatre vingt"."""
    return re.sub(r"[\s-]", "", word)


def _union(words: Iterable[str]) -> str:
    union = "|".join(re.escape(w).replace(r"\-", r"[\s-]?") for w in sorted(words, key=len, reverse=True))
    return f"(?:{union})"


def _word_set(text: str) -> frozenset[str]:
    return frozenset(word for written in text.split() for word in words_of(plain(written)))
