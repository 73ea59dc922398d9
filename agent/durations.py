"""How long something takes, in a message: amounts in hours and minutes with their bounds, ranges, and "short" or "long"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vouchrec.agent.amounts import SPOKEN, amount, number_span, within
from vouchrec.agent.types import Span
from vouchrec.retrieval.types import Constraint

SHORT_LIMIT = 120
"""Minutes that "not too long" stands for."""
SHORT = 95
"""Minutes up to which something is short."""
LONG = 150
"""Minutes from which something is long."""
NORMAL = (85, 125)
"""Minutes of a normal length."""
_ROUGHLY = 15
# A bare amount outside these is no length that someone asks for: "asleep in ten minutes", "a flight of eleven hours".
_SHORTEST, _LONGEST = 20, 480

_THING = r"(?:films?|movies?|books?|games?|ones?|thing|going|go|a\s+minute)\s+"
_MAX = (
    r"under|below|sub|less\s+than|fewer\s+than|at\s+(?:the\s+)?most|max(?:imum)?(?:\s+of)?|no\s+(?:more|longer)\s+than|"
    rf"(?:no|not|nothing|never)\s+(?:{_THING})?(?:over|past|above|more\s+than|longer\s+than)|shorter\s+than|up\s+to|within|"
    r"(?<!the )inside(?:\s+of)?|<=?|tops"
)
_MIN = (
    r"over|above|(?<!the )past|more\s+than|at\s+least|longer\s+than|min(?:imum)?(?:\s+of)?|>=?|"
    rf"(?:no|not|nothing|never)\s+(?:{_THING})?(?:under|below|less\s+than|shorter\s+than)"
)
_ABOUT = r"about|around|roughly|approximately|circa|~"
_DIGITS = r"\d+(?:[.,]\d+)?"
_HOUR = r"(?:hours?|hrs?)(?![^\W\d])"
_MINUTE = r"(?:minutes?|mins?)\b"
_TENS = r"ten|fifteen|(?:twenty|thirty|forty|fifty)(?:[\s-]five)?"


def _time(tag: str = "") -> str:
    """Return the pattern of an amount of time whose groups end in `tag`: "1h45", "two and a half hours", "an hour twenty"."""
    hours = (
        rf"(?:(?P<h{tag}>{_DIGITS})\s*-?\s*(?:{_HOUR}|h(?![^\W\d]))"
        rf"|(?P<hw{tag}>{_DIGITS}|{SPOKEN}|an?)(?P<hf{tag}>\s+and\s+a\s+(?:half|quarter)|\s*½)?[\s-]+{_HOUR}|(?P<h1{tag}>hour)\b(?=\s+and\s))"
    )
    rest = (
        rf"(?:\s*(?:and\s+)?(?:(?P<r{tag}>\d{{1,2}}|{SPOKEN})\s*-?\s*(?:{_MINUTE}|m\b)|(?P<rd{tag}>[0-5]\d)(?![\d.:])\b|(?P<rw{tag}>{_TENS})\b(?!\s+\w*(?:film|movie))"
        rf"|(?P<rf{tag}>(?:and\s+)?(?:a\s+half|half|a\s+quarter|three\s+quarters))\b))?"
    )
    return (
        rf"(?:{hours}{rest}|(?P<hh{tag}>half\s+an\s+hour)|(?P<ch{tag}>[1-3]):(?P<cm{tag}>[0-5]\d)(?![\d:]|\s*[ap]\.?m)"
        rf"|(?P<m{tag}>\d+|{SPOKEN}|a)(?:[\s-]?ish)?\s*-?\s*{_MINUTE})"
    )


_BOUNDS = rf"(?<!\w)(?:(?P<max>{_MAX})|(?P<min>{_MIN})|(?P<about>{_ABOUT}))"
_AMOUNT = re.compile(
    rf"(?<![\w.:])(?:{_BOUNDS}\s*-?\s*(?:the\s+)?(?:about\s+)?)?{_time()}(?:\s*ish\b)?(?:\s+mark\b)?"
    r"(?P<tail>\s*(?:max(?:imum)?|tops|or\s+(?:less|shorter|under)|(?:at\s+)?(?:the\s+)?(?:very\s+)?most|at\s+the\s+(?:outside|longest)|and\s+(?:no|not\s+a\s+minute)\s+(?:more|longer)|"
    r"is\s+(?:my\s+|the\s+)?(?:max(?:imum)?|limit)|limit)|\s*,\s*(?:tops|max|at\s+(?:the\s+)?most)\b)?\b"
    r"(?P<toomuch>\s+(?:is|are)\s+(?:far\s+|way\s+)?too\s+(?:much|long))?"
    r"(?P<up>\s*(?:or\s+(?:more|longer)|\+|minimum|at\s+(?:the\s+)?(?:very\s+)?least))?",
    re.IGNORECASE,
)
_RANGE = re.compile(
    rf"(?<![\w.:])(?:between\s+(?:{_time('1')}|(?P<bare1>\d+|{SPOKEN}))\s*(?:and|to|-|–)|"
    rf"(?:from\s+)?(?:{_time('2')}|(?P<bare2>\d+|{SPOKEN}))\s*(?:to|-|–))\s*{_time('3')}",
    re.IGNORECASE,
)
_BARE_MINUTES = re.compile(
    rf"(?<!are )(?<!is )(?<!['’]re )(?<!['’]m ){_BOUNDS}\s*-?\s*(?:(?P<m>\d{{2,3}})(?:\s?m)?|(?P<word>{SPOKEN}))\b"
    r"(?!['’]?s\b|\s*(?:-|–|to)\s*\d|\s*(?:years?|yrs?|%|hours?|hrs?|h\b|mins?|minutes?|films?|movies?|people|kids|percent|quid|pages?)|[.:,]\d)",
    re.IGNORECASE,
)
# "under two" is hours only where nothing follows that could be counted.
_BARE_HOURS = re.compile(
    r"(?<!\w)(?:(?P<max>under|below|less\s+than|(?:no|not)\s+(?:over|longer\s+than))|(?P<min>(?<!not )(?<!no )over))\s+"
    r"(?P<h>one|two|three|four|[1-4](?:[.,]5)?)(?P<half>\s+and\s+a\s+half)?"
    r"(?=\s*(?:$|[.;!?]|,(?!\d)|please\b|pls\b|thanks\b))",
    re.IGNORECASE,
)
# What stands around "short" and "long" when they do not say how long something runs.
_SHORT = re.compile(
    r"\b(?<!too )(?<!in )(?<!cut )(?<!nothing )(?!(?-i:Short\s+[A-Z][a-z]))short(?:est|ish)?\b"
    r"(?!-|\s+(?:lists?|names?|on|of|version|term|notice|attention|hair|skirts?|story|stories|straw|memory|sighted|for)\b)"
    r"|\b(?:something|anything|really|very|pretty|nice\s+and|be)\s+quick\b(?!\s+(?:question|q)\b)"
    r"|\bquick(?=\s+(?:watch|films?|movies?|read|flick|play)\b)",
    re.IGNORECASE,
)
_NO_LENGTH = (
    r"\s+(?:as|times?|ago|now|days?|nights?|weeks?|weekend|years?|story|distance|flight|shift|drive|journey|trip|ride|live|hair|term|gone|"
    r"shots?|run|list|lost|walk|since|before|after|haul|train|winter|bus|history|takes?|standing)\b"
)
_LONG = re.compile(
    r"\b(?:(?<!how )(?<!as )(?<!so )(?<!less )(?<!all day )(?<!before )(?<!take )(?<!for )"
    r"(?!(?-i:Long\s+[A-Z][a-z]))long(?:est)?|epic length)\b"
    rf"(?!['’]s|{_NO_LENGTH}|-)",
    re.IGNORECASE,
)
_NOT_LONG = re.compile(
    r"\b(?:(?:no|not|nothing|isn['’]?t|ain['’]?t)\s+"
    r"(?:(?:too|very|so|that|super|overly|crazy|really|ridiculously|insanely|all\s+that)\s+)?(?!(?-i:Long\s+[A-Z][a-z]))long"
    rf"|not\s+(?:quite|nearly)\s+as\s+long)\b(?!{_NO_LENGTH})",
    re.IGNORECASE,
)
_NOT_SHORT = re.compile(
    r"\b(?:not|nothing)\s+(?:(?:too|very|so|that|super)\s+)?(?!(?-i:Short\s+[A-Z][a-z]))short\b(?!\s+(?:of|on)\b)",
    re.IGNORECASE,
)
_TOO = re.compile(r"\btoo\s+$", re.IGNORECASE)
_NORMAL = re.compile(r"\b(?:(?:normal|regular|average|standard|medium|mid)[\s-]+length)\b", re.IGNORECASE)
# "three hours of potatoes", "asleep thirty minutes into it", "in 2h I have to leave": the time passes, nobody asks for it.
_PASSES_AFTER = re.compile(r"\s+(?:of\s+(?!(?:film|movie|runtime|fun|entertainment|my|your)\b)|into\b)", re.IGNORECASE)
_PASSES_BEFORE = re.compile(r"\b(?:lasted|another|every|last|past|asleep|next)\s+(?:the\s+)?$", re.IGNORECASE)
_DEADLINE = (
    re.compile(r"\bin\s+$", re.IGNORECASE),
    re.compile(r"\s*,?\s*(?:i|we|he|she|they|my|our|the)\b", re.IGNORECASE),
)
_HAVE = re.compile(
    r"\b(?:have|['’]ve|got|(?:baby|kids?|he|she|it)\s+(?:naps?|sleeps?)\s+for|fits?\s+(?:in|into|within))\s+(?:(?:got|only|just|about|exactly|roughly|maybe|like|around)\s+)*$",
    re.IGNORECASE,
)
"""Who has an hour and a half wants nothing longer."""
_MUST_FIT = re.compile(
    r"[^.!?]*\b(?:to\s+(?:kill|spare|fill)|(?:has|have|needs?)\s+to\s+fit|fits?\s+in\b|before\s+(?:i|we|he|she|they|my|our|the|bed)\b)",
    re.IGNORECASE,
)
_WANTED = re.compile(r"\b(?:want|need|fancy|like|sit\s+through|for)\s+$", re.IGNORECASE)


def link_durations(text: str, name: str) -> Iterator[Span]:
    """Yield the spans of all expressions of length, for the attribute of that name; they may overlap."""
    yield from _ranges(text, name)
    yield from _amounts(text, name)
    for m in _BARE_MINUTES.finditer(text):
        minutes = int(amount(m["m"] or m["word"], 0))
        # "over forty" is said of people, "around 50" of much else.
        if (60 if m["about"] or m["word"] else 40) <= minutes <= 300:
            yield number_span(m, name, _bounded(m, name, minutes))
    for m in _BARE_HOURS.finditer(text):
        minutes = int(60 * (amount(m["h"], 0) + (0.5 if m["half"] else 0)))
        yield number_span(m, name, (Constraint(name, "max" if m["max"] else "min", minutes),))
    yield from _words(text, name)


def _ranges(text: str, name: str) -> Iterator[Span]:
    for m in _RANGE.finditer(text):
        high = _minutes(m, "3")
        bare = m["bare1"] or m["bare2"]
        # "between ninety and a hundred minutes", "two to three hours": the unit stands once.
        low = int(amount(bare, 0) * (1 if m["m3"] else 60)) if bare else _minutes(m, "1") or _minutes(m, "2")
        if 0 < low <= high:
            yield number_span(m, name, within(name, low, high))


def _amounts(text: str, name: str) -> Iterator[Span]:
    for m in _AMOUNT.finditer(text):
        minutes = _minutes(m, "")
        bounded = any(m[group] for group in ("max", "min", "about", "tail", "up", "toomuch"))
        if minutes <= 0 or (m["ch"] and not bounded):  # "1:50" alone is a time of day
            continue
        if not bounded and (not _SHORTEST <= minutes <= _LONGEST or _passes(text, m)):
            continue
        if not bounded and minutes >= 30 and (_HAVE.search(text[: m.start()]) or _MUST_FIT.match(text, m.end())):
            yield number_span(m, name, (Constraint(name, "max", minutes),))
        else:
            yield number_span(m, name, _bounded(m, name, minutes))


def _passes(text: str, match: re.Match[str]) -> bool:
    before = text[: match.start()]
    if _WANTED.search(before):
        return False
    deadline = _DEADLINE[0].search(before) and _DEADLINE[1].match(text, match.end())
    return bool(deadline or _PASSES_AFTER.match(text, match.end()) or _PASSES_BEFORE.search(before))


def _words(text: str, name: str) -> Iterator[Span]:
    for m in _SHORT.finditer(text):
        yield number_span(m, name, (Constraint(name, "max", SHORT),))
    for m in _LONG.finditer(text):
        # "too long" is said of more than what "not too long" allows.
        limit = SHORT_LIMIT + 1 if _TOO.search(text[: m.start()]) else LONG
        yield number_span(m, name, (Constraint(name, "min", limit),))
    for m in _NOT_LONG.finditer(text):
        yield number_span(m, name, (Constraint(name, "max", SHORT_LIMIT),))
    for m in _NOT_SHORT.finditer(text):
        yield number_span(m, name, (Constraint(name, "min", SHORT),))
    for m in _NORMAL.finditer(text):
        yield number_span(m, name, within(name, *NORMAL))


def _bounded(match: re.Match[str], name: str, minutes: int) -> tuple[Constraint, ...]:
    """Return what an amount of time means: a bound where words say so, else about that long."""
    said = match.groupdict()
    if said.get("toomuch"):
        return (Constraint(name, "max", minutes - 1),)
    if said["max"] or said.get("tail"):
        return (Constraint(name, "max", minutes),)
    if said["min"] or said.get("up"):
        return (Constraint(name, "min", minutes),)
    return within(name, minutes - _ROUGHLY, minutes + _ROUGHLY)


def _minutes(match: re.Match[str], tag: str) -> int:
    """Return the minutes of the amount whose groups end in `tag`; 0 when it is not there."""

    def said(group: str) -> str:
        return match[f"{group}{tag}"] or ""

    if said("hh"):
        return 30
    if said("ch"):
        return int(said("ch")) * 60 + int(said("cm"))
    if said("m"):
        return int(amount(said("m"), 0))
    hours = said("h") or said("hw") or ("one" if said("h1") else "")
    if not hours:
        return 0
    rest = amount(said("r") or said("rd") or said("rw"), 0)
    return int(amount(hours, 0) * 60 + rest + _fraction(said("hf") or said("rf")))


def _fraction(text: str) -> int:
    lowered = text.lower()
    if "three" in lowered:
        return 45
    if "quarter" in lowered:
        return 15
    return 30 if lowered else 0
