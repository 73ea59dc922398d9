"""Readers of public rating data, and the match of their titles to a catalogue.

Each reader takes the folder of one data set, with the public file names, and returns items and interactions under the
data set's own ids. `map_items` then finds the catalogue's item for each by title and year.

==============================  ===================================  ==============================
data set                        licence                              weights trained on it ship
==============================  ===================================  ==============================
MovieTweetings                  MIT                                  yes
ReDial (train-side dialogues)   CC BY 4.0                            yes
MovieLens (small, 2023)         GroupLens terms, non-commercial      no
==============================  ===================================  ==============================
"""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias, cast
from urllib.parse import unquote

from vouchrec.retrieval.catalogue import fold
from vouchrec.retrieval.errors import DataFileError
from vouchrec.retrieval.files import FileRow, read_rows
from vouchrec.retrieval.types import AttributeValue, Interaction, Item, ItemId

Json: TypeAlias = Mapping[str, object]

LIKED_STARS = 7.0
"""Least MovieTweetings rating, of 10, that counts as a like."""
LIKED_MOVIELENS = 3.5
"""Least MovieLens rating, of 5, that counts as a like."""
YEAR_SLACK = 1
"""Years by which two sources may date the same work differently (festival and general release)."""
_LONG_MESSAGE = 24
"""Letters from which a message identifies its dialogue: shorter ones occur everywhere."""

_YEAR = re.compile(r"^(?P<title>.*?)\s*\((?P<year>\d{4})\)\s*$")
_OTHER_TITLE = re.compile(r"\s*\((?:a\.?k\.?a\.?\s+)?([^()]+)\)\s*$", re.IGNORECASE)
_ARTICLE_LAST = re.compile(
    r"^(?P<rest>.+), (?P<article>the|a|an|le|la|les|l'|il|el|los|las|das|der|die)$", re.IGNORECASE
)
_ARTICLE_FIRST = re.compile(r"^(?:the|a|an)\s+(?=\w)")
_SUBTITLE = re.compile(r"\s*:\s+|\s+[-\u2013]\s+")
_NOT_WORD = re.compile(r"[\W_]+")
_MENTION = re.compile(r"@(\d+)")
_NO_GENRES = "(no genres listed)"


@dataclass(frozen=True, slots=True)
class RatingSet:
    """A public data set of ratings or likes.

    Attributes:
        name: What it is called.
        licence: Under which it is published.
        shippable: True when weights trained on it may be shipped.
        liked_from: Least value that counts as a like.
        items: With the data set's ids; attributes `year` (int), `imdb` ("tt0111161") and `genres` where known.
        interactions: With the data set's ids.
    """

    name: str
    licence: str
    shippable: bool
    liked_from: float
    items: tuple[Item, ...]
    interactions: tuple[Interaction, ...]


@dataclass(frozen=True, slots=True)
class MappedLikes:
    """The likes of a data set that are about items of a catalogue.

    Attributes:
        name, licence, shippable: As in the data set.
        likes: Catalogue ids; value 1.0; users as "name:user"; at most one per (user, item), the latest.
        events: Interactions in the data set.
        events_mapped: Of these, how many are about an item of the catalogue.
        events_liked: Of all, how many reach the least value.
        items: Items of the data set that have an interaction.
        items_mapped: Items of the catalogue that some interaction is about.
    """

    name: str
    licence: str
    shippable: bool
    likes: tuple[Interaction, ...]
    events: int
    events_mapped: int
    events_liked: int
    items: int
    items_mapped: int

    @property
    def users(self) -> int:
        """People with at least one mapped like."""
        return len({event.user for event in self.likes})


# ---- readers ----------------------------------------------------------------------------------------------------


