"""converse(): one simulated conversation, from the first wish to success or the end of patience."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field

from vouchrec.evals.simulator.agenda import Agenda, Move
from vouchrec.evals.simulator.goals import Goal
from vouchrec.evals.simulator.leaks import LeakCheck
from vouchrec.evals.simulator.speakers import Speaker
from vouchrec.evals.simulator.systems import Answer, System
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.types import Constraint, ItemId

__all__ = ["Dialogue", "Exchange", "audit", "converse"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One turn.

    Attributes:
        wanted: Conditions that the message says.
        broken: Shown items that are not what the person has said they want.
        repeated: Shown items that the person had refused, seen, or named as liked.
        by_model: The message was worded by a model.
    """

    message: str
    wanted: tuple[Constraint, ...]
    answer: Answer
    broken: int
    repeated: int
    by_model: bool
    milliseconds: float


@dataclass(slots=True)
class Dialogue:
    """A whole conversation.

    Attributes:
        found: The target that was shown; None when there was none.
        prevented: Wordings that were not said because they would have given something away.
        leaks: What the messages that were said give away, by a second look at the finished transcript.
    """

    goal: Goal
    exchanges: list[Exchange] = field(default_factory=list[Exchange])
    found: ItemId | None = None
    prevented: int = 0
    leaks: tuple[str, ...] = ()

    @property
    def turns(self) -> int:
        """How many messages the person sent."""
        return len(self.exchanges)


def converse(system: System, goal: Goal, speaker: Speaker, catalogue: Catalogue, *, seed: int, crowd: int) -> Dialogue:
    """Let a person talk to a system until it shows what they look for or their patience ends.

    Args:
        system: The other side; it is told nothing but the messages.
        goal: What the person looks for.
        speaker: Who words the messages.
        catalogue: What is searched.
        seed: Of the person's choices; together with the goal's id, so that people don't depend on their order.
        crowd: Items that all that is said must still allow.

    Raises:
        ModelError: A language model or its server failed.
    """
    own_seed = int.from_bytes(hashlib.blake2b(f"{seed}/{goal.id}".encode(), digest_size=6).digest(), "big")
    agenda = Agenda(goal, catalogue, own_seed)
    check = LeakCheck(catalogue, goal.targets, crowd)
    dialogue = Dialogue(goal)
    session = system.start()
    known: set[ItemId] = set()
    move = agenda.open()
    while dialogue.turns < goal.patience:
        worded = _word(move, goal, speaker, check, own_seed + dialogue.turns, dialogue)
        if worded is None:
            break  # every wording would give something away: the person says no more
        message, said, by_model = worded
        check.say(message, said.wanted)
        if said.item is not None:
            known.add(said.item)
        began = time.perf_counter()
        answer = session.say(message)
        spent = (time.perf_counter() - began) * 1000
        repeated = len(known.intersection(answer.items))
        dialogue.exchanges.append(
            Exchange(message, said.wanted, answer, agenda.broken(answer.items), repeated, by_model, spent)
        )
        dialogue.found = next((item for item in answer.items if item in goal.targets), None)
        if dialogue.found is not None:
            break
        move = agenda.next(answer.items)
    dialogue.leaks = audit(dialogue, catalogue, crowd)
    return dialogue


def audit(dialogue: Dialogue, catalogue: Catalogue, crowd: int) -> tuple[str, ...]:
    """Return what the messages of a finished conversation give away, looked at again from the start."""
    check = LeakCheck(catalogue, dialogue.goal.targets, crowd)
    found: list[str] = []
    for number, exchange in enumerate(dialogue.exchanges, start=1):
        found += [f"turn {number} {leak}" for leak in check.leaks(exchange.message, exchange.wanted)]
        check.say(exchange.message, exchange.wanted)
    return tuple(found)


def _word(
    move: Move, goal: Goal, speaker: Speaker, check: LeakCheck, seed: int, dialogue: Dialogue
) -> tuple[str, Move, bool] | None:
    """Return the first wording that gives nothing away, of the move or else of asking for more."""
    for tried in (move, Move("more")):
        for text, by_model in speaker.candidates(tried, goal.register, seed):
            if not check.leaks(text, tried.wanted):
                return text, tried, by_model
            dialogue.prevented += 1
    return None
