"""LightGCN: vectors of people and items, smoothed over the graph of who liked what.

Source: He et al., "LightGCN: simplifying and powering graph convolution network for recommendation", SIGIR 2020 (arXiv
2002.02126), here with a softmax over sampled items in place of one negative (Wu et al., "On the effectiveness of sampled
softmax loss for item recommendation", TOIS 2024, arXiv 2201.02327).

A history is folded in as one more person of the graph whose own first vector is zero: the layers' sum of its items'
vectors, each divided by the roots of both degrees. That is linear in the items, so contributions are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch
from torch import Tensor, nn
from torch.nn import functional

from vouchrec.retrieval.scorers.base import Columns, ColumnScorer, Scores, Weights, expect
from vouchrec.retrieval.scorers.files import Json, Tensors
from vouchrec.retrieval.scorers.neural import epochs, seeded
from vouchrec.retrieval.scorers.sparse import sizes

__all__ = ["LightGcn"]


class LightGcn(ColumnScorer):
    """LightGCN with exact contributions for folded-in histories.

    Args:
        width: Length of a vector.
        layers: Smoothings over the graph, at least 1.
        l2: Weight of the first vectors' squared length in the loss.
        temperature: Divides scores in the softmax.
        negatives: Sampled items per step.
        epochs: Passes over the interactions.
        learning_rate, batch: Of Adam.
        seed: Of everything random.
    """

    kind: ClassVar[str] = "lightgcn"

    def __init__(
        self,
        width: int = 64,
        layers: int = 2,
        l2: float = 1e-4,
        temperature: float = 0.15,
        negatives: int = 512,
        epochs: int = 30,
        learning_rate: float = 5e-3,
        batch: int = 4096,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.width, self.layers, self.l2, self.temperature = width, layers, l2, temperature
        self.negatives, self.epochs, self.learning_rate = negatives, epochs, learning_rate
        self.batch, self.seed = batch, seed
        self._sources: npt.NDArray[np.float32] = np.zeros((0, width), np.float32)
        self._targets: npt.NDArray[np.float32] = np.zeros((0, width), np.float32)

    def settings(self) -> dict[str, Json]:
        """Return the arguments."""
        names = ("width", "layers", "l2", "temperature", "negatives", "epochs", "learning_rate", "batch", "seed")
        return {name: getattr(self, name) for name in names}

    def _learn(self, x: sp.csr_matrix, sequences: Sequence[Columns]) -> None:
        del sequences
        n_people, n_items = sizes(x)
        if not x.nnz:
            self._sources = self._targets = np.zeros((n_items, self.width), np.float32)
            return
        graph, degrees = _graph(x)
        with seeded(self.seed):
            first = nn.Parameter(0.1 * torch.randn(n_people + n_items, self.width))
            self._train(first, graph, x)
        with torch.no_grad():
            layers = self._smoothed(first, graph)
            # A person takes up what the layers before the last one hold of its items.
            taken = torch.stack([layer[n_people:] for layer in layers[:-1]]).sum(0) / (self.layers + 1)
            final = torch.stack(layers).mean(0)[n_people:]
        roots = np.sqrt(np.maximum(degrees, 1.0)).astype(np.float32)
        self._sources = np.asarray(taken.numpy(), np.float32) / roots[:, None]
        targets = np.asarray(final.numpy(), np.float32)
        # The mean over all items is subtracted, so that 0 is the score of the usual item.
        self._targets = (targets - targets.mean(axis=0)).astype(np.float32)

    def _smoothed(self, first: Tensor, graph: Tensor) -> list[Tensor]:
        layers = [first]
        for _ in range(self.layers):
            layers.append(torch.sparse.mm(graph, layers[-1]))
        return layers

    def _train(self, first: nn.Parameter, graph: Tensor, x: sp.csr_matrix) -> None:
        rows, columns = (torch.from_numpy(np.asarray(part, np.int64)) for part in x.nonzero())
        n_people, n_items = sizes(x)
        adam = torch.optim.Adam([first], lr=self.learning_rate)
        for _ in epochs(self.epochs, self.kind, quiet=n_people < 200):
            for chosen in torch.randperm(len(rows)).split(self.batch):
                final = torch.stack(self._smoothed(first, graph)).mean(0)
                people, liked = rows[chosen], columns[chosen]
                sampled = torch.randint(n_items, (self.negatives,))
                loss = self._loss(final[people], final[n_people + liked], final[n_people + sampled], liked, sampled)
                touched = torch.cat([first[people], first[n_people + liked]])
                loss = loss + self.l2 * touched.square().sum(1).mean()
                adam.zero_grad()
                loss.backward()
                adam.step()

    def _loss(self, people: Tensor, liked: Tensor, others: Tensor, ids: Tensor, sampled: Tensor) -> Tensor:
        positive = (people * liked).sum(1, keepdim=True)
        negative = (people @ others.T).masked_fill(ids[:, None] == sampled[None, :], -1e9)
        logits = torch.cat([positive, negative], 1) / self.temperature
        return functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64))

    def _score(self, columns: Columns, weights: Weights) -> Scores:
        return np.asarray(self._targets @ (_shared(weights) @ self._sources[columns]), np.float32)

    def _parts(self, columns: Columns, weights: Weights, target: int) -> Weights:
        return _shared(weights) * (self._sources[columns] @ self._targets[target])

    def _tensors(self) -> Tensors:
        return {"sources": self._sources, "targets": self._targets}

    def _restore(self, tensors: Tensors) -> None:
        self._sources, self._targets = (tensors[name].astype(np.float32) for name in ("sources", "targets"))
        for vectors in (self._sources, self._targets):
            expect(vectors.shape == (len(self.items), self.width), "the vectors are of other items")


def _shared(weights: Weights) -> Weights:
    """Return the weights divided by the root of their sum, the person's degree."""
    return (weights / np.sqrt(weights.sum())).astype(np.float32)


def _graph(x: sp.csr_matrix) -> tuple[Tensor, npt.NDArray[np.float64]]:
    """Return the normalised adjacency of people and items as a sparse tensor, and the items' degrees."""
    of_people = np.asarray(x.sum(axis=1), np.float64).ravel()
    of_items = np.asarray(x.sum(axis=0), np.float64).ravel()
    cells = sp.coo_matrix(x)
    values = cells.data / np.sqrt(of_people[cells.row] * of_items[cells.col])
    rows, columns = cells.row.astype(np.int64), cells.col.astype(np.int64) + sizes(x)[0]
    places = torch.from_numpy(np.stack([np.concatenate([rows, columns]), np.concatenate([columns, rows])]))
    both = torch.from_numpy(np.concatenate([values, values]).astype(np.float32))
    size = sum(sizes(x))
    return torch.sparse_coo_tensor(places, both, (size, size), check_invariants=False).coalesce(), of_items
