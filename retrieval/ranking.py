"""Held-out histories: who is held out, what is folded in, how a full ranking is made and scored.

The part of offline evaluation that tuning and reporting share, so that both mean the same split and the same number.
Strong generalisation: people are split, not ratings. A held-out person's older interactions are folded in, the newer
ones are the targets (Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW 2018, arXiv 1802.05814,
with time order in place of a random fold-in).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from vouchrec.retrieval.interactions import InteractionMatrix, split_users, to_matrix
from vouchrec.retrieval.types import Interaction, ItemId, UserId


class HistoryScorer(Protocol):
    """What can be evaluated: anything that learns from a matrix and scores its own columns from a history."""

    @property
    def items(self) -> Sequence[ItemId]:
        """Item ids of the columns."""
        ...

    def fit(self, interactions: InteractionMatrix) -> None:
        """Learn from positive interactions."""
        ...

    def score(self, history: Mapping[ItemId, float]) -> npt.NDArray[np.float32]:
        """Return (n_columns,) float32 scores for a history of item id to weight."""
        ...


@dataclass(frozen=True, slots=True)
class SplitRule:
    """How people and their histories are split.

    Attributes:
        least: Positive interactions a person needs to be held out; the others always train.
        validation: Part of the eligible people held out for choosing settings, in (0, 1).
        test: Part of the eligible people held out for the final figures, in (0, 1).
        fold_in: Part of a held-out history (its oldest interactions, rounded down) that the scorer may see.
        k: Length of the ranked list that is scored.
        seed: Seed of the split of people.
    """

    least: int = 5
    validation: float = 0.2
    test: float = 0.2
    fold_in: float = 0.8
    k: int = 10
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """A held-out person.

    Attributes:
        history: Weight by item, what the scorer may see; never empty.
        targets: Items to be found; never empty, disjoint from the history.
    """

    user: UserId
    history: Mapping[ItemId, float]
    targets: frozenset[ItemId]


@dataclass(frozen=True, slots=True)
class HistorySplit:
    """Interactions to learn from, and the held-out people.

    Attributes:
        train: Interactions of everyone who is not held out.
        validation: Cases for choosing settings; whoever fits for these learns from `train`.
        validation_events: All interactions of the validation people; the final fit before the test may add them.
        test: Cases for the final figures, opened once.
    """

    rule: SplitRule
    train: tuple[Interaction, ...]
    validation: tuple[Case, ...]
    validation_events: tuple[Interaction, ...]
    test: tuple[Case, ...]

    def digest(self) -> str:
        """Return 16 hex digits that change with the rule or with any held-out case."""
        cases = [
            [name, case.user, list(case.history.items()), sorted(case.targets)]
            for name, group in (("validation", self.validation), ("test", self.test))
            for case in group
        ]
        text = json.dumps([asdict(self.rule), cases], ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def split_histories(interactions: Sequence[Interaction], rule: SplitRule) -> HistorySplit:
    """Split positive interactions by person.

    Args:
        interactions: Positive interactions, at most one per (user, item); those without a time keep their order and
            count as the oldest.
        rule: Sizes and seed.
    """
    events: dict[UserId, list[Interaction]] = {}
    for event in interactions:
        events.setdefault(event.user, []).append(event)
    eligible = [user for user, own in events.items() if len(own) >= rule.least]
    rest, test = split_users(eligible, held_out=rule.test, seed=rule.seed)
    _, validation = split_users(rest, held_out=rule.validation / (1 - rule.test), seed=rule.seed + 1)
    train = tuple(e for e in interactions if e.user not in test and e.user not in validation)
    return HistorySplit(
        rule=rule,
        train=train,
        validation=tuple(_case(events[user], rule) for user in sorted(validation)),
        validation_events=tuple(e for e in interactions if e.user in validation),
        test=tuple(_case(events[user], rule) for user in sorted(test)),
    )


@dataclass(frozen=True, slots=True)
class Fold:
    """One part of the people, and what is learnt from to measure it.

    Attributes:
        train: Interactions of everyone who is not in the fold.
        cases: The fold's people.
    """

    train: tuple[Interaction, ...]
    cases: tuple[Case, ...]


def cross_folds(interactions: Sequence[Interaction], rule: SplitRule, *, folds: int, seed: int) -> list[Fold]:
    """Split everyone with enough interactions, except the validation people of `split_histories`, into folds.

    The validation people, on whom settings are chosen, are in no fold: they train in every one.

    Args:
        interactions: As in `split_histories`.
        rule: As in `split_histories`; its test part is not set aside here.
        folds: Number of folds, at least 2.
        seed: Seed of the permutation of people.
    """
    events: dict[UserId, list[Interaction]] = {}
    for event in interactions:
        events.setdefault(event.user, []).append(event)
    tuning = {case.user for case in split_histories(interactions, rule).validation}
    people = sorted(user for user, own in events.items() if len(own) >= rule.least and user not in tuning)
    order = np.random.default_rng(seed).permutation(len(people))
    groups = [{people[i] for i in order[start::folds]} for start in range(folds)]
    return [
        Fold(
            train=tuple(e for e in interactions if e.user not in group),
            cases=tuple(_case(events[user], rule) for user in sorted(group)),
        )
        for group in groups
    ]


def _case(own: Sequence[Interaction], rule: SplitRule) -> Case:
    ordered = sorted(own, key=lambda event: -math.inf if event.time is None else event.time)
    cut = min(max(1, math.floor(len(ordered) * rule.fold_in)), len(ordered) - 1)
    history = {event.item: event.value for event in ordered[:cut]}
    return Case(ordered[0].user, history, frozenset(e.item for e in ordered[cut:]) - set(history))


def weighted_matrix(parts: Sequence[tuple[Sequence[Interaction], float]], items: Sequence[ItemId]) -> InteractionMatrix:
    """Stack positive interactions from several sources into one matrix, a weight on each.

    A row's squared error counts `weight` times: its values are multiplied by the square root, since least squares sees
    their products. A source of weight 0 is left out.

    Args:
        parts: Pairs of interactions and weight (0 or more); users of different sources are different people.
        items: Column names.
    """
    kept = [(to_matrix(events, items, explicit=False), weight) for events, weight in parts if weight > 0]
    blocks = [sp.csr_matrix(part.matrix * np.float32(math.sqrt(weight))) for part, weight in kept]
    stacked = sp.vstack(blocks) if blocks else sp.csr_matrix((0, len(items)), dtype=np.float32)
    users = tuple(user for part, _ in kept for user in part.users)
    return InteractionMatrix(sp.csr_matrix(stacked, dtype=np.float32), users, tuple(items), explicit=False)


def rank_cases(
    scorer: HistoryScorer, cases: Sequence[Case], items: Sequence[ItemId], k: int
) -> list[tuple[ItemId, ...]]:
    """Return each case's k best items of the whole catalogue, best first, its history left out.

    Items that the scorer has no column for score 0; equal scores keep the order of `items`.
    """
    row = {item: index for index, item in enumerate(items)}
    columns = np.asarray([c for c, item in enumerate(scorer.items) if item in row], dtype=np.int64)
    rows = np.asarray([row[item] for item in scorer.items if item in row], dtype=np.int64)
    catalogue = tuple(items)
    lists: list[tuple[ItemId, ...]] = []
    for case in cases:
        scores = np.zeros(len(items), np.float32)
        scores[rows] = scorer.score(case.history)[columns]
        scores[[row[item] for item in case.history if item in row]] = -np.inf
        best = np.argsort(-scores, kind="stable")[:k]
        lists.append(tuple(catalogue[i] for i in best if scores[i] > -np.inf))
    return lists


def ndcg(ranked: Sequence[ItemId], relevant: Set[ItemId], k: int) -> float:
    """Return the normalised discounted cumulative gain of the first k, with a gain of 1 per relevant item.

    DCG = sum over ranks r <= k of rel(r) / log2(r + 1); NDCG = DCG / DCG of min(k, |relevant|) hits in front.
    Source: Järvelin & Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002.
    Range [0, 1], 1 best. Nothing ranked: 0. Nothing relevant: NaN (undefined; leave the case out).
    """
    if not relevant:
        return math.nan
    gain = sum(1 / math.log2(rank + 1) for rank, item in enumerate(ranked[:k], start=1) if item in relevant)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))
    return gain / ideal if ideal else 0.0
