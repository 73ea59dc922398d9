"""ReDial as it is published: dialogues with film ids in the text, film titles, and facts about films."""

from __future__ import annotations

import csv
import html
import json
import lzma
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, cast

from vouchrec.retrieval.errors import DataFileError

__all__ = ["Dialogue", "Film", "Message", "mentions", "read_dialogues", "read_films", "read_lines"]

Json: TypeAlias = Mapping[str, object]
_MENTION = re.compile(r"@(\d+)")
_YEAR = re.compile(r"\s*\((\d{4})\)\s*$")


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        seeker: Whether the person who looks for a film wrote it; the other one is the recommender.
        text: Films as "@" and id.
    """

    seeker: bool
    text: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One conversation.

    Attributes:
        id: The data set's conversation id, or "text:" and a number where it is not known.
        messages: In order.
        workers: Who wrote it, as the data set's worker ids; empty where not known.
        names: Titles as the writers saw them, by film id.
    """

    id: str
    messages: tuple[Message, ...]
    workers: frozenset[int] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Film:
    """One of the films that can be named.

    Attributes:
        id: The data set's id.
        name: As shown in conversations, with spaces as they are: "American Pie  (1999)".
        title, year: The name's parts; None where the name has no year.
        genres, people: Lower case; people are directors, writers and actors.
        plot: One or two sentences, empty where not known.
    """

    id: str
    name: str
    title: str
    year: int | None
    genres: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    plot: str = ""


def mentions(text: str) -> list[str]:
    """Return the film ids of a message, each once, in order."""
    return list(dict.fromkeys(_MENTION.findall(text)))


def read_dialogues(path: Path) -> list[Dialogue]:
    """Read dialogues in the data set's own form, one JSON object per line, compressed by xz.

    Raises:
        DataFileError: The file is absent or damaged, or a line lacks a field.
    """
    return [_dialogue(path, row, record) for row, record in read_lines(path)]


def read_films(folder: Path) -> list[Film]:
    """Read the films of `movies_with_mentions.csv`, in its order, with the facts of `id2info.json.xz`.

    The column of mention counts is not read: it counts the test dialogues too.

    Raises:
        DataFileError: A file is absent or damaged.
    """
    facts = _facts(folder / "id2info.json.xz")
    path = folder / "movies_with_mentions.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [
                _film(row["movieId"], row["movieName"], facts.get(row["movieId"], {})) for row in csv.DictReader(file)
            ]
    except (OSError, UnicodeDecodeError, KeyError) as error:
        raise DataFileError(path, f"can't be read as the list of films: {error}") from error


def read_lines(path: Path) -> Iterator[tuple[int, Json]]:
    """Yield (row, record) of a file of JSON lines compressed by xz.

    Raises:
        DataFileError: The file is absent or damaged, or a line is not a JSON object.
    """
    row = 0
    try:
        with lzma.open(path, "rt", encoding="utf-8") as file:
            for row, line in enumerate(file, start=1):
                record: object = json.loads(line)
                if not isinstance(record, dict):
                    raise DataFileError(path, "is not a JSON object", row=row)
                yield row, cast("Json", record)
    except (OSError, EOFError, lzma.LZMAError, ValueError) as error:
        hint = "The folder given by --data must hold ReDial's files in redial/."
        raise DataFileError(path, f"can't be read: {error}", row=row + 1, hint=hint) from error


def _dialogue(path: Path, row: int, record: Json) -> Dialogue:
    try:
        seeker, recommender = record["initiatorWorkerId"], record["respondentWorkerId"]
        messages = cast("Sequence[Json]", record["messages"])
        names = record.get("movieMentions") or {}
        return Dialogue(
            id=str(record["conversationId"]),
            messages=tuple(
                Message(message["senderWorkerId"] == seeker, html.unescape(str(message["text"])))
                for message in messages
            ),
            workers=frozenset((int(cast("int", seeker)), int(cast("int", recommender)))),
            names={str(key): str(name) for key, name in cast("Json", names).items() if name},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataFileError(path, f"is not a ReDial dialogue ({error!r})", row=row) from error


def _facts(path: Path) -> dict[str, Json]:
    try:
        with lzma.open(path, "rt", encoding="utf-8") as file:
            return cast("dict[str, Json]", json.load(file))
    except (OSError, EOFError, lzma.LZMAError, ValueError) as error:
        raise DataFileError(path, f"can't be read: {error}") from error


def _film(key: str, name: str, facts: Json) -> Film:
    found = _YEAR.search(name)
    return Film(
        id=key,
        name=html.unescape(name),
        title=" ".join(html.unescape(_YEAR.sub("", name)).split()),
        year=int(found[1]) if found else None,
        genres=_words(facts, "genre"),
        people=tuple(dict.fromkeys([*_words(facts, "director"), *_words(facts, "star"), *_words(facts, "writer")])),
        plot=str(facts.get("plot") or ""),
    )


def _words(facts: Json, key: str) -> tuple[str, ...]:
    values = facts.get(key) or ()
    return tuple(str(value).lower() for value in cast("Sequence[object]", values))
