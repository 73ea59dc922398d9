"""What number expressions share: numbers in words and digits as a pattern and as a value, and spans made from a match."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from vouchrec.agent.types import Span
from vouchrec.agent.words import CARDINALS
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.types import Constraint

_UNITS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
_TEENS = {
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
    "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_VALUES = {**_UNITS, **_TEENS, **_TENS, "half": 0.5, "a": 1, "an": 1, "hundred": 100}
_SMALL = rf"(?:(?:{'|'.join(_TENS)})(?:[\s-](?:{'|'.join(_UNITS)}))?|{'|'.join(_TEENS)}|{'|'.join(_UNITS)})"
SPOKEN = rf"(?:(?:(?:a|one)\s+)?hundred(?:(?:\s+and)?\s+{_SMALL})?|{_SMALL})"
"""Pattern of a whole number in words up to 199: "ninety", "eighty-five", "a hundred and ten"."""
SPOKEN_TWO_DIGITS = rf"(?:(?:{'|'.join(_TENS)})(?:[\s-](?:{'|'.join(_UNITS)}))?|{'|'.join(_TEENS)})"
"""Pattern of a number in words from 10 to 99."""


@dataclass(frozen=True, slots=True)
class Clock:
    """What relative expressions count from: the newest year of the catalogue."""

    newest: int


def clock_of(catalogue: Catalogue) -> Clock:
    """Return the clock of a catalogue: its newest year, or 2026 where items have none."""
    years = [a.name for a in catalogue.domain.attributes if a.quantity == "year"]
    known = catalogue.numbers(years[0]) if years else np.zeros(0)
    known = known[np.isfinite(known)]
    return Clock(int(known.max()) if len(known) else 2026)


def amount(text: str | None, default: float) -> float:
    """Return the value of a number in digits or words, or the default."""
    if text is None:
        return default
    lowered = " ".join(text.lower().replace(",", ".").replace("-", " ").split())
    if lowered in CARDINALS:
        return CARDINALS[lowered]
    try:
        return float(lowered)
    except ValueError:
        pass
    words = [word for word in lowered.split() if word != "and"]
    if not words or any(word not in _VALUES for word in words):
        return default
    # "a hundred and ten": the article counts the hundred and adds nothing to it.
    return sum(
        _VALUES[word] for word in words if len(words) == 1 or not (word in ("a", "one") and "hundred" in words[1:])
    )


def number_span(match: re.Match[str], name: str, constraints: tuple[Constraint, ...]) -> Span:
    """Return the span of a match without the white space around it."""
    start = match.start() + len(match.group()) - len(match.group().lstrip())
    end = match.start() + len(match.group().rstrip())
    return Span(start, end, match.string[start:end], name, constraints=constraints)


def within(name: str, low: int, high: int) -> tuple[Constraint, ...]:
    """Return the constraints of an inclusive range."""
    return (Constraint(name, "min", low), Constraint(name, "max", high))