def read_movietweetings(folder: Path) -> RatingSet:
    """Read MovieTweetings: `ratings.dat` (user::imdb::rating::time) and `movies.dat` (imdb::title (year)::genres).

    Ratings run from 0 to 10; times are seconds since 1970.

    Source: Dooms, De Pessemier & Martens, "MovieTweetings: a Movie Rating Dataset Collected From Twitter", CrowdRec
    2013.

    Raises:
        DataFileError: A file is absent, not UTF-8, or a line has other fields: with file and row.
    """
    items = [
        _item(imdb, title, genres=genres, imdb=imdb)
        for _, (imdb, title, genres) in _double_colon(folder / "movies.dat", 3)
    ]
    ratings = folder / "ratings.dat"
    events = [
        Interaction(user, imdb, _number(ratings, row, "rating", value), _number(ratings, row, "time", time))
        for row, (user, imdb, value, time) in _double_colon(ratings, 4)
    ]
    return RatingSet("movietweetings", "MIT", True, LIKED_STARS, tuple(items), tuple(events))


def read_movielens(folder: Path) -> RatingSet:
    """Read a MovieLens "latest" release: `movies` and `ratings` as CSV or Parquet, `links` where there is one.

    Source: Harper & Konstan, "The MovieLens Datasets: History and Context", TiiS 2015. Its terms allow research and
    other non-commercial use: fit weights on it locally, never ship them.

    Raises:
        DataFileError: A file is absent, or a row lacks a field or has a value of the wrong kind: with file, row, field.
    """
    links = {_field(p, r, "movieId"): str(r[1].get("imdbId") or "") for p, r in _rows_if_any(folder, "links")}
    items: list[Item] = []
    for path, row in _rows(folder, "movies"):
        key = _field(path, row, "movieId")
        genres = str(row[1].get("genres") or "")
        items.append(_item(key, _field(path, row, "title"), genres=genres, imdb=links.get(key, "")))
    events = [
        Interaction(
            _field(path, row, "userId"),
            _field(path, row, "movieId"),
            _number(path, row[0], "rating", row[1].get("rating")),
            _number(path, row[0], "timestamp", row[1].get("timestamp")),
        )
        for path, row in _rows(folder, "ratings")
    ]
    licence = "GroupLens, non-commercial"
    return RatingSet("movielens", licence, False, LIKED_MOVIELENS, tuple(items), tuple(events))


def read_redial_likes(folder: Path) -> RatingSet:
    """Read what the seekers of ReDial's train-side dialogues said they like; each dialogue is one pseudo-user.

    From `train.jsonl.xz`, fields `movieMentions` (id to title) and `initiatorQuestions` (id to suggested, seen, liked;
    the initiator is the seeker). Dialogues of `test.jsonl.xz` are left out by id, by text, and where a third of their
    longer messages is shared. `id2info.json.xz`, where present, adds titles and IMDb ids.

    Source: Li et al., "Towards Deep Conversational Recommendations", NeurIPS 2018.

    Raises:
        DataFileError: The train or the test file is absent or malformed. Without the test file nothing is read.
    """
    test = _TestDialogues(_lines(folder / "test.jsonl.xz"))
    titles: dict[str, str] = {}
    events: list[Interaction] = []
    for dialogue in _lines(folder / "train.jsonl.xz"):
        if dialogue in test:
            continue
        titles.update({str(key): str(title) for key, title in _table(dialogue, "movieMentions").items() if title})
        user = str(dialogue.get("conversationId"))
        events += [Interaction(user, film) for film in _liked(dialogue)]
    items = _redial_items(titles, folder / "id2info.json.xz")
    return RatingSet("redial", "CC BY 4.0", True, 1.0, items, tuple(events))


def _liked(dialogue: Json) -> list[str]:
    """Ids that the seeker liked, in the order in which they were first mentioned."""
    text = " ".join(str(message.get("text", "")) for message in _message_rows(dialogue))
    places = {match[1]: match.start() for match in reversed(list(_MENTION.finditer(text)))}
    answers = _table(dialogue, "initiatorQuestions").items()
    liked = [str(film) for film, answer in answers if cast("Json", answer).get("liked") == 1]
    return sorted(liked, key=lambda film: places.get(film, len(text)))


def _redial_items(titles: Mapping[str, str], path: Path) -> tuple[Item, ...]:
    info = _json_xz(path) if path.is_file() else {}
    facts = {str(key): cast("Json", value) for key, value in info.items()}
    items: list[Item] = []
    for key in titles.keys() | facts.keys():
        fact = facts.get(key, {})
        name = str(fact.get("name") or "")
        item = _item(key, titles.get(key) or name or key, imdb=str(fact.get("imdb_id") or ""))
        items.append(_add_titles(item, [_item(key, name)]) if name else item)
    return tuple(sorted(items, key=lambda item: item.id))


