"""The second reader: an encoder that gives a message its act and each linked span its role, with probabilities.

Fine-tuned from the packaged sentence encoder, whose pre-training the small language model lacks. It checks the language model's
reading (`agent.understand`), never replaces it. Only what fine-tuning changed is stored; the word embeddings are the package's.
The form of the input follows typed-marker entity classification (Zhou & Chen, "An Improved Baseline for Sentence-level Relation
Extraction", AACL 2022, arXiv 2102.01373).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from vouchrec.agent.types import ACTS, ITEM_ROLES, VALUE_ROLES, Opinion, Role, Span
from vouchrec.retrieval.embed import packaged_model
from vouchrec.retrieval.errors import ModelError

ROLES: tuple[Role, ...] = tuple(dict.fromkeys((*ITEM_ROLES, *VALUE_ROLES)))
LONGEST = 300
"""Tokens of a message that are read; spans beyond them get no opinion."""
LONGEST_BEFORE = 40
"""Tokens kept of the person's previous message."""
_OWN = re.compile(r"\b(?:my|our|your|his|her|their)\s+(?:\w+\s+)?$", re.IGNORECASE)
"""Before whom somebody speaks of people of theirs: "my grandmother" names no lead character."""
_WEIGHTS, _ABOUT = "tagger.safetensors", "tagger.json"
Range: TypeAlias = tuple[int, int, int]
"""Positions of a span's opening mark, its first token and its closing mark."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A message as token ids with the places of its spans."""

    ids: tuple[int, ...]
    ranges: tuple[Range, ...]


def mark(tokenizer: PreTrainedTokenizerFast, text: str, spans: Sequence[Span], shown: int, before: str) -> Marked:
    """Return a message with each span as `[kind: words]`, after how many items are on the screen and the previous message."""

    def ids_of(part: str) -> list[int]:
        return tokenizer.encode(part, add_special_tokens=False)

    start, end = cast("int", tokenizer.cls_token_id), cast("int", tokenizer.sep_token_id)
    ids = [start, *ids_of(f"{min(shown, 9)} shown"), end, *ids_of(before)[:LONGEST_BEFORE], end]
    ranges: list[Range] = []
    position = 0
    for span in spans:
        ids += ids_of(text[position : span.start])
        opening = len(ids)
        ids += ids_of(f"[{span.kind}:")
        first = len(ids)
        ids += ids_of(text[span.start : span.end]) or ids_of("-")
        ranges.append((opening, first, len(ids)))
        ids += ids_of("]")
        position = span.end
    ids += [*ids_of(text[position:]), end]
    return Marked(tuple(ids[:LONGEST]), tuple(r for r in ranges if r[2] < LONGEST))


