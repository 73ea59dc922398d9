"""The methods that anything has to beat: popularity, and item-based nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.types import ItemId

__all__ = ["ItemKnn", "Popularity"]


class Popularity:
    """Scores every item by how many people liked it, whoever asks: the baseline that a scorer has to beat."""

    def __init__(self) -> None:
        self._items: tuple[ItemId, ...] = ()
        self._counts: npt.NDArray[np.float32] = np.zeros(0, np.float32)

    @property
    def items(self) -> tuple[ItemId, ...]:
        """Item ids of the columns."""
        return self._items

    def fit(self, interactions: InteractionMatrix) -> None:
        """Count people, each with the weight of the row."""
        self._items = tuple(interactions.items)
        self._counts = np.asarray(interactions.matrix.power(2).sum(axis=0), np.float32).ravel()

    def score(self, history: Mapping[ItemId, float]) -> npt.NDArray[np.float32]:  # noqa: ARG002 - the protocol's form
        """Return (n_columns,) float32 counts."""
        return self._counts


class ItemKnn:
    """Item-based nearest neighbours by cosine: a score is the sum of the history's likenesses to the item.

    Source: Deshpande & Karypis, "Item-based top-N recommendation algorithms", TOIS 2004.

    Args:
        neighbours: Likenesses kept per item, the largest.
    """

    def __init__(self, neighbours: int = 50) -> None:
        self.neighbours = neighbours
        self._items: tuple[ItemId, ...] = ()
        self._column: dict[ItemId, int] = {}
        self._likeness: npt.NDArray[np.float32] = np.zeros((0, 0), np.float32)

    @property
    def items(self) -> tuple[ItemId, ...]:
        """Item ids of the columns."""
        return self._items

    def fit(self, interactions: InteractionMatrix) -> None:
        """Compute the cosines; memory 4 n^2 bytes."""
        gram = np.asarray((interactions.matrix.T @ interactions.matrix).todense(), np.float32)
        norms = np.sqrt(np.maximum(np.diag(gram), 1e-9))
        likeness = (gram / np.outer(norms, norms)).astype(np.float32)
        np.fill_diagonal(likeness, 0.0)
        if self.neighbours < len(likeness):
            least = -np.partition(-likeness, self.neighbours - 1, axis=0)[self.neighbours - 1]
            likeness[likeness < least] = 0.0
        self._items, self._likeness = tuple(interactions.items), likeness
        self._column = {item: index for index, item in enumerate(self._items)}

    def score(self, history: Mapping[ItemId, float]) -> npt.NDArray[np.float32]:
        """Return (n_columns,) float32 scores."""
        known = [(self._column[item], weight) for item, weight in history.items() if item in self._column]
        weights = np.asarray([weight for _, weight in known], np.float32)
        return weights @ self._likeness[[column for column, _ in known]]
