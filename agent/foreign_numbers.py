"""Years, lengths and counts in a message of another language, by the patterns of its grammar file.

The numbers that words such as "old" or "short" stand for are those of English (`years.py`, `durations.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from vouchrec.agent.amounts import Clock, number_span, within
from vouchrec.agent.durations import LONG, SHORT, SHORT_LIMIT
from vouchrec.agent.grammar import Grammar, alternatives, joined, number_pattern, number_value, plain, valued, whole
from vouchrec.agent.types import Span
from vouchrec.agent.years import NEW_AGE, OLD_AGE
from vouchrec.retrieval.types import Constraint

_YEAR = r"(?:19|20)\d\d(?!\d)"
_ABOUT_MINUTES, _ABOUT_YEARS = 15, 2
_SHORTEST, _LONGEST = 20, 480
"""Minutes outside which a bare amount is no length that someone asks for."""
_MOST = 20


def foreign_years(text: str, name: str, known: Grammar, nouns: str, clock: Clock) -> Iterator[Span]:
    """Yield expressions of years as spans of the attribute of that name; they may overlap."""
    said = plain(text)
    for pattern in _year_patterns(known, nouns):
        for m in pattern.finditer(said):
            yield _at(text, m, name, _years(m, name, known))
    for m in _compiled(known, "year", "ranges", nouns).finditer(said):
        low, high = sorted(int(y) for y in re.findall(_YEAR, m.group())[:2])
        yield _at(text, m, name, within(name, low, high))
    for m in _compiled(known, "year", "last", nouns).finditer(said):
        ago = number_value(m["n"], known)
        yield _at(text, m, name, (Constraint(name, "min", clock.newest - int(ago)),))
    old, new = clock.newest - OLD_AGE, clock.newest - NEW_AGE
    bounds = {"old": ("max", old), "new": ("min", new), "not_old": ("min", old + 1), "not_new": ("max", new - 1)}
    yield from _worded(text, name, known, "year", bounds, nouns)


def foreign_durations(text: str, name: str, known: Grammar, nouns: str) -> Iterator[Span]:
    """Yield expressions of length as spans of the attribute of that name, in minutes; they may overlap."""
    for m in _durations(known).finditer(plain(text)):
        minutes = _minutes(m, known)
        bound = next((side for side in ("max", "maxa", "min", "mina") if m[side]), "")
        if minutes and (bound or _SHORTEST <= minutes <= _LONGEST):
            low, high = minutes - _ABOUT_MINUTES, minutes + _ABOUT_MINUTES
            limit = Constraint(name, "max" if bound.startswith("max") else "min", minutes)
            yield _at(text, m, name, (limit,) if bound else within(name, low, high))
    bounds = {
        "short": ("max", SHORT),
        "long": ("min", LONG),
        "not_long": ("max", SHORT_LIMIT),
        "not_short": ("min", SHORT),
    }
    yield from _worded(text, name, known, "time", bounds, nouns)


def count_before(text: str, start: int, known: Grammar) -> Span | None:
    """Return the count that stands directly before a place where several of a kind are named: "tres comedias"."""
    match = _last_number(known).search(plain(text[:start]))
    number = int(number_value(match["n"], known)) if match else 0
    if match is None or not 1 < number <= _MOST:
        return None
    return Span(match.start("n"), match.end("n"), text[match.start("n") : match.end("n")], "count", count=number)


def foreign_counts(text: str, known: Grammar, nouns: str) -> Iterator[Span]:
    """Yield how many are wanted: "tres películas", "nenne mir drei"."""
    said = plain(text)
    for m in _counts(known, nouns).finditer(said):
        number = int(number_value(m["n"] or m["asked"], known))
        group = "n" if m["n"] else "asked"
        if 1 < number <= _MOST:
            yield Span(m.start(group), m.end(group), text[m.start(group) : m.end(group)], "count", count=number)
    for words, value in _fixed(known.raw["numbers"].get("count", "")):
        for m in whole(rf"{words}(?=\s+(?:[^\W_]+\s+)?{nouns})").finditer(said):
            yield Span(m.start(), m.end(), text[m.start() : m.end()], "count", count=value)


# ---- years ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=32)
def _year_patterns(known: Grammar, nouns: str) -> tuple[re.Pattern[str], ...]:
    entries = known.raw["year"]
    sides = "|".join(f"(?P<{side}>{alternatives(entries.get(side, ''))})" for side in _SIDES)
    link = alternatives(entries.get("link", ""))
    onwards = rf"(?:\s*,?\s*(?P<onwards>{alternatives(entries.get('onwards', ''))}))?"
    tens = "|".join(re.escape(word).replace(r"\-", r"[\s-]?") for word in _longest_first(valued(entries["tens"])))
    decade = rf"(?P<dec>'?(?:19|20)?\d0|{tens})"
    join = rf"[-–]|(?:{known.pattern('join').pattern})|bis|a"
    article = r"(?:(?:los|les|l[ae]s|den|der|die|gli|os|dos|d[ei]s?|anos|annees|anni)\s+)*"
    second = rf"(?:\s*-?\s*(?:{join})\s*{article}(?P<dec2>'?(?:19|20)?\d0|{tens})(?!\d)(?:er[ns]?)?(?:[- ]jahren?)?)?"
    decades = (part.strip() + second for part in entries["decades"].split(";"))
    periods = [rf"(?P<y>{_YEAR})", *decades]
    periods += [f"(?P<w>{word})" for word, _ in _fixed(entries.get("words", ""))]
    return tuple(
        whole(rf"(?:(?:{sides})\s*{link}?)?{_filled(period, nouns).replace('{t}', decade)}{onwards}")
        for period in periods
    )


_SIDES = ("until", "since", "before", "after", "about")


def _years(match: re.Match[str], name: str, known: Grammar) -> tuple[Constraint, ...]:
    low, high = _period(match, known)
    side = "since" if match["onwards"] else next((side for side in _SIDES if match[side]), "")
    if side == "about":
        return within(name, low - _ABOUT_YEARS, high + _ABOUT_YEARS)
    bounds: Mapping[str, tuple[Constraint, ...]] = {
        "until": (Constraint(name, "max", high),),
        "since": (Constraint(name, "min", low),),
        "before": (Constraint(name, "max", low - 1),),
        "after": (Constraint(name, "min", high + 1),),
    }
    return bounds.get(side) or within(name, low, high)


def _period(match: re.Match[str], known: Grammar) -> tuple[int, int]:
    groups = match.groupdict()
    if groups.get("y"):
        return int(groups["y"]), int(groups["y"])
    entries = known.raw["year"]
    if groups.get("w"):
        decade = next(v for word, v in _fixed(entries.get("words", "")) if re.fullmatch(word, groups["w"], re.I))
        return _full(decade), _full(decade) + 9
    tens = valued(entries["tens"])
    decades = sorted(_decade(groups[name], tens) for name in ("dec", "dec2") if groups.get(name))
    return decades[0], decades[-1] + 9


def _decade(text: str, tens: Mapping[str, float]) -> int:
    """Return the first year of a decade in digits or words: "80" and "ochenta" are 1980."""
    digits = re.sub(r"\D", "", text)
    return _full(int(digits) if digits else int({joined(word): value for word, value in tens.items()}[joined(text)]))


def _full(decade: int) -> int:
    return decade if decade >= 1000 else decade + (1900 if decade >= 20 else 2000)


# ---- lengths ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _durations(known: Grammar) -> re.Pattern[str]:
    part = {name: alternatives(text) for name, text in known.raw["time"].items()}
    number = rf"(?:\d+(?:[.,]\d+)?|{number_pattern(known)})"
    fraction = rf"(?P<half>{part['half']})|(?P<most>{part['three_quarters']})|(?P<quarter>{part['quarter']})"
    rest = rf"(?P<rest>[0-5]?\d(?!\d)|{number_pattern(known)})(?:\s*{part['minute']}|(?!\s*[^\W_]))?"
    hours = (
        rf"(?P<h>{number})\s*['-]?\s*{part['hour']}"
        rf"(?:\s*(?:{part['and']}\s+)?(?:(?:{fraction})(?![^\W_])|{rest}))?"
    )
    time = rf"(?:(?P<hh>{part['half_hour']})|{hours}|(?P<m>{number})\s*-?\s*{part['minute']})"
    article = r"(?:(?:de|di|d|a|l[aeo]s?|el|il)['\s]\s*)?"
    sides = rf"(?:(?P<max>{part['max']})|(?P<min>{part['min']})|{part['about']})\s*['\s]\s*{article}"
    after = rf"(?:\s*,?\s*(?:(?P<maxa>{part['max_after']})|(?P<mina>{part['min_after']})))?"
    return whole(rf"(?:{sides})?{time}{after}")


def _minutes(match: re.Match[str], known: Grammar) -> int:
    if match["hh"]:
        return 30
    if match["m"]:
        return int(number_value(match["m"], known))
    rest = number_value(match["rest"], known) if match["rest"] else 0
    fraction = 30 if match["half"] else 45 if match["most"] else 15 if match["quarter"] else 0
    return int(60 * number_value(match["h"], known) + rest + fraction)


# ---- shared -----------------------------------------------------------------------------------------------------


def _worded(
    text: str, name: str, known: Grammar, section: str, bounds: Mapping[str, tuple[str, int]], nouns: str
) -> Iterator[Span]:
    for entry, (op, value) in bounds.items():
        for m in _compiled(known, section, entry, nouns).finditer(plain(text)):
            yield _at(text, m, name, (Constraint(name, "max" if op == "max" else "min", value),))


@lru_cache(maxsize=256)
def _compiled(known: Grammar, section: str, entry: str, nouns: str) -> re.Pattern[str]:
    text = _filled(known.raw[section].get(entry, ""), nouns).replace("{y}", _YEAR).replace("{z}", _YEAR)
    return whole(text.replace("{n}", rf"(?P<n>\d+|{number_pattern(known)})"))


def _filled(phrases: str, nouns: str) -> str:
    """Return an alternation with the domain's nouns in place; the other places stay open."""
    return alternatives(phrases).replace("{noun}", nouns) if not phrases.startswith("(?P<") else phrases


