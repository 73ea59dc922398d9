"""A history cut along time: what a model may learn from, and the choices that people made later.

Who learns to order candidates must not have seen the choices that it is asked to find. So everything before a moment fits the
scorer that proposes candidates, the choices after it train, later ones choose settings, and the latest are for the figures. A
model is asked for each choice with what the person had liked by then, which is how it is served.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from vouchrec.retrieval.collaborative import Ease
from vouchrec.retrieval.interactions import to_matrix
from vouchrec.retrieval.types import Interaction, ItemId, UserId

Part: TypeAlias = Literal["fit", "train", "validation", "test"]
Order: TypeAlias = Literal["time", "position"]
PARTS: tuple[Part, ...] = ("fit", "train", "validation", "test")
MOST_PROPOSED = 5_000
"""Most liked items among which a proposer chooses."""


@dataclass(frozen=True, slots=True)
class TimeRule:
    """Where the cuts are.

    Attributes:
        fit, train, validation: Parts of the likes, oldest first, that go before the cuts; what is left is the test.
        least: Likes that a person needs before a choice for it to be asked.
        most: Choices asked of one person in one part; the newest.
        seed: Seed of the order in which choices are listed.
    """

    fit: float = 0.7
    train: float = 0.15
    validation: float = 0.05
    least: int = 3
    most: int = 20
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person liked next, and what they had liked and disliked until then, oldest first."""

    user: UserId
    liked: tuple[ItemId, ...]
    disliked: tuple[ItemId, ...]
    target: ItemId


@dataclass(frozen=True, slots=True)
class Timeline:
    """Interactions cut along time.

    Attributes:
        fit: Likes before the first cut, for the scorer that proposes candidates.
        train, validation, test: Choices between the cuts.
        order: `time` when the interactions are dated; `position` when their order in the file stood in.
        cuts: Seconds since 1970 of the three cuts; empty for `position`.
    """

    rule: TimeRule
    fit: tuple[Interaction, ...]
    train: tuple[Choice, ...]
    validation: tuple[Choice, ...]
    test: tuple[Choice, ...]
    order: Order
    cuts: tuple[float, ...] = ()

    def digest(self) -> str:
        """Return 16 hex digits that change with any choice."""
        choices = [
            [name, c.user, c.liked, c.disliked, c.target]
            for name, part in (("train", self.train), ("validation", self.validation), ("test", self.test))
            for c in part
        ]
        fit = [[e.user, e.item] for e in self.fit]
        return hashlib.sha256(json.dumps([fit, choices], ensure_ascii=False).encode()).hexdigest()[:16]


def split_timeline(
    interactions: Sequence[Interaction], items: Sequence[ItemId], rule: TimeRule | None = None
) -> Timeline:
    """Cut interactions along time; where any is undated, along each person's own order.

    Args:
        interactions: Ratings or counts of any scale; likes are those that `to_matrix` keeps.
        items: Ids of the catalogue; interactions with other items are left out.
    """
    rule = rule or TimeRule()
    events, likes = _events(interactions, items)
    order: Order = "time" if all(e.time is not None for e in events) else "position"
    cuts: tuple[float, ...] = ()
    if order == "time":
        cuts = _cuts([e.time or 0.0 for e in events if (e.user, e.item) in likes], rule)
        parts: list[Part] = [PARTS[int(np.searchsorted(cuts, e.time or 0.0, side="right"))] for e in events]
    else:
        parts = _positions(events, likes, rule)
    choices = _choices(events, likes, parts, rule)
    fit = tuple(e for e, part in zip(events, parts, strict=True) if part == "fit" and (e.user, e.item) in likes)
    return Timeline(rule, fit, choices["train"], choices["validation"], choices["test"], order, cuts)


def _events(
    interactions: Sequence[Interaction], items: Sequence[ItemId]
) -> tuple[list[Interaction], set[tuple[UserId, ItemId]]]:
    """Return the last interaction of each person with each item, oldest first, and which pairs are likes."""
    matrix = to_matrix(interactions, items)
    cells = matrix.matrix.tocoo()
    likes = {(matrix.users[u], matrix.items[i]) for u, i in zip(cells.row.tolist(), cells.col.tolist(), strict=True)}
    known = set(items)
    last = {(e.user, e.item): e for e in interactions if e.item in known}
    dated = all(e.time is not None for e in last.values())
    events = sorted(last.values(), key=lambda e: e.time or 0.0) if dated else list(last.values())
    return events, likes


