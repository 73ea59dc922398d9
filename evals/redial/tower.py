"""Two small towers: one reads a context (films, words, a sentence vector), one holds the films; their product is the score.

A film is a free vector plus the sum of its features' vectors, so that films seldom or never named borrow from films with the same
people, genres and words. Trained by softmax over all films, with what was mentioned left out.

Source: Covington, Adams & Sargin, "Deep Neural Networks for YouTube Recommendations", RecSys 2016 (the softmax tower);
Kula, "Metadata Embeddings for User and Item Cold-start Recommendations", CBRecSys 2015 (films as sums of features).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from vouchrec.evals.redial.data import mentions
from vouchrec.evals.redial.features import (
    Catalogue,
    Floats,
    Matrix,
    Vocabulary,
    bare,
    mention_matrix,
    target_matrix,
)
from vouchrec.evals.redial.protocol import Case

__all__ = ["Tower", "TowerSettings"]


@dataclass(frozen=True, slots=True)
class TowerSettings:
    """How a tower is built and trained.

    Attributes:
        width: Length of the vectors.
        epochs: Passes over the training cases.
        rate: Highest learning rate of Adam; rises for a tenth of the steps, then falls to 0.
        dropout: Part of films, words and vector entries that are dropped in training.
        decay: Weight decay of all vectors.
        batch: Cases per step.
        least: Contexts that a word must occur in.
        turns: Last turns whose words are read.
        films: Last mentioned films that are read.
        seed: Of start and order.
    """

    width: int = 64
    epochs: int = 4
    rate: float = 5e-3
    dropout: float = 0.4
    decay: float = 1e-2
    batch: int = 512
    least: int = 5
    turns: int = 6
    films: int = 20
    seed: int = 0


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What a tower reads of some cases: films (n, films) padded by -1, whether the seeker named them, words, vectors."""

    films: torch.Tensor
    by_seeker: torch.Tensor
    words: Matrix
    vectors: torch.Tensor


class Tower:
    """A trained pair of towers.

    Args:
        catalogue: Films.
        features: (n films, n features).
        item_vectors: (n films, m) float32, sentence vectors of the films' texts.
        settings: How to train.
    """

    def __init__(
        self, catalogue: Catalogue, features: Matrix, item_vectors: Floats, settings: TowerSettings | None = None
    ) -> None:
        self._catalogue, self._features, self._item_vectors = catalogue, features, item_vectors
        self._settings = settings or TowerSettings()
        self._vocabulary: Vocabulary | None = None
        self._net: _Net | None = None

    def fit(self, cases: Sequence[Case], vectors: Floats, *, progress: bool = False) -> None:
        """Train on cases with their contexts' sentence vectors, (n cases, m) float32."""
        own = self._settings
        torch.manual_seed(own.seed)
        self._vocabulary = Vocabulary((bare(case.context[-own.turns :]) for case in cases), own.least)
        inputs = self._inputs(cases, vectors)
        wanted, banned = target_matrix(cases, self._catalogue), mention_matrix(cases, self._catalogue)
        popularity = np.asarray(wanted.sum(axis=0)).ravel()
        net = _Net(len(self._vocabulary), vectors.shape[1], self._features, self._item_vectors, popularity, own)
        self._net = net
        optimiser = torch.optim.AdamW(
            [{"params": net.vectors(), "weight_decay": own.decay}, {"params": [net.bias], "weight_decay": 0.0}],
            lr=own.rate,
        )
        rng = np.random.default_rng(own.seed)
        per_epoch = -(-len(cases) // own.batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, own.rate, total_steps=own.epochs * per_epoch, pct_start=0.1
        )
        bar = tqdm(total=own.epochs * per_epoch, desc="training the tower", unit="step", disable=not progress)
        net.train()
        for _ in range(own.epochs):
            for rows in np.array_split(rng.permutation(len(cases)), per_epoch):
                logits = net(_take(inputs, rows)).masked_fill(_dense(banned, rows) > 0, -1e4)
                wishes = _dense(wanted, rows)
                loss = -(functional.log_softmax(logits, dim=1) * wishes).sum() / wishes.sum().clamp(min=1)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                bar.update()
        bar.close()

    @torch.no_grad()
    def score(self, cases: Sequence[Case], vectors: Floats) -> Floats:
        """Return (n cases, n films) float32 logits."""
        if self._net is None:
            raise RuntimeError("the tower is not trained")
        self._net.eval()
        inputs = self._inputs(cases, vectors)
        out = np.empty((len(cases), len(self._catalogue)), np.float32)
        for start in range(0, len(cases), 512):
            rows = np.arange(start, min(start + 512, len(cases)))
            out[rows] = self._net(_take(inputs, rows)).numpy()
        return out

    def _inputs(self, cases: Sequence[Case], vectors: Floats) -> _Inputs:
        assert self._vocabulary is not None  # noqa: S101 - set by fit before anything else
        own = self._settings
        films = np.full((len(cases), own.films), -1, np.int64)
        by_seeker = np.zeros((len(cases), own.films), np.int64)
        for row, case in enumerate(cases):
            said = {film for turn in case.context if turn.seeker for film in mentions(turn.text)}
            for place, film in enumerate(reversed(case.mentioned[-own.films :])):
                films[row, place] = self._catalogue.column[film]
                by_seeker[row, place] = int(film in said)
        bags = self._vocabulary.matrix([bare(case.context[-own.turns :]) for case in cases])
        return _Inputs(torch.from_numpy(films), torch.from_numpy(by_seeker), bags, torch.from_numpy(vectors))