class _TestDialogues:
    """Dialogues that must not be trained on, recognised by id, by whole text and by their longer messages."""

    def __init__(self, dialogues: Iterable[Json]) -> None:
        self._ids: set[str] = set()
        self._texts: set[str] = set()
        self._messages: set[str] = set()
        for dialogue in dialogues:
            messages = _messages(dialogue)
            self._ids.add(str(dialogue.get("conversationId")))
            self._texts.add("".join(messages))
            self._messages.update(_long(messages))

    def __contains__(self, dialogue: object) -> bool:
        row = cast("Json", dialogue)
        messages = _messages(row)
        if str(row.get("conversationId")) in self._ids or "".join(messages) in self._texts:
            return True
        long = _long(messages)
        return bool(long) and 3 * len(long & self._messages) >= len(long)


def _messages(dialogue: Json) -> list[str]:
    """Letters and digits of each message: what two copies of a dialogue have in common."""
    return [_NOT_WORD.sub("", str(message.get("text", "")).lower()) for message in _message_rows(dialogue)]


def _message_rows(dialogue: Json) -> Sequence[Json]:
    return cast("Sequence[Json]", dialogue.get("messages") or ())


def _long(messages: Iterable[str]) -> set[str]:
    return {message for message in messages if len(message) >= _LONG_MESSAGE}


# ---- titles to catalogue items ----------------------------------------------------------------------------------


def parse_title(text: str) -> tuple[str, tuple[str, ...], int | None]:
    """Split a title as rating data writes it into title, other titles and year.

    "Usual Suspects, The (1995)" gives ("The Usual Suspects", (), 1995);
    "Seven (a.k.a. Se7en) (1995)" gives ("Seven", ("Se7en",), 1995).
    """
    rest = " ".join(unquote(text).split())
    found = _YEAR.match(rest)
    year = int(found["year"]) if found else None
    rest = found["title"] if found else rest
    others: list[str] = []
    while (other := _OTHER_TITLE.search(rest)) and other.start() > 0:
        others.insert(0, _article_first(other[1]))
        rest = rest[: other.start()]
    return _article_first(rest), tuple(others), year


def _article_first(title: str) -> str:
    found = _ARTICLE_LAST.match(title)
    if not found:
        return title
    space = "" if found["article"].endswith("'") else " "
    return f"{found['article']}{space}{found['rest']}"


def title_key(title: str) -> str:
    """Return a title in the form in which titles are compared: letters and digits only, no leading English article."""
    return _letters(_ARTICLE_FIRST.sub("", fold(title).strip()))


def _letters(title: str) -> str:
    return _NOT_WORD.sub("", fold(title).replace("&", " and "))


def pool_titles(*sets: RatingSet) -> tuple[RatingSet, ...]:
    """Give each item the titles, and a missing year, of the items that share its IMDb id in any of the sets.

    One source writes the original title, another the English one; together they match a catalogue better.
    """
    groups: dict[str, list[Item]] = {}
    for item in (item for group in sets for item in group.items):
        for imdb in item.values("imdb"):
            groups.setdefault(imdb, []).append(item)

    def pooled(item: Item) -> Item:
        return _add_titles(item, [other for imdb in item.values("imdb") for other in groups[imdb]])

    return tuple(replace(group, items=tuple(pooled(item) for item in group.items)) for group in sets)


def _add_titles(item: Item, others: Iterable[Item]) -> Item:
    aliases = dict.fromkeys(item.aliases)
    attributes = dict(item.attributes)
    for other in others:
        aliases.update(dict.fromkeys([other.title, *other.aliases]))
        if "year" not in attributes and "year" in other.attributes:
            attributes["year"] = other.attributes["year"]
    aliases.pop(item.title, None)
    return replace(item, aliases=tuple(aliases), attributes=attributes)


