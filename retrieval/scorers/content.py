"""Content only: likeness of item vectors. Knows items that nobody has touched, and needs no interactions at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import scipy.sparse as sp

from vouchrec.retrieval.errors import ModelError
from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.scorers.base import Columns, ColumnScorer, Scores, Weights, expect
from vouchrec.retrieval.scorers.files import Json, Tensors
from vouchrec.retrieval.types import Embeddings, ItemId

__all__ = ["ColdItems", "ContentScorer", "ItemContents"]


@dataclass(frozen=True, slots=True)
class ItemContents:
    """What items are about.

    Attributes:
        items: Item ids.
        vectors: (n_items, d) float32, rows of unit length, one per item.
    """

    items: tuple[ItemId, ...]
    vectors: Embeddings

    def of(self, items: Sequence[ItemId]) -> Embeddings:
        """Return (len(items), d) vectors; zeros for items that are not there."""
        row = {item: index for index, item in enumerate(self.items)}
        found = np.zeros((len(items), self.vectors.shape[1]), np.float32)
        known = [(place, row[item]) for place, item in enumerate(items) if item in row]
        if known:
            places, rows = zip(*known, strict=True)
            found[list(places)] = self.vectors[list(rows)]
        return found


@runtime_checkable
class ColdItems(Protocol):
    """A scorer that can score items that came after its fit, from their contents."""

    def extend(self, contents: ItemContents) -> None:
        """Add columns for items that have none yet; contents of the others stay as they were fitted."""
        ...


class ContentScorer(ColumnScorer):
    """A score is the sum of the history's cosines to the item, the mean of all items subtracted from every vector first.

    Without the subtraction every text is close to every other of its domain, and the sum says little. Linear in the
    history, so contributions are exact. Every item of the contents has a column, also one that nobody has touched.

    Args:
        contents: Vectors of all items; needed by `fit`, not by `load`.
    """

    kind: ClassVar[str] = "content"

    def __init__(self, contents: ItemContents | None = None) -> None:
        super().__init__()
        self._contents = contents
        self._vectors: Embeddings = np.zeros((0, 0), np.float32)
        self._mean: Embeddings = np.zeros(0, np.float32)

    def settings(self) -> dict[str, Json]:
        """Return no arguments: the vectors are saved."""
        return {}

    def _kept(self, touched: Columns, interactions: InteractionMatrix) -> Columns:
        del touched
        return np.arange(len(interactions.items))

    def _learn(self, x: sp.csr_matrix, sequences: Sequence[Columns]) -> None:
        del x, sequences
        if self._contents is None:
            raise ModelError("A content scorer needs item vectors.", hint="Give it the contents of the items.")
        vectors = self._contents.of(self.items)
        self._mean = vectors.mean(axis=0) if len(vectors) else np.zeros(vectors.shape[1], np.float32)
        self._vectors = _centred(vectors, self._mean)

    def extend(self, contents: ItemContents) -> None:
        """Add columns for items that have none yet: new items can be scored at once, without fitting again."""
        self._require()
        new = [item for item in contents.items if item not in self._column]
        self._vectors = np.concatenate([self._vectors, _centred(contents.of(new), self._mean)])
        counts = np.concatenate([self._popularity, np.zeros(len(new), np.float32)])
        self._take([*self.items, *new], counts)

    def _score(self, columns: Columns, weights: Weights) -> Scores:
        return np.asarray(self._vectors @ (weights @ self._vectors[columns]), np.float32)

    def _parts(self, columns: Columns, weights: Weights, target: int) -> Weights:
        return weights * (self._vectors[columns] @ self._vectors[target])

    def _tensors(self) -> Tensors:
        return {"vectors": self._vectors, "mean": self._mean}

    def _restore(self, tensors: Tensors) -> None:
        self._vectors, self._mean = tensors["vectors"].astype(np.float32), tensors["mean"].astype(np.float32)
        expect(self._vectors.shape == (len(self.items), len(self._mean)), "the vectors are of other items")


def _centred(vectors: Embeddings, mean: Embeddings) -> Embeddings:
    """Return unit vectors of what differs from the mean; zeros for absent contents (zero vectors)."""
    moved = np.where(vectors.any(axis=1, keepdims=True), vectors - mean, np.float32(0))
    norms = np.linalg.norm(moved, axis=1, keepdims=True)
    return (moved / np.where(norms > 1e-9, norms, 1.0)).astype(np.float32)
