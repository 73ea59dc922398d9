"""Public film data -> files that `vouch init` reads.

Use: `python -m vouchrec.retrieval.recipes NAME --data DATA --out DIR`.

============================  ======================================================  ==========================
name                          from                                                    gives
============================  ======================================================  ==========================
movielens-small               ml-latest-small, texts of wikipedia-movies              films, ratings, domain
movielens-2023                ml-latest-2023-sample, texts of wikipedia-movies        films, ratings, domain
wikipedia                     wikipedia-movies                                        films, domain
============================  ======================================================  ==========================

A film without a text keeps its title, year, genres and tags. See docs/how-to/movielens.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import lzma
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar, cast, get_args

from tqdm import tqdm

from vouchrec.retrieval.catalogue import fold
from vouchrec.retrieval.datasets import RatingSet, map_items, read_movielens
from vouchrec.retrieval.domain import Attribute, Domain, load_domain
from vouchrec.retrieval.errors import DataFileError, VouchError
from vouchrec.retrieval.files import read_rows
from vouchrec.retrieval.types import AttributeValue, Interaction, Item, ItemId

T = TypeVar("T")
RecipeName: TypeAlias = Literal["movielens-small", "movielens-2023", "wikipedia"]
RECIPES: tuple[RecipeName, ...] = get_args(RecipeName)
FOLDERS: Mapping[str, str] = {"movielens-small": "ml-latest-small", "movielens-2023": "ml-latest-2023-sample"}
"""Folder of the ratings, in DATA/movielens or in DATA itself."""
TEXTS = ("movies.jsonl.xz", "movies.json")
"""Names that the texts may have in DATA/wikipedia-movies: packed lines, or the published array."""
MOST_TAGS = 8
"""Tags kept of a film: those that most people gave."""
LONGEST_TAG = 40
ITEMS, INTERACTIONS, DOMAIN = "items.jsonl", "interactions.csv", "domain.toml"
EXAMPLES = (
    "A science fiction film from the seventies",
    "Something like Alien, but a comedy",
    "A western, nothing with John Wayne",
    "I loved Heat and Chinatown. What next?",
)
"""Prompts for a new user that these data can answer: they have no countries, running times or moods."""

_GENRES: Mapping[str, str] = {
    "animated": "animation",
    "children": "family",
    "film-noir": "film noir",
    "historical": "history",
    "noir": "film noir",
    "sci-fi": "science fiction",
    "sports": "sport",
}
"""Genre words of the sources that the built-in domain file calls otherwise."""
_NO_GENRES = frozenset({"imax", "live action", "independent", "performance"})
"""Words that stand among the genres of a source and are none."""
_WORD = r"[A-Z][\w.'\u2019-]*"
_NAME = rf"{_WORD}(?: (?:{_WORD}|de|von|van|der|la|del|di|le)){{0,3}} {_WORD}|{_WORD} {_WORD}"
_DIRECTED = re.compile(
    rf"\bdirected(?:,?(?: and)? (?:co-)?(?:written|produced|edited))*,? by (?P<first>{_NAME})(?: and (?P<second>{_NAME}))?"
    r"(?=[,.;)]| (?:and|in|from|for|with|starring|based|who|on|featuring) )"
)


@dataclass(frozen=True, slots=True)
class RecipeReport:
    """What a recipe wrote.

    Attributes:
        items: Films.
        interactions: Ratings of these films.
        with_text: Films that have a description.
        rated: Films with at least one rating.
        rated_with_text: Of these, how many have a description.
        ratings_with_text: Ratings of films that have a description.
    """

    items: int
    interactions: int
    with_text: int
    rated: int
    rated_with_text: int
    ratings_with_text: int

    def lines(self) -> list[str]:
        """Return the report for people."""
        found = [f"{self.items:,} films, {self.with_text:,} with a text ({_percent(self.with_text, self.items)})"]
        if self.interactions:
            rated, ratings = self.rated_with_text, self.ratings_with_text
            found += [
                f"{self.rated:,} of them rated, {rated:,} with a text ({_percent(rated, self.rated)})",
                f"{self.interactions:,} ratings, {ratings:,} of films with a text "
                f"({_percent(ratings, self.interactions)})",
            ]
        return found


def cook(name: RecipeName, data: Path, out: Path, *, texts: bool = True, progress: bool = False) -> RecipeReport:
    """Write `items.jsonl`, `domain.toml` and, where there are ratings, `interactions.csv` into a folder.

    Args:
        name: Which recipe.
        data: Folder of the public data sets.
        out: Folder to write into; made when absent. Files appear only when all of them are whole.
        texts: False leaves Wikipedia out, for those who have ratings only.
        progress: Show progress bars.

    Raises:
        DataFileError: A public file is absent or malformed.
    """
    films = read_wikipedia(_texts_file(data), progress=progress) if texts or name == "wikipedia" else ()
    if name == "wikipedia":
        return write(out, films, (), progress=progress)
    folder = _ratings_folder(data, FOLDERS[name])
    ratings = titled(read_movielens(folder))
    items = add_texts(add_tags(ratings.items, folder), films)
    return write(out, items, known_interactions(ratings), progress=progress)


# ---- reading ----------------------------------------------------------------------------------------------------


def read_wikipedia(path: Path, *, progress: bool = False) -> tuple[Item, ...]:
    """Read films of English Wikipedia: title, year, cast, genres and the lead of the article.

    Directors are read from the lead where it says "directed by" and a name. Ids are made of title and year.

    Source: github.com/prust/wikipedia-movie-data, MIT; the texts are Wikipedia's, CC BY-SA.

    Raises:
        DataFileError: The file is absent or malformed.
    """
    taken: Counter[str] = Counter()
    films: list[Item] = []
    for number, row in _bar(_wikipedia_rows(path), "reading Wikipedia films", progress):
        title, year = str(row.get("title") or "").strip(), row.get("year")
        if not title or not isinstance(year, int):
            raise DataFileError(path, "expected a title and a year", row=number)
        key = "-".join([*re.findall(r"\w+", fold(title)), str(year)])
        taken[key] += 1
        films.append(_film(key if taken[key] == 1 else f"{key}-{taken[key]}", title, year, row))
    return tuple(films)


def _film(key: str, title: str, year: int, row: Mapping[str, object]) -> Item:
    lead = " ".join(str(row.get("extract") or "").split())
    attributes: dict[str, AttributeValue] = {"year": year}
    lists = {
        "genres": genre_words(_texts(row.get("genres"))),
        "directors": directors(lead),
        "cast": _texts(row.get("cast")),
    }
    attributes.update({name: values for name, values in lists.items() if values})
    return Item(id=key, title=title, description=lead, attributes=attributes)


def directors(lead: str) -> tuple[str, ...]:
    """Return who directed, as the lead of an article says it; empty where it does not say so plainly."""
    found = _DIRECTED.search(lead)
    return tuple(name for name in found.group("first", "second") if name) if found else ()


def genre_words(names: Iterable[str]) -> tuple[str, ...]:
    """Return genres in the words of the built-in domain file, each once."""
    words = (_GENRES.get(name.casefold(), name.casefold()) for name in names)
    return tuple(dict.fromkeys(word for word in words if word not in _NO_GENRES))


def _wikipedia_rows(path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    try:
        if path.suffix == ".xz":
            with lzma.open(path, "rt", encoding="utf-8") as file:
                rows: Iterable[object] = [json.loads(line) for line in file if line.strip()]
        else:
            rows = cast("list[object]", json.loads(path.read_text(encoding="utf-8")))
    except (OSError, lzma.LZMAError, EOFError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataFileError(path, f"can't be read: {error}") from error
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise DataFileError(path, "expected a JSON object", row=number)
        yield number, cast("Mapping[str, object]", row)


def _texts(values: object) -> tuple[str, ...]:
    listed = cast("list[object]", values) if isinstance(values, list) else []
    return tuple(dict.fromkeys(text for value in listed if (text := str(value).strip())))


def add_tags(items: Iterable[Item], folder: Path) -> tuple[Item, ...]:
    """Give films the tags that people gave them, as attribute `tags`, and their genres in the domain's words.

    Raises:
        DataFileError: The tags file is malformed; an absent one is no error.
    """
    counts: dict[ItemId, Counter[str]] = {}
    path = next((p for p in (folder / "tags.csv", folder / "tags.parquet") if p.is_file()), None)
    for number, row in read_rows(path) if path else ():
        if path is not None and ("movieId" not in row or "tag" not in row):
            raise DataFileError(path, "expected the columns movieId and tag", row=number)
        tag = " ".join(str(row["tag"] or "").casefold().split())
        if 1 < len(tag) <= LONGEST_TAG:
            counts.setdefault(str(row["movieId"]), Counter())[tag] += 1
    return tuple(_tagged(item, counts.get(item.id, Counter())) for item in items)


def _tagged(item: Item, counts: Counter[str]) -> Item:
    genres = genre_words(item.values("genres"))
    best = sorted((tag for tag in counts if tag not in genres), key=lambda tag: (-counts[tag], tag))[:MOST_TAGS]
    attributes = dict(item.attributes)
    attributes.pop("imdb", None)
    for name, values in (("genres", genres), ("tags", tuple(best))):
        attributes.pop(name, None)
        if values:
            attributes[name] = values
    return replace(item, attributes=attributes)


def add_texts(items: Sequence[Item], films: Sequence[Item]) -> tuple[Item, ...]:
    """Give films the text, directors and cast of the film of the same title and year; the others stay as they are."""
    by_id = {film.id: film for film in films}
    found = map_items(items, films) if films else {}
    return tuple(_described(item, by_id[found[item.id]]) if item.id in found else item for item in items)


def _described(item: Item, film: Item) -> Item:
    added = {name: film.attributes[name] for name in ("directors", "cast") if name in film.attributes}
    return replace(item, description=film.description, attributes={**item.attributes, **added})


def titled(ratings: RatingSet) -> RatingSet:
    """Return the set without the films that have no title (the 2023 sample has one)."""
    return replace(ratings, items=tuple(item for item in ratings.items if item.title))


def known_interactions(ratings: RatingSet) -> tuple[Interaction, ...]:
    """Return the ratings that are about a film of the set."""
    known = {item.id for item in ratings.items}
    return tuple(event for event in ratings.interactions if event.item in known)


def _texts_file(data: Path) -> Path:
    folder = data / "wikipedia-movies"
    return next((p for name in TEXTS if (p := folder / name).is_file()), folder / TEXTS[0])


def _ratings_folder(data: Path, name: str) -> Path:
    return next((p for p in (data / "movielens" / name, data / name) if p.is_dir()), data / "movielens" / name)


# ---- writing ----------------------------------------------------------------------------------------------------


def write(
    out: Path, items: Sequence[Item], interactions: Sequence[Interaction], *, progress: bool = False
) -> RecipeReport:
    """Write the files of a workspace and return what is in them."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / f"{ITEMS}.tmp").open("w", encoding="utf-8") as file:
        for item in _bar(items, "writing films", progress):
            record = {"id": item.id, "title": item.title, "aliases": item.aliases, "description": item.description}
            file.write(json.dumps({**record, **item.attributes}, ensure_ascii=False) + "\n")
    with (out / f"{INTERACTIONS}.tmp").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["user", "item", "value", "time"])
        for event in _bar(interactions, "writing ratings", progress):
            rows.writerow([event.user, event.item, event.value, "" if event.time is None else f"{event.time:.0f}"])
    present = {name for item in items for name in item.attributes}
    (out / f"{DOMAIN}.tmp").write_text(domain_toml(film_domain(present)), encoding="utf-8")
    for name in (ITEMS, INTERACTIONS, DOMAIN):
        (out / f"{name}.tmp").replace(out / name)
    if not interactions:
        (out / INTERACTIONS).unlink()
    return _report(items, interactions)


