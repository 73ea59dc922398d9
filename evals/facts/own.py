"""The catalogue itself: ids, values, doubles, spellings, and descriptions that copy, name people or praise."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from vouchrec.evals.facts.compare import MINUTES_ALLOWED, YEARS_ALLOWED, Check
from vouchrec.evals.facts.names import any_same, item_titles, name_tokens, words
from vouchrec.evals.facts.sources import SourceFilm
from vouchrec.evals.facts.vocabulary import GENRES, MOODS
from vouchrec.retrieval.types import Item

__all__ = ["SELF_CHECKS", "CopyFinder", "check_catalogue"]

SELF_CHECKS = ("id", "vocabulary", "length", "same film", "spelling", "copied text", "person in text", "praise")
DESCRIPTION_WORDS = (25, 75)
SHARED_WORDS = 8
_PRAISE = re.compile(
    r"\b(masterpiece|masterful(?:ly)?|masterwork|superb(?:ly)?|acclaimed|award-winning|oscar-winning|unforgettable|"
    r"must-see|stunning(?:ly)?|breathtaking|dazzling(?:ly)?|magnificent|brilliantly|exquisite(?:ly)?|unmissable|"
    r"beloved|iconic|seminal|groundbreaking|landmark (?:film|work|of)|timeless|greatest films?|best films?|"
    r"finest (?:film|hour|work)|tour de force|triumph of|gem of|true classic|cult classic|all-time)\b",
    re.IGNORECASE,
)
_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*-(\d{4})")


def check_catalogue(items: Sequence[Item]) -> list[Check]:
    """Return what is wrong with the records themselves: ids, unknown values, doubles, names and praise in texts."""
    people = _people(items)
    checks = [c for item in items for c in (*_check_record(item), *_check_text(item, people))]
    return [*checks, *_check_ids(items), *_check_doubles(items), *_check_spelling(items)]


def _own(item: Item, check: str, ours: str, theirs: str) -> Check:
    return Check(item.id, check, "catalogue", False, ours, theirs)


def _check_record(item: Item) -> Iterator[Check]:
    match, year = _ID.fullmatch(item.id), item.number("year")
    if not match or int(match.group(1)) != year:
        yield _own(item, "id", item.id, f"a slug that ends in the year {year:.0f}" if year else "a year")
    for name, allowed in (("genres", GENRES), ("moods", MOODS)):
        for value in sorted(set(item.values(name)) - allowed):
            yield _own(item, "vocabulary", value, f"not one of the {name}")
    low, high = DESCRIPTION_WORDS
    count = len(item.description.split())
    if not low <= count <= high:
        yield _own(item, "length", str(count), f"{low} to {high} words")


def _check_ids(items: Iterable[Item]) -> Iterator[Check]:
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            yield _own(item, "id", item.id, "stands twice")
        seen.add(item.id)


def _check_spelling(items: Iterable[Item]) -> Iterator[Check]:
    seen: dict[str, str] = {}
    for item in items:
        for name in dict.fromkeys((*item.values("directors"), *item.values("cast"))):
            first = seen.setdefault("".join(name_tokens(name)), name)
            if first != name:
                yield _own(item, "spelling", name, f"{first} elsewhere")


def _check_doubles(items: Sequence[Item]) -> Iterator[Check]:
    by_title: dict[str, list[Item]] = defaultdict(list)
    by_director: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        for key in item_titles(item):
            by_title[key].append(item)
        for name in item.values("directors"):
            by_director[" ".join(name_tokens(name))].append(item)
    pairs: dict[tuple[str, str], tuple[Item, Item]] = {}
    for group in (*by_title.values(), *by_director.values()):
        for one, other in itertools.combinations(group, 2):
            if one is not other and _same_film(one, other):
                pairs[one.id, other.id] = one, other
    for one, other in pairs.values():
        yield _own(one, "same film", one.title, other.id)


def _same_film(one: Item, other: Item) -> bool:
    if abs((one.number("year") or 0) - (other.number("year") or 0)) > YEARS_ALLOWED:
        return False
    if not any_same(one.values("directors"), other.values("directors")):
        return False
    if set(item_titles(one)) & set(item_titles(other)):
        return True
    shared = sum(any_same([name], other.values("cast")) for name in one.values("cast"))
    close = abs((one.number("runtime") or 0) - (other.number("runtime") or 0)) <= MINUTES_ALLOWED
    return shared >= 2 and close and one.number("year") == other.number("year")


def _people(items: Iterable[Item]) -> frozenset[tuple[str, ...]]:
    names = (name for item in items for name in (*item.values("directors"), *item.values("cast")))
    return frozenset(key for key in (tuple(words(name)) for name in names) if len(key) > 1)


def _check_text(item: Item, people: frozenset[tuple[str, ...]]) -> Iterator[Check]:
    tokens = words(item.description)
    subjects = item.values("cast") if "documentary" in item.values("genres") else ()
    allowed = {tuple(words(name)) for name in subjects}
    for size in (2, 3, 4):
        for start in range(len(tokens) - size + 1):
            name = tuple(tokens[start : start + size])
            if name in people and name not in allowed:
                yield _own(item, "person in text", " ".join(name), item.description)
    own = {name.split()[-1] for name in (*item.values("directors"), *item.values("cast")) if name not in subjects}
    for surname in sorted(own):
        if len(surname) > 3 and re.search(rf"(?<![.!?] )\b{re.escape(surname)}\b", item.description[1:]):
            yield _own(item, "person in text", surname, item.description)
    for praise in _PRAISE.finditer(item.description):
        yield _own(item, "praise", praise.group(0), item.description)


class CopyFinder:
    """Finds texts that share a run of words with a description."""

    def __init__(self, items: Iterable[Item], *, run: int = SHARED_WORDS) -> None:
        self._run = run
        self._runs: dict[str, list[str]] = defaultdict(list)
        self._found: dict[tuple[str, str], str] = {}
        for item in items:
            for phrase in self._phrases(item.description):
                self._runs[phrase].append(item.id)

    def see(self, film: SourceFilm) -> None:
        """Look at one text."""
        if not film.text:
            return
        for phrase in self._phrases(film.text):
            for item in self._runs.get(phrase, ()):
                self._found.setdefault((item, film.source), phrase)

    def checks(self) -> list[Check]:
        """Return one failed check per description and source, with the first shared run."""
        return [Check(i, "copied text", source, False, run, run) for (i, source), run in self._found.items()]

    def _phrases(self, text: str) -> Iterator[str]:
        tokens = words(text)
        return (" ".join(tokens[i : i + self._run]) for i in range(len(tokens) - self._run + 1))
