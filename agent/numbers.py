"""Years, durations and counts in a message, as constraints on the domain's numeric attributes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vouchrec.agent.amounts import Clock, amount
from vouchrec.agent.durations import LONG, SHORT, link_durations
from vouchrec.agent.types import Span
from vouchrec.agent.years import NEW_AGE, OLD_AGE, link_years
from vouchrec.retrieval.domain import Attribute, Domain
from vouchrec.retrieval.types import Op

__all__ = ["Clock", "link_numbers", "plain_bound"]

_NUMBER = r"\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|a\s+couple(?:\s+of)?|a\s+few|a\s+pair(?:\s+of)?|a\s+handful(?:\s+of)?|a\s+dozen"
_NOT_COUNTED = (
    r"hours?|hrs?|h|minutes?|mins?|years?|yrs?|days?|nights?|weeks?|weekends?|months?|decades?|times?|stars?|kids?|children|people|persons?|"
    r"teens?|teenagers?|adults?|boys?|girls?|friends?|ladies|men|women|of\s+(?:us|you)|out\s+of|and\s+a\s+(?:half|quarter)|or\s+(?:two|three)|"
    r"conditions?|rules?|words?|requests?|questions?|tickets?|phones?|languages?|countries|seasons?|tired|old|small|under|lessons?|"
    r"quarters?|genres?|actors?|laughs?"
)
_ASKED = re.compile(
    r"\b(?:(?:give|show|name|recommend|suggest|send|find|list|need|want|gimme|get|pick|do|bring|load|hit|throw|take|add|asked?\s+for)\s+(?:me\s+|us\s+)?(?:up\s+with\s+|with\s+)?(?:just\s+|only\s+)?"
    r"|top\s+|just\s+|only\s+|another\s+|max(?:imum)?\s+|no\s+more\s+than\s+)"
    rf"(?P<n>{_NUMBER})\b(?!\s*(?:{_NOT_COUNTED})\b|[:/.]\d|['’])",
    re.IGNORECASE,
)
_LOOSE = re.compile(
    r"(?<!the )(?<!those )(?<!these )(?<!my )(?<!our )(?<!for )(?<!of )(?<!us )(?<!we['’]ve )(?<!i['’]ve )(?<!which )(?<!this )(?<!had )(?<!than )"
    r"(?<!nine to )(?<!part )(?<!number )(?<!number-)(?<!nineteen )(?<!twenty )(?<!ty )(?<!ty-)"
    rf"\b(?:just\s+one|a\s+dozen|a\s+handful|a\s+couple|a\s+pair|two|three|four|five|six)\b(?!-|\s*(?:{_NOT_COUNTED})\b)",
    re.IGNORECASE,
)
# "one" is a count beside "more", and where a clause begins with it and goes on to say of what kind.
_ONE = re.compile(
    r"\b(?:(?P<n>one)(?=\s+more\b(?!\s+(?:time|thing|question|try)))"
    r"|(?:(?<![^.!?,])|\bok(?:ay)?,?|\bbut|\bthen|\bnow|\band)\s*(?P<n2>one)\b(?=\s+(?:good|film|movie|book|game|from|like|set|about)\b))",
    re.IGNORECASE,
)
# A clause that begins with digits and a plural: "3 thrillers", "4 good westerns".
_LEADING = re.compile(
    rf"(?:^|[.!,]\s+|\bquick\s+)(?P<n>[2-9]|1\d)\s+(?!(?:{_NOT_COUNTED}|looks|sounds|seems|needs|goes|gets|feels|pages|languages)\b)(?:[a-z]+\s+)?[a-z]{{4,}}s\b",
    re.IGNORECASE,
)


def link_numbers(text: str, domain: Domain, clock: Clock) -> list[Span]:
    """Return the spans of all number expressions that the domain has an attribute for, and counts."""
    spans: list[Span] = []
    for attribute in domain.attributes:
        if attribute.quantity == "year":
            spans.extend(link_years(text, attribute.name, clock))
        elif attribute.quantity == "duration":
            spans.extend(link_durations(text, attribute.name))
    spans.extend(_counts(text, domain))
    return _without_overlaps(spans)


def plain_bound(attribute: Attribute, op: Op, clock: Clock) -> float | None:
    """Return what a comparative means where there is nothing to compare with: "something shorter" wants something short."""
    if attribute.quantity == "duration":
        return SHORT if op == "max" else LONG
    if attribute.quantity == "year":
        return clock.newest - (OLD_AGE if op == "max" else NEW_AGE)
    return None


def _counts(text: str, domain: Domain) -> Iterator[Span]:
    nouns = "|".join(re.escape(w) for w in (*domain.nouns, domain.noun, domain.plural))
    # A noun of the domain near: "7 movies", "three slow Danish films".
    beside_noun = re.compile(rf"\b(?P<n>{_NUMBER})\s+(?:\w+\s+){{0,2}}(?:{nouns})\b", re.IGNORECASE)
    for m in _ONE.finditer(text):
        group = "n" if m["n"] else "n2"
        yield from _count(m.start(group), m[group])
    for m in _ASKED.finditer(text):
        yield from _count(m.start("n"), m["n"], most=99)
    for m in (*_LEADING.finditer(text), *beside_noun.finditer(text)):
        yield from _count(m.start("n"), m["n"])
    for m in _LOOSE.finditer(text):
        yield from _count(m.start(), m.group())


def _count(start: int, said: str, *, most: int = 20) -> Iterator[Span]:
    """Yield the count; "I've seen 60 films" asks for none, so that many are wanted only where they are asked for."""
    lowered = " ".join(said.lower().split()).removeprefix("just ").removesuffix(" of")
    number = int({"a pair": 2, "a handful": 5}.get(lowered, amount(lowered, 1)))
    if 1 <= number <= most:
        yield Span(start, start + len(said), said, "count", count=number)


def _without_overlaps(spans: list[Span]) -> list[Span]:
    """Keep the earlier found of two overlapping spans unless the later one is longer."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda s: -(s.end - s.start)):
        if all(span.end <= other.start or span.start >= other.end for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda s: s.start)
