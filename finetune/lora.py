"""The adapter: which weights LoRA touches in a given architecture, with few dials and the rest derived.

LoRA: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022 (arXiv 2106.09685).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import peft
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from vouchrec.retrieval.errors import ConfigError


@dataclass(frozen=True, slots=True)
class LoraDials:
    """What can be set of an adapter.

    Attributes:
        rank: Rank r of the update B A.
        scale: alpha / r, the factor of the update.
        dropout: Dropout in front of A.
        train_tokens: Also train the embeddings of the reserved format tokens that the tokenizer has.
    """

    rank: int = 16
    scale: float = 2.0
    dropout: float = 0.0
    train_tokens: bool = True


def add_lora(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, dials: LoraDials) -> peft.PeftModel:
    """Return the model with a fresh adapter on all its linear layers (Conv1D layers of GPT-2 included).

    Raises:
        ConfigError: The rank is not positive, or the architecture has no linear layers that PEFT knows.
    """
    if dials.rank < 1:
        raise ConfigError(f"LoRA rank {dials.rank} is not positive.", hint="Use 8, 16 or 32.")
    tokens = reserved_tokens(tokenizer) if dials.train_tokens else []
    config = peft.LoraConfig(
        r=dials.rank,
        lora_alpha=round(dials.rank * dials.scale),
        lora_dropout=dials.dropout,
        target_modules="all-linear",
        task_type=peft.TaskType.CAUSAL_LM,
        trainable_token_indices=tokens or None,
        fan_in_fan_out=_stores_transposed(model),
    )
    try:
        return cast("peft.PeftModel", peft.get_peft_model(model, config))
    except ValueError as error:
        raise ConfigError(f"LoRA finds no layers to adapt in {type(model).__name__}: {error}.") from error


def reserved_tokens(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """Return ids of tokens that were added to the tokenizer on purpose (spans, references, chat roles)."""
    return sorted(
        index for index, token in tokenizer.added_tokens_decoder.items() if not token.content.startswith("<|r")
    )


def _stores_transposed(model: PreTrainedModel) -> bool:
    """GPT-2 keeps its weights as (in, out) in Conv1D modules; PEFT wants to know."""
    return any(type(module).__name__ == "Conv1D" for module in model.modules())


def trainable_parameters(model: torch.nn.Module) -> tuple[int, int]:
    """Return (trainable, all) parameter counts."""
    return (
        sum(p.numel() for p in model.parameters() if p.requires_grad),
        sum(p.numel() for p in model.parameters()),
    )
