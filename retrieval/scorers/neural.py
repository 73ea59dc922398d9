"""What the neural scorers share: one thread of torch by a seed, batches, a training loop with a bar, and tensors to numpy.

Sequential scorers read a history in its order, oldest first; their contributions are what the score loses without an item.
This module and the other `neural_*` modules import torch; nothing imports them before one of their scorers is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from tqdm import tqdm

from vouchrec.retrieval.scorers.base import Columns, ColumnScorer, Scores, Weights, expect
from vouchrec.retrieval.scorers.files import Tensors

__all__ = ["NeuralScorer", "seeded", "state_arrays", "take_state"]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run with torch's global generator at a seed, and put it back as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


class NeuralScorer(ColumnScorer):
    """A scorer with a torch network; scores have their mean over all items subtracted, so that 0 is the usual item."""

    exact: ClassVar[bool] = False

    def _score(self, columns: Columns, weights: Weights) -> Scores:
        return self._score_many([columns], [weights])[0]

    def _parts(self, columns: Columns, weights: Weights, target: int) -> Weights:
        """Return what the target's score loses without each item, all shortened histories in one batch."""
        rests = [np.arange(len(columns)) != k for k in range(len(columns))]
        kept = [rest for rest in rests if rest.any()]
        found = self._score_many([columns, *(columns[r] for r in kept)], [weights, *(weights[r] for r in kept)])
        without = found[1:, target] if kept else self._cold()[[target]]
        return (found[0, target] - without).astype(np.float32)

    def _score_many(self, columns: Sequence[Columns], weights: Sequence[Weights]) -> npt.NDArray[np.float32]:
        """Return (n_histories, n_columns) float32 scores."""
        raise NotImplementedError


def centred(scores: Tensor, count: int | None = None) -> npt.NDArray[np.float32]:
    """Return (n, n_columns) scores with the mean of each row's first `count` subtracted; of all by default."""
    return np.asarray((scores - scores[:, :count].mean(dim=1, keepdim=True)).detach().float().numpy(), np.float32)


def epochs(count: int, title: str, *, quiet: bool) -> Iterator[int]:
    """Count epochs with a bar on a terminal."""
    return iter(tqdm(range(count), desc=title, unit="epoch", leave=False, disable=True if quiet else None))


def state_arrays(module: nn.Module) -> Tensors:
    """Return a module's parameters and buffers as float32 arrays, named `net.` and their path."""
    return {f"net.{name}": np.asarray(value.detach().float().numpy()) for name, value in module.state_dict().items()}


def take_state(module: nn.Module, tensors: Tensors) -> None:
    """Give a module what `state_arrays` returned.

    Raises:
        ValueError: Names or shapes differ.
    """
    own = module.state_dict()
    found = {name.removeprefix("net."): values for name, values in tensors.items() if name.startswith("net.")}
    expect(set(found) == set(own), "the network has other parts")
    for name, values in found.items():
        expect(values.shape == tuple(own[name].shape), f"{name} has shape {values.shape}, not {tuple(own[name].shape)}")
    module.load_state_dict({name: torch.from_numpy(np.array(values, np.float32)) for name, values in found.items()})
    module.eval()
