"""The public sources, each read into films that a catalogue is held against."""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from vouchrec.evals.facts.vocabulary import LANGUAGES, listed, our_genres
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.files import read_rows

__all__ = ["DIRECTED", "SourceFilm", "read_sources"]

_YEAR_AT_END = re.compile(r"^(.*?)\s*\((\d{4})\)\s*$")
_IN_BRACKETS = re.compile(r"\(([^()]*)\)")
_NAMES = re.compile(r"""['"]name['"]: (?:'([^']*)'|"([^"]*)")""")
_CODES = re.compile(r"""['"]iso_639_1['"]: ['"](\w\w)['"]""")
DIRECTED = re.compile(r"\bdirect(?:ed|or|ion)\b[^.]* by ([^.]{3,60})")


@dataclass(frozen=True, slots=True)
class SourceFilm:
    """One film as a source tells it; empty where the source is silent.

    Attributes:
        titles: Every title it gives, the main one first.
        genres: In our vocabulary.
        directed_by: Prose that names the director, where the source has no list.
        long_cast: True when the cast list goes beyond the leads.
        text: Prose of the source, which our descriptions may not repeat.
    """

    source: str
    titles: tuple[str, ...]
    year: int | None = None
    genres: frozenset[str] = frozenset()
    directors: tuple[str, ...] = ()
    directed_by: str = ""
    cast: tuple[str, ...] = ()
    long_cast: bool = False
    runtime: int | None = None
    countries: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    text: str = ""


def read_sources(data: Path) -> Iterator[SourceFilm]:
    """Yield every film of every source found under a data folder.

    Raises:
        ConfigError: The folder has none of the sources.
    """
    found = [(path, reader) for pattern, reader in _READERS for path in sorted(data.glob(pattern))]
    if not found:
        raise ConfigError(
            f"{data}: none of the sources is here.", hint="Looked for " + ", ".join(p for p, _ in _READERS)
        )
    for path, reader in found:
        yield from reader(path)


def _wikipedia(path: Path) -> Iterator[SourceFilm]:
    with lzma.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            row = cast("dict[str, object]", json.loads(line))
            lead = str(row.get("extract") or "")
            people = tuple(name for name in _strings(row.get("cast")) if not name.startswith("("))
            yield SourceFilm(
                source="wikipedia-movies",
                titles=(str(row["title"]),),
                year=_number(row.get("year")),
                genres=our_genres(_strings(row.get("genres"))),
                directed_by=lead if DIRECTED.search(lead) else "",
                cast=people,
                text=lead,
            )


def _redial(path: Path) -> Iterator[SourceFilm]:
    with lzma.open(path, "rt", encoding="utf-8") as file:
        rows = cast("dict[str, dict[str, object]]", json.load(file))
    for row in rows.values():
        titles, year = _split_title(str(row.get("name") or ""))
        yield SourceFilm(
            source="redial",
            titles=titles,
            year=year,
            genres=our_genres(_strings(row.get("genre"))),
            directors=_strings(row.get("director")),
            cast=_strings(row.get("star")),
            text=str(row.get("plot") or ""),
        )


def _movietweetings(path: Path) -> Iterator[SourceFilm]:
    for line in path.read_text(encoding="utf-8").splitlines():
        parts = line.split("::")
        if len(parts) == 3 and "Short" not in parts[2]:
            titles, year = _split_title(parts[1])
            yield SourceFilm("movietweetings", titles, year, our_genres(parts[2].split("|")))


def _movielens(path: Path) -> Iterator[SourceFilm]:
    for _, row in read_rows(path):
        titles, year = _split_title(str(row["title"]))
        yield SourceFilm("movielens", titles, year, our_genres(str(row["genres"]).split("|")))


def _tmdb_5000(path: Path) -> Iterator[SourceFilm]:
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".csv") and "__MACOSX" not in n)
        with archive.open(name) as file:
            yield from _tmdb_full("tmdb-5000", _csv_rows(file))


