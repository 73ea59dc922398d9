"""What one pass of fine-tuning reads: examples of like length side by side, filled up on the left, in an order that a seed decides.

Prompts end where answers begin, on the right, so that the model's output is computed for the answers only: with a vocabulary of
150 thousand the rest would take most of the memory.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import torch
from transformers import PreTrainedTokenizerFast

from vouchrec.finetune.examples import Example
from vouchrec.finetune.tune import IGNORE, Encoded, encode

SKILL_WEIGHT: Final = {"understand": 4.0, "reason": 1.0, "rerank": 12.0, "prefer": 6.0}
"""Weight of an answer token: a reason has thirty of them, a choice one."""
_WINDOW: Final = 32
"""Batches among which examples are sorted by length."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples of one forward pass.

    Attributes:
        ids, mask, positions: (rows, width) int64; filled up on the left.
        targets: (rows, kept) int64, what the last `kept` positions but one are to say; `IGNORE` where nothing is learned.
        weights: (rows, kept) float32.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    positions: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        parts = (self.ids, self.mask, self.positions, self.targets, self.weights)
        return Batch(*(part.to(device) for part in parts))

    @property
    def weight(self) -> float:
        """Sum of the weights of what is learned."""
        return float((self.weights * (self.targets != IGNORE)).sum())


def encode_all(tokenizer: PreTrainedTokenizerFast, examples: Sequence[Example], length: int) -> list[Encoded]:
    """Return the examples in tokens; those longer than `length` are left out."""
    encoded = (replace(encode(tokenizer, e), weight=SKILL_WEIGHT.get(e.skill, 1.0)) for e in examples)
    return [e for e in encoded if len(e.ids) <= length]


def collate(examples: Sequence[Encoded], pad: int) -> Batch:
    """Put examples side by side, their ends aligned."""
    width = max(len(e.ids) for e in examples)
    kept = max(sum(label != IGNORE for label in e.labels) for e in examples)
    gaps = [width - len(e.ids) for e in examples]
    return Batch(
        ids=torch.tensor([[pad] * gap + list(e.ids) for gap, e in zip(gaps, examples, strict=True)]),
        mask=torch.tensor([[0] * gap + [1] * len(e.ids) for gap, e in zip(gaps, examples, strict=True)]),
        positions=torch.tensor([[0] * gap + list(range(len(e.ids))) for gap, e in zip(gaps, examples, strict=True)]),
        targets=torch.tensor(
            [([IGNORE] * gap + list(e.labels))[-kept:] for gap, e in zip(gaps, examples, strict=True)]
        ),
        weights=torch.tensor([[e.weight] * kept for e in examples]),
    )


def answer_logits(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Return (rows, kept, vocabulary) float32 logits of the answers' tokens."""
    output = model(
        input_ids=batch.ids,
        attention_mask=batch.mask,
        position_ids=batch.positions,
        logits_to_keep=batch.targets.shape[1] + 1,
        use_cache=False,
    )
    return output.logits[:, :-1].float()


def loss_sum(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Return the weighted sum of the cross-entropy over answer tokens, in nats."""
    logits = answer_logits(model, batch)
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE, reduction="none"
    )
    return (losses * batch.weights.flatten()).sum()


class Schedule:
    """Which examples belong to which step: a function of the step alone, so that a resumed run reads what is left.

    Args:
        examples: In tokens.
        micro: Rows of one forward pass.
        passes: Forward passes of one step and process.
        world, rank: Number of processes, and which of them this is.
    """

    def __init__(
        self, examples: Sequence[Encoded], *, micro: int, passes: int, seed: int, world: int = 1, rank: int = 0
    ) -> None:
        self._examples, self._micro, self._passes, self._seed = examples, micro, passes, seed
        self._world, self._rank = world, rank
        self.steps_per_epoch = max(1, len(self._order(0)) // (passes * world))

    def step(self, number: int) -> list[list[Encoded]]:
        """Return this process's forward passes of a step."""
        epoch, inside = divmod(number, self.steps_per_epoch)
        order = self._order(epoch)
        first = inside * self._passes * self._world + self._rank
        picked = (order[(first + k * self._world) % len(order)] for k in range(self._passes))
        return [[self._examples[i] for i in group] for group in picked]

    def _order(self, epoch: int) -> tuple[tuple[int, ...], ...]:
        return _ordered(tuple(len(e.ids) for e in self._examples), self._micro, self._seed, epoch)


@lru_cache(maxsize=4)
def _ordered(lengths: tuple[int, ...], micro: int, seed: int, epoch: int) -> tuple[tuple[int, ...], ...]:
    """Return groups of examples of like length, shuffled."""
    rng = random.Random(f"{seed}/{epoch}")
    order = list(range(len(lengths)))
    rng.shuffle(order)
    groups: list[tuple[int, ...]] = []
    for start in range(0, len(order), micro * _WINDOW):
        window = sorted(order[start : start + micro * _WINDOW], key=lambda i: lengths[i])
        groups += [tuple(window[i : i + micro]) for i in range(0, len(window), micro)]
    rng.shuffle(groups)
    return tuple(groups)
