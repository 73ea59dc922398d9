"""What a simulated person does next: state wishes bit by bit, change their mind, react to what is shown, give up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vouchrec.evals.simulator.goals import Fact, Goal
from vouchrec.evals.simulator.phrases import Kind
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.types import Constraint, ItemId

__all__ = ["Agenda", "Move"]

_INSISTS = 0.5
"""Chance that a person points out that what is shown is not what they asked for."""
_REACTS = 0.3
"""Chance that they first say something of an item that is shown."""


@dataclass(frozen=True, slots=True)
class Move:
    """What is to be said, before it has words.

    Attributes:
        fact: What is wanted (`open`, `add`, `change`, `again`).
        old: What is taken back (`change`).
        item: What is liked, disliked or seen.
        holds: False for a wish that the person will take back: it describes nothing that they look for.
    """

    kind: Kind
    fact: Fact | None = None
    old: Fact | None = None
    item: ItemId | None = None
    holds: bool = True

    @property
    def wanted(self) -> tuple[Constraint, ...]:
        """Conditions that hold from now on, and that describe what is looked for."""
        return self.fact.constraints if self.fact is not None and self.holds else ()


class Agenda:
    """One person's plan for a conversation.

    Args:
        goal: What they look for.
        catalogue: To see what is shown.
        seed: Of their choices.
    """

    def __init__(self, goal: Goal, catalogue: Catalogue, seed: int) -> None:
        self._goal, self._catalogue = goal, catalogue
        self._rng = np.random.default_rng(seed)
        self._detour = goal.detour
        self._taken_back: Fact | None = None
        self._facts = list(goal.facts)
        self._likes = list(goal.persona)
        self._said: list[Fact] = []
        self._judged: set[ItemId] = set()

    @property
    def said(self) -> tuple[Fact, ...]:
        """What the person has said they want and still wants."""
        return tuple(self._said)

    def open(self) -> Move:
        """Return the first move: a wish, one that will be taken back, or something that they like."""
        if self._detour is not None and self._facts:
            self._taken_back = self._detour
            return Move("open", fact=self._detour, holds=False)
        if self._facts and (not self._likes or self._rng.random() < 0.6):
            return Move("open", fact=self._next_fact())
        if self._likes:
            return Move("open_like", item=self._likes.pop())
        return Move("more")

    def next(self, shown: Sequence[ItemId]) -> Move:
        """Return the next move after a list in which nothing was what they look for.

        Args:
            shown: The list, best first; empty when there was none.
        """
        if self._taken_back is not None:
            old, self._taken_back = self._taken_back, None
            return Move("change", fact=self._next_fact(), old=old)
        broken = self._broken(shown)
        if broken is not None and self._rng.random() < _INSISTS:
            return Move("again", fact=broken)
        fresh = [item for item in shown if item not in self._judged]
        if fresh and self._rng.random() < _REACTS:
            return self._react(fresh)
        return self._reveal() or (self._react(fresh) if fresh and self._rng.random() < 0.5 else Move("more"))

    def broken(self, shown: Sequence[ItemId]) -> int:
        """Return how many shown items are not what the person has said."""
        conditions = [c for fact in self._said for c in fact.constraints]
        rows = self._catalogue.rows(shown)
        return sum(not all(self._catalogue.satisfied(c, row) for c in conditions) for row in rows)

    def _broken(self, shown: Sequence[ItemId]) -> Fact | None:
        """Return a wish that most of what is shown does not meet."""
        rows = self._catalogue.rows(shown)
        for fact in self._said:
            unmet = sum(not all(self._catalogue.satisfied(c, row) for c in fact.constraints) for row in rows)
            if rows and unmet * 2 > len(rows):
                return fact
        return None

    def _react(self, fresh: Sequence[ItemId]) -> Move:
        item = fresh[int(self._rng.integers(len(fresh)))]
        self._judged.add(item)
        return Move("seen" if self._rng.random() < 0.5 else "dislike", item=item)

    def _reveal(self) -> Move | None:
        if self._facts and (not self._likes or self._rng.random() < 0.7):
            return Move("add", fact=self._next_fact())
        if self._likes:
            return Move("like", item=self._likes.pop())
        return None

    def _next_fact(self) -> Fact:
        fact = self._facts.pop(0)
        self._said.append(fact)
        return fact
