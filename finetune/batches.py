"""What a training step reads: windows of the token shards, mixed by weight, the same after a resume."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vouchrec.finetune.corpus import WEIGHTS, Shards
from vouchrec.finetune.tokenizer import MAX_LENGTH

__all__ = ["Batches", "held_out_rows"]


class Batches:
    """Endless windows of the shards, mixed by weight.

    Every source is walked through in shuffled blocks of the context length; each pass shuffles anew and shifts the
    blocks, so that documents are not always cut at the same place.

    Attributes:
        taken: tokens read so far of each source; restoring it resumes the stream.

    Raises:
        ValueError: if no source has training tokens.
    """

    def __init__(self, shards: Shards, seed: int) -> None:
        self._train = {name: ids for name, ids in shards.train.items() if len(ids) and name in WEIGHTS}
        if not self._train:
            raise ValueError("the corpus has no training tokens")
        weights = np.array([WEIGHTS[name] for name in self._train])
        self._weights = weights / weights.sum()
        self._seed = seed
        self._orders: dict[str, tuple[int, int, npt.NDArray[np.int64]]] = {}
        self.taken = dict.fromkeys(self._train, 0)

    def rows(self, step: int, count: int, length: int) -> Tensor:
        """Token ids of one step.

        Args:
            step: number of the step; with the seed it decides which sources the rows come from.
            count: number of rows.
            length: tokens to predict per row, at most the context length.

        Returns:
            int64 of shape (count, length + 1): inputs and, one further, targets.
        """
        names = list(self._train)
        picked = np.random.default_rng((self._seed, step)).choice(len(names), size=count, p=self._weights)
        return torch.from_numpy(np.stack([self._window(names[at], length) for at in picked]))

    def _window(self, name: str, length: int) -> npt.NDArray[np.int64]:
        """The next ``length + 1`` tokens of a source; the last one is the first of the next window."""
        ids = self._train[name]
        block, inside = divmod(self.taken[name], MAX_LENGTH)
        if inside + length > MAX_LENGTH:  # a longer window than the rest of the block: go to the next
            block, inside = block + 1, 0
        self.taken[name] = block * MAX_LENGTH + inside + length
        blocks = max(1, (len(ids) - 1) // MAX_LENGTH)
        shift, order = self._order(name, block // blocks, blocks)
        start = (int(order[block % blocks]) * MAX_LENGTH + shift + inside) % len(ids)
        return np.take(ids, np.arange(start, start + length + 1), mode="wrap").astype(np.int64)

    def _order(self, name: str, turn: int, blocks: int) -> tuple[int, npt.NDArray[np.int64]]:
        """Shift and block order of one pass over a source."""
        known = self._orders.get(name)
        if known is None or known[0] != turn:
            random = np.random.default_rng((self._seed, turn, list(self._train).index(name)))
            known = (turn, int(random.integers(MAX_LENGTH)), random.permutation(blocks))
            self._orders[name] = known
        return known[1:]


def held_out_rows(shards: Shards, length: int = 256, most: int = 16) -> dict[str, Tensor]:
    """A fixed piece of every held-out source, so that evaluations can be compared and stay cheap.

    Args:
        shards: token ids by source.
        length: tokens to predict per row; fewer where the source has fewer.
        most: rows per source.

    Returns:
        Source name to int64 of shape (rows, length + 1); sources without held-out tokens are absent.
    """
    rows: dict[str, Tensor] = {}
    for name, ids in shards.held_out.items():
        fitting = min(length, len(ids) - 1)
        if fitting > 0 and name in WEIGHTS:
            starts = range(0, len(ids) - fitting, fitting)[:most]
            windows = [ids[start : start + fitting + 1].astype(np.int64) for start in starts]
            rows[name] = torch.from_numpy(np.stack(windows))
    return rows
