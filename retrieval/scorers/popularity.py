"""Popularity: every item by how many people liked it, whoever asks. The baseline that any other scorer has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from vouchrec.retrieval.scorers.base import Columns, ColumnScorer, Scores, Weights
from vouchrec.retrieval.scorers.files import Json, Tensors

__all__ = ["PopularityScorer"]


class PopularityScorer(ColumnScorer):
    """Number of users by item, divided by the largest, for any history.

    No part of a score comes from the history, so it has no contributions and claims none to be exact.
    """

    kind: ClassVar[str] = "popularity"
    exact: ClassVar[bool] = False

    def settings(self) -> dict[str, Json]:
        """Return no arguments."""
        return {}

    def _learn(self, x: sp.csr_matrix, sequences: Sequence[Columns]) -> None:
        del x, sequences

    def _score(self, columns: Columns, weights: Weights) -> Scores:
        del columns, weights
        return self._cold()

    def _cold(self) -> Scores:
        return self._popularity / np.float32(max(1.0, float(self._popularity.max(initial=0.0))))

    def _parts(self, columns: Columns, weights: Weights, target: int) -> Weights:
        del weights, target
        return np.zeros(len(columns), np.float32)

    def _tensors(self) -> Tensors:
        return {}

    def _restore(self, tensors: Tensors) -> None:
        del tensors
