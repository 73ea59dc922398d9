"""EASE that also knows the order of likes: what people came to like after others, added to what they like at all.

EASE predicts any like of a person from that person's other likes. A recommendation is asked for the likes to come, so a
ridge regression from the older part of each history to its newer part is added. Both are matrices from items to items,
and so is their sum: every score stays an exact sum of what each item of the history brings. Linear item-to-item models
of what follows: Choi et al., "Session-aware Linear Item-Item Models for Session-based Recommendation", WWW 2021 (arXiv
2103.16104).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg as sl
import scipy.sparse as sp

from vouchrec.retrieval.collaborative import Ease
from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.types import Interaction, ItemId, UserId

__all__ = ["OrderedEase", "OrderedHistories", "order_histories"]


@dataclass(frozen=True, slots=True)
class OrderedHistories:
    """Histories cut in two by time.

    Attributes:
        items: Column names of both matrices.
        older: (n_people, n_items) float32, 1 where the older part has the item.
        newer: The same for the newer part.
    """

    items: tuple[ItemId, ...]
    older: sp.csr_matrix
    newer: sp.csr_matrix


def order_histories(
    interactions: Sequence[Interaction], items: Sequence[ItemId], *, older: float = 0.8
) -> OrderedHistories:
    """Cut each person's likes, ordered by time, into an older and a newer part, neither empty.

    Args:
        interactions: Likes with times; people with fewer than two are left out.
        items: Column names; likes of other items are left out.
        older: Part of a history that is older, in (0, 1), rounded down.
    """
    column = {item: index for index, item in enumerate(items)}
    people: dict[UserId, list[Interaction]] = {}
    for event in interactions:
        if event.item in column:
            people.setdefault(event.user, []).append(event)
    parts: tuple[list[list[int]], list[list[int]]] = ([], [])
    for own in people.values():
        if len(own) > 1:
            ordered = [column[e.item] for e in sorted(own, key=lambda e: -math.inf if e.time is None else e.time)]
            cut = min(max(1, math.floor(len(ordered) * older)), len(ordered) - 1)
            parts[0].append(ordered[:cut])
            parts[1].append(ordered[cut:])
    return OrderedHistories(tuple(items), _matrix(parts[0], len(items)), _matrix(parts[1], len(items)))


def _matrix(rows: Sequence[Sequence[int]], width: int) -> sp.csr_matrix:
    indices = np.asarray([index for row in rows for index in row], np.int64)
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return sp.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=(len(rows), width))


class OrderedEase(Ease):
    """EASE plus `order_weight` times a ridge regression from older to newer likes.

    A saved one is read by `Ease.load`: its file holds the sum of the two matrices.

    Args:
        histories: What the regression learns from.
        l2: Ridge strength of EASE.
        order_l2: Ridge strength of the regression.
        order_weight: Weight of the regression's matrix; 0 gives EASE.
    """

    def __init__(self, histories: OrderedHistories, *, l2: float, order_l2: float, order_weight: float) -> None:
        super().__init__(l2)
        self.order_l2, self.order_weight = order_l2, order_weight
        self._histories = histories

    def fit(self, interactions: InteractionMatrix) -> None:
        """Learn both matrices; the regression's diagonal is zero, as EASE's, and its intercept is left out.

        The intercept is the popularity of newer likes, which is the same for everyone and no part of a history.

        Raises:
            ValueError: The histories have other columns than the interactions.
        """
        if self._histories.items != interactions.items:
            raise ValueError("the ordered histories have other items than the interactions")
        super().fit(interactions)
        row = {item: index for index, item in enumerate(interactions.items)}
        columns = np.asarray([row[item] for item in self.items], np.int64)
        weights = self._require() + self.order_weight * self._regression(columns)
        self._set(self.items, weights.astype(np.float32), self.popularity)

    def _regression(self, columns: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        older, newer = self._histories.older[:, columns], self._histories.newer[:, columns]
        people = older.shape[0]
        if not people:
            return np.zeros((len(columns), len(columns)), np.float32)
        before = np.asarray(older.sum(axis=0), np.float64).ravel()
        after = np.asarray(newer.sum(axis=0), np.float64).ravel()
        gram = np.asarray((older.T @ older).todense(), np.float64) - np.outer(before, before) / people
        cross = np.asarray((older.T @ newer).todense(), np.float64) - np.outer(before, after) / people
        gram[np.diag_indices_from(gram)] += self.order_l2
        found = sl.solve(gram, cross, assume_a="pos", overwrite_a=True, overwrite_b=True, check_finite=False)
        weights = np.asarray(found, np.float32)
        np.fill_diagonal(weights, 0.0)
        return weights
