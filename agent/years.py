"""Years in a message: single ones, ranges, bounds, decades and centuries, spans that count from now, and "old" or "recent"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vouchrec.agent.amounts import SPOKEN, SPOKEN_TWO_DIGITS, Clock, amount, number_span, within
from vouchrec.agent.types import Span
from vouchrec.retrieval.types import Constraint

OLD_AGE = 45
"""Years before the newest item from which something is old."""
NEW_AGE = 7
"""Years before the newest item up to which something is recent."""
_ROUGHLY = 2

_DECADES = {
    "twenties": 20, "thirties": 30, "forties": 40, "fifties": 50, "sixties": 60, "seventies": 70, "eighties": 80,
    "nineties": 90, "noughties": 0, "tens": 10,
}  # fmt: skip
_FULL = r"(?:19|20)\d\d"
_SHORT = r"['’‘]\d\d(?!\d|['’]?s\b)"
_SAID = (
    rf"(?:nineteen[\s-]+{SPOKEN_TWO_DIGITS}|twenty[\s-]+(?:ten|eleven|twelve|\w+teen|twenty(?:[\s-](?:one|two|three|four|five|six))?)|"
    r"two\s+thousand(?:(?:\s+and)?\s+(?:one|two|three|four|five|six|seven|eight|nine))?)(?!\s*(?:min|film|movie|people|year))"
)
_YEAR = rf"(?P<y>{_FULL}|(?<!\w){_SHORT}|{_SAID})"
_DECADE = (
    r"(?:(?:the\s+)?(?:(?:early|mid|late)[\s-]*)?(?:the\s+)?(?:nineteen[\s-]+)?"
    rf"(?P<dec>(?:19|20)\d0s|['’]?\d0s|{'|'.join(_DECADES)}))"
)
_AFTER = r"after|later\s+than|(?:newer|younger)\s+than|post"
_SINCE = (
    r"since|from\s+after|starting\s+(?:in|from)|not\s+before|(?:no|not)\s+(?:older|earlier)\s+than|at\s+least|"
    r"nothing\s+(?:before|older\s+than|earlier\s+than)"
)
_BEFORE = r"nothing\s+since|before|earlier\s+than|older\s+than|prior\s+to|pre"
_UNTIL = (
    r"until|up\s+to|by|(?:no|not)\s+(?:later|newer|younger|more\s+recent)\s+than|not\s+after|"
    r"nothing\s+(?:after|past|(?:newer|later|younger|more\s+recent)\s+than)"
)
_ABOUT = r"(?:about|around|roughly|approximately|circa|ca?\.|~)"
_TAIL = (
    r"(?:\s*(?:onwards?|upwards?|on(?=\s*(?:[,.;!?]|$))|or\s+(?:later|newer|after)(?!\s+(?:\d|the\b))|\+|and\s+(?:later|newer|after|up)|"
    r"(?:-|–|to|until|till)\s*(?:now|today|date|(?:the\s+)?present)\b))"
)
_TAIL_BEFORE = r"(?:\s*(?:or|and)\s+(?:earlier|older|before))"
# Two digits alone are years only in a range of two of them, and not where a unit or a person's age says otherwise.
_TWO_DIGITS = r"['’]?[3-9]\d"
_NO_UNIT = r"(?!\s*(?:-\s*)?(?:%|m\b|min|year|yr|hour|people|euro|pound|dollar|degree)|[\d.:/])"

_SHORT_RANGE = re.compile(
    rf"(?<![\w.:/])(?<!age )(?<!aged )(?<!ages )(?:between\s+(?P<a>{_TWO_DIGITS})\s*(?:and|to|-|–)|"
    rf"(?:from\s+)?(?P<a2>{_TWO_DIGITS})\s*(?:-|–|to|until|through))\s*"
    rf"(?P<b>['’]?\d\d)\b{_NO_UNIT}",
    re.IGNORECASE,
)
_RANGE = re.compile(
    rf"(?<!\w)(?:(?:between|from)\s*)?(?P<a>{_FULL}|{_SHORT}|{_SAID})(?P<a2>)\s*(?:-|–|to|and|until|through)\s*(?P<b>{_FULL}|['’]?\d\d\b(?!\s*(?:min|film|movie))|{_SAID})\b(?!['’]?s\b)",
    re.IGNORECASE,
)
_DECADE_RANGE = re.compile(
    rf"\b(?:between\s+|from\s+)?{_DECADE}\s*(?:-|–|to|and|or)\s*{_DECADE.replace('dec>', 'dec2>')}\b", re.IGNORECASE
)
_BOUND = re.compile(
    rf"\b(?:made\s+|released\s+)?(?:(?P<since>{_SINCE})|(?P<until>{_UNTIL})|(?P<before>{_BEFORE})|(?P<after>{_AFTER}))[\s-]*"
    rf"(?:{_ABOUT}\s*)?(?:the\s+year\s+)?(?:{_YEAR}\b|{_DECADE}\b)",
    re.IGNORECASE,
)
_OPEN = re.compile(rf"(?<!\w)(?:from\s+)?(?:{_YEAR}|{_DECADE}){_TAIL}", re.IGNORECASE)
_CLOSED = re.compile(rf"(?<!\w)(?:from\s+)?(?:{_YEAR}|{_DECADE}){_TAIL_BEFORE}\b", re.IGNORECASE)
_DECADE_ALONE = re.compile(
    rf"(?<!\w)(?:from\s+|in\s+|of\s+)?{_DECADE}\b(?!\s+(?:party|themed?|night)\b)", re.IGNORECASE
)
_YEAR_ALONE = re.compile(
    rf"(?<!\w)(?:from\s+|in\s+|of\s+)?(?:exactly\s+|(?P<about>{_ABOUT}\s*))?(?:the\s+year\s+)?{_YEAR}\b(?!\s*(?:min|%))"
    r"(?P<ish>[\s-]*ish\b|\s+or\s+(?:so|thereabouts)\b)?",
    re.IGNORECASE,
)
_LAST_YEARS = re.compile(
    rf"\b(?:from\s+)?(?:in\s+|within\s+)?(?:the\s+)?(?:last|past)\s+(?!one\b)(?P<k>\d+|{SPOKEN}|few|couple\s+of)?\s*(?P<u>years?|yrs?|decades?)\b",
    re.IGNORECASE,
)
_PLAIN_LAST_YEAR = re.compile(r"last\s+(?:year|yr)", re.IGNORECASE)
_AGE_BOUND = re.compile(
    rf"\b(?P<neg>no|not|nothing|never)?\s*(?P<side>older|newer|younger)\s+than\s+(?P<k>\d+|{SPOKEN}|an?\s+couple\s+of|an?)\s*(?P<u>years?|yrs?|decades?)\b",
    re.IGNORECASE,
)
_OLD_AT_MOST = re.compile(
    rf"\b(?P<k>\d+|{SPOKEN})\s*(?P<u>years?|yrs?)\s+old\s+(?:at\s+(?:the\s+)?most|max(?:imum)?|tops)\b", re.IGNORECASE
)
_THIS_DECADE = re.compile(r"\b(?:from\s+|in\s+)?this\s+decade\b", re.IGNORECASE)
_CENTURY = re.compile(
    r"\b(?:from\s+|in\s+)?(?:the\s+)?(?:(?P<now>this|(?:21st|twenty[\s-]first))|(?P<past>last|20th|twentieth))\s+century\b(?!\s+(?-i:[A-Z][a-z]))",
    re.IGNORECASE,
)
# Events that people date films by: (pattern, first year, last year), either of them open.
_ERAS: tuple[tuple[re.Pattern[str], int | None, int | None], ...] = tuple(
    (re.compile(rf"\b(?:anything\s+)?(?:from\s+)?(?:{pattern})\b", re.IGNORECASE), low, high)
    for pattern, low, high in (
        (
            r"pre[\s-]?war|(?<!set )before\s+(?:the|ww2|wwii)(?:\s+(?:second\s+world\s+)?war)?(?<=war|ww2|wii)",
            None,
            1939,
        ),
        (r"post[\s-]?war(?!\s+on)", 1945, 1960),
        (r"inter[\s-]?war|between\s+the\s+wars", 1919, 1939),
        (r"pre[\s-]?code", 1929, 1934),
        (r"before\s+sound", None, 1928),
        (r"early\s+sound", 1928, 1935),
        (r"before\s+the\s+(?:berlin\s+)?wall\s+(?:came\s+down|fell)", None, 1989),
        (r"after\s+the\s+(?:berlin\s+)?wall\s+(?:came\s+down|fell)", 1990, None),
        (r"(?:after|since|post)[\s-]+(?:the\s+)?millennium", 2000, None),
        (r"(?:before|pre)[\s-]+(?:the\s+)?millennium", None, 1999),
    )
)
# "man", "enough" and the like: the word says how old somebody is.
_NOT_AGE = (
    r"(?!\s+(?:man|men|woman|women|people|persons?|lad(?:y|ies)|boys?|girls?|friends?|couples?|age|folks?|dogs?|cats?|mum|dad|guys?|"
    r"gits?|bloke|enough|stuff\s+i|me|soul|nan|mother|father|brothers?|sisters?)\b)"
)
_OLD = re.compile(
    r"\b(?:old[- ]school|(?<!year )(?<!years )(?<!year-)(?<!years-)(?<!yr )(?<!yrs )(?<!month )(?<!months )"
    rf"(?<!how )(?<!same )(?<!good )(?<!getting )(?<!\d )old{_NOT_AGE}(?!\s+for\b)|"
    r"oldies?|classic|classics|vintage|golden age|retro)\b(?!-fashioned)",
    re.IGNORECASE,
)
_NOT_OLD = re.compile(
    rf"\b(?:not|nothing)\s+(?:(?:too|that|so|very|super|really)\s+)?old{_NOT_AGE}\b|\bnothing\s+too\s+old\b",
    re.IGNORECASE,
)
_RECENT = re.compile(
    r"\b(?:recent|new releases?|brand new|modern(?!\s+(?:age|dress|art|day))|contemporary)\b", re.IGNORECASE
)
# "new" means a date only beside a plural of works or in a judgement; "something new" is something unknown.
_NEW = re.compile(
    r"(?:\b(?<=too )new|\b(?<=one )new|^new(?=\s*,|\s+(?:and|or|but)\b)|(?<=[,:] )new(?=\s*[,.])|"
    r"\bnew(?=\s+(?:films?|movies?|cinema|books?|games?)\b)|\bnewest(?=\s+possible))(?!\s+to\b)\b",
    re.IGNORECASE,
)
_NOT_NEW = re.compile(
    r"\b(?:not|nothing)\s+(?:(?:too|that|so|very|super)\s+)?(?:new|recent|modern)\b(?!\s+to\b)", re.IGNORECASE
)
_OURS = re.compile(r"\b(?:my|our|his|her|their|your|under)\s+(?:(?:early|mid|late)[\s-]+)?$", re.IGNORECASE)


def link_years(text: str, name: str, clock: Clock) -> Iterator[Span]:
    """Yield the spans of all expressions of years, for the attribute of that name; they may overlap."""
    yield from _ranges(text, name)
    for m in _BOUND.finditer(text):
        yield number_span(m, name, (_bound(m, name),))
    for m in _OPEN.finditer(text):
        yield number_span(m, name, (Constraint(name, "min", _period(m)[0]),))
    for m in _CLOSED.finditer(text):
        yield number_span(m, name, (Constraint(name, "max", _period(m)[1]),))
    for m in _DECADE_ALONE.finditer(text):
        if not _OURS.search(text[: m.start("dec")]):  # "a couple in our sixties"
            yield number_span(m, name, within(name, *_period(m)))
    for m in _YEAR_ALONE.finditer(text):
        low, high = _period(m)
        margin = _ROUGHLY if m["about"] or m["ish"] else 0
        yield number_span(m, name, within(name, low - margin, high + margin))
    yield from _eras(text, name, clock)
    yield from _ages(text, name, clock)


def _ranges(text: str, name: str) -> Iterator[Span]:
    for m in _DECADE_RANGE.finditer(text):
        low, high = sorted((_decade(m["dec"]), _decade(m["dec2"])))
        yield number_span(m, name, within(name, low, high + 9))
    for m in (*_RANGE.finditer(text), *_SHORT_RANGE.finditer(text)):
        low, high = sorted((_year(m["a"] or m["a2"]), _year(m["b"])))
        yield number_span(m, name, within(name, low, high))


def _bound(match: re.Match[str], name: str) -> Constraint:
    low, high = _period(match)
    if match["since"]:
        return Constraint(name, "min", low)
    if match["until"]:
        return Constraint(name, "max", high)
    return Constraint(name, "min", high + 1) if match["after"] else Constraint(name, "max", low - 1)


def _eras(text: str, name: str, clock: Clock) -> Iterator[Span]:
    for pattern, low, high in _ERAS:
        for m in pattern.finditer(text):
            yield number_span(m, name, _between(name, low, high))
    for m in _CENTURY.finditer(text):
        yield number_span(m, name, _between(name, 2000, None) if m["now"] else within(name, 1900, 1999))
    for m in _THIS_DECADE.finditer(text):
        yield number_span(m, name, (Constraint(name, "min", clock.newest - clock.newest % 10),))


def _ages(text: str, name: str, clock: Clock) -> Iterator[Span]:
    """Expressions that count from now: "the last ten years", "no older than a decade", "recent", "old"."""
    for m in _LAST_YEARS.finditer(text):
        if not _PLAIN_LAST_YEAR.fullmatch(m.group()):  # "we saw it last year"
            yield number_span(m, name, (Constraint(name, "min", clock.newest - _years_ago(m)),))
    for m in _OLD_AT_MOST.finditer(text):
        yield number_span(m, name, (Constraint(name, "min", clock.newest - _years_ago(m)),))
    for m in _AGE_BOUND.finditer(text):
        edge = clock.newest - _years_ago(m)
        if (m["side"].lower() == "older") == bool(m["neg"]):
            yield number_span(m, name, (Constraint(name, "min", edge),))
        else:
            yield number_span(m, name, (Constraint(name, "max", edge - (0 if m["neg"] else 1)),))
    old, new = clock.newest - OLD_AGE, clock.newest - NEW_AGE
    plain: tuple[tuple[re.Pattern[str], Constraint], ...] = (
        (_OLD, Constraint(name, "max", old)),
        (_NOT_OLD, Constraint(name, "min", old + 1)),
        (_RECENT, Constraint(name, "min", new)),
        (_NEW, Constraint(name, "min", new)),
        (_NOT_NEW, Constraint(name, "max", new - 1)),
    )
    for pattern, constraint in plain:
        for m in pattern.finditer(text):
            yield number_span(m, name, (constraint,))


def _years_ago(match: re.Match[str]) -> int:
    unit = 10 if match["u"].lower().startswith("decade") else 1
    return int(amount(match["k"].lower(), 3) if match["k"] else 1) * unit


def _between(name: str, low: int | None, high: int | None) -> tuple[Constraint, ...]:
    bounds = () if low is None else (Constraint(name, "min", low),)
    return bounds if high is None else (*bounds, Constraint(name, "max", high))


def _period(match: re.Match[str]) -> tuple[int, int]:
    if match.groupdict().get("y"):
        year = _year(match["y"])
        return year, year
    low = _decade(match["dec"])
    return low, low + 9


def _year(text: str) -> int:
    digits = re.sub(r"\D", "", text)
    if len(digits) == 4:
        return int(digits)
    if digits:
        return (1900 if int(digits) >= 30 else 2000) + int(digits)
    century, _, rest = re.sub(r"[\s-]+", " ", text.lower()).partition(" ")
    if century == "two":  # "two thousand and five"
        return 2000 + int(amount(rest.removeprefix("thousand").strip().removeprefix("and "), 0))
    return (1900 if century == "nineteen" else 2000) + int(amount(rest, 0))


def _decade(text: str) -> int:
    digits = re.sub(r"\D", "", text)
    if len(digits) == 4:
        return int(digits)
    two = int(digits) if digits else _DECADES[text.lower()]
    return (1900 if two >= 30 else 2000) + two if two != 20 else (2020 if digits else 1920)
