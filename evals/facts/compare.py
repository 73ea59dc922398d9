"""One record held against one source: which facts agree, and which of a source's films the record is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vouchrec.evals.facts.names import any_same, words
from vouchrec.evals.facts.sources import DIRECTED, SourceFilm
from vouchrec.evals.facts.vocabulary import SAME_COUNTRY, SAME_LANGUAGE
from vouchrec.retrieval.types import Item

__all__ = ["MINUTES_ALLOWED", "NOTE", "YEARS_ALLOWED", "Check", "best_match", "cast_notes", "compare"]

NOTE = "cast member"
"""A name of ours that a long cast list lacks: worth a look, never a disagreement, since such lists have an end."""
YEARS_MATCHED = 2
YEARS_ALLOWED = 1
MINUTES_ALLOWED = 6


@dataclass(frozen=True, slots=True)
class Check:
    """One fact of one item held against one source.

    Attributes:
        ours, theirs: The two values as text.
    """

    item: str
    attribute: str
    source: str
    agreed: bool
    ours: str
    theirs: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What an exception names: it lapses when our value changes."""
        return self.item, self.attribute, self.ours


def compare(item: Item, film: SourceFilm) -> list[Check]:
    """Hold every fact of an item that the source has against the source."""
    checks: list[Check] = []

    def add(attribute: str, agreed: bool, theirs: Iterable[object]) -> None:
        ours = "|".join(item.values(attribute))
        checks.append(Check(item.id, attribute, film.source, agreed, ours, "|".join(map(str, theirs))))

    year, runtime = item.number("year"), item.number("runtime")
    directors, genres = item.values("directors"), frozenset(item.values("genres"))
    if year and film.year:
        add("year", abs(year - film.year) <= YEARS_ALLOWED, [film.year])
    if genres and film.genres:
        add("genres", bool(genres & film.genres), sorted(film.genres))
    if directors and (film.directors or film.directed_by):
        add("directors", _directed(directors, film), film.directors or DIRECTED.findall(film.directed_by)[:1])
    if item.values("cast") and film.cast:
        add("cast", any_same(item.values("cast"), film.cast), film.cast)
    if runtime and film.runtime:
        add("runtime", abs(runtime - film.runtime) <= MINUTES_ALLOWED, [film.runtime])
    for attribute, theirs, same in (
        ("countries", film.countries, SAME_COUNTRY),
        ("languages", film.languages, SAME_LANGUAGE),
    ):
        if theirs and item.values(attribute) and item.values(attribute)[0] != "Silent":
            add(attribute, _main_shared(item.values(attribute), theirs, same), theirs)
    return checks


def _directed(ours: Sequence[str], film: SourceFilm) -> bool:
    prose = set(words(film.directed_by))
    return any_same(ours, film.directors) or any({*words(name)[:1], *words(name)[-1:]} <= prose for name in ours)


def _main_shared(ours: Sequence[str], theirs: Sequence[str], same: Mapping[str, str]) -> bool:
    left, right = [same.get(v, v) for v in ours], [same.get(v, v) for v in theirs]
    return left[0] in right or right[0] in left


def cast_notes(item: Item, film: SourceFilm) -> list[Check]:
    """Return the cast names of an item that a long cast list of the source lacks."""
    if not film.long_cast or not film.cast:
        return []
    missing = [name for name in item.values("cast") if not any_same([name], film.cast)]
    return [Check(item.id, NOTE, film.source, False, name, "|".join(film.cast)) for name in missing]


def best_match(item: Item, films: Iterable[SourceFilm]) -> SourceFilm | None:
    """Return which of a source's films of that title the item is, or None.

    A film counts when its year is within two of ours, or when its people are ours whatever its year. Among several the
    one that agrees best is taken, so that remakes are kept apart.
    """
    year, best, best_rank = item.number("year") or 0, None, (0.0, 0.0)
    for film in films:
        checks = {c.attribute: c.agreed for c in compare(item, film)}
        people = [checks[name] for name in ("directors", "cast") if name in checks]
        gap = abs(year - film.year) if film.year else YEARS_MATCHED
        if (gap > YEARS_MATCHED and not (people and all(people))) or (not film.year and not any(people)):
            continue
        agreed = sum(checks.values()) * 2 - len(checks)
        rank = (agreed + 4 * any(people) + len(checks) / 100, -gap)
        if best is None or rank > best_rank:
            best, best_rank = film, rank
    return best
