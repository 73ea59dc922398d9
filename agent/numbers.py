"""Years, durations, plain numeric ranges and counts in a message, as constraints on the domain's numeric attributes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vouchrec.agent.types import Span
from vouchrec.agent.words import CARDINALS
from vouchrec.retrieval.domain import Attribute, Domain
from vouchrec.retrieval.types import Constraint

_DECADES = {
    "twenties": 20, "thirties": 30, "forties": 40, "fifties": 50, "sixties": 60, "seventies": 70, "eighties": 80,
    "nineties": 90, "noughties": 0, "tens": 10,
}  # fmt: skip
_NUMBER_WORDS = {
    "half": 0.5, "one": 1, "an": 1, "a": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50,
    "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100, "a hundred": 100, "one hundred": 100,
}  # fmt: skip
_WORD = "|".join(sorted((re.escape(w) for w in _NUMBER_WORDS), key=len, reverse=True))
_DECADE_WORDS = "|".join(_DECADES)
_DECADE = rf"(?:(?:the\s+)?(?:early|mid|late)?[\s-]*(?:the\s+)?(?P<dec>(?:19|20)\d0s|'?\d0s|{_DECADE_WORDS}))"
_YEAR = r"(?:19|20)\d\d"
_MAX = r"under|below|less\s+than|fewer\s+than|at\s+most|max(?:imum)?(?:\s+of)?|no\s+(?:more|longer)\s+than|not\s+(?:over|more\s+than|longer\s+than|above)|shorter\s+than|up\s+to|within|<=?|nothing\s+(?:over|longer\s+than)|tops"
_MIN = r"over|above|more\s+than|at\s+least|longer\s+than|min(?:imum)?(?:\s+of)?|no\s+(?:less|shorter)\s+than|not\s+under|>=?|nothing\s+under"
_ABOUT = r"about|around|roughly|approximately|circa|~"
_AFTER = r"after|later\s+than|newer\s+than|post"
_SINCE = r"since|from\s+after|starting\s+(?:in|from)|not\s+before|no\s+(?:older|earlier)\s+than|not\s+older\s+than|nothing\s+(?:before|older\s+than)"
_BEFORE = r"before|earlier\s+than|older\s+than|prior\s+to|pre"
_UNTIL = r"until|up\s+to|by|no\s+(?:later|newer)\s+than|not\s+after|nothing\s+(?:after|newer\s+than|later\s+than)"
_TAIL = r"(?:\s*(?:onwards?|on(?=\s*(?:[,.;!?]|$))|or\s+(?:later|newer|after)|\+|and\s+(?:later|newer|after|up)))"
_TAIL_BEFORE = r"(?:\s*(?:or|and)\s+(?:earlier|older|before))"

_YEAR_RANGE = re.compile(
    rf"\b(?:between|from)?\s*(?P<a>{_YEAR})\s*(?:-|–|to|and|until|through)\s*(?P<b>{_YEAR})\b", re.IGNORECASE
)
_DECADE_RANGE = re.compile(
    rf"\b(?:between\s+|from\s+)?{_DECADE}\s*(?:-|–|to|and|or)\s*{_DECADE.replace('dec>', 'dec2>')}\b", re.IGNORECASE
)
_YEAR_BOUND = re.compile(
    rf"\b(?:made\s+|released\s+)?(?:(?P<since>{_SINCE})|(?P<until>{_UNTIL})|(?P<after>{_AFTER})|(?P<before>{_BEFORE}))[\s-]*"
    rf"(?:the\s+year\s+)?(?:(?P<y>{_YEAR})\b|{_DECADE}\b)",
    re.IGNORECASE,
)
_YEAR_OPEN = re.compile(rf"\b(?:from\s+)?(?:(?P<y>{_YEAR})|{_DECADE}){_TAIL}", re.IGNORECASE)
_YEAR_CLOSED = re.compile(rf"\b(?:from\s+)?(?:(?P<y>{_YEAR})|{_DECADE}){_TAIL_BEFORE}\b", re.IGNORECASE)
_DECADE_ALONE = re.compile(rf"\b(?:from\s+|in\s+|of\s+)?{_DECADE}\b", re.IGNORECASE)
_YEAR_ALONE = re.compile(rf"\b(?:from\s+|in\s+|of\s+)?(?P<y>{_YEAR})\b(?!\s*(?:min|%))", re.IGNORECASE)
_LAST_YEARS = re.compile(
    rf"\b(?:from\s+)?(?:in\s+)?(?:the\s+)?(?:last|past)\s+(?P<k>\d+|{_WORD}|few|couple\s+of)?\s*(?P<u>years?|decades?)\b",
    re.IGNORECASE,
)
_OLD = re.compile(
    r"\b(?:(?<!year )(?<!years )(?<!year-)(?<!how )(?<!same )(?<!good )old|oldies?|classic|classics|vintage|golden age|old[- ]school|retro)\b",
    re.IGNORECASE,
)
_RECENT = re.compile(r"\b(?:recent|new releases?|brand new|modern|contemporary|this century)\b", re.IGNORECASE)
_AMOUNT = (
    rf"(?:(?P<h>\d+(?:[.,]\d+)?|{_WORD})(?:\s*(?:and\s+a\s+half|½))?\s*-?\s*(?:hours?|hrs?|h)\b"
    rf"(?:\s*(?:and\s+)?(?:(?P<hm>\d{{1,2}}|{_WORD})\s*-?\s*(?:minutes?|mins?|m)\b|(?P<hd>\d\d)\b|(?P<half>a\s+half|half)\b))?"
    rf"|(?P<m>\d+|{_WORD})\s*-?\s*(?:minutes?|mins?|min)\b|(?P<hh>half\s+an\s+hour|an\s+hour\s+and\s+a\s+half))"
)
_DURATION = re.compile(
    rf"(?<!\w)(?:(?P<max>{_MAX})|(?P<min>{_MIN})|(?P<about>{_ABOUT}))?\s*(?:a\s+)?{_AMOUNT}"
    r"(?P<tail>\s*(?:max(?:imum)?|tops|or\s+(?:less|shorter|under)|at\s+(?:the\s+)?most))?"
    r"(?P<up>\s*(?:or\s+(?:more|longer)|\+|minimum|at\s+least))?",
    re.IGNORECASE,
)
_HALF = re.compile(r"and\s+a\s+half|½", re.IGNORECASE)
_BARE_MINUTES = re.compile(
    rf"(?<!\w)(?:(?P<max>{_MAX})|(?P<min>{_MIN}))\s*(?P<m>\d{{2,3}}|ninety|a\s+hundred)\b(?!\s*(?:years?|%|s\b|hours?|mins?|minutes?))",
    re.IGNORECASE,
)
_HOURS_SHORT = re.compile(
    rf"(?<!\w)(?:(?P<max>{_MAX})|(?P<min>{_MIN}))?\s*(?<!\w)(?P<h>\d)\s*h\s*(?P<m>\d\d)(?:\s*m(?:in(?:ute)?s?)?)?\b(?P<tail>\s*(?:max|tops|or less))?",
    re.IGNORECASE,
)
_LENGTH_WORD = re.compile(
    r"\b(?:(?P<short>short(?:est|ish)?|quick)|(?P<long>(?<!how )(?<!as )(?<!so )(?<!less )(?<!too )long(?:est)?|epic length))\b(?!\s+(?:as|time|ago|day|week|weekend)\b)",
    re.IGNORECASE,
)
_NOT_LONG = re.compile(r"\b(?:not?\s+(?:too|very|so|that)\s+long|nothing\s+(?:too\s+)?long)\b", re.IGNORECASE)
_LOOSE_COUNT = re.compile(
    r"\b(?:just\s+one|a\s+dozen|a\s+handful|a\s+couple|two|three|four|five|six)\b(?!\s*(?:hours?|hrs?|minutes?|mins?|years?|days?|times?|kids?|people|of\s+us|decades?|and\s+a\s+half|or\s+three))",
    re.IGNORECASE,
)
_COUNT = re.compile(
    r"\b(?:(?:give|show|name|recommend|suggest|send|find|list|need|want|gimme)\s+(?:me\s+)?(?:just\s+|only\s+)?|top\s+|just\s+|only\s+|another\s+)"
    r"(?P<n>\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|a\s+couple(?:\s+of)?|a\s+few)\b"
    r"(?!\s*(?:hours?|hrs?|h|minutes?|mins?|years?|stars?|decades?|or\s+two)\b)",
    re.IGNORECASE,
)
SHORT_LIMIT = 120
"""Minutes that "not too long" stands for."""
SHORT, LONG = 95, 150
"""Minutes that "short" and "long" stand for."""
OLD_AGE = 45
"""Years before the newest item from which something is old."""


@dataclass(frozen=True, slots=True)
class Clock:
    """What relative expressions count from: the newest year of the catalogue."""

    newest: int


def link_numbers(text: str, domain: Domain, clock: Clock) -> list[Span]:
    """Return the spans of all number expressions that the domain has an attribute for, and counts."""
    spans: list[Span] = []
    for attribute in domain.attributes:
        if attribute.quantity == "year":
            spans.extend(_years(text, attribute, clock))
        elif attribute.quantity == "duration":
            spans.extend(_durations(text, attribute))
    spans.extend(_counts(text, domain))
    return _without_overlaps(spans)


def _years(text: str, attribute: Attribute, clock: Clock) -> Iterator[Span]:
    name = attribute.name
    for m in _DECADE_RANGE.finditer(text):
        low, high = sorted((_decade(m["dec"]), _decade(m["dec2"])))
        yield _span(m, name, _range(name, low, high + 9))
    for m in _YEAR_RANGE.finditer(text):
        low, high = sorted((int(m["a"]), int(m["b"])))
        yield _span(m, name, _range(name, low, high))
    for m in _YEAR_BOUND.finditer(text):
        yield _span(m, name, (_year_bound(m, name),))
    for m in _YEAR_OPEN.finditer(text):
        yield _span(m, name, (Constraint(name, "min", _period(m)[0]),))
    for m in _YEAR_CLOSED.finditer(text):
        yield _span(m, name, (Constraint(name, "max", _period(m)[1]),))
    for pattern in (_DECADE_ALONE, _YEAR_ALONE):
        for m in pattern.finditer(text):
            yield _span(m, name, _range(name, *_period(m)))
    yield from _ages(text, name, clock)


def _year_bound(match: re.Match[str], name: str) -> Constraint:
    low, high = _period(match)
    if match["since"]:
        return Constraint(name, "min", low)
    if match["until"]:
        return Constraint(name, "max", high)
    return Constraint(name, "min", high + 1) if match["after"] else Constraint(name, "max", low - 1)


def _ages(text: str, name: str, clock: Clock) -> Iterator[Span]:
    """Expressions that count from now: "the last ten years", "recent", "old"."""
    for m in _LAST_YEARS.finditer(text):
        unit = 10 if m["u"].lower().startswith("decade") else 1
        amount = _amount(m["k"], 3) if m["k"] else 1
        yield _span(m, name, (Constraint(name, "min", int(clock.newest - amount * unit)),))
    for m in _OLD.finditer(text):
        yield _span(m, name, (Constraint(name, "max", clock.newest - OLD_AGE),))
    for m in _RECENT.finditer(text):
        low = 2000 if "century" in m.group().lower() else clock.newest - 7
        yield _span(m, name, (Constraint(name, "min", low),))


def _durations(text: str, attribute: Attribute) -> Iterator[Span]:
    name = attribute.name
    for m in _DURATION.finditer(text):
        minutes = _minutes(m)
        if minutes <= 0:
            continue
        yield _span(m, name, _bounded(m, name, minutes))
    for m in _BARE_MINUTES.finditer(text):
        minutes = int(_amount(m["m"], 0))
        if 40 <= minutes <= 300:
            yield _span(m, name, (Constraint(name, "max" if m["max"] else "min", minutes),))
    for m in _HOURS_SHORT.finditer(text):
        yield _span(m, name, _bounded(m, name, int(m["h"]) * 60 + int(m["m"])))
    for m in _LENGTH_WORD.finditer(text):
        yield _span(m, name, (Constraint(name, "max", SHORT) if m["short"] else Constraint(name, "min", LONG),))
    for m in _NOT_LONG.finditer(text):
        yield _span(m, name, (Constraint(name, "max", SHORT_LIMIT),))


def _bounded(match: re.Match[str], name: str, minutes: int) -> tuple[Constraint, ...]:
    """Return what an amount of time means: a bound where words say so, else about that long."""
    said = match.groupdict()
    if said["max"] or said["tail"]:
        return (Constraint(name, "max", minutes),)
    if said["min"] or said.get("up"):
        return (Constraint(name, "min", minutes),)
    return _range(name, minutes - 15, minutes + 15)


def _counts(text: str, domain: Domain) -> Iterator[Span]:
    for m in _COUNT.finditer(text):
        yield Span(m.start("n"), m.end("n"), m["n"], "count", count=int(_amount(m["n"], 1)))
    for m in _LOOSE_COUNT.finditer(text):
        yield Span(
            m.start(), m.end(), m.group(), "count", count=int(_amount(m.group().lower().removeprefix("just "), 1))
        )
    nouns = "|".join(re.escape(w) for w in (*domain.nouns, domain.noun, domain.plural))
    plain = re.compile(
        rf"\b(?P<n>\d{{1,2}}|two|three|four|five|six|seven|eight|nine|ten|a\s+couple(?:\s+of)?|a\s+few)\s+(?:\w+\s+){{0,2}}(?:{nouns})\b",
        re.IGNORECASE,
    )
    for m in plain.finditer(text):
        count = int(_amount(m["n"], 1))
        if 1 <= count <= 20:
            yield Span(m.start("n"), m.end("n"), m["n"], "count", count=count)


def _span(match: re.Match[str], name: str, constraints: tuple[Constraint, ...]) -> Span:
    start = match.start() + len(match.group()) - len(match.group().lstrip())
    end = match.start() + len(match.group().rstrip())
    return Span(start, end, match.string[start:end], name, constraints=constraints)


def _range(name: str, low: int, high: int) -> tuple[Constraint, ...]:
    return (Constraint(name, "min", low), Constraint(name, "max", high))


def _period(match: re.Match[str]) -> tuple[int, int]:
    groups = match.groupdict()
    if groups.get("y"):
        return int(groups["y"]), int(groups["y"])
    low = _decade(groups["dec"])
    return low, low + 9


def _decade(text: str) -> int:
    digits = re.sub(r"\D", "", text)
    if len(digits) == 4:
        return int(digits)
    two = int(digits) if digits else _DECADES[text.lower()]
    return (1900 if two >= 30 else 2000) + two if two != 20 else (2020 if digits else 1920)


def _minutes(match: re.Match[str]) -> int:
    if match["hh"]:
        return 90 if "half" in match["hh"].lower() and "hour and" in match["hh"].lower() else 30
    if match["m"]:
        return int(_amount(match["m"], 0))
    total = _amount(match["h"], 0) * 60
    if _HALF.search(match.group()) or match["half"]:
        return int(total + 30)
    return int(total + _amount(match["hm"] or match["hd"], 0))


def _amount(text: str | None, default: float) -> float:
    if text is None:
        return default
    lowered = " ".join(text.lower().replace(",", ".").split())
    if lowered in _NUMBER_WORDS:
        return _NUMBER_WORDS[lowered]
    if lowered in CARDINALS:
        return CARDINALS[lowered]
    try:
        return float(lowered)
    except ValueError:
        return default


def _without_overlaps(spans: list[Span]) -> list[Span]:
    """Keep the earlier found of two overlapping spans unless the later one is longer."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda s: -(s.end - s.start)):
        if all(span.end <= other.start or span.start >= other.end for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda s: s.start)
