"""Two towers: an item's vector from its number and its text, a person's from the items of the history.

An item that nobody has touched has its text alone, and training hides the numbers of some items so that texts learn to
stand in for them. Sources: Covington, Adams & Sargin, "Deep neural networks for YouTube recommendations", RecSys 2016;
hiding of known parts for cold start: Volkovs, Yu & Poutanen, "DropoutNet", NeurIPS 2017; the person is trained to find the
hidden part of its own history, with a softmax over all items (Liang et al., WWW 2018, arXiv 1802.05814).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from vouchrec.retrieval.errors import ModelError
from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.scorers.base import Columns, Weights, expect
from vouchrec.retrieval.scorers.content import ItemContents
from vouchrec.retrieval.scorers.files import Json, Tensors
from vouchrec.retrieval.scorers.neural import NeuralScorer, centred, epochs, seeded, state_arrays, take_state
from vouchrec.retrieval.scorers.sparse import sizes, to_dense
from vouchrec.retrieval.types import Embeddings

__all__ = ["TwoTower"]


class _Towers(nn.Module):
    def __init__(self, n_items: int, dimension: int, width: int, dropout: float) -> None:
        super().__init__()
        self.numbers = nn.Embedding(n_items, width)
        nn.init.normal_(self.numbers.weight, std=0.02)
        self.text = nn.Sequential(nn.Linear(dimension, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.person = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.scale = nn.Parameter(torch.tensor([10.0]))

    def items(self, texts: Tensor, known: Tensor) -> Tensor:
        """Return (n_items, width) unit vectors; `known` is 1 where an item's number counts."""
        return nn.functional.normalize(self.text(texts) + known[:, None] * self.numbers.weight, dim=1)

    def people(self, histories: Tensor, items: Tensor) -> Tensor:
        """Return (n, width) unit vectors for (n, n_items) weights."""
        pooled = nn.functional.normalize(histories @ items, dim=1)
        return nn.functional.normalize(pooled + self.person(pooled), dim=1)


class TwoTower(NeuralScorer):
    """Two towers over item vectors; every item of the contents has a column.

    Args:
        contents: Vectors of all items; needed by `fit`, not by `load`.
        width: Length of a vector in the towers.
        dropout: Part of activations dropped in training.
        hidden: Part of item numbers hidden per step in training.
        epochs: Passes over the people.
        learning_rate, batch: Of Adam.
        seed: Of everything random.
    """

    kind: ClassVar[str] = "twotower"

    def __init__(
        self,
        contents: ItemContents | None = None,
        width: int = 64,
        dropout: float = 0.2,
        hidden: float = 0.3,
        epochs: int = 40,
        learning_rate: float = 2e-3,
        batch: int = 128,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self._contents = contents
        self.width, self.dropout, self.hidden, self.epochs = width, dropout, hidden, epochs
        self.learning_rate, self.batch, self.seed = learning_rate, batch, seed
        self._net: _Towers | None = None
        self._vectors: npt.NDArray[np.float32] = np.zeros((0, width), np.float32)

    def settings(self) -> dict[str, Json]:
        """Return the arguments but the contents."""
        names = ("width", "dropout", "hidden", "epochs", "learning_rate", "batch", "seed")
        return {name: getattr(self, name) for name in names}

    def _kept(self, touched: Columns, interactions: InteractionMatrix) -> Columns:
        del touched
        return np.arange(len(interactions.items))

    def _learn(self, x: sp.csr_matrix, sequences: Sequence[Columns]) -> None:
        del sequences
        if self._contents is None:
            raise ModelError("A two-tower scorer needs item vectors.", hint="Give it the contents of the items.")
        texts = torch.from_numpy(self._contents.of(self.items))
        known = torch.from_numpy((self._popularity > 0).astype(np.float32))
        with seeded(self.seed):
            net = _Towers(len(self.items), texts.shape[1], self.width, self.dropout)
            rows = sp.csr_matrix(x[np.flatnonzero(x.getnnz(axis=1) > 1)])
            if sizes(rows)[0]:
                self._train(net, rows, texts, known)
        self._net = net.eval()
        with torch.inference_mode():
            self._vectors = np.asarray(net.items(texts, known).numpy(), np.float32)

    def _train(self, net: _Towers, x: sp.csr_matrix, texts: Tensor, known: Tensor) -> None:
        adam = torch.optim.Adam(net.parameters(), lr=self.learning_rate)
        net.train()
        for _ in epochs(self.epochs, self.kind, quiet=sizes(x)[0] < 200):
            for chosen in torch.randperm(sizes(x)[0]).split(self.batch):
                liked = torch.from_numpy(to_dense(x[chosen.numpy()]))
                shown = (torch.rand_like(liked) < 0.5) & (liked > 0)
                wanted = (liked > 0) & ~shown
                items = net.items(texts, known * (torch.rand_like(known) >= self.hidden))
                logits = net.scale * net.people(liked * shown, items) @ items.T
                # What is shown is never asked for, so that it doesn't count as a wrong answer either.
                likely = logits.masked_fill(shown, -1e9).log_softmax(1)
                both = shown.any(1) & wanted.any(1)
                each = -(likely * wanted).sum(1) / wanted.sum(1).clamp(min=1)
                loss = (each * both).sum() / both.sum().clamp(min=1)
                adam.zero_grad()
                loss.backward()
                adam.step()

    def extend(self, contents: ItemContents) -> None:
        """Add columns for items that have none yet: their text alone places them."""
        self._require()
        assert self._net is not None  # noqa: S101 - fit and load make it
        new = [item for item in contents.items if item not in self._column]
        with torch.inference_mode():
            texts = torch.from_numpy(contents.of(new))
            added = nn.functional.normalize(self._net.text(texts), dim=1).numpy()
        self._vectors = np.concatenate([self._vectors, np.asarray(added, np.float32)])
        self._take([*self.items, *new], np.concatenate([self._popularity, np.zeros(len(new), np.float32)]))

    def _score_many(self, columns: Sequence[Columns], weights: Sequence[Weights]) -> npt.NDArray[np.float32]:
        assert self._net is not None  # noqa: S101 - fit and load make it
        pooled = np.stack([w @ self._vectors[c] for c, w in zip(columns, weights, strict=True)])
        with torch.inference_mode():
            unit = nn.functional.normalize(torch.from_numpy(pooled), dim=1)
            people = nn.functional.normalize(unit + self._net.person(unit), dim=1)
            scores = people @ torch.from_numpy(self._vectors).T
            # The mean is of the items of the fit: an item that comes later moves no other score.
            return centred(scores, self._net.numbers.num_embeddings)

    def _tensors(self) -> Tensors:
        assert self._net is not None  # noqa: S101 - fit and load make it
        return {**state_arrays(self._net), "vectors": self._vectors}

    def _restore(self, tensors: Tensors) -> None:
        vectors: Embeddings = tensors["vectors"].astype(np.float32)
        expect(vectors.shape == (len(self.items), self.width), "the vectors are of other items")
        numbers, dimension = len(tensors["net.numbers.weight"]), tensors["net.text.0.weight"].shape[1]
        self._net = _Towers(numbers, dimension, self.width, self.dropout)
        take_state(self._net, tensors)
        self._vectors = vectors
