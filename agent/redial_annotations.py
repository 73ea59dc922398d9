"""Messages of ReDial annotated for training and for measuring: the annotations are ours, the words stay in the data set.

A file of annotations names for each message its dialogue and turn, its act, and its marked parts as character offsets with kind and
role, so that no sentence of the data set stands in the project. Li et al., "Towards Deep Conversational Recommendations",
NeurIPS 2018; CC BY 4.0.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vouchrec.agent.annotations import Annotation, AuthoredTurn
from vouchrec.agent.types import ACTS, ITEM_ROLES, VALUE_ROLES
from vouchrec.retrieval.errors import DataFileError

_YEAR = re.compile(r"\s*\(\d{4}\)\s*$")


def turns_of(dialogue: Mapping[str, Any]) -> list[str]:
    """Return the turns of a dialogue as one text each, with titles in place of film ids."""
    turns: list[str] = []
    speaker: object = None
    names = {f"@{film}": _YEAR.sub("", title or "") for film, title in (dialogue["movieMentions"] or {}).items()}
    for message in dialogue["messages"]:
        text = str(message["text"])
        for mark, title in names.items():
            text = text.replace(mark, title)
        text = " ".join(text.split())
        if turns and message["senderWorkerId"] == speaker:
            turns[-1] += " " + text
        else:
            turns.append(text)
        speaker = message["senderWorkerId"]
    return turns


def read_redial(data: Path, annotations: Path) -> list[AuthoredTurn]:
    """Read the annotated messages.

    Args:
        data: Folder with `redial/train.jsonl.xz`.
        annotations: File of annotations.

    Raises:
        DataFileError: A file is absent, a line is malformed, or a text is not the one that was annotated.
    """
    path = data / "redial" / "train.jsonl.xz"
    lines = list(_annotations(annotations))
    wanted = {record["dialogue"] for _, record in lines}
    try:
        with lzma.open(path, "rt", encoding="utf-8") as file:
            dialogues = {
                d["conversationId"]: turns_of(d) for d in map(json.loads, file) if d["conversationId"] in wanted
            }
    except (OSError, lzma.LZMAError, ValueError, KeyError) as error:
        raise DataFileError(path, f"can't be read: {error!r:.120}") from error
    return [_turn(annotations, row, record, dialogues) for row, record in lines]


def _annotations(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for row, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
            roles = {role for *_, role in record["marks"]}
            if record["act"] not in ACTS or not roles <= {*ITEM_ROLES, *VALUE_ROLES}:
                raise ValueError("unknown act or role")
        except (ValueError, KeyError, TypeError) as error:
            raise DataFileError(path, f"not an annotation: {error!r:.120}", row=row) from error
        yield row, record


def _turn(path: Path, row: int, record: Mapping[str, Any], dialogues: Mapping[str, list[str]]) -> AuthoredTurn:
    turns = dialogues.get(record["dialogue"], [])
    text = turns[record["turn"]] if record["turn"] < len(turns) else ""
    if digest(text) != record["text"]:
        raise DataFileError(path, f"dialogue {record['dialogue']} has another text than was annotated", row=row)
    marks = tuple(Annotation(start, end, kind, role) for start, end, kind, role in record["marks"])
    return AuthoredTurn(f"{path.stem}:{row}", text, marks, record["act"], 0)


def digest(text: str) -> str:
    """Return the hash by which a text is known again."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
