"""What the ranking suite measures: scorers alone, and the product with and without a scorer, behind one protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from vouchrec.evals.baselines import ItemKnn, Popularity
from vouchrec.evals.protocols import Split
from vouchrec.retrieval.collaborative import CollaborativeScorer, Ease
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.interactions import InteractionMatrix, to_matrix
from vouchrec.retrieval.pipeline import MOST, rank, recommend
from vouchrec.retrieval.ranking import Case, HistoryScorer
from vouchrec.retrieval.scorers.registry import default_l2
from vouchrec.retrieval.types import ItemId, Profile, Query
from vouchrec.retrieval.workspace import Workspace

__all__ = ["METHODS", "Answer", "Fitted", "Random", "Ranker", "make_ranker", "timed"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a method says to one case.

    Attributes:
        ranked: Items, best first, none of the history.
        scores: (n_items,) float32 by catalogue row, -inf for the history; None where a method scores candidates only.
    """

    ranked: tuple[ItemId, ...]
    scores: npt.NDArray[np.float32] | None = None


class Ranker(Protocol):
    """A method that learns from a split and answers its cases."""

    def fit(self, split: Split) -> None:
        """Learn from the split's training part alone."""
        ...

    def answer(self, case: Case) -> Answer:
        """Rank the catalogue for a case."""
        ...


class Random:
    """A random order for each person, the same in every run: what chance alone finds.

    Args:
        seed: Seed of the order.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self.items: tuple[ItemId, ...] = ()

    def fit(self, interactions: InteractionMatrix) -> None:
        """Learn the columns."""
        self.items = tuple(interactions.items)

    def score(self, history: Mapping[ItemId, float]) -> npt.NDArray[np.float32]:
        """Return (n_columns,) float32 scores in (0, 1], drawn by the seed and the history."""
        rng = np.random.default_rng([self._seed, *"|".join(history).encode()])
        return 1 - rng.random(len(self.items), dtype=np.float32)


class ScorerRanker:
    """A scorer alone: every item of the catalogue by its score, items that it does not know by a score of 0.

    Args:
        scorer: Gives a scorer fitted on a split.
        items: The catalogue.
        longest: Length of the lists.
    """

    def __init__(self, scorer: Callable[[Split], HistoryScorer], items: Sequence[ItemId], longest: int) -> None:
        self._make, self._items, self._longest = scorer, tuple(items), longest
        self._scorer: HistoryScorer | None = None
        self._rows = np.zeros(0, np.int64)
        self._row = {item: row for row, item in enumerate(items)}

    def fit(self, split: Split) -> None:
        """Fit the scorer on the training part."""
        self._scorer = self._make(split)
        self._rows = np.asarray([self._row[item] for item in self._scorer.items], np.int64)

    def answer(self, case: Case) -> Answer:
        """Rank by score; equal scores keep the order of the catalogue."""
        if self._scorer is None:
            raise AssertionError("fit comes first")
        scores = np.zeros(len(self._items), np.float32)
        scores[self._rows] = self._scorer.score(case.history)
        scores[[self._row[item] for item in case.history if item in self._row]] = -np.inf
        best = np.argsort(-scores, kind="stable")[: self._longest]
        return Answer(tuple(self._items[i] for i in best if scores[i] > -np.inf), scores)


class ProductRanker:
    """The product: `recommend` of a workspace for a history without a wish, its scorer fitted on the split.

    Args:
        workspace: Gives the workspace for a split: its catalogue, vectors and weights, with a scorer that knows the
            training part alone.
        diversified: Lists as recommended; otherwise by score, before diversity.
        longest: Length of the lists; a recommended list has at most 50.
    """

    def __init__(self, workspace: Callable[[Split], Workspace], *, diversified: bool, longest: int) -> None:
        self._open, self._diversified, self._longest = workspace, diversified, longest
        self._fitted: Workspace | None = None

    def fit(self, split: Split) -> None:
        """Fit the scorer and open the workspace with it."""
        self._fitted = self._open(split)

    def answer(self, case: Case) -> Answer:
        """Rank what the product would show."""
        if self._fitted is None:
            raise AssertionError("fit comes first")
        profile = Profile(history=dict(case.history))
        if self._diversified:
            found = recommend(self._fitted, Query(n=min(self._longest, MOST)), profile)
            return Answer(tuple(r.item.id for r in found))
        return Answer(tuple(rank(self._fitted, Query(n=1), profile)[: self._longest]))


METHODS: Mapping[str, str] = {
    "random": "a random order",
    "popularity": "the same for everyone: what most people like",
    "item-knn": "items that the same people like, by cosine, 50 neighbours",
    "ease": "EASE, the collaborative scorer, alone",
    "content": "the product without a scorer: likeness in content",
    "by-score": "the product's order before diversity",
    "vouch": "the product: recommend()",
}
"""What each method is, by name; the last is what people get."""


class Fitted:
    """What is fitted on one split, each once however many methods use it.

    Args:
        workspace: Whose catalogue is ranked; its own scorer and its store of ratings are never used.
        seed: For what is random.
    """

    def __init__(self, workspace: Workspace, seed: int) -> None:
        self.workspace, self._seed = workspace, seed
        self._items = tuple(item.id for item in workspace.catalogue.items)
        self._split: Split | None = None
        self._scorers: dict[str, HistoryScorer] = {}
        self._products: dict[bool, Workspace] = {}

    @property
    def items(self) -> tuple[ItemId, ...]:
        """The catalogue."""
        return self._items

    def alone(self, name: str, split: Split) -> HistoryScorer:
        """Return a scorer by name, fitted on a split."""
        self._turn_to(split)
        if name not in self._scorers:
            matrix = to_matrix(split.train, self._items, explicit=False)
            scorer = self._make(name, matrix)
            scorer.fit(matrix)
            self._scorers[name] = scorer
        return self._scorers[name]

    def product(self, split: Split, *, collaborative: bool) -> Workspace:
        """Return the workspace with a scorer that knows a split's training part alone, or without one."""
        self._turn_to(split)
        if collaborative not in self._products:
            own = self.workspace
            scorer = cast("CollaborativeScorer", self.alone("ease", split)) if collaborative else None
            product = Workspace(own.folder, own.store, own.domain, own.embedder, scorer=scorer, tuned=own.tuned)
            self._products[collaborative] = product
        return self._products[collaborative]

    def _make(self, name: str, matrix: InteractionMatrix) -> HistoryScorer:
        if name == "random":
            return Random(self._seed)
        l2 = self.workspace.tuned.l2
        return Ease(l2) if name == "ease" and l2 is not None else _ALONE[name](matrix)

    def _turn_to(self, split: Split) -> None:
        """Forget what was fitted on another split: it may know what this one asks for."""
        if split is not self._split:
            self._split = split
            self._scorers.clear()
            self._products.clear()


