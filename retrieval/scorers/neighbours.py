"""Nearest neighbours of items and of users, sparse, with exact contributions.

Sources: Deshpande & Karypis, "Item-based top-N recommendation algorithms", TOIS 2004; Herlocker, Konstan & Riedl, "An
algorithmic framework for performing collaborative filtering", SIGIR 1999 (users, shrinkage).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from vouchrec.retrieval.scorers.base import Columns, ColumnScorer, Scores, Weights, expect
from vouchrec.retrieval.scorers.files import Json, Tensors
from vouchrec.retrieval.scorers.sparse import csr_tensors, sizes, sparse_row, tensors_csr, to_dense

__all__ = ["ItemKnn", "UserKnn"]

_BLOCK = 2_048
"""Rows of likenesses that are dense at a time."""


class ItemKnn(ColumnScorer):
    """A score is the sum of the history's likenesses to the item.

    likeness(i, j) = x_i . x_j / (|x_i| |x_j| + shrinkage), with x the column of an item. Memory 8 bytes times `neighbours`
    per item; time grows with the pairs of items in each history.

    Args:
        neighbours: Largest likenesses that are kept per item, at least 1.
        shrinkage: Added to the denominator, 0 or more: likenesses that rest on few people count less.
        tf_idf: Weigh a person's likes down by the logarithm of how many there are, so that people who like much say less.
    """

    kind: ClassVar[str] = "itemknn"

    def __init__(self, neighbours: int = 100, shrinkage: float = 0.0, tf_idf: bool = False) -> None:
        super().__init__()
        self.neighbours, self.shrinkage, self.tf_idf = neighbours, shrinkage, tf_idf
        self._likeness = sp.csr_matrix((0, 0), dtype=np.float32)

    def settings(self) -> dict[str, Json]:
        """Return the arguments."""
        return {"neighbours": self.neighbours, "shrinkage": self.shrinkage, "tf_idf": self.tf_idf}

    def _learn(self, x: sp.csr_matrix, sequences: Sequence[Columns]) -> None:
        del sequences
        weighted = sp.csr_matrix(sp.diags_array(_idf(x)) @ x, dtype=np.float32) if self.tf_idf else x
        self._likeness = top_cosines(weighted, self.neighbours, self.shrinkage)

    def _score(self, columns: Columns, weights: Weights) -> Scores:
        return to_dense(sparse_row(columns, weights, len(self.items)) @ self._likeness).ravel()

    def _parts(self, columns: Columns, weights: Weights, target: int) -> Weights:
        return weights * np.asarray(self._likeness[columns, [target] * len(columns)], np.float32).ravel()

    def _tensors(self) -> Tensors:
        return csr_tensors("likeness", self._likeness)

    def _restore(self, tensors: Tensors) -> None:
        self._likeness = tensors_csr("likeness", tensors, len(self.items))
        expect(sizes(self._likeness)[0] == len(self.items), "the likenesses are of other items")


class UserKnn(ColumnScorer):
    """A score is the sum over the most similar people of their likeness times their weight of the item.

    The likeness of a history h to a person u is h . x_u / (|h| |x_u| + shrinkage), a sum over the history's items, and so
    is the score: the part of item i is h_i times the sum over the chosen people of x_ui x_uj / (|h| |x_u| + shrinkage).
    All people are kept (sparse), so memory grows with the interactions.

    Args:
        neighbours: People whose likes count, at least 1.
        shrinkage: Added to the denominator, 0 or more.
        tf_idf: Weigh an item's likes down by the logarithm of how many there are, in the likeness only.
    """

    kind: ClassVar[str] = "userknn"

    def __init__(self, neighbours: int = 100, shrinkage: float = 0.0, tf_idf: bool = False) -> None:
        super().__init__()
        self.neighbours, self.shrinkage, self.tf_idf = neighbours, shrinkage, tf_idf
        self._people = sp.csr_matrix((0, 0), dtype=np.float32)
        self._derive()

    def settings(self) -> dict[str, Json]:
        """Return the arguments."""
        return {"neighbours": self.neighbours, "shrinkage": self.shrinkage, "tf_idf": self.tf_idf}

    def _learn(self, x: sp.csr_matrix, sequences: Sequence[Columns]) -> None:
        del sequences
        self._people = x
        self._derive()

    def _derive(self) -> None:
        """Compute what follows from the people: item weights squared, norms, and the matrix by item."""
        x = self._people
        idf = _idf(sp.csr_matrix(x.T)) if self.tf_idf else np.ones(sizes(x)[1], np.float32)
        self._squared = (idf * idf).astype(np.float32)
        weighted = sp.csr_matrix(x @ sp.diags_array(idf), dtype=np.float32)
        self._norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1), np.float32)).ravel()
        self._by_item = sp.csr_matrix(x.T)

    def _nearest(self, columns: Columns, weights: Weights) -> tuple[npt.NDArray[np.int64], Weights]:
        """Return the most similar people and the denominators of their likenesses."""
        weighed = weights * self._squared[columns]
        dots = to_dense(sparse_row(columns, weighed, len(self.items)) @ self._by_item).ravel()
        own = float(np.sqrt((weights * weighed).sum()))
        below = own * self._norms + np.float32(self.shrinkage)
        likeness = np.divide(dots, below, out=np.zeros_like(dots), where=below > 0)
        order = np.argsort(-likeness, kind="stable")[: self.neighbours]
        chosen = order[likeness[order] > 0]
        return chosen, below[chosen].astype(np.float32)

    def _score(self, columns: Columns, weights: Weights) -> Scores:
        chosen, below = self._nearest(columns, weights)
        near = self._people[chosen]
        likeness = np.asarray(near[:, columns] @ (weights * self._squared[columns]), np.float32) / below
        return np.asarray(near.T @ likeness, np.float32)

    def _parts(self, columns: Columns, weights: Weights, target: int) -> Weights:
        chosen, below = self._nearest(columns, weights)
        near = self._people[chosen]
        liked = to_dense(near[:, [target]]).ravel() / below
        return weights * self._squared[columns] * np.asarray(near[:, columns].T @ liked, np.float32)

    def _tensors(self) -> Tensors:
        return csr_tensors("people", self._people)

    def _restore(self, tensors: Tensors) -> None:
        self._people = tensors_csr("people", tensors, len(self.items))
        self._derive()


def top_cosines(x: sp.csr_matrix, neighbours: int, shrinkage: float) -> sp.csr_matrix:
    """Return an (n, n) sparse matrix that holds in column j the largest likenesses of other items to item j.

    Args:
        x: (n_users, n) float32.
        neighbours: Kept per column.
        shrinkage: Added to the product of the norms.
    """
    columns = sp.csc_matrix(x)
    rows = sp.csr_matrix(columns.T)
    norms = np.sqrt(np.asarray(columns.multiply(columns).sum(axis=0), np.float32)).ravel()
    n = len(norms)
    kept: list[sp.csr_matrix] = []
    for start in range(0, n, _BLOCK):
        stop = min(start + _BLOCK, n)
        dense = to_dense(rows[start:stop] @ columns)
        dense[np.arange(stop - start), np.arange(start, stop)] = 0.0
        below = norms[start:stop, None] * norms[None, :] + np.float32(shrinkage)
        np.divide(dense, below, out=dense, where=below > 0)
        kept.append(_largest(dense, neighbours))
    if not kept:
        return sp.csr_matrix((n, n), dtype=np.float32)
    # A row holds the neighbours of its item; a score adds up columns, so that the matrix is turned.
    return sp.csr_matrix(sp.vstack(kept).T, dtype=np.float32)


def _largest(dense: npt.NDArray[np.float32], n: int) -> sp.csr_matrix:
    """Return the n largest positive values of each row."""
    if n < dense.shape[1]:
        best = np.argpartition(-dense, n - 1, axis=1)[:, :n]
        found = np.take_along_axis(dense, best, axis=1)
        rows = np.repeat(np.arange(dense.shape[0]), n)
        result = sp.csr_matrix((found.ravel(), (rows, best.ravel())), shape=dense.shape, dtype=np.float32)
    else:
        result = sp.csr_matrix(dense)
    result.eliminate_zeros()
    return result


def _idf(x: sp.csr_matrix) -> npt.NDArray[np.float32]:
    """Return the weight of each row: log((1 + columns) / (1 + own entries)) + 1."""
    own = np.asarray(x.getnnz(axis=1), np.float32)
    return (np.log((1 + sizes(x)[1]) / (1 + own)) + 1).astype(np.float32)
