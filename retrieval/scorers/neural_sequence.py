"""Sequential scorers: SASRec (self-attention) and a GRU, which predict what comes next from the order of a history.

Sources: Kang & McAuley, "Self-attentive sequential recommendation", ICDM 2018 (arXiv 1808.09781); softmax over the whole
catalogue in place of one negative: Klenitskiy & Vasilev, "Turning dross into gold loss: is BERT4Rec really better than
SASRec?", RecSys 2023 (arXiv 2309.07602); generalised binary cross-entropy: Petrov & Macdonald, "gSASRec: reducing
overconfidence in sequential recommendation trained with negative sampling", RecSys 2023 (arXiv 2308.07192); Hidasi et al.,
"Session-based recommendations with recurrent neural networks", ICLR 2016 (arXiv 1511.06939).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch
from torch import Tensor, nn
from torch.nn import functional

from vouchrec.retrieval.scorers.base import Columns, Weights
from vouchrec.retrieval.scorers.files import Json, Tensors
from vouchrec.retrieval.scorers.neural import NeuralScorer, centred, epochs, seeded, state_arrays, take_state

__all__ = ["Gru", "Sasrec"]

_IGNORED = -100
"""Target of a place that holds no item."""


class _Block(nn.Module):
    """One layer: causal self-attention, then a feed-forward of the same width, each normalised first and added."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width))
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, length, width)."""
        batch, length, width = x.shape
        split = self.project(self.before(x)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        dropped = self.dropout if self.training else 0.0
        # Sequences are padded on the right, so that the causal mask alone keeps padding out of every real place.
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True, dropout_p=dropped)
        x = x + self.drop(self.join(seen.transpose(1, 2).reshape(batch, length, width)))
        return x + self.drop(self.feed(self.between(x)))


class _Attention(nn.Module):
    """Items and places in, the state after each place out: SASRec's encoder."""

    def __init__(self, n_items: int, width: int, length: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items + 1, width, padding_idx=n_items)
        self.places = nn.Embedding(length, width)
        nn.init.normal_(self.items.weight, std=0.02)
        nn.init.normal_(self.places.weight, std=0.02)
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(_Block(width, heads, dropout) for _ in range(layers))
        self.last = nn.LayerNorm(width)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return (batch, length, width) for (batch, length) item numbers padded with n_items on the right."""
        # Places are counted from the end: the newest item is always at place 0, however long the history.
        behind = (lengths[:, None] - 1 - torch.arange(ids.shape[1])[None, :]).clamp(min=0)
        x = self.drop(self.items(ids) + self.places(behind))
        for block in self.blocks:
            x = block(x)
        return self.last(x)


class _Recurrent(nn.Module):
    """The same by a GRU."""

    def __init__(self, n_items: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items + 1, width, padding_idx=n_items)
        nn.init.normal_(self.items.weight, std=0.02)
        self.drop = nn.Dropout(dropout)
        self.cells = nn.GRU(width, width, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.last = nn.LayerNorm(width)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return (batch, length, width)."""
        del lengths
        return self.last(self.cells(self.drop(self.items(ids)))[0])


