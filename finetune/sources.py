"""Readers of the pre-training sources: one public data set each, as plain documents.

Only data whose licence allows weights trained on it to be shipped is read here; the folder's own README says which.
A document is text in the tokenizer's format (see `vouchrec.finetune.tokenizer`), beginning with ``<|bos|>``.
"""

import csv
import json
import lzma
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast
from urllib.parse import unquote

from vouchrec.finetune.tokenizer import BOS, END, render_chat

__all__ = [
    "Document",
    "Film",
    "OfficialTest",
    "RedialDialogue",
    "dialogue_document",
    "plain_document",
    "read_books",
    "read_films",
    "read_redial_labelled",
    "read_redial_text",
    "read_sgd",
    "read_streaming",
    "read_topical_chat",
]

Json = Mapping[str, object]
Turn = tuple[str, str]
"""Role (`user` or `assistant`) and text."""

_YEAR_SUFFIX: Final = re.compile(r"\s*\((?:19|20)\d\d\)")
_MENTION: Final = re.compile(r"@(\d+)")
_NOT_LETTERS: Final = re.compile(r"[^a-z0-9]+")
_SGD_FIRST: Final = ("Movies", "Media", "Music", "Events")
_LONG_MESSAGE: Final = 24
"""Letters from which a message identifies its dialogue: shorter ones ("Have you seen Alien?") occur everywhere."""


@dataclass(frozen=True)
class Document:
    """One text to learn from.

    Attributes:
        text: rendered text, reserved tokens included.
        key: what the text was made from; documents with one key fall on the same side of the held-out split.
    """

    text: str
    key: str


@dataclass(frozen=True)
class Film:
    """A film of the Wikipedia list with its lead text."""

    title: str
    year: int
    cast: tuple[str, ...]
    genres: tuple[str, ...]
    lead: str


@dataclass(frozen=True)
class RedialDialogue:
    """A ReDial dialogue; a mentioned film stands in the text as ``@id``."""

    turns: tuple[Turn, ...]
    titles: Mapping[str, str]
    key: str


def plain_document(text: str, key: str) -> Document:
    """Prose without roles."""
    return Document(f"{BOS}{text.strip()}{END}", key)


def dialogue_document(turns: Iterable[Turn], key: str) -> Document:
    """A dialogue in the chat template; neighbouring turns of one speaker are joined, repeated ones dropped."""
    messages: list[dict[str, str]] = []
    for role, raw in turns:
        text = " ".join(raw.split())
        if not messages or messages[-1]["role"] != role:
            messages.append({"role": role, "content": text})
        elif text not in messages[-1]["content"]:
            messages[-1]["content"] += " " + text
    return Document(render_chat(messages), key)