def _cuts(times: Sequence[float], rule: TimeRule) -> tuple[float, ...]:
    if not times:
        return (0.0, 0.0, 0.0)
    marks = np.cumsum([rule.fit, rule.train, rule.validation])
    return tuple(float(v) for v in np.quantile(np.asarray(times), marks))


def _positions(events: Sequence[Interaction], likes: set[tuple[UserId, ItemId]], rule: TimeRule) -> list[Part]:
    """Cut every person's own list of likes at the same shares, with at least one for each part after the first."""
    own: dict[UserId, list[int]] = {}
    for number, e in enumerate(events):
        if (e.user, e.item) in likes:
            own.setdefault(e.user, []).append(number)
    parts: list[Part] = ["fit"] * len(events)
    shares: tuple[tuple[Part, float], ...] = (
        ("test", 1 - rule.fit - rule.train - rule.validation), ("validation", rule.validation), ("train", rule.train),
    )  # fmt: skip
    for numbers in own.values():
        left = list(numbers)
        if len(numbers) < rule.least + len(shares):
            continue
        for part, share in shares:
            for _ in range(max(1, round(share * len(numbers)))):
                parts[left.pop()] = part
    return parts


def _choices(
    events: Sequence[Interaction], likes: set[tuple[UserId, ItemId]], parts: Sequence[Part], rule: TimeRule
) -> Mapping[Part, tuple[Choice, ...]]:
    liked: dict[UserId, list[ItemId]] = {}
    disliked: dict[UserId, list[ItemId]] = {}
    asked: dict[Part, dict[UserId, list[Choice]]] = {part: {} for part in PARTS}
    for event, part in zip(events, parts, strict=True):
        own, against = liked.setdefault(event.user, []), disliked.setdefault(event.user, [])
        if (event.user, event.item) not in likes:
            against.append(event.item)
            continue
        if part != "fit" and len(own) >= rule.least:
            choice = Choice(event.user, tuple(own), tuple(against), event.item)
            asked[part].setdefault(event.user, []).append(choice)
        own.append(event.item)
    return {part: _listed(asked[part], rule) for part in PARTS}


def _listed(by_user: Mapping[UserId, Sequence[Choice]], rule: TimeRule) -> tuple[Choice, ...]:
    found = [choice for choices in by_user.values() for choice in choices[-rule.most :]]
    random.Random(rule.seed).shuffle(found)
    return tuple(found)


class Proposer:
    """Candidates for a choice, best first: the collaborative scorer of the past.

    Args:
        fit: Likes of the past.
        l2: Ridge strength of EASE.
    """

    def __init__(self, fit: Sequence[Interaction], *, l2: float) -> None:
        counts = Counter(e.item for e in fit)
        # An item that one person liked is never among the best; without these the fit takes a tenth of the time.
        items = sorted(i for i, n in counts.most_common(MOST_PROPOSED) if n > 1) or sorted(counts)
        self._scorer = Ease(l2)
        self._scorer.fit(to_matrix([replace(e, value=1.0) for e in fit], items, explicit=False))
        self.items = tuple(self._scorer.items)
        self._row = {item: row for row, item in enumerate(self.items)}

    def propose(self, choice: Choice, n: int) -> list[ItemId]:
        """Return the n best items that the person has neither liked nor disliked yet."""
        history = dict.fromkeys((i for i in choice.liked if i in self._row), 1.0)
        scores = self._scorer.score(history) if history else np.asarray(self._scorer.popularity, np.float32)
        scores = np.array(scores, np.float32)
        scores[[self._row[i] for i in (*choice.liked, *choice.disliked) if i in self._row]] = -np.inf
        best = np.argsort(-scores, kind="stable")[:n]
        return [self.items[i] for i in best if scores[i] > -np.inf]