def film_domain(present: Iterable[str]) -> Domain:
    """Return the built-in film domain with the attributes that there are, and one for people's tags."""
    wanted = set(present)
    films = load_domain(Path(__file__).parent / "builtin" / "films.toml")
    tags = Attribute(name="tags", label="tag", phrase="tagged {value}", strict=False)
    attributes = tuple(
        a if a.implies in wanted else replace(a, implies="") for a in (*films.attributes, tags) if a.name in wanted
    )
    esteem = {name: values for name, values in films.esteem.items() if name in wanted}
    recency = "year" if "year" in wanted else ""
    return replace(films, attributes=attributes, examples=EXAMPLES, recency=recency, esteem=esteem)


def domain_toml(domain: Domain) -> str:
    """Return a domain as the TOML that `load_domain` reads back."""
    record = domain.to_dict()
    attributes = cast("Sequence[dict[str, object]]", record.pop("attributes"))
    words = cast("Mapping[str, dict[str, object]]", record.pop("words"))
    lines = ["[item]", *_toml_lines(record)]
    for attribute in attributes:
        lines += ["", f"[attributes.{attribute.pop('name')}]", *_toml_lines(attribute)]
    for language, vocabulary in words.items():
        lines += ["", f"[words.{language}]", *_toml_lines(vocabulary)]
    return "\n".join(lines) + "\n"