def map_items(public: Iterable[Item], catalogue: Iterable[Item], *, year: str = "year") -> dict[ItemId, ItemId]:
    """Find the catalogue's item for each item of a data set, by title or alias and year.

    The same year wins; then the title over an alias, and that over a title one side of which lacks its subtitle. A year
    next to it counts for the catalogue's main title only, articles included, and only where nothing in the data set has
    the catalogue item's own year. An item without a year maps where only one has its title. Where two catalogue items
    fit equally well, none is taken.

    Args:
        public: Items of the data set.
        catalogue: Items to find.
        year: Attribute of the catalogue that holds the year.

    Returns:
        Catalogue id by data set id; items that match nothing are absent.
    """
    index: dict[str, list[_Entry]] = {}
    for item in catalogue:
        for title, place in _titles(item):
            entry = _Entry(item.id, place, _letters(title), item.number(year))
            index.setdefault(title_key(title), []).append(entry)
    found = {item.id: match for item in public if (match := _match(item, index)) is not None}
    exact = {target for distance, target in found.values() if distance == 0}
    return {key: target for key, (distance, target) in found.items() if distance == 0 or target not in exact}


@dataclass(frozen=True, slots=True)
class _Entry:
    """One title of a catalogue item: `place` 0 for the main one, 1 for an alias, 2 for one without its subtitle."""

    item: ItemId
    place: int
    letters: str
    year: float | None


def _titles(item: Item) -> list[tuple[str, int]]:
    """Return an item's titles with their places (see `_Entry`)."""
    whole = [(item.title, 0), *((alias, 1) for alias in item.aliases)]
    heads = [(head, 2) for title, _ in whole if (head := _SUBTITLE.split(title, maxsplit=1)[0]) != title]
    return [*whole, *heads]


def _match(item: Item, index: Mapping[str, Sequence[_Entry]]) -> tuple[float, ItemId] | None:
    """Return (years apart, catalogue id) of the best match, or None; an unknown year counts as `YEAR_SLACK` apart."""
    ranks: dict[ItemId, tuple[float, int]] = {}
    for title, place in _titles(item):
        for entry in index.get(title_key(title), ()):
            distance = _distance(item.number("year"), title, place, entry)
            if distance is not None:
                rank = (distance, place + entry.place)
                ranks[entry.item] = min(ranks.get(entry.item, rank), rank)
    best = sorted(ranks.items(), key=lambda pair: pair[1])
    if not best or (len(best) > 1 and best[0][1] == best[1][1]):
        return None
    return best[0][1][0], best[0][0]


def _distance(year: float | None, title: str, place: int, entry: _Entry) -> float | None:
    """Return how many years apart a title and a catalogue entry are, or None where they are not the same work."""
    whole = max(place, entry.place) < 2
    if year is None or entry.year is None:
        return YEAR_SLACK if whole else None
    apart = abs(year - entry.year)
    if apart == 0:
        return apart if min(place, entry.place) < 2 else None
    close = apart <= YEAR_SLACK and place < 2 and entry.place == 0
    return apart if close and entry.letters == _letters(title) else None


def map_likes(ratings: RatingSet, catalogue: Sequence[Item]) -> MappedLikes:
    """Keep what reaches the data set's least value and is about an item of the catalogue.

    Args:
        ratings: A data set.
        catalogue: Items with attribute `year`.
    """
    mapping = map_items(ratings.items, catalogue)
    rated = [event for event in ratings.interactions if event.item in mapping]
    latest: dict[tuple[str, ItemId], Interaction] = {}
    for event in sorted(rated, key=lambda event: event.time or 0.0):
        key = (event.user, mapping[event.item])
        latest.pop(key, None)
        latest[key] = event
    likes = tuple(
        Interaction(f"{ratings.name}:{user}", target, 1.0, event.time)
        for (user, target), event in latest.items()
        if event.value >= ratings.liked_from
    )
    return MappedLikes(
        name=ratings.name,
        licence=ratings.licence,
        shippable=ratings.shippable,
        likes=likes,
        events=len(ratings.interactions),
        events_mapped=len(rated),
        events_liked=sum(event.value >= ratings.liked_from for event in ratings.interactions),
        items=len({event.item for event in ratings.interactions}),
        items_mapped=len({mapping[event.item] for event in rated}),
    )


