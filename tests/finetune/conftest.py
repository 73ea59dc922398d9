"""A data folder in the public file formats, small enough to train on in a second."""

import csv
import json
import lzma
import tarfile
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from vouchrec.finetune.corpus import Shards, build_shards, load_shards, train_corpus_tokenizer

GENRES = ("Horror", "Comedy", "Western", "Drama")
NAMES = ("Ada Stone", "Ben Wood", "Cleo Marsh", "Dan Field", "Eve Brook")
TEST_MESSAGES = (
    "I am after something with volcanoes and clever penguins please",
    "Perhaps the submarine picture with @7 would please your grandmother",
)


def _lines(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with lzma.open(path, "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)


def _film(number: int) -> dict[str, object]:
    title, genre = f"Film Number {number}", GENRES[number % 4]
    cast = [NAMES[number % 5], NAMES[(number + 1) % 5]]
    lead = (
        f"{title} is a {1950 + number % 70} American {genre.lower()} film directed by Zoe Hill and starring "
        f"{cast[0]} and {cast[1]}. It was liked by many people when it was released."
    )
    return {"title": title, "year": 1950 + number % 70, "cast": cast, "genres": [genre], "extract": lead}


def _dialogue(conversation: str, messages: Iterable[str]) -> dict[str, object]:
    return {
        "conversationId": conversation,
        "initiatorWorkerId": 1,
        "respondentWorkerId": 2,
        "movieMentions": {"7": "Deep Water (1999)"},
        "messages": [{"text": text, "senderWorkerId": 1 + at % 2} for at, text in enumerate(messages)],
    }


def _redial(folder: Path) -> None:
    train = [
        _dialogue(str(at), (f"Hello, number {at} wants a scary film with Ada Stone", "Try @7 , a western from 1999"))
        for at in range(150)
    ]
    # The second is a test dialogue under another id with other case and spacing, as the recovered files have them.
    copied = _dialogue("9001", (text.upper() + " " for text in TEST_MESSAGES))
    _lines(folder / "train.jsonl.xz", [*train, copied])
    _lines(folder / "test.jsonl.xz", [_dialogue("777", TEST_MESSAGES)])
    shown = [text.replace("@7", "Deep Water (1999)") for text in TEST_MESSAGES]
    rows = [
        *({"dialog": f"User: Hi {at} | Recommender: See Deep Water (1999) {at}"} for at in range(150)),
        {"dialog": f"User: {shown[0]} | Recommender: {shown[1]}"},  # the flag is wrong, the text tells
        {"dialog": "User: clever penguins please | Recommender: Perhaps the"},  # a piece of one
        {"dialog": f"User: {shown[0]}  | User: and quickly | Recommender: Of course"},
        {"dialog": "User: an owl called Xerxes | Recommender: no", "official_test": True},
        {"dialog": "User: a fox called Yvonne | Recommender: no", "conversationId": "777"},
    ]
    _lines(
        folder / "all_dialogs_text.jsonl.xz", ({"official_test": False, "conversationId": None} | row for row in rows)
    )
    with lzma.open(folder / "id2info.json.xz", "wt", encoding="utf-8") as stream:
        json.dump({"7": {"director": ["Zoe Hill"], "star": list(NAMES)}}, stream)


def _sgd(folder: Path) -> None:
    turns = [{"speaker": "USER", "utterance": "Play a song."}, {"speaker": "SYSTEM", "utterance": "Which song?"}]
    rows = ({"dialogue_id": str(at), "services": ["Music_1"], "turns": turns} for at in range(40))
    _lines(folder / "dialogues.jsonl.xz", rows)


def _topical(folder: Path) -> None:
    folder.mkdir()
    content = [{"agent": "agent_1", "message": "Do you like tea?"}, {"agent": "agent_2", "message": "Very much."}]
    body = json.dumps({f"t{at}": {"content": content} for at in range(40)}).encode()
    with tarfile.open(folder / "topical-chat.tar.xz", "w:xz") as archive:
        member = tarfile.TarInfo("topical-chat/conversations/valid_freq.json")
        member.size = len(body)
        archive.addfile(member, BytesIO(body))


def _streaming(folder: Path) -> None:
    folder.mkdir()
    for name, genres in (("netflix_titles.csv", "listed_in"), ("disney_plus_titles.csv", "genre")):
        with (folder / name).open("w", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(["title", "release_year", "type", "cast", genres, "description"])
            table.writerows([f"Show {at}", 2000 + at % 20, "Movie", "", "Dramas", "A day out."] for at in range(40))


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("data")
    _redial(data / "redial")
    _sgd(data / "sgd")
    _topical(data / "topical-chat")
    _streaming(data / "streaming")
    _lines(data / "wikipedia-movies" / "movies.jsonl.xz", (_film(number) for number in range(150)))
    books = data / "public-domain-books" / "books.txt.xz"
    books.parent.mkdir()
    with lzma.open(books, "wt", encoding="utf-8") as stream:
        stream.write("<|book|> Someone/A Walk.md\n\n" + "We walked on and on.\n\n" * 2000)
    return data


@pytest.fixture(scope="session")
def small_tokenizer(small_data: Path) -> PreTrainedTokenizerFast:
    return train_corpus_tokenizer(small_data, vocab_size=900)


@pytest.fixture(scope="session")
def small_shards(
    small_data: Path, small_tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory
) -> Shards:
    return load_shards(build_shards(small_data, tmp_path_factory.mktemp("shards"), small_tokenizer))