def _toml_lines(table: Mapping[str, object]) -> list[str]:
    """Return `key = value` lines; empty values are left out, so that the reader's defaults stand."""
    return [f"{key} = {_toml(value)}" for key, value in table.items() if value not in ("", (), [], {})]


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, object]", value).items()
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(inner)}" for key, inner in pairs) + " }"
    return json.dumps(value, ensure_ascii=False)


def _report(items: Sequence[Item], interactions: Sequence[Interaction]) -> RecipeReport:
    described = {item.id for item in items if item.description}
    counts = Counter(event.item for event in interactions)
    return RecipeReport(
        items=len(items),
        interactions=len(interactions),
        with_text=len(described),
        rated=len(counts),
        rated_with_text=len(counts.keys() & described),
        ratings_with_text=sum(count for item, count in counts.items() if item in described),
    )


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "none"


def _bar(rows: Iterable[T], title: str, progress: bool) -> Iterator[T]:
    return iter(tqdm(rows, desc=title, disable=not progress, unit=" rows", leave=False))


# ---- command ----------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 when a public file is absent or malformed."""
    parser = argparse.ArgumentParser(
        prog="python -m vouchrec.retrieval.recipes", description="Turn public film data into files for `vouch init`."
    )
    parser.add_argument("name", choices=RECIPES, help="which data")
    parser.add_argument("--data", type=Path, required=True, help="folder of the public data sets")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--without-texts", action="store_true", help="leave Wikipedia's texts out")
    options = parser.parse_args(arguments)
    try:
        report = cook(options.name, options.data, options.out, texts=not options.without_texts, progress=True)
    except VouchError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for line in report.lines():
        sys.stdout.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
