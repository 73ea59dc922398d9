"""Film ids from text: titles, and test dialogues that must not come back."""

from __future__ import annotations

import json
import lzma
import os
from pathlib import Path

import pytest

from vouchrec.evals.redial.data import Dialogue, Film, Message, mentions, read_dialogues, read_films
from vouchrec.evals.redial.recover import TitleFinder, recover, title_accuracy
from vouchrec.retrieval.errors import DataFileError


def film(id: str, name: str) -> Film:
    return Film(id, name, name.split(" (")[0].strip(), None)


FILMS = [
    film("1", "Alien (1979)"),
    film("2", "Aliens  (1986)"),
    film("3", "Alien 3  (1992)"),
    film("4", "It "),
    film("5", "Prey"),
    film("6", "The Fifth Element"),
    film("7", "Zootopia"),
    film("8", "Frozen (2010)"),
    film("9", "Frozen (2010)"),
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I liked Alien (1979), and Aliens  (1986).", "I liked @1, and @2."),
        ("Have you seen The Fifth Element ?", "Have you seen @6 ?"),
        ("Alien 3  (1992) is not Alien (1979)", "@3 is not @1"),
        ("It  was good", "@4 was good"),
        ("It was good, a real Prey", "It was good, a real Prey"),
        ("the fifth element of it", "the fifth element of it"),
        ("Zootopia", "@7"),
        ("Zootopias", "Zootopias"),
        ("Aliens (1986)", "Aliens (1986)"),
        ("Frozen (2010)", "@8"),
        ("", ""),
    ],
)
def test_titles(text: str, found: str):
    assert TitleFinder(FILMS).replace(text) == found


def test_spellings_of_labelled_dialogues_count_for_films_of_the_catalogue():
    labelled = [Dialogue("a", (), names={"1": "Alien: The First (1979)", "77": "Not There (1999)"})]
    assert (
        TitleFinder(FILMS, labelled).replace("Alien: The First (1979) or Not There (1999)") == "@1 or Not There (1999)"
    )


WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen"]


def said(*words: str) -> str:
    return "User: " + " ".join(words) + " | Recommender: See Alien (1979)"


def write(path: Path, records: list[dict[str, object]]) -> Path:
    with lzma.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
    return path


def text(dialog: str, *, flag: bool = False, id: str | None = None) -> dict[str, object]:
    return {"dialog": dialog, "official_test": flag, "conversationId": id}


def test_no_test_dialogue_is_recovered(tmp_path: Path):
    test = [Dialogue("900", (Message(True, " ".join(WORDS)), Message(False, "See @1")))]
    labelled = [Dialogue("5", (Message(True, " ".join(WORDS[::-1])), Message(False, "See @1")))]
    records = [
        text("User: fresh words that nobody has ever said before now | Recommender: Try Aliens  (1986)"),
        text(said("flagged", "by", "the", "file"), flag=True),
        text(said("known", "by", "id"), id="900"),
        text(said("Well:", *WORDS)),  # a copy of the test dialogue, neither flagged nor with its id
        text(said(*WORDS[::-1])),
        text("User: quite other words than all of these were | Recommender: no film", id="77"),
    ]
    found = recover(write(tmp_path / "all.jsonl.xz", records), FILMS, test=test, labelled=labelled)
    assert (found.read, found.flagged, found.test_by_id, found.test_by_text, found.labelled) == (6, 1, 1, 1, 1)
    assert [dialogue.id for dialogue in found.dialogues] == ["text:1", "77"]
    assert [(m.seeker, mentions(m.text)) for m in found.dialogues[0].messages] == [(True, []), (False, ["2"])]
    assert found.mentions == 1


def test_the_accuracy_of_titles_by_hand(tmp_path: Path):
    labelled = [
        Dialogue("1", (Message(True, "See @1 and @2"),), names={"2": "Aliens II (1986)"}),
        Dialogue("2", (Message(True, "See @2"),), names={"2": "Aliens II (1986)"}),
        Dialogue("3", (Message(True, "See @5"),)),
    ]
    records = [
        text("User: See Alien (1979) and Aliens II (1986)", id="1"),  # the second dialogue lends the spelling
        text("User: See Zootopia", id="2"),
        text("User: See Prey", id="3"),
        text("User: See Alien (1979)", id="9"),
    ]
    right = title_accuracy(write(tmp_path / "all.jsonl.xz", records), FILMS, labelled)
    assert (right.dialogues, right.named, right.found, right.right) == (3, 4, 3, 2)
    assert (right.precision, right.recall) == (2 / 3, 0.5)


def test_a_damaged_file_is_named(tmp_path: Path):
    path = tmp_path / "all.jsonl.xz"
    path.write_bytes(b"no archive")
    with pytest.raises(DataFileError, match=r"all\.jsonl\.xz"):
        recover(path, FILMS, test=[], labelled=[])
    with pytest.raises(DataFileError, match="row 1"):
        read_dialogues(write(path, [{"messages": []}]))


@pytest.mark.data
@pytest.mark.skipif("VOUCH_DATA" not in os.environ, reason="VOUCH_DATA is not set")
def test_the_public_files():
    folder = Path(os.environ["VOUCH_DATA"]) / "redial"
    films, labelled = read_films(folder), read_dialogues(folder / "train.jsonl.xz")
    test = read_dialogues(folder / "test.jsonl.xz")
    assert (len(films), len(labelled), len(test)) == (6924, 3458, 1342)
    found = recover(folder / "all_dialogs_text.jsonl.xz", films, test=test, labelled=labelled)
    assert len(found.dialogues) == 6545
    assert found.flagged + found.test_by_id + found.test_by_text >= 1342
    right = title_accuracy(folder / "all_dialogs_text.jsonl.xz", films, labelled)
    assert right.dialogues > 2000
    assert right.precision > 0.99
    assert right.recall > 0.98