class _Sequential(NeuralScorer):
    """What both have in common: every place of a history predicts the next item.

    Args:
        width: Length of an item's vector.
        layers: Layers of the encoder.
        dropout: Part of activations dropped in training.
        length: Newest items that are read.
        loss: `softmax`: cross-entropy over all items. `gbce`: binary cross-entropy with `negatives` sampled items, the
            positive's probability to the power beta, which corrects the overconfidence of sampling.
        negatives: Sampled items per place (`gbce`).
        calibration: t of gBCE, 0 (plain binary cross-entropy) to 1.
        epochs: Passes over the histories.
        learning_rate, batch: Of Adam.
        seed: Of everything random.
    """

    def __init__(
        self,
        width: int = 64,
        layers: int = 2,
        dropout: float = 0.4,
        length: int = 100,
        loss: str = "softmax",
        negatives: int = 128,
        calibration: float = 0.75,
        epochs: int = 25,
        learning_rate: float = 1e-3,
        batch: int = 16,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if loss not in ("softmax", "gbce"):
            raise ValueError(f"loss is {loss!r}; it must be 'softmax' or 'gbce'")
        self.width, self.layers, self.dropout, self.length, self.loss = width, layers, dropout, length, loss
        self.negatives, self.calibration, self.epochs = negatives, calibration, epochs
        self.learning_rate, self.batch, self.seed = learning_rate, batch, seed
        self._net: nn.Module | None = None

    def settings(self) -> dict[str, Json]:
        """Return the arguments."""
        names = ("width", "layers", "dropout", "length", "loss", "negatives", "calibration", "epochs")
        return {name: getattr(self, name) for name in (*names, "learning_rate", "batch", "seed")}

    @abstractmethod
    def _network(self, n_items: int) -> nn.Module:
        """Return an untrained encoder."""

    def _learn(self, x: sp.csr_matrix, sequences: Sequence[Columns]) -> None:
        del x
        with seeded(self.seed):
            self._net = self._network(len(self.items))
            long = [row[-self.length - 1 :] for row in sequences if len(row) > 1]
            if long and self.epochs:
                self._train(self._net, long)
        self._net.eval()

    def _train(self, net: nn.Module, sequences: Sequence[Columns]) -> None:
        adam = torch.optim.Adam(net.parameters(), lr=self.learning_rate, betas=(0.9, 0.98))
        net.train()
        for _ in epochs(self.epochs, self.kind, quiet=len(sequences) < 200):
            for ids, lengths, targets in self._batches(sequences):
                states = net(ids, lengths)[targets != _IGNORED]
                loss = self._loss(net, states, targets[targets != _IGNORED])
                adam.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                adam.step()

    def _batches(self, sequences: Sequence[Columns]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield item numbers, lengths and next items, (batch, longest) each, padded on the right; similar lengths together."""
        order = torch.randperm(len(sequences)).numpy()
        blocks = [order[i : i + 20 * self.batch] for i in range(0, len(order), 20 * self.batch)]
        for block in blocks:
            ranked = sorted(block.tolist(), key=lambda i: len(sequences[i]))
            for start in range(0, len(ranked), self.batch):
                yield self._padded([sequences[i] for i in ranked[start : start + self.batch]])

    def _padded(self, rows: Sequence[Columns]) -> tuple[Tensor, Tensor, Tensor]:
        longest = max(len(row) for row in rows) - 1
        ids = np.full((len(rows), longest), len(self.items), np.int64)
        targets = np.full((len(rows), longest), _IGNORED, np.int64)
        for n, row in enumerate(rows):
            ids[n, : len(row) - 1], targets[n, : len(row) - 1] = row[:-1], row[1:]
        lengths = np.asarray([len(row) - 1 for row in rows], np.int64)
        return torch.from_numpy(ids), torch.from_numpy(lengths), torch.from_numpy(targets)

    def _loss(self, net: nn.Module, states: Tensor, targets: Tensor) -> Tensor:
        vectors = _item_vectors(net)
        if self.loss == "softmax":
            return functional.cross_entropy(states @ vectors[:-1].T, targets)
        sampled = torch.randint(len(self.items), (self.negatives,))
        positive = (states * vectors[targets]).sum(1)
        negative = states @ vectors[sampled].T
        negative = negative.masked_fill(sampled[None, :] == targets[:, None], -1e9)
        rate = self.negatives / max(1, len(self.items) - 1)
        beta = rate * (self.calibration * (1 - 1 / rate) + 1 / rate) if rate < 1 else 1.0
        return (functional.softplus(negative).sum(1) - beta * functional.logsigmoid(positive)).mean()

    def _score_many(self, columns: Sequence[Columns], weights: Sequence[Weights]) -> npt.NDArray[np.float32]:
        del weights  # the order of a history counts, not how much each item is liked
        assert self._net is not None  # noqa: S101 - fit and load make it
        rows = [own[-self.length :] for own in columns]
        ids = np.full((len(rows), max(map(len, rows))), len(self.items), np.int64)
        for n, row in enumerate(rows):
            ids[n, : len(row)] = row
        lengths = torch.tensor([len(row) for row in rows])
        with torch.inference_mode():
            states = self._net(torch.from_numpy(ids), lengths)[torch.arange(len(rows)), lengths - 1]
            return centred(states @ _item_vectors(self._net)[:-1].T)

    def _tensors(self) -> Tensors:
        assert self._net is not None  # noqa: S101 - fit and load make it
        return state_arrays(self._net)

    def _restore(self, tensors: Tensors) -> None:
        self._net = self._network(len(self.items))
        take_state(self._net, tensors)


def _item_vectors(net: nn.Module) -> Tensor:
    items = net.items
    assert isinstance(items, nn.Embedding)  # noqa: S101 - both encoders have it
    return items.weight


class Sasrec(_Sequential):
    """Self-attention over the newest `length` items."""

    kind: ClassVar[str] = "sasrec"

    def _network(self, n_items: int) -> nn.Module:
        heads = 2 if self.width % 2 == 0 else 1
        return _Attention(n_items, self.width, self.length, self.layers, heads, self.dropout)


class Gru(_Sequential):
    """A gated recurrent network over the newest `length` items."""

    kind: ClassVar[str] = "gru"

    def _network(self, n_items: int) -> nn.Module:
        return _Recurrent(n_items, self.width, self.layers, self.dropout)
