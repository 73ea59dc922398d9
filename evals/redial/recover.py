"""Dialogues of which only the text is left: film ids found by title, test dialogues kept out.

Titles stand in the text exactly as the writers saw them, spaces included, so that an exact search by letter finds them; a title
without a year could also be a common word and is taken only where it can't be one.
``python -m vouchrec.evals.redial.recover --data DATA`` says how many dialogues come back, and how right the ids are.
"""

from __future__ import annotations

import argparse
import html
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vouchrec.evals.redial.data import Dialogue, Film, Message, mentions, read_dialogues, read_films, read_lines

__all__ = ["Recovered", "TitleAccuracy", "TitleFinder", "recover", "title_accuracy"]

_log = logging.getLogger(__name__)

SHINGLE = 6
"""Words in a row that two copies of a dialogue share and two others seldom do."""
SAME_LABELLED = 0.5
SAME_TEST = 0.2
"""Part of its shingles that a text shares with a known dialogue from which it counts as a copy. For the test it is low: a training
dialogue too few costs little, a test dialogue too many makes the figures worthless."""
_COMMON_WORD = 7
"""Letters up to which a single word without a year is not taken for a title."""
_SPEAKER = re.compile(r"(?:^|\s\|\s)(User|Recommender): ?")
_WORD = re.compile(r"\w+")
_YEAR_END = re.compile(r"\(\d{4}\)\s*$")


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found in the text.

    Attributes:
        dialogues: Neither test nor labelled ones.
        read: Texts read.
        flagged: Left out as test dialogues by the file's own flag.
        test_by_id, test_by_text: Left out as test dialogues though not flagged: by conversation id, by shared text.
        labelled: Left out because they are among the labelled ones.
        mentions: Films found in `dialogues`, counted per message.
    """

    dialogues: tuple[Dialogue, ...]
    read: int
    flagged: int
    test_by_id: int
    test_by_text: int
    labelled: int
    mentions: int


class TitleFinder:
    """Replaces titles by "@" and id.

    Args:
        films: Where several have one name, the first in order is taken.
        labelled: Dialogues whose writers saw some titles in another spelling.
    """

    def __init__(self, films: Sequence[Film], labelled: Sequence[Dialogue] = ()) -> None:
        self._names: dict[str, list[tuple[str, str]]] = {}
        ids = {film.id for film in films}
        spellings = [(film.name, film.id) for film in films]
        spellings += [(html.unescape(name), key) for own in labelled for key, name in own.names.items() if key in ids]
        seen: set[str] = set()
        for name, film in spellings:
            if name not in seen and (_YEAR_END.search(name) or _distinct(name)):
                seen.add(name)
                self._names.setdefault(_first(name), []).append((name, film))
        for names in self._names.values():
            names.sort(key=lambda pair: -len(pair[0]))

    def replace(self, text: str) -> str:
        """Return the text with each title, the longest at a place, as "@" and id."""
        parts: list[str] = []
        done = 0
        for place in _starts(text):
            if place < done:
                continue
            found = self._at(text, place)
            if found is not None:
                name, film = found
                parts += [text[done:place], f"@{film}"]
                done = place + len(name)
        return "".join([*parts, text[done:]])

    def _at(self, text: str, place: int) -> tuple[str, str] | None:
        for name, film in self._names.get(_first(text[place : place + 80]), ()):
            end = place + len(name)
            if text.startswith(name, place) and not text[end : end + 1].isalnum():
                return name, film
        return None


def recover(path: Path, films: Sequence[Film], *, test: Sequence[Dialogue], labelled: Sequence[Dialogue]) -> Recovered:
    """Read the text of all dialogues and return those that are neither test nor labelled ones.

    Args:
        path: JSON lines with `dialog` ("User: ... | Recommender: ..."), `official_test` and `conversationId` (or null).
        films: Whose titles are looked for.
        test: All test dialogues. A text is one where the flag, the id or a fifth of its word sequences says so.
        labelled: Dialogues that are there already.

    Raises:
        DataFileError: The file is absent or damaged.
    """
    names = {film.id: film.name for film in films}
    tests, known = _Copies(test, names), _Copies(labelled, names)
    finder = TitleFinder(films, labelled)
    counts = {"flagged": 0, "test_by_id": 0, "test_by_text": 0, "labelled": 0}
    found: list[Dialogue] = []
    row = 0
    for row, record in read_lines(path):
        key, text = record.get("conversationId"), html.unescape(str(record.get("dialog", "")))
        reason = _why_not(bool(record.get("official_test")), key, text, tests, known)
        if reason:
            counts[reason] += 1
            continue
        messages = tuple(Message(seeker, finder.replace(said)) for seeker, said in _split(text))
        found.append(Dialogue(f"text:{row}" if key is None else str(key), messages))
    total = sum(len(mentions(message.text)) for dialogue in found for message in dialogue.messages)
    return Recovered(tuple(found), read=row, mentions=total, **counts)


def _why_not(flag: bool, key: object, text: str, tests: _Copies, known: _Copies) -> str:
    """Return why a text is left out, "" where it is not."""
    words = _shingles(said for _, said in _split(text))
    if flag:
        return "flagged"
    if str(key) in tests.ids:
        return "test_by_id"
    if tests.shared(words) >= SAME_TEST:
        return "test_by_text"
    return "labelled" if str(key) in known.ids or known.shared(words) >= SAME_LABELLED else ""


class _Copies:
    """Recognises copies of dialogues by what they share with one of them."""

    def __init__(self, dialogues: Sequence[Dialogue], names: dict[str, str]) -> None:
        self.ids = frozenset(dialogue.id for dialogue in dialogues)
        self._where: dict[tuple[str, ...], list[int]] = {}
        for number, dialogue in enumerate(dialogues):
            said = (plain_text(message.text, {**names, **dialogue.names}) for message in dialogue.messages)
            for shingle in _shingles(said):
                self._where.setdefault(shingle, []).append(number)

    def shared(self, shingles: set[tuple[str, ...]]) -> float:
        """Return the largest part of the shingles that one dialogue has."""
        counts: dict[int, int] = {}
        for shingle in shingles:
            for number in self._where.get(shingle, ()):
                counts[number] = counts.get(number, 0) + 1
        return max(counts.values(), default=0) / max(len(shingles), 1)


@dataclass(frozen=True, slots=True)
class TitleAccuracy:
    """How right the film ids are in the text of dialogues whose ids are known.

    Attributes:
        dialogues: Compared.
        named: Films in their messages, by the data set.
        found: Films that the finder saw.
        right: Both.
    """

    dialogues: int
    named: int
    found: int
    right: int

    @property
    def precision(self) -> float:
        """Part of what was found that is right."""
        return self.right / max(self.found, 1)

    @property
    def recall(self) -> float:
        """Part of what was named that was found."""
        return self.right / max(self.named, 1)


def title_accuracy(path: Path, films: Sequence[Film], labelled: Sequence[Dialogue]) -> TitleAccuracy:
    """Compare found ids with the data set's own, in the texts whose conversation id is that of a labelled dialogue.

    Half of the labelled dialogues lend their spellings to the other half, so that none is judged by its own.

    Raises:
        DataFileError: The file is absent or damaged.
    """
    finders = [TitleFinder(films, labelled[1::2]), TitleFinder(films, labelled[::2])]
    known = {dialogue.id: (finders[number % 2], dialogue) for number, dialogue in enumerate(labelled)}
    compared = named = found = right = 0
    for _, record in read_lines(path):
        finder, dialogue = known.get(str(record.get("conversationId")), (None, None))
        if finder is None or dialogue is None:
            continue
        text = html.unescape(str(record.get("dialog", "")))
        own = Counter(film for message in dialogue.messages for film in mentions(message.text))
        seen = Counter(film for _, said in _split(text) for film in mentions(finder.replace(said)))
        compared += 1
        named, found, right = named + own.total(), found + seen.total(), right + (own & seen).total()
    return TitleAccuracy(compared, named, found, right)


def plain_text(text: str, names: dict[str, str]) -> str:
    """Return a message with titles in place of ids."""
    return re.sub(r"@(\d+)", lambda found: names.get(found[1], found[0]), text)


def _shingles(messages: Iterable[str]) -> set[tuple[str, ...]]:
    words = _WORD.findall(" ".join(messages).lower())
    if len(words) < SHINGLE:
        return {tuple(words)} if words else set()
    return {tuple(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)}


def _split(text: str) -> Iterator[tuple[bool, str]]:
    """Yield (whether the seeker speaks, message)."""
    parts = _SPEAKER.split(text)
    for speaker, said in zip(parts[1::2], parts[2::2], strict=True):
        yield speaker == "User", said


def _starts(text: str) -> Iterator[int]:
    for found in re.finditer(r"(?<![\w@])\S", text):
        yield found.start()


def _first(text: str) -> str:
    """Return what a title is looked up by: its first three letters."""
    return text[:3]


def _distinct(name: str) -> bool:
    """Whether a name without a year is hardly a common word: several words, a long one, or spaces only the data set writes."""
    return name.endswith(" ") or len(name.split()) > 1 or len(name) > _COMMON_WORD


def main() -> None:
    """Say how many dialogues come back from text, and how right their film ids are."""
    parser = argparse.ArgumentParser(prog="python -m vouchrec.evals.redial.recover", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with redial/")
    folder = parser.parse_args().data / "redial"
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    films, path = read_films(folder), folder / "all_dialogs_text.jsonl.xz"
    labelled, test = read_dialogues(folder / "train.jsonl.xz"), read_dialogues(folder / "test.jsonl.xz")
    found, right = recover(path, films, test=test, labelled=labelled), title_accuracy(path, films, labelled)
    counts = {key: value for key, value in asdict(found).items() if key != "dialogues"}
    _log.info("%d dialogues recovered; %s", len(found.dialogues), counts)
    _log.info("precision %.4f, recall %.4f over %s", right.precision, right.recall, asdict(right))


if __name__ == "__main__":
    main()