def _tmdb_10k(path: Path) -> Iterator[SourceFilm]:
    with lzma.open(path) as file:
        for row in _csv_rows(file):
            yield SourceFilm(
                source="tmdb-10k",
                titles=(row["title"],),
                year=_number(row["release_date"][:4]),
                genres=our_genres(row["genre"].split(",")),
                languages=_languages((row["original_language"],)),
                text=row["overview"],
            )


def _tmdb_by_year(path: Path) -> Iterator[SourceFilm]:
    with gzip.open(path) as file:
        yield from _tmdb_full("tmdb-by-year", _csv_rows(cast("IO[bytes]", file)))


def _tmdb_full(source: str, rows: Iterable[Mapping[str, str]]) -> Iterator[SourceFilm]:
    for row in rows:
        yield SourceFilm(
            source=source,
            titles=(row["title"], row["original_title"]),
            year=_number(row["release_date"][:4]),
            genres=our_genres(_literal_names(row["genres"])),
            runtime=_number(row["runtime"]),
            countries=_literal_names(row["production_countries"]),
            languages=_languages(
                (row["original_language"], *(m.group(1) for m in _CODES.finditer(row["spoken_languages"])))
            ),
            text=row["overview"],
        )


def _imdb_basics(path: Path) -> Iterator[SourceFilm]:
    with gzip.open(path) as file:
        for row in _csv_rows(cast("IO[bytes]", file)):
            titles = (row["primaryTitle"], row["originalTitle"])
            genres = our_genres(row["genres"].split(","))
            yield SourceFilm(
                "imdb-basics", titles, _number(row["startYear"]), genres, runtime=_number(row["runtimeMinutes"])
            )


def _streaming(path: Path) -> Iterator[SourceFilm]:
    with path.open("rb") as file:
        for row in _csv_rows(file):
            if row["type"] != "Movie":
                continue
            yield SourceFilm(
                source=path.name.removesuffix("_titles.csv"),
                titles=(row["title"],),
                year=_number(row["release_year"]),
                genres=our_genres((row.get("listed_in") or row.get("genre") or "").split(", ")),
                directors=listed(row["director"]),
                cast=listed(row["cast"]),
                long_cast=True,
                runtime=_number(row["duration"].removesuffix(" min")),
                countries=listed(row["country"]),
                text=row["description"],
            )


_READERS: tuple[tuple[str, Callable[[Path], Iterator[SourceFilm]]], ...] = (
    ("wikipedia-movies/movies.jsonl.xz", _wikipedia),
    ("redial/id2info.json.xz", _redial),
    ("movietweetings/movies.dat", _movietweetings),
    ("movielens/ml-latest-2023-sample/movies.parquet", _movielens),
    ("tmdb/tmdb_5000_movies.csv.zip", _tmdb_5000),
    ("tmdb/top10K-TMDB-movies.csv.xz", _tmdb_10k),
    ("tmdb/by-year/final_tmdb_data_*.csv.gz", _tmdb_by_year),
    ("tmdb/by-year/basics.csv.gz", _imdb_basics),
    ("streaming/*_titles.csv", _streaming),
)


def _csv_rows(file: IO[bytes]) -> Iterator[dict[str, str]]:
    csv.field_size_limit(10_000_000)
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        for row in csv.DictReader(text):
            yield {key: value or "" for key, value in row.items() if key is not None}


def _split_title(name: str) -> tuple[tuple[str, ...], int | None]:
    match = _YEAR_AT_END.match(name)
    title, year = (match.group(1), int(match.group(2))) if match else (name, None)
    others = tuple(t.removeprefix("a.k.a. ") for t in _IN_BRACKETS.findall(title))
    return (_IN_BRACKETS.sub("", title).strip() or title, *others), year


def _strings(value: object) -> tuple[str, ...]:
    return tuple(str(v) for v in cast("list[object]", value)) if isinstance(value, list) else ()


def _literal_names(text: str) -> tuple[str, ...]:
    return tuple(m.group(1) or m.group(2) for m in _NAMES.finditer(text))


def _languages(codes: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(LANGUAGES[c] for c in codes if c in LANGUAGES))


def _number(value: object) -> int | None:
    try:
        return round(float(str(value))) or None
    except ValueError:
        return None
