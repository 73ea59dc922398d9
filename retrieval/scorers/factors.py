"""Factor models: truncated SVD (scipy), and iALS and BPR fitted by `implicit`. The only module that imports it.

The scores of a history are always folded in from the item factors, so that a person who was not there at the fit, or who
has just liked something, gets the same treatment as everybody else.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import scipy.linalg as sl
import scipy.sparse as sp
from scipy.optimize import minimize
from scipy.sparse.linalg import svds
from scipy.special import expit

from vouchrec.retrieval.scorers.base import Columns, ColumnScorer, Scores, Weights, expect
from vouchrec.retrieval.scorers.files import Json, Tensors
from vouchrec.retrieval.scorers.sparse import sizes

__all__ = ["Bpr", "Ials", "Svd", "implicit_installed"]

Factors = npt.NDArray[np.float32]
"""(n_columns, d) float32."""


class Svd(ColumnScorer):
    """PureSVD: a score is the history projected on the leading right singular vectors, h V V'.

    Linear in the history, so contributions are exact. Source: Cremonesi, Koren & Turrin, "Performance of recommender
    algorithms on top-N recommendation tasks", RecSys 2010; the scaling of columns by their norms is EigenRec's
    (Nikolakopoulos et al., "EigenRec: generalizing PureSVD for effective and efficient top-N recommendations", KAIS 2019).

    Args:
        factors: Singular vectors kept; fewer where the matrix is smaller.
        scaling: Columns are divided by their norm to the power 1 - scaling: 1 is PureSVD, less favours rare items.
        seed: Seed of the starting vector.
    """

    kind: ClassVar[str] = "svd"

    def __init__(self, factors: int = 64, scaling: float = 1.0, seed: int = 0) -> None:
        super().__init__()
        self.factors, self.scaling, self.seed = factors, scaling, seed
        self._vectors: Factors = np.zeros((0, 0), np.float32)

    def settings(self) -> dict[str, Json]:
        """Return the arguments."""
        return {"factors": self.factors, "scaling": self.scaling, "seed": self.seed}

    def _learn(self, x: sp.csr_matrix, sequences: Sequence[Columns]) -> None:
        del sequences
        size = min(self.factors, min(sizes(x)) - 1)
        if size < 1:
            self._vectors = np.zeros((sizes(x)[1], 1), np.float32)
            return
        norms = np.sqrt(np.asarray(x.multiply(x).sum(axis=0), np.float64)).ravel()
        scaled = sp.csr_matrix(x @ sp.diags_array(norms ** (self.scaling - 1.0)), dtype=np.float64)
        start = np.random.default_rng(self.seed).standard_normal(min(sizes(x)))
        _, _, right = svds(scaled, k=size, v0=start)
        self._vectors = np.ascontiguousarray(np.asarray(right).T, np.float32)

    def _score(self, columns: Columns, weights: Weights) -> Scores:
        return np.asarray(self._vectors @ (weights @ self._vectors[columns]), np.float32)

    def _parts(self, columns: Columns, weights: Weights, target: int) -> Weights:
        return weights * (self._vectors[columns] @ self._vectors[target])

    def _tensors(self) -> Tensors:
        return {"vectors": self._vectors}

    def _restore(self, tensors: Tensors) -> None:
        self._vectors = _matrix(tensors["vectors"], len(self.items))


class Ials(ColumnScorer):
    """Implicit alternating least squares; the person is recalculated from the history for every score.

    With c = 1 + alpha w, the person is (Y'Y + l2 I + sum (c - 1) y y')^-1 sum c y, and so the part of item i in the score
    of j is c_i y_i' (...)^-1 y_j: these sum to the score. Source: Hu, Koren & Volinsky, "Collaborative filtering for
    implicit feedback datasets", ICDM 2008 (the explanations are its section 5).

    Memory 4 d bytes per item and per person while fitting; time per iteration grows with interactions times d^2.

    Args:
        factors: Length d of a vector.
        l2: Regularisation of the factors.
        alpha: How much more an interaction of weight 1 counts than none.
        iterations: Alternations.
        seed: Seed of the first factors.
    """

    kind: ClassVar[str] = "ials"

    def __init__(
        self, factors: int = 64, l2: float = 30.0, alpha: float = 10.0, iterations: int = 15, seed: int = 0
    ) -> None:
        super().__init__()
        self.factors, self.l2, self.alpha, self.iterations, self.seed = factors, l2, alpha, iterations, seed
        self._vectors: Factors = np.zeros((0, 0), np.float32)
        self._gram: npt.NDArray[np.float64] = np.zeros((0, 0))

    def settings(self) -> dict[str, Json]:
        """Return the arguments."""
        return {
            "factors": self.factors,
            "l2": self.l2,
            "alpha": self.alpha,
            "iterations": self.iterations,
            "seed": self.seed,
        }

    def _learn(self, x: sp.csr_matrix, sequences: Sequence[Columns]) -> None:
        del sequences
        confidence = x.copy()
        confidence.data = (1.0 + self.alpha * confidence.data).astype(np.float32)
        vectors = np.zeros((sizes(x)[1], self.factors), np.float32)
        if x.nnz:
            with _implicit() as library:
                model = library.als(
                    factors=self.factors, regularization=self.l2, iterations=self.iterations, random_state=self.seed
                )
                model.fit(confidence, show_progress=False)
                vectors = np.array(model.item_factors, np.float32)
        self._set(vectors)

    def _set(self, vectors: Factors) -> None:
        wide = vectors.astype(np.float64)
        self._vectors, self._gram = vectors, wide.T @ wide + self.l2 * np.eye(vectors.shape[1])

    def _system(self, columns: Columns, weights: Weights) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the person's matrix, (d, d) float64, and the confidences of the history."""
        own = self._vectors[columns].astype(np.float64)
        more = self.alpha * weights.astype(np.float64)
        return self._gram + (own * more[:, None]).T @ own, 1.0 + more

    def _score(self, columns: Columns, weights: Weights) -> Scores:
        matrix, confidence = self._system(columns, weights)
        person = sl.solve(matrix, confidence @ self._vectors[columns].astype(np.float64), assume_a="pos")
        return self._vectors @ np.asarray(person, np.float32)

    def _parts(self, columns: Columns, weights: Weights, target: int) -> Weights:
        matrix, confidence = self._system(columns, weights)
        towards = sl.solve(matrix, self._vectors[target].astype(np.float64), assume_a="pos")
        return (confidence * (self._vectors[columns].astype(np.float64) @ towards)).astype(np.float32)

    def _tensors(self) -> Tensors:
        return {"vectors": self._vectors}

    def _restore(self, tensors: Tensors) -> None:
        self._set(_matrix(tensors["vectors"], len(self.items)))


