"""What all scorers but EASE share: columns, fold-in of a history, contributions by ablation, saving and loading.

A subclass learns from a matrix whose columns somebody touched and scores column numbers; ids, unknown items, empty
histories and files are handled here once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from vouchrec.retrieval.errors import NotFittedError
from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.scorers.files import Json, SavedScorer, Tensors, read_scorer, unreadable, write_scorer
from vouchrec.retrieval.types import ItemId

__all__ = ["ColumnScorer", "Columns", "Scores", "Weights"]

Columns: TypeAlias = npt.NDArray[np.int64]
"""(h,) int64: column numbers of a history, oldest first."""
Weights: TypeAlias = npt.NDArray[np.float32]
"""(h,) float32: weights of the same items."""
Scores: TypeAlias = npt.NDArray[np.float32]
"""(n_columns,) float32: higher is better."""


class ColumnScorer(ABC):
    """A scorer of numbered columns behind the protocol `vouchrec.retrieval.collaborative.CollaborativeScorer`.

    Attributes:
        kind: Name in the registry and in saved files.
        exact: True when contributions sum to the score by algebra.
        items: Item ids of the columns.
    """

    kind: ClassVar[str] = ""
    exact: ClassVar[bool] = True

    def __init__(self) -> None:
        self.items: tuple[ItemId, ...] = ()
        self._column: dict[ItemId, int] = {}
        self._popularity: Scores = np.zeros(0, np.float32)
        self._fitted = False

    # ---- what a subclass says -------------------------------------------------------------------------------------

    @abstractmethod
    def settings(self) -> dict[str, Json]:
        """Return the arguments that make an unfitted scorer of this kind with the same behaviour."""

    @abstractmethod
    def _learn(self, x: sp.csr_matrix, sequences: Sequence[Columns]) -> None:
        """Learn from (n_users, n_columns) float32 weights and each row's columns, oldest first."""

    @abstractmethod
    def _score(self, columns: Columns, weights: Weights) -> Scores:
        """Score all columns from a history of at least one known item."""

    @abstractmethod
    def _tensors(self) -> Tensors:
        """Return what was learnt."""

    @abstractmethod
    def _restore(self, tensors: Tensors) -> None:
        """Take up what was learnt; KeyError and ValueError mean a damaged file."""

    def _kept(self, touched: npt.NDArray[np.int64], interactions: InteractionMatrix) -> Columns:
        """Return which columns of the interactions are learnt; those that somebody touched."""
        del interactions
        return np.flatnonzero(touched > 0)

    def _cold(self) -> Scores:
        """Return the scores for a history in which nothing is known."""
        return np.zeros(len(self.items), np.float32)

    def _parts(self, columns: Columns, weights: Weights, target: int) -> Weights:
        """Return the part of the target's score that each history item brings: what the score loses without it."""
        whole = self._score(columns, weights)[target]
        parts = np.zeros(len(columns), np.float32)
        for k in range(len(columns)):
            rest = np.arange(len(columns)) != k
            without = self._score(columns[rest], weights[rest]) if rest.any() else self._cold()
            parts[k] = whole - without[target]
        return parts

    # ---- the protocol ---------------------------------------------------------------------------------------------

    @property
    def popularity(self) -> Scores:
        """(n_columns,) float32 number of users per item."""
        return self._popularity

    def fit(self, interactions: InteractionMatrix) -> None:
        """Learn from positive interactions; items that nobody touched have no column, unless the kind knows contents.

        Raises:
            ModelError: The method can't be fitted on these data.
        """
        touched = np.asarray(interactions.matrix.getnnz(axis=0), np.int64).ravel()
        kept = self._kept(touched, interactions)
        x = sp.csr_matrix(interactions.matrix[:, kept], dtype=np.float32)
        place = np.full(len(interactions.items), -1, np.int64)
        place[kept] = np.arange(len(kept))
        sequences = [own[own >= 0] for own in (place[row] for row in interactions.ordered())]
        self._take([interactions.items[int(i)] for i in kept], touched[kept].astype(np.float32))
        self._learn(x, sequences)
        self._fitted = True

    def score(self, history: Mapping[ItemId, float]) -> Scores:
        """Return (n_columns,) float32 scores; unknown ids and weights of 0 or less count nothing.

        Raises:
            NotFittedError: Before fit() or load().
        """
        self._require()
        columns, weights, _ = self._fold(history)
        return self._score(columns, weights) if len(columns) else self._cold()

    def contributions(self, history: Mapping[ItemId, float], item: ItemId) -> dict[ItemId, float]:
        """Return the part of `item`'s score that each known history item brings.

        Where `exact`, the parts sum to the score within 1e-5; elsewhere a part is what the score loses without that item.

        Raises:
            NotFittedError: Before fit() or load().
        """
        self._require()
        columns, weights, known = self._fold(history)
        target = self._column.get(item)
        if target is None or not known:
            return {}
        return {i: float(part) for i, part in zip(known, self._parts(columns, weights, target), strict=True)}

    def save(self, folder: Path) -> None:
        """Write safetensors and JSON.

        Raises:
            NotFittedError: Before fit() or load().
        """
        self._require()
        tensors: Tensors = {**self._tensors(), "popularity": self._popularity}
        write_scorer(folder, self.kind, SavedScorer(self.settings(), self.items, tensors))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelError: A file is absent, damaged or of another kind.
        """
        saved = read_scorer(folder, cls.kind)
        try:
            scorer = cls(**saved.settings)
            popularity = saved.tensors["popularity"].astype(np.float32)
            if popularity.shape != (len(saved.items),):
                raise ValueError(f"{len(saved.items)} items, popularity of {popularity.shape}")
            scorer._take(saved.items, popularity)
            scorer._restore(saved.tensors)
            scorer._fitted = True
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise unreadable(folder, error) from error
        return scorer

    def _take(self, items: Sequence[ItemId], popularity: Scores) -> None:
        self.items, self._popularity = tuple(items), popularity
        self._column = {item: i for i, item in enumerate(self.items)}

    def _fold(self, history: Mapping[ItemId, float]) -> tuple[Columns, Weights, list[ItemId]]:
        known = [item for item, weight in history.items() if item in self._column and weight > 0]
        columns = np.asarray([self._column[item] for item in known], np.int64)
        return columns, np.asarray([history[item] for item in known], np.float32), known

    def _require(self) -> None:
        if not self._fitted:
            raise NotFittedError(type(self).__name__)


def expect(condition: bool, problem: str) -> None:
    """Raise ValueError for tensors that don't fit together."""
    if not condition:
        raise ValueError(problem)