class TaggerNet(torch.nn.Module):
    """An encoder with a head for the act of a message and one for the roles of its spans."""

    def __init__(self) -> None:
        super().__init__()
        transformers_logging.disable_progress_bar()
        level = transformers_logging.get_verbosity()
        transformers_logging.set_verbosity_error()  # it would report the pooling layer that is left out on purpose
        try:
            self.encoder = cast(
                "PreTrainedModel", AutoModel.from_pretrained(str(packaged_model()), add_pooling_layer=False)
            )
        finally:
            transformers_logging.set_verbosity(level)
        width = int(self.encoder.config.hidden_size)
        self.role = _head(3 * width, width, len(ROLES))
        self.act = _head(2 * width, width, len(ACTS))

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, ranges: Sequence[Sequence[Range]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits of acts, (batch, acts), and of roles, (all spans, roles), both float32.

        Args:
            ids, mask: (batch, length) int64, padded on the right.
            ranges: Places of the spans of each message.
        """
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        weights = mask[..., None].float()
        mean = (states * weights).sum(1) / weights.sum(1)
        acts = self.act(torch.cat([states[:, 0], mean], dim=-1))
        spans = [
            torch.cat([states[i, opening], states[i, first:closing].mean(0), states[i, closing]])
            for i, own in enumerate(ranges)
            for opening, first, closing in own
        ]
        return acts, self.role(torch.stack(spans)) if spans else torch.zeros(0, len(ROLES))

    def learned(self) -> dict[str, torch.Tensor]:
        """Return the weights that training changes: all but the embeddings."""
        return {k: v for k, v in self.state_dict().items() if ".embeddings." not in k}


def _head(width: int, hidden: int, out: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(
        torch.nn.Linear(width, hidden), torch.nn.GELU(), torch.nn.Dropout(0.1), torch.nn.Linear(hidden, out)
    )


class SpanTagger:
    """A fine-tuned tagger, ready to read; safe to share between threads.

    Args:
        folder: What `save_tagger` wrote.

    Raises:
        ModelError: The folder is absent or damaged, or belongs to another encoder.
    """

    def __init__(self, folder: Path) -> None:
        self.tokenizer = load_tagger_tokenizer()
        self._net = TaggerNet()
        try:
            about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
            weights = load_file(folder / _WEIGHTS)
            self._learnt = frozenset(str(kind) for kind in about["kinds"]) if "kinds" in about else None
            if about["encoder"] != _fingerprint(self._net):
                raise ValueError("it was made from other encoder weights")
            missing, unexpected = self._net.load_state_dict(weights, strict=False)
            if unexpected or any(".embeddings." not in name for name in missing):
                raise ValueError("its weights do not fit")
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            hint = "Install vouchrec again, or train the tagger anew (python -m vouchrec.finetune.tagger)."
            raise ModelError(f"The second reader in {folder} can't be used: {error}.", hint=hint) from error
        self._net.eval()

    def read(self, text: str, spans: Sequence[Span], shown: int, before: str) -> Opinion:
        """Return the probabilities of acts and roles for one message."""
        marked = mark(self.tokenizer, text, spans, shown, before)
        ids = torch.tensor([marked.ids])
        with torch.inference_mode():
            acts, roles = self._net(ids, torch.ones_like(ids), [marked.ranges])
            acts = torch.softmax(acts[0], dim=-1)
        found: list[Mapping[Role, float]] = []
        for span, logits in zip(spans, roles, strict=False):
            allowed = torch.tensor([r in span.roles for r in ROLES])
            # Of a kind that no author marked it only learnt that nobody did, and can't say that nothing is meant.
            if self._learnt is not None and span.kind not in self._learnt and not _OWN.search(text[: span.start]):
                allowed &= torch.tensor([r != "ignore" for r in ROLES])
            shares = torch.softmax(logits.masked_fill(~allowed, -torch.inf), dim=-1).tolist()
            found.append({r: p for r, p in zip(ROLES, shares, strict=True) if r in span.roles})
        found += [{} for _ in spans[len(found) :]]
        return Opinion(dict(zip(ACTS, acts.tolist(), strict=True)), tuple(found))


def load_tagger_tokenizer() -> PreTrainedTokenizerFast:
    """Load the tokenizer of the packaged encoder."""
    return cast("PreTrainedTokenizerFast", AutoTokenizer.from_pretrained(str(packaged_model())))


def save_tagger(net: TaggerNet, folder: Path, about: Mapping[str, object]) -> None:
    """Write the learned weights in bfloat16, and what they are."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {k: v.to(torch.bfloat16).contiguous() for k, v in net.learned().items()}
    save_file(weights, folder / _WEIGHTS)
    text = json.dumps({**about, "encoder": _fingerprint(net)}, indent=1)
    (folder / _ABOUT).write_text(text + "\n", encoding="utf-8")


def _fingerprint(net: TaggerNet) -> str:
    """Hash of the word embeddings: tells encoders apart, and is not touched by training."""
    table = cast("torch.Tensor", net.encoder.get_input_embeddings().weight)
    return hashlib.sha256(table.detach().float().contiguous().numpy().tobytes()).hexdigest()[:16]