class Bpr(ColumnScorer):
    """Bayesian personalised ranking: item factors by `implicit`, the person by the same loss with the items held fixed.

    The fold-in minimises, over the history's items i and a fixed sample of other items j, the mean of
    w_i log(1 + exp(-(score_i - score_j))) plus the regularisation: convex, with one minimum. It isn't linear in the
    history, so contributions are what the score loses without an item. Scores have their mean subtracted. Source: Rendle
    et al., "BPR: Bayesian personalized ranking from implicit feedback", UAI 2009.

    Args:
        factors: Length of a vector.
        learning_rate, l2, iterations: Of the stochastic gradient descent.
        seed: Seed of the descent and of the fold-in's sample; one thread, so that a seed gives one result.
    """

    kind: ClassVar[str] = "bpr"
    exact: ClassVar[bool] = False
    _SAMPLE = 300

    def __init__(
        self, factors: int = 64, learning_rate: float = 0.05, l2: float = 0.005, iterations: int = 60, seed: int = 0
    ) -> None:
        super().__init__()
        self.factors, self.learning_rate, self.l2 = factors, learning_rate, l2
        self.iterations, self.seed = iterations, seed
        self._vectors: Factors = np.zeros((0, 0), np.float32)
        self._bias: Scores = np.zeros(0, np.float32)

    def settings(self) -> dict[str, Json]:
        """Return the arguments."""
        return {
            "factors": self.factors,
            "learning_rate": self.learning_rate,
            "l2": self.l2,
            "iterations": self.iterations,
            "seed": self.seed,
        }

    def _learn(self, x: sp.csr_matrix, sequences: Sequence[Columns]) -> None:
        del sequences
        found = np.zeros((sizes(x)[1], self.factors + 1), np.float32)
        if x.nnz:
            with _implicit() as library:
                model = library.bpr(
                    factors=self.factors,
                    learning_rate=self.learning_rate,
                    regularization=self.l2,
                    iterations=self.iterations,
                    num_threads=1,
                    random_state=self.seed,
                )
                model.fit(x, show_progress=False)
                found = np.array(model.item_factors, np.float32)
        self._vectors, self._bias = np.ascontiguousarray(found[:, :-1]), np.ascontiguousarray(found[:, -1])

    def _score(self, columns: Columns, weights: Weights) -> Scores:
        scores = self._vectors @ self._person(columns, weights) + self._bias
        return (scores - scores.mean()).astype(np.float32)

    def _person(self, columns: Columns, weights: Weights) -> Weights:
        others = np.setdiff1d(np.arange(len(self.items)), columns)
        rng = np.random.default_rng(self.seed)
        sample = np.sort(rng.permutation(others)[: self._SAMPLE])
        vectors, bias = self._vectors.astype(np.float64), self._bias.astype(np.float64)
        mine, theirs = vectors[columns], vectors[sample]
        w = weights.astype(np.float64) / max(1, len(sample))
        strength = self.l2 * float(weights.sum())

        def loss(person: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
            margins = (mine @ person + bias[columns])[:, None] - (theirs @ person + bias[sample])[None, :]
            pull = w[:, None] * expit(-margins)
            value = float((w[:, None] * np.logaddexp(0.0, -margins)).sum()) + strength / 2 * float(person @ person)
            return value, strength * person - pull.sum(axis=1) @ mine + pull.sum(axis=0) @ theirs

        found = minimize(loss, np.zeros(self.factors), jac=True, method="L-BFGS-B", options={"maxiter": 50})
        return np.asarray(found.x, np.float32)

    def _tensors(self) -> Tensors:
        return {"vectors": self._vectors, "bias": self._bias}

    def _restore(self, tensors: Tensors) -> None:
        self._vectors = _matrix(tensors["vectors"], len(self.items))
        self._bias = tensors["bias"].astype(np.float32)
        expect(self._vectors.shape[1] == self.factors, "the factors are of another length")
        expect(self._bias.shape == (len(self.items),), "the biases are of other items")


def implicit_installed() -> bool:
    """Return whether the library that fits iALS and BPR is there."""
    return find_spec("implicit") is not None


@dataclass(frozen=True, slots=True)
class _Library:
    """The two classes of the library, which has no types of its own."""

    als: Any
    bpr: Any


@contextmanager
def _implicit() -> Iterator[_Library]:
    """Give the library, with BLAS held to one thread: its own threads do the work, and it warns otherwise."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        logging.getLogger("implicit").setLevel(logging.WARNING)
        yield _Library(
            import_module("implicit.cpu.als").AlternatingLeastSquares,
            import_module("implicit.cpu.bpr").BayesianPersonalizedRanking,
        )


def _matrix(found: npt.NDArray[np.generic], n_items: int) -> Factors:
    vectors = found.astype(np.float32)
    expect(vectors.ndim == 2 and len(vectors) == n_items, f"vectors of shape {vectors.shape} for {n_items} items")
    return vectors