@lru_cache(maxsize=32)
def _counts(known: Grammar, nouns: str) -> re.Pattern[str]:
    number = rf"\d{{1,2}}|{number_pattern(known)}"
    ask = alternatives(known.raw["numbers"]["ask"])
    end = r"(?=\s*(?:$|[.,;!?]))"
    return whole(rf"(?P<n>{number})(?=\s+(?:[^\W_]+\s+)?{nouns}(?![^\W_]))|{ask}\s+(?P<asked>{number}){end}")


@lru_cache(maxsize=8)
def _last_number(known: Grammar) -> re.Pattern[str]:
    good = known.pattern("good").pattern
    return re.compile(rf"(?:^|(?<=[\s,.;!?]))(?P<n>\d{{1,2}}|{number_pattern(known)})\s+(?:{good}\s+)?$", re.IGNORECASE)


def _fixed(text: str) -> list[tuple[str, int]]:
    """Return a table written as `pattern=value; pattern=value`, with plain patterns."""
    pairs = (part.rsplit("=", 1) for part in text.split(";") if "=" in part)
    return [(alternatives(words), int(value)) for words, value in pairs]


def _longest_first(words: Mapping[str, float]) -> list[str]:
    return sorted(words, key=len, reverse=True)


def _at(text: str, match: re.Match[str], name: str, constraints: tuple[Constraint, ...]) -> Span:
    """Return the span of a match in the plain text, with the words as written."""
    span = number_span(match, name, constraints)
    return Span(span.start, span.end, text[span.start : span.end], name, constraints=constraints)