def _json_lines(path: Path) -> Iterator[Json]:
    """Objects of a compressed JSON Lines file."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield cast(Json, json.loads(line))


def _normal(text: str) -> str:
    """Letters and digits only, without the year after a title: what two copies of one message have in common."""
    return _NOT_LETTERS.sub("", _YEAR_SUFFIX.sub("", text).lower())


def read_films(data: Path) -> Iterator[Film]:
    """Films that have a lead text, from ``wikipedia-movies``."""
    for row in _json_lines(data / "wikipedia-movies" / "movies.jsonl.xz"):
        lead = str(row.get("extract") or "").strip()
        if len(lead) > 40:
            yield Film(
                title=str(row["title"]),
                year=int(str(row["year"])),
                cast=tuple(cast(list[str], row["cast"])),
                genres=tuple(cast(list[str], row["genres"])),
                lead=" ".join(lead.split()),
            )


def read_streaming(data: Path) -> Iterator[Document]:
    """Titles with a description, from ``streaming``: a line of facts, then the description."""
    for name, genres in (("netflix_titles.csv", "listed_in"), ("disney_plus_titles.csv", "genre")):
        with (data / "streaming" / name).open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                people = f" With {row['cast']}." if row["cast"] else ""
                head = f"{row['title']} ({row['release_year']}), {row['type']}. {row[genres]}.{people}"
                yield plain_document(f"{head}\n{row['description']}", row["title"])


def read_books(data: Path, *, size: int = 2000, every: int = 4) -> Iterator[Document]:
    """Pieces of public-domain prose.

    Args:
        data: folder of data sets.
        size: least length of a piece in characters; it ends with a paragraph.
        every: only every so manyth piece is used, because the style is old.
    """
    piece: list[str] = []
    book, number = "", 0
    with lzma.open(data / "public-domain-books" / "books.txt.xz", "rt", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("<|book|>"):
                book, piece = line.strip(), []
                continue
            piece.append(line)
            if not line.strip() and sum(map(len, piece)) >= size:
                number += 1
                if number % every == 0:
                    yield plain_document(re.sub(r"\n{3,}", "\n\n", "".join(piece)), f"{book}{number}")
                piece = []


def read_sgd(data: Path) -> Iterator[Document]:
    """Task dialogues from ``sgd``: all about films, media, music and events, every third of the others."""
    for number, row in enumerate(_json_lines(data / "sgd" / "dialogues.jsonl.xz")):
        services = cast(list[str], row["services"])
        if number % 3 and not any(service.startswith(_SGD_FIRST) for service in services):
            continue
        turns = cast(list[Json], row["turns"])
        pairs = (("user" if turn["speaker"] == "USER" else "assistant", str(turn["utterance"])) for turn in turns)
        yield dialogue_document(pairs, str(row["dialogue_id"]) + str(turns[0]["utterance"]))


def read_topical_chat(data: Path) -> Iterator[Document]:
    """Human chats from ``topical-chat``; the first speaker becomes the user."""
    with tarfile.open(data / "topical-chat" / "topical-chat.tar.xz", "r:xz") as archive:
        for member in archive:
            if not (member.name.endswith(".json") and "/conversations/" in member.name):
                continue
            stream = archive.extractfile(member)
            if stream is None:
                continue
            for key, row in cast(Mapping[str, Json], json.load(stream)).items():
                turns = cast(list[Json], row["content"])
                first = turns[0]["agent"]
                pairs = (("user" if turn["agent"] == first else "assistant", str(turn["message"])) for turn in turns)
                yield dialogue_document(pairs, key)


@dataclass
class OfficialTest:
    """Recognises ReDial test dialogues by id, by their whole text and by their longer messages.

    The flags of the text file are fuzzy, so the text itself decides too: a dialogue that is a piece of a test dialogue,
    or shares a third of its longer messages with the test dialogues, counts as one of them.

    Attributes:
        ids: conversation ids.
        text: all dialogues, normalised, with a mark between them.
        messages: their longer messages, normalised.
    """

    ids: set[str] = field(default_factory=set[str])
    text: str = ""
    messages: set[str] = field(default_factory=set[str])

    @classmethod
    def read(cls, data: Path) -> "OfficialTest":
        """Index the official test file.

        Raises:
            FileNotFoundError: if it is missing; without it no ReDial text may be used.
        """
        found = cls()
        for row in _json_lines(data / "redial" / "test.jsonl.xz"):
            texts = [text for _, text in _redial_turns(row, with_titles=True)]
            found.ids.add(str(row["conversationId"]))
            found.text += "|" + _normal("".join(texts))
            found.messages.update(_long(texts))
        return found

    def holds(self, conversation: str, texts: Iterable[str]) -> bool:
        """Whether a dialogue (messages with titles in place) is, or may be, a test dialogue."""
        texts = list(texts)
        whole = _normal("".join(texts))
        if conversation in self.ids or (len(whole) >= _LONG_MESSAGE and whole in self.text):
            return True
        long = _long(texts)
        return bool(long) and 3 * len(long & self.messages) >= len(long)


def _long(texts: Iterable[str]) -> set[str]:
    """The messages that are long enough to identify a dialogue, normalised."""
    return {normal for text in texts if len(normal := _normal(text)) >= _LONG_MESSAGE}


def _redial_turns(row: Json, *, with_titles: bool) -> list[Turn]:
    """Turns of a dialogue in the original format; the seeker is the user."""
    titles = cast(Mapping[str, str], row["movieMentions"] or {})
    seeker = row["initiatorWorkerId"]
    turns: list[Turn] = []
    for message in cast(list[Json], row["messages"]):
        text = str(message["text"])
        if with_titles:
            text = _MENTION.sub(lambda found: unquote(titles.get(found[1]) or found[0]), text)
        turns.append(("user" if message["senderWorkerId"] == seeker else "assistant", text))
    return turns


def read_redial_labelled(data: Path, test: OfficialTest) -> Iterator[RedialDialogue]:
    """Train-side dialogues with film ids, from ``redial/train.jsonl.xz``, test dialogues left out."""
    for row in _json_lines(data / "redial" / "train.jsonl.xz"):
        texts = [text for _, text in _redial_turns(row, with_titles=True)]
        if not test.holds(str(row["conversationId"]), texts):
            titles = {key: title or "" for key, title in cast(Mapping[str, str], row["movieMentions"] or {}).items()}
            yield RedialDialogue(tuple(_redial_turns(row, with_titles=False)), titles, _normal("".join(texts)))


def read_redial_text(data: Path, test: OfficialTest) -> Iterator[Document]:
    """All train-side dialogues with titles in place, from ``redial/all_dialogs_text.jsonl.xz``.

    The year after a title is kept in two of five dialogues only: people rarely type it.
    """
    for number, row in enumerate(_json_lines(data / "redial" / "all_dialogs_text.jsonl.xz")):
        turns: list[Turn] = []
        for part in str(row["dialog"]).split(" | "):
            speaker, _, text = part.partition(": ")
            turns.append(("user" if speaker == "User" else "assistant", unquote(text)))
        texts = [text for _, text in turns]
        if row["official_test"] or test.holds(str(row["conversationId"]), texts):
            continue
        if number % 5 > 1:
            turns = [(role, _YEAR_SUFFIX.sub("", text)) for role, text in turns]
        yield dialogue_document(turns, _normal("".join(texts)))