def read_shippable(data: Path, catalogue: Sequence[Item]) -> tuple[MappedLikes, MappedLikes]:
    """Read every data set whose licence lets weights trained on it be shipped, as likes of a catalogue's items.

    Args:
        data: Folder with `movietweetings/` and `redial/`.
        catalogue: Items with attribute `year`.

    Returns:
        Likes of MovieTweetings (with time) and of ReDial (without).

    Raises:
        DataFileError: As the two readers.
    """
    ratings, dialogues = pool_titles(read_movietweetings(data / "movietweetings"), read_redial_likes(data / "redial"))
    return map_likes(ratings, catalogue), map_likes(dialogues, catalogue)


# ---- files ------------------------------------------------------------------------------------------------------


def _item(key: str, text: str, *, genres: str = "", imdb: str = "") -> Item:
    title, aliases, year = parse_title(text)
    attributes: dict[str, AttributeValue] = {}
    if year is not None:
        attributes["year"] = year
    names = tuple(name for name in genres.split("|") if name and name != _NO_GENRES)
    if names:
        attributes["genres"] = names
    if imdb:
        attributes["imdb"] = "tt" + imdb.removeprefix("tt").zfill(7)
    return Item(id=key, title=title, attributes=attributes, aliases=aliases)


def _double_colon(path: Path, fields: int) -> Iterator[tuple[int, list[str]]]:
    if not path.is_file():
        raise DataFileError(path, "no such file")
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                parts = line.rstrip("\r\n").split("::")
                if len(parts) != fields:
                    problem = f"expected {fields} fields separated by '::', found {len(parts)}"
                    raise DataFileError(path, problem, row=number)
                yield number, parts
    except UnicodeDecodeError as error:
        raise DataFileError(path, f"not UTF-8 text (byte {error.start})") from error


def _rows(folder: Path, stem: str) -> Iterator[tuple[Path, FileRow]]:
    """Rows of `stem.csv` or, where that is absent, `stem.parquet`."""
    path = folder / f"{stem}.csv"
    if not path.is_file() and (folder / f"{stem}.parquet").is_file():
        path = folder / f"{stem}.parquet"
    for row in read_rows(path):
        yield path, row


def _rows_if_any(folder: Path, stem: str) -> Iterator[tuple[Path, FileRow]]:
    if any((folder / f"{stem}{suffix}").is_file() for suffix in (".csv", ".parquet")):
        yield from _rows(folder, stem)


def _field(path: Path, row: FileRow, name: str) -> str:
    text = str(row[1].get(name) if row[1].get(name) is not None else "").strip()
    if not text:
        raise DataFileError(path, "is missing or empty", row=row[0], field=name)
    return text


def _number(path: Path, row: int, name: str, raw: object) -> float:
    try:
        return float(str(raw))
    except ValueError:
        raise DataFileError(path, f"expected a number, found {raw!r:.60}", row=row, field=name) from None


def _lines(path: Path) -> Iterator[Json]:
    """Objects of an xz-compressed JSONL file."""
    if not path.is_file():
        raise DataFileError(path, "no such file")
    number = 0
    try:
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                value: object = json.loads(line)
                if not isinstance(value, dict):
                    raise DataFileError(path, "expected a JSON object", row=number)
                yield cast("Json", value)
    except (lzma.LZMAError, EOFError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataFileError(path, f"can't be read: {error}", row=number + 1) from error


def _json_xz(path: Path) -> Json:
    try:
        with lzma.open(path, "rt", encoding="utf-8") as file:
            value: object = json.load(file)
    except (lzma.LZMAError, EOFError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataFileError(path, f"can't be read: {error}") from error
    if not isinstance(value, dict):
        raise DataFileError(path, "expected a JSON object")
    return cast("Json", value)


def _table(dialogue: Json, name: str) -> Json:
    """A mapping field; the data writes an empty one as a list."""
    value = dialogue.get(name)
    return cast("Json", value) if isinstance(value, Mapping) else {}
