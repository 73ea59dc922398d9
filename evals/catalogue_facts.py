"""Check the facts of a film catalogue against public film data, and its texts against the same data.

    python -m vouchrec.evals.catalogue_facts --data DATA [--items FILE] [--exceptions FILE] [--disagreements FILE]

Every record is looked up by title or alias in each source found under DATA; year, genres, directors, cast, running
time, countries and languages are compared wherever the source has them. Beside that the catalogue itself is checked:
ids, records of the same film, names spelt in two ways, and descriptions that share eight words in a row with a text of
DATA, that name a person, or that praise. A disagreement in which the catalogue is right stands with its reason in the
exceptions file.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import itertools
import json
import lzma
import re
import sys
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, cast

from rapidfuzz import fuzz

from vouchrec.retrieval.build import BUILTIN_DATA
from vouchrec.retrieval.catalogue import fold, read_items
from vouchrec.retrieval.errors import ConfigError, VouchError
from vouchrec.retrieval.files import read_rows
from vouchrec.retrieval.types import Item


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part for part in (p.strip() for p in text.split(",")) if part)


BUILTIN_ITEMS = BUILTIN_DATA / "films.jsonl"
EXCEPTIONS = Path(__file__).parent / "cases" / "catalogue_exceptions.jsonl"
ATTRIBUTES = ("year", "genres", "directors", "cast", "runtime", "countries", "languages")
SELF_CHECKS = ("id", "vocabulary", "length", "same film", "spelling", "copied text", "person in text", "praise")
NOTE = "cast member"
"""A name of ours that a long cast list lacks: worth a look, never a disagreement, since such lists have an end."""
GENRES = frozenset(
    _listed(
        "action, adventure, animation, biography, comedy, crime, documentary, drama, family, fantasy, film noir, "
        "history, horror, music, musical, mystery, romance, science fiction, sport, thriller, war, western"
    )
)
MOODS = frozenset(
    _listed(
        "bittersweet, bleak, brooding, charming, cosy, creepy, cynical, dark, dreamlike, eerie, elegant, epic, "
        "exhilarating, feel-good, funny, gentle, gritty, haunting, heartwarming, hopeful, intense, intimate, "
        "irreverent, lyrical, meditative, melancholy, mind-bending, moving, nostalgic, offbeat, playful, "
        "provocative, quirky, raw, romantic, satirical, sentimental, slow-burning, spare, stylish, suspenseful, "
        "sweeping, tender, tense, thought-provoking, tragic, uplifting, violent, warm, whimsical, witty"
    )
)
DESCRIPTION_WORDS = (25, 75)
SHARED_WORDS = 8
YEARS_MATCHED = 2
YEARS_ALLOWED = 1
MINUTES_ALLOWED = 6
SPELLING = 83
"""Likeness, 0 to 100, from which two words of a name are one ("Tarkovsky", "Tarkovskiy"; but not "Reno", "Renoir")."""

_GENRE_WORDS = {
    "action": (
        "action-adventure",
        "action & adventure",
        "martial arts",
        "superhero",
        "spy",
        "spy/espionage",
        "disaster",
    ),
    "adventure": ("action-adventure", "action & adventure", "superhero", "survival"),
    "animation": ("animated", "anime", "anime features", "children & family movies"),
    "biography": ("biographical",),
    "comedy": ("comedies", "satire", "parody", "romantic comedy", "stand-up comedy"),
    "crime": ("police/cop", "noir", "film-noir"),
    "documentary": ("documentaries", "docuseries", "concert film", "performance", "animals & nature"),
    "drama": ("dramas", "legal", "medical", "soap opera / melodrama"),
    "family": ("children", "kids", "children & family movies"),
    "fantasy": ("sci-fi & fantasy", "supernatural"),
    "film noir": ("film-noir", "noir"),
    "history": ("historical",),
    "horror": ("horror movies", "slasher", "supernatural"),
    "music": ("musical", "music & musicals", "concert film", "dance", "performance"),
    "musical": ("music", "music & musicals", "dance"),
    "romance": ("romantic movies", "romantic comedy", "erotic"),
    "science fiction": ("sci-fi", "sci-fi & fantasy"),
    "sport": ("sports", "sports movies"),
    "thriller": ("thrillers", "suspense", "spy", "spy/espionage", "disaster"),
}
_LANGUAGE_CODES = (
    "ab:Abkhaz, af:Afrikaans, am:Amharic, ar:Arabic, be:Belarusian, bg:Bulgarian, bm:Bambara, bn:Bengali, "
    "bo:Tibetan, bs:Bosnian, ca:Catalan, cn:Cantonese, co:Corsican, cs:Czech, da:Danish, de:German, "
    "el:Greek, en:English, es:Spanish, et:Estonian, eu:Basque, fa:Persian, fi:Finnish, fr:French, "
    "ga:Irish, gd:Gaelic, gl:Galician, he:Hebrew, hi:Hindi, hr:Croatian, hu:Hungarian, hy:Armenian, "
    "id:Indonesian, is:Icelandic, it:Italian, ja:Japanese, ka:Georgian, kk:Kazakh, km:Khmer, ko:Korean, "
    "ku:Kurdish, la:Latin, lt:Lithuanian, lv:Latvian, mi:Māori, mk:Macedonian, ml:Malayalam, "
    "mn:Mongolian, mr:Marathi, nb:Norwegian, ne:Nepali, nl:Dutch, no:Norwegian, pa:Punjabi, pl:Polish, "
    "ps:Pashto, pt:Portuguese, qu:Quechua, ro:Romanian, ru:Russian, sh:Serbian, sk:Slovak, sl:Slovene, "
    "so:Somali, sq:Albanian, sr:Serbian, sv:Swedish, sw:Swahili, ta:Tamil, te:Telugu, th:Thai, "
    "tl:Tagalog, tr:Turkish, uk:Ukrainian, ur:Urdu, uz:Uzbek, vi:Vietnamese, wo:Wolof, xh:Xhosa, "
    "yi:Yiddish, zh:Mandarin, zu:Zulu"
)
_LANGUAGES = {pair[:2]: pair[3:] for pair in _listed(_LANGUAGE_CODES)}
_SAME_LANGUAGE = {
    "Cantonese": "Mandarin",
    "Taiwanese Hokkien": "Mandarin",
    "Shanghainese": "Mandarin",
    "Dari": "Persian",
    "Urdu": "Hindi",
    "Neapolitan": "Italian",
    "Bosnian": "Serbian",
    "Croatian": "Serbian",
}
_SAME_COUNTRY = {
    "United States of America": "United States",
    "West Germany": "Germany",
    "East Germany": "Germany",
    "Soviet Union": "Russia",
    "Czechoslovakia": "Czech Republic",
    "Slovakia": "Czech Republic",
    "Yugoslavia": "Serbia",
    "Serbia and Montenegro": "Serbia",
    "Macedonia": "North Macedonia",
    "Palestinian Territory": "Palestine",
    "Hong Kong": "China",
}
_PRAISE = re.compile(
    r"\b(masterpiece|masterful(?:ly)?|masterwork|superb(?:ly)?|acclaimed|award-winning|oscar-winning|unforgettable|"
    r"must-see|stunning(?:ly)?|breathtaking|dazzling(?:ly)?|magnificent|brilliantly|exquisite(?:ly)?|unmissable|"
    r"beloved|iconic|seminal|groundbreaking|landmark (?:film|work|of)|timeless|greatest films?|best films?|"
    r"finest (?:film|hour|work)|tour de force|triumph of|gem of|true classic|cult classic|all-time)\b",
    re.IGNORECASE,
)
_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*-(\d{4})")
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "æ": "ae", "œ": "oe", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "&": " and "}
)
_NOT_WORD = re.compile(r"[^\w]+|_")
_YEAR_AT_END = re.compile(r"^(.*?)\s*\((\d{4})\)\s*$")
_IN_BRACKETS = re.compile(r"\(([^()]*)\)")
_NAMES = re.compile(r"""['"]name['"]: (?:'([^']*)'|"([^"]*)")""")
_CODES = re.compile(r"""['"]iso_639_1['"]: ['"](\w\w)['"]""")
_DIRECTED = re.compile(r"\bdirect(?:ed|or|ion)\b[^.]* by ([^.]{3,60})")
_APOSTROPHES = re.compile(r"['’`]")


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


@dataclass(frozen=True, slots=True)
class Report:
    """All checks of a catalogue.

    Attributes:
        items: Number of records.
        checks: Facts held against sources, notes on single cast names, and the failed checks of the catalogue itself.
        matched: Records found, by source.
        exceptions: Reasons by item, attribute and our value.
    """

    items: int
    checks: tuple[Check, ...]
    matched: Mapping[str, int]
    exceptions: Mapping[tuple[str, str, str], str]

    @property
    def disagreements(self) -> list[Check]:
        """Failed checks, adjudicated or not, without the notes."""
        return [c for c in self.checks if not c.agreed and c.attribute != NOTE]

    @property
    def open(self) -> list[Check]:
        """Disagreements that no exception covers."""
        return [c for c in self.disagreements if c.key not in self.exceptions]

    @property
    def notes(self) -> list[Check]:
        """Single cast names of ours that a long cast list lacks."""
        return [c for c in self.checks if c.attribute == NOTE and c.key not in self.exceptions]


# ---- comparing words ----------------------------------------------------------------------------------------------


def words(text: str) -> list[str]:
    """Return the words of a text without case, accents and punctuation."""
    text = _APOSTROPHES.sub("", text.casefold()).translate(_LETTERS)
    return _NOT_WORD.sub(" ", text if text.isascii() else fold(text)).split()


def title_key(title: str) -> str:
    """Return a title in the form in which titles are matched: "Godfather, The" and "The Godfather" are one."""
    tokens = words(title)
    head, comma, tail = title.rpartition(", ")
    if comma and len(tail) <= 4 and len(tokens) > 1 and head:
        tokens = [tokens[-1], *tokens[:-1]]
    if len(tokens) > 1 and tokens[0] in {"the", "a", "an"}:
        tokens = tokens[1:]
    return " ".join(tokens)


def item_titles(item: Item) -> tuple[str, ...]:
    """Return the keys of an item's title and aliases, the title first."""
    return tuple(dict.fromkeys(k for k in map(title_key, (item.title, *item.aliases)) if k))


def same_person(one: str, other: str) -> bool:
    """Tell whether two spellings name one person: order, initials, a middle name and transliteration don't count."""
    left, right = _name_tokens(one), _name_tokens(other)
    if "".join(left) == "".join(right):
        return True
    if min(len(left), len(right)) > 1 and (set(left) <= set(right) or set(right) <= set(left)):
        return True
    return len(left) == len(right) and all(
        a[0] == b[0] and fuzz.ratio(a, b) >= SPELLING for a, b in zip(left, right, strict=True)
    )


def _name_tokens(name: str) -> list[str]:
    tokens = words(name)
    long = [t for t in tokens if len(t) > 1 and t not in {"jr", "sr"}]
    return sorted(long if len(long) > 1 else tokens)


def _any_same(ours: Iterable[str], theirs: Sequence[str]) -> bool:
    return any(same_person(a, b) for a in ours for b in theirs)


def _genre_table() -> dict[str, frozenset[str]]:
    table: dict[str, set[str]] = {genre: {genre} for genre in GENRES}
    for genre, names in _GENRE_WORDS.items():
        for name in names:
            table.setdefault(name, set()).add(genre)
    return {name: frozenset(genres) for name, genres in table.items()}


_GENRE_OF = _genre_table()


def our_genres(names: Iterable[str]) -> frozenset[str]:
    """Return a source's genre names in our vocabulary; names without a counterpart are dropped."""
    found = (_GENRE_OF.get(name.strip().casefold(), frozenset[str]()) for name in names)
    return frozenset(itertools.chain.from_iterable(found))


# ---- sources ------------------------------------------------------------------------------------------------------


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
                directed_by=lead if _DIRECTED.search(lead) else "",
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
                directors=_listed(row["director"]),
                cast=_listed(row["cast"]),
                long_cast=True,
                runtime=_number(row["duration"].removesuffix(" min")),
                countries=_listed(row["country"]),
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
    return tuple(dict.fromkeys(_LANGUAGES[c] for c in codes if c in _LANGUAGES))


def _number(value: object) -> int | None:
    try:
        return round(float(str(value))) or None
    except ValueError:
        return None


# ---- comparing facts ----------------------------------------------------------------------------------------------


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
        add("directors", _directed(directors, film), film.directors or _DIRECTED.findall(film.directed_by)[:1])
    if item.values("cast") and film.cast:
        add("cast", _any_same(item.values("cast"), film.cast), film.cast)
    if runtime and film.runtime:
        add("runtime", abs(runtime - film.runtime) <= MINUTES_ALLOWED, [film.runtime])
    for attribute, theirs, same in (
        ("countries", film.countries, _SAME_COUNTRY),
        ("languages", film.languages, _SAME_LANGUAGE),
    ):
        if theirs and item.values(attribute) and item.values(attribute)[0] != "Silent":
            add(attribute, _main_shared(item.values(attribute), theirs, same), theirs)
    return checks


def _directed(ours: Sequence[str], film: SourceFilm) -> bool:
    prose = set(words(film.directed_by))
    return _any_same(ours, film.directors) or any({*words(name)[:1], *words(name)[-1:]} <= prose for name in ours)


def _main_shared(ours: Sequence[str], theirs: Sequence[str], same: Mapping[str, str]) -> bool:
    left, right = [same.get(v, v) for v in ours], [same.get(v, v) for v in theirs]
    return left[0] in right or right[0] in left


def cast_notes(item: Item, film: SourceFilm) -> list[Check]:
    """Return the cast names of an item that a long cast list of the source lacks."""
    if not film.long_cast or not film.cast:
        return []
    missing = [name for name in item.values("cast") if not _any_same([name], film.cast)]
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


# ---- the catalogue itself -----------------------------------------------------------------------------------------


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
            first = seen.setdefault("".join(_name_tokens(name)), name)
            if first != name:
                yield _own(item, "spelling", name, f"{first} elsewhere")


def _check_doubles(items: Sequence[Item]) -> Iterator[Check]:
    by_title: dict[str, list[Item]] = defaultdict(list)
    by_director: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        for key in item_titles(item):
            by_title[key].append(item)
        for name in item.values("directors"):
            by_director[" ".join(_name_tokens(name))].append(item)
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
    if not _any_same(one.values("directors"), other.values("directors")):
        return False
    if set(item_titles(one)) & set(item_titles(other)):
        return True
    shared = sum(_any_same([name], other.values("cast")) for name in one.values("cast"))
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


# ---- the report ---------------------------------------------------------------------------------------------------


def check_facts(
    items: Sequence[Item], data: Path, exceptions: Mapping[tuple[str, str, str], str] | None = None
) -> Report:
    """Check a catalogue against the sources under a data folder.

    Raises:
        ConfigError: The folder has none of the sources.
    """
    wanted = {key for item in items for key in item_titles(item)}
    films: dict[str, dict[str, list[SourceFilm]]] = defaultdict(lambda: defaultdict(list))
    copies = CopyFinder(items)
    for film in read_sources(data):
        copies.see(film)
        for key in {title_key(t) for t in film.titles} & wanted:
            films[film.source][key].append(film)
    checks: list[Check] = [*check_catalogue(items), *copies.checks()]
    matched: dict[str, int] = {}
    for source, by_title in films.items():
        matched[source] = 0
        for item in items:
            film = best_match(item, (f for key in item_titles(item) for f in by_title.get(key, ())))
            if film:
                matched[source] += 1
                checks += compare(item, film) + cast_notes(item, film)
    return Report(len(items), tuple(checks), matched, exceptions or {})


def read_exceptions(path: Path) -> dict[tuple[str, str, str], str]:
    """Return the reasons of the adjudicated disagreements by item, attribute and our value; none when there is no file.

    Raises:
        ConfigError: An entry without a reason.
    """
    found: dict[tuple[str, str, str], str] = {}
    for number, row in read_rows(path) if path.is_file() and path.stat().st_size else ():
        reason = str(row.get("reason", "")).strip()
        if not reason:
            raise ConfigError(f"{path}, row {number}: an exception needs a reason.")
        found[str(row.get("item")), str(row.get("attribute")), str(row.get("ours"))] = reason
    return found


def markdown(report: Report) -> str:
    """Return the report as Markdown tables."""
    lines = [f"Records: {report.items}.", ""]
    lines += [*_attribute_table(report), "", *_source_table(report), "", *_self_table(report)]
    used = {c.key for c in report.checks if not c.agreed}
    lines += ["", f"Cast names that a long cast list lacks (notes): {len(report.notes)}."]
    lines += [f"Exceptions without a disagreement: {sum(key not in used for key in report.exceptions)}."]
    lines += [f"Disagreements left open: {len(report.open)}."]
    return "\n".join(lines) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return ["| " + " | ".join(map(str, row)) + " |" for row in (head, rule, *rows)]


def _attribute_table(report: Report) -> list[str]:
    rows: list[Sequence[object]] = []
    for attribute in ATTRIBUTES:
        checks = [c for c in report.checks if c.attribute == attribute]
        checked = {c.item for c in checks}
        differing = {c.item for c in checks if not c.agreed}
        left = {c.item for c in checks if not c.agreed and c.key not in report.exceptions}
        counts = (len(checked), len(checked) - len(differing), len(differing) - len(left), len(left))
        rows.append((attribute, *counts, report.items - len(checked)))
    return _table(("attribute", "checked", "agreed", "adjudicated", "disagreed", "not checkable"), rows)


def _source_table(report: Report) -> list[str]:
    facts = Counter(c.source for c in report.checks if c.attribute in ATTRIBUTES)
    differing = Counter(c.source for c in report.disagreements if c.attribute in ATTRIBUTES)
    rows = [(s, report.matched[s], facts[s], differing[s]) for s in sorted(report.matched)]
    return _table(("source", "records found", "facts compared", "differing"), rows)


def _self_table(report: Report) -> list[str]:
    found = Counter(c.attribute for c in report.disagreements)
    left = Counter(c.attribute for c in report.open)
    return _table(
        ("check of the catalogue", "found", "left"), [(name, found[name], left[name]) for name in SELF_CHECKS]
    )


def write_disagreements(report: Report, path: Path) -> None:
    """Write the disagreements and notes as JSONL: item, attribute, source, ours, theirs, an exception's reason."""
    with path.open("w", encoding="utf-8") as file:
        for check in (*report.disagreements, *report.notes):
            row: dict[str, object] = {k: v for k, v in asdict(check).items() if k != "agreed"}
            if check.key in report.exceptions:
                row["reason"] = report.exceptions[check.key]
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 when no disagreement is left open, 1 when one is, 2 when the input can't be used."""
    parser = argparse.ArgumentParser(
        prog="python -m vouchrec.evals.catalogue_facts", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the public data sets")
    parser.add_argument(
        "--items", type=Path, default=BUILTIN_ITEMS, help="catalogue to check (default: the built-in one)"
    )
    parser.add_argument("--exceptions", type=Path, default=EXCEPTIONS, help="adjudicated disagreements (JSONL)")
    parser.add_argument("--disagreements", type=Path, help="write the list of disagreements here (JSONL)")
    options = parser.parse_args(arguments)
    try:
        report = check_facts(list(read_items(options.items)), options.data, read_exceptions(options.exceptions))
    except VouchError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if options.disagreements:
        write_disagreements(report, options.disagreements)
    sys.stdout.write(markdown(report))
    for check in report.open:
        sys.stdout.write(
            f"- {check.item}: {check.attribute} {check.ours!r}, {check.source} has {check.theirs!r:.160}\n"
        )
    return 1 if report.open else 0


if __name__ == "__main__":
    raise SystemExit(main())
