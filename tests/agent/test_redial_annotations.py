"""Annotations whose words stay in the data set: found again by dialogue and turn, and refused when the words are others."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

from vouchrec.agent.annotations import Annotation
from vouchrec.agent.redial_annotations import digest, read_redial, turns_of
from vouchrec.finetune.examples import REDIAL_ANNOTATIONS
from vouchrec.retrieval.errors import DataFileError

DIALOGUE = {
    "conversationId": "7",
    "movieMentions": {"12": "Alien (1979)"},
    "messages": [
        {"senderWorkerId": 1, "text": "Hi!"},
        {"senderWorkerId": 1, "text": "I  loved @12"},
        {"senderWorkerId": 2, "text": "Good choice"},
    ],
}
TEXT = "Hi! I loved Alien"
RECORD = {"dialogue": "7", "turn": 0, "text": digest(TEXT), "act": "recommend", "marks": [[12, 17, "title", "like"]]}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "redial").mkdir()
    with lzma.open(tmp_path / "redial" / "train.jsonl.xz", "wt", encoding="utf-8") as file:
        file.write(json.dumps(DIALOGUE) + "\n")
    return tmp_path


def written(folder: Path, record: object) -> Path:
    path = folder / "annotations.jsonl"
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    return path


def test_turns_join_the_messages_of_one_person_with_titles_in_place() -> None:
    assert turns_of(DIALOGUE) == [TEXT, "Good choice"]


def test_a_message_is_found_again(data: Path) -> None:
    (turn,) = read_redial(data, written(data, RECORD))
    assert (turn.text, turn.act, turn.annotations) == (TEXT, "recommend", (Annotation(12, 17, "title", "like"),))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"text": digest("Hi! I loved Aliens")}, "another text than was annotated"),
        ({"turn": 9}, "another text than was annotated"),
        ({"dialogue": "8"}, "another text than was annotated"),
        ({"act": "dance"}, "not an annotation"),
        ({"marks": [[0, 1, "title", "adore"]]}, "not an annotation"),
    ],
)
def test_what_does_not_fit_is_refused(data: Path, change: dict[str, object], problem: str) -> None:
    with pytest.raises(DataFileError, match=problem):
        read_redial(data, written(data, RECORD | change))


def test_without_the_data_set_the_error_names_it(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"train\.jsonl\.xz"):
        read_redial(tmp_path, written(tmp_path, RECORD))


def test_no_sentence_of_the_data_set_stands_in_the_annotations() -> None:
    records = [json.loads(line) for line in REDIAL_ANNOTATIONS.read_text(encoding="utf-8").splitlines()]
    assert len(records) >= 1_000
    assert all(
        set(record) == {"dialogue", "turn", "text", "act", "marks"} and len(record["text"]) == 12 for record in records
    )