class _Net(nn.Module):
    def __init__(
        self,
        n_words: int,
        n_vector: int,
        features: Matrix,
        item_vectors: Floats,
        popularity: Floats,
        settings: TowerSettings,
    ) -> None:
        super().__init__()
        n_films, width = len(popularity), settings.width
        n_features = int(features.indices.max(initial=-1)) + 1
        self.dropout = settings.dropout
        self.bias = nn.Parameter(0.8 * torch.log1p(torch.from_numpy(popularity.astype(np.float32))))
        self.free = _table(n_films, width)
        self.features = _table(n_features, width)
        self.words = _table(n_words, width)
        self.to_context = nn.Linear(width, width, bias=False)
        self.item_text = nn.Linear(item_vectors.shape[1], width, bias=False)
        self.context_text = nn.Linear(n_vector, width, bias=False)
        self.start = nn.Parameter(torch.zeros(width))
        self.age = nn.Parameter(torch.zeros(settings.films))
        self.speaker = nn.Parameter(torch.zeros(2))
        self.scales = nn.Parameter(torch.tensor([2.0, 3.0]))
        self._index, self._offsets, self._values = _bags(features)
        self._item_vectors = torch.from_numpy(item_vectors)

    def vectors(self) -> list[nn.Parameter]:
        return [parameter for parameter in self.parameters() if parameter is not self.bias]

    def films(self) -> torch.Tensor:
        summed = functional.embedding_bag(
            self._index, self.features, self._offsets, mode="sum", per_sample_weights=self._values
        )
        return self.free + summed + self.item_text(self._item_vectors)

    def forward(self, inputs: _Inputs) -> torch.Tensor:
        films = self.films()
        query = self.start + self.scales[0] * self._named(films, inputs) + self.scales[1] * self._said(inputs)
        query = query + self.context_text(functional.dropout(inputs.vectors, self.dropout, self.training))
        return functional.dropout(query, self.dropout, self.training) @ films.T + self.bias

    def _named(self, films: torch.Tensor, inputs: _Inputs) -> torch.Tensor:
        """Weighted mean of the named films' vectors; a half film of nothing keeps one film from counting as much as ten."""
        there = (inputs.films >= 0).float()
        if self.training:
            there = there * (torch.rand_like(there) > self.dropout)
        weights = torch.exp(self.age + self.speaker[inputs.by_seeker]) * there
        vectors = self.to_context(films)[inputs.films.clamp(min=0)]
        return (vectors * weights[..., None]).sum(1) / (weights.sum(1, keepdim=True) + 0.5)

    def _said(self, inputs: _Inputs) -> torch.Tensor:
        index, offsets, values = _bags(inputs.words)
        if self.training:
            values = values * (torch.rand_like(values) > self.dropout) / (1 - self.dropout)
        return functional.embedding_bag(index, self.words, offsets, mode="sum", per_sample_weights=values)


def _table(rows: int, width: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(max(rows, 1), width) * 0.05)


def _bags(matrix: Matrix) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return (
        torch.from_numpy(matrix.indices.astype(np.int64)),
        torch.from_numpy(matrix.indptr[:-1].astype(np.int64)),
        torch.from_numpy(matrix.data.astype(np.float32)),
    )


def _take(inputs: _Inputs, rows: np.ndarray) -> _Inputs:
    return _Inputs(inputs.films[rows], inputs.by_seeker[rows], inputs.words[rows], inputs.vectors[rows])


def _dense(matrix: Matrix, rows: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(matrix[rows].toarray(), np.float32))