def make_ranker(name: str, fitted: Fitted, *, k: int, longest: int) -> Ranker:
    """Return a method by name.

    Args:
        fitted: Where fitted scorers are kept.
        k: Length of the lists that the product shows.
        longest: Length of the lists of methods that rank everything.

    Raises:
        ConfigError: There is no such method.
    """
    if name == "random" or name in _ALONE:
        return ScorerRanker(lambda split: fitted.alone(name, split), fitted.items, longest)
    if name == "content":
        return ProductRanker(lambda split: fitted.product(split, collaborative=False), diversified=True, longest=k)
    if name in ("by-score", "vouch"):
        length = k if name == "vouch" else longest
        return ProductRanker(
            lambda split: fitted.product(split, collaborative=True), diversified=name == "vouch", longest=length
        )
    raise ConfigError(f"There is no method '{name}'.", hint=f"Methods: {', '.join(METHODS)}.")


def _ease(matrix: InteractionMatrix) -> Ease:
    """EASE with the strength that `vouch init` would choose for as much data."""
    touched = int((matrix.matrix.getnnz(axis=0) > 0).sum())
    return Ease(default_l2(matrix.matrix.nnz, touched))


_ALONE: Mapping[str, Callable[[InteractionMatrix], HistoryScorer]] = {
    "popularity": lambda _: Popularity(),
    "item-knn": lambda _: ItemKnn(),
    "ease": _ease,
}
"""Makers of unfitted scorers for a training matrix: their settings may depend on the size of the data."""


def timed(ranker: Ranker, case: Case) -> tuple[Answer, float]:
    """Return an answer with the milliseconds that it took."""
    began = time.perf_counter()
    answer = ranker.answer(case)
    return answer, (time.perf_counter() - began) * 1000
