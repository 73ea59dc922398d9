"""Scores by counting and by linear algebra: what is named together, and a ridge from a context to the film named next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from vouchrec.evals.redial.features import (
    Catalogue,
    Floats,
    Matrix,
    Vocabulary,
    bare,
    mention_matrix,
    target_matrix,
    unit_rows,
)
from vouchrec.evals.redial.protocol import Case

__all__ = ["CoMention", "ContextRidge", "RidgeSettings"]


class CoMention:
    """How often a film is named in a dialogue that names another one.

    P(j | i) = (dialogues with both + prior x share of j) / (pairs of i + prior). A context's score is the mean over its films.

    Args:
        dialogues: (n dialogues, n films) of 1.
        shares: (n films,) float32, each film's part of all mentions; positive.
        prior: Pseudo pairs.
    """

    def __init__(self, dialogues: Matrix, shares: Floats, prior: float = 20.0) -> None:
        pairs = np.asarray((dialogues.T @ dialogues).todense(), np.float32)
        np.fill_diagonal(pairs, 0.0)
        self._chance: Floats = ((pairs + prior * shares) / (pairs.sum(axis=1, keepdims=True) + prior)).astype(
            np.float32
        )
        self._shares = shares

    def score(self, mentioned: Matrix) -> Floats:
        """Return (n, n films) probabilities, for mentions with weights; the shares where nothing is mentioned."""
        totals = np.asarray(mentioned.sum(axis=1), np.float32).reshape(-1, 1)
        means = np.asarray(mentioned @ self._chance, np.float32) / np.maximum(totals, 1e-9)
        return np.where(totals > 0, means, self._shares).astype(np.float32)


@dataclass(frozen=True, slots=True)
class RidgeSettings:
    """What a context ridge reads and how much it is held back.

    Attributes:
        l2: Penalty.
        decay: Weight of an earlier mention relative to the next one.
        turns: Last turns whose words are read.
        least_words: Contexts that a word must occur in.
        least_films: Contexts that a film must occur in.
        words: Weight of words against films.
    """

    l2: float = 50.0
    decay: float = 1.0
    turns: int = 6
    least_words: int = 8
    least_films: int = 3
    words: float = 1.0


class ContextRidge:
    """Ridge regression from films and words of a context to what is named next, beyond each film's share.

    B = (X'X + l2 I)^-1 X'(Y - E) with E what the shares alone expect; time grows with the cube of the number of inputs.
    Source: Hoerl & Kennard, "Ridge Regression", Technometrics 1970; Steck, "Embarrassingly Shallow Autoencoders", WWW 2019.

    Args:
        catalogue: Films.
        settings: What to read.
    """

    def __init__(self, catalogue: Catalogue, settings: RidgeSettings | None = None) -> None:
        self._catalogue, self._settings = catalogue, settings or RidgeSettings()
        self._vocabulary: Vocabulary | None = None
        self._films = np.zeros(0, np.int64)
        self._weights = np.zeros((0, 0), np.float32)

    def fit(self, cases: Sequence[Case], shares: Floats) -> None:
        """Fit on cases; `shares` are (n films,) parts of all mentions."""
        own = self._settings
        self._vocabulary = Vocabulary((bare(case.context[-own.turns :]) for case in cases), own.least_words)
        counts = np.bincount(mention_matrix(cases, self._catalogue).indices, minlength=len(self._catalogue))
        self._films = np.flatnonzero(counts >= own.least_films)
        inputs, wanted = self._inputs(cases), target_matrix(cases, self._catalogue)
        gram = np.asarray((inputs.T @ inputs).todense(), np.float32)
        gram[np.diag_indices_from(gram)] += own.l2
        expected = np.asarray(inputs.sum(axis=0), np.float32).reshape(-1, 1) * shares * float(wanted.sum() / len(cases))
        right = np.asarray((inputs.T @ wanted).todense(), np.float32) - expected
        factor = scipy.linalg.cho_factor(gram, overwrite_a=True, check_finite=False)
        self._weights = scipy.linalg.cho_solve(factor, right, overwrite_b=True, check_finite=False).astype(np.float32)

    def score(self, cases: Sequence[Case]) -> Floats:
        """Return (n, n films): how much likelier than its share each film is, 0 for no difference."""
        return np.asarray(self._inputs(cases) @ self._weights, np.float32)

    def _inputs(self, cases: Sequence[Case]) -> Matrix:
        if self._vocabulary is None:
            raise RuntimeError("the ridge is not fitted")
        own = self._settings
        films = unit_rows(mention_matrix(cases, self._catalogue, decay=own.decay)[:, self._films])
        words = self._vocabulary.matrix([bare(case.context[-own.turns :]) for case in cases])
        return sp.csr_matrix(sp.hstack([films, own.words * words], format="csr"), dtype=np.float32)
