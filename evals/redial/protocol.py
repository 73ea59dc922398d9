"""What counts: one case per turn of the recommender that names a film, in a standard and a deduplicated form.

Consecutive messages of one person are one turn (as UniCRS, KBRD and CRSLab merge them). The context is everything before the turn,
possibly nothing; the targets are the distinct films of the turn, each of which counts once. All films of the catalogue are ranked.

* **standard**: every film of the turn is a target, and what was mentioned before may be ranked.
* **dedup**: films that anyone mentioned before the turn are neither targets nor ranked (Kostric & Balog, SIGIR 2026).
* **unmasked**: the targets of dedup, but what was mentioned before stays in the ranking. Published figures may be of this kind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from vouchrec.evals.redial.data import Dialogue, Message, mentions
from vouchrec.retrieval.errors import ConfigError

__all__ = [
    "CUTS",
    "PROTOCOLS",
    "Case",
    "Protocol",
    "check_disjoint",
    "make_cases",
    "protocol_hash",
    "targets_of",
    "turns_of",
]

Protocol: TypeAlias = Literal["dedup", "standard", "unmasked"]
PROTOCOLS: tuple[Protocol, ...] = ("dedup", "standard", "unmasked")
CUTS = (1, 10, 50)
"""The k of Recall@k."""
VERSION = 1


@dataclass(frozen=True, slots=True)
class Case:
    """One turn of the recommender.

    Attributes:
        dialogue: Its dialogue's id.
        turn: Its position among the merged turns, from 0.
        context: The turns before, merged.
        mentioned: Films of the context, each once, in the order of first mention.
        targets: Films of the turn, each once, in order.
    """

    dialogue: str
    turn: int
    context: tuple[Message, ...]
    mentioned: tuple[str, ...]
    targets: tuple[str, ...]


def turns_of(dialogue: Dialogue) -> list[Message]:
    """Return the dialogue with consecutive messages of one person joined by line breaks."""
    turns: list[Message] = []
    for message in dialogue.messages:
        if turns and turns[-1].seeker == message.seeker:
            turns[-1] = Message(message.seeker, f"{turns[-1].text}\n{message.text}")
        else:
            turns.append(message)
    return turns


def make_cases(dialogues: Iterable[Dialogue], films: Collection[str]) -> list[Case]:
    """Return the cases of dialogues in order.

    Args:
        dialogues: Any.
        films: Ids of the catalogue; numbers after "@" that are none of them are no mentions.
    """
    known = frozenset(films)
    found: list[Case] = []
    for dialogue in dialogues:
        context: list[Message] = []
        mentioned: dict[str, None] = {}
        for number, turn in enumerate(turns_of(dialogue)):
            named = tuple(film for film in mentions(turn.text) if film in known)
            if named and not turn.seeker:
                found.append(Case(dialogue.id, number, tuple(context), tuple(mentioned), named))
            context.append(turn)
            mentioned.update(dict.fromkeys(named))
    return found


def targets_of(case: Case, protocol: Protocol) -> tuple[str, ...]:
    """Return the films to be found; in dedup and unmasked possibly none."""
    if protocol == "standard":
        return case.targets
    return tuple(film for film in case.targets if film not in case.mentioned)


def check_disjoint(train: Sequence[Dialogue], test: Sequence[Dialogue]) -> None:
    """Refuse to measure on dialogues that were learnt from.

    Raises:
        ConfigError: A test dialogue is among the training ones, by id or by text, or a worker wrote in both.
    """
    ids = {dialogue.id for dialogue in train} & {dialogue.id for dialogue in test}
    texts = {_text(dialogue) for dialogue in train} & {_text(dialogue) for dialogue in test}
    workers = _workers(train) & _workers(test)
    if ids or texts or workers:
        raise ConfigError(
            f"The training and the test dialogues share {len(ids)} conversation ids, {len(texts)} texts, {len(workers)} workers.",
            hint="Leave them out of the training dialogues: figures with them are worthless.",
        )


def protocol_hash(films: Sequence[str], cases: Sequence[Case]) -> str:
    """Return 16 hex digits; two runs with the same are comparable."""
    rows = [[case.dialogue, case.turn, case.mentioned, case.targets, len(case.context)] for case in cases]
    parts = [VERSION, PROTOCOLS, CUTS, list(films), rows]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _text(dialogue: Dialogue) -> str:
    """Return the whole text with its films; very short dialogues are alike by chance and count by id."""
    text = " ".join(" ".join(message.text for message in dialogue.messages).split())
    return text if len(text) > 40 else dialogue.id


def _workers(dialogues: Sequence[Dialogue]) -> frozenset[int]:
    return frozenset(worker for dialogue in dialogues for worker in dialogue.workers)
