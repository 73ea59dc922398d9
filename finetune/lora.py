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
        modules: Names of the layers to adapt; empty for all linear layers.
    """

    rank: int = 16
    scale: float = 2.0
    dropout: float = 0.0
    train_tokens: bool = True
    modules: tuple[str, ...] = ()


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
        target_modules=list(dials.modules) or "all-linear",
        task_type=peft.TaskType.CAUSAL_LM,
        trainable_token_indices=tokens or None,
        fan_in_fan_out=_stores_transposed(model),
    )
    try:
        return cast("peft.PeftModel", peft.get_peft_model(model, config))
    except ValueError as error:
        raise ConfigError(f"LoRA finds no layers to adapt in {type(model).__name__}: {error}.") from error


LINEAR = ("Linear", "Conv1D", "Linear4bit", "Linear8bitLt")
"""Classes that hold the weights of a layer; Conv1D is GPT-2's, the last two are quantised by bitsandbytes."""
_ASIDE = ("vision", "visual", "image", "audio", "router", "gate.weight")
"""Parts of names of layers that are no part of reading and writing text, or that an adapter disturbs."""


def target_modules(model: torch.nn.Module) -> tuple[str, ...]:
    """Return the names of the layers that LoRA adapts in an architecture: every linear layer but those of the vocabulary.

    Fused projections (`c_attn`, `query_key_value`, `qkv_proj`) are one layer each, so that servers can load the adapter.

    Raises:
        ConfigError: The model has no linear layers.
    """
    output = getattr(model, "get_output_embeddings", lambda: None)()
    names = {
        name.rsplit(".", 1)[-1]
        for name, module in model.named_modules()
        if type(module).__name__ in LINEAR and module is not output and not any(part in name for part in _ASIDE)
    }
    found = tuple(sorted(n for n in names - {"lm_head", "embed_out"} if not n.isdigit()))
    if not found:
        raise ConfigError(f"LoRA finds no linear layers to adapt in {type(model).__name__}.")
    return found


def lora_size(model: torch.nn.Module, modules: tuple[str, ...], rank: int) -> int:
    """Return how many parameters a LoRA of this rank adds: rank times (in + out) of every adapted layer."""
    total = 0
    for name, module in model.named_modules():
        if type(module).__name__ in LINEAR and name.rsplit(".", 1)[-1] in modules:
            total += rank * sum(_sides(module))
    return total


def _sides(module: torch.nn.Module) -> tuple[int, int]:
    """Return (in, out) of a layer; a quantised weight has another shape than its layer."""
    inner, outer = getattr(module, "in_features", None), getattr(module, "out_features", None)
    if isinstance(inner, int) and isinstance(outer, int):
        return inner, outer
    first, second = cast("torch.Tensor", module.weight).shape
    return first, second


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
