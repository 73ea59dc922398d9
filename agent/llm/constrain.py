"""JSON-constrained decoding through llguidance's numpy bitmask: which tokens may come next, and which must."""

from __future__ import annotations

import json
from functools import lru_cache

import llguidance
import llguidance.hf
import llguidance.numpy as masks
import numpy as np
import numpy.typing as npt
from transformers import PreTrainedTokenizerFast

from vouchrec.agent.llm.base import JsonSchema
from vouchrec.retrieval.errors import ModelError


class Grammars:
    """Compiles schemas for one tokenizer; compiled grammars are cached by their schema."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, vocabulary: int) -> None:
        self._tokenizer = llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary)
        self._vocabulary = vocabulary
        self._compile = lru_cache(maxsize=256)(self._compiled)

    def start(self, schema: JsonSchema) -> Guide:
        """Return a fresh guide for one answer.

        Raises:
            ModelError: The schema is not one that llguidance understands.
        """
        return Guide(self._compile(json.dumps(schema)).deep_copy(), self._vocabulary)

    def _compiled(self, schema: str) -> llguidance.LLMatcher:
        # Compact JSON: whitespace would cost tokens and say nothing.
        grammar = llguidance.LLMatcher.grammar_from_json_schema(schema, defaults={"whitespace_flexible": False})
        matcher = llguidance.LLMatcher(self._tokenizer, grammar)
        if matcher.is_error():
            raise ModelError(f"The output schema can't be compiled: {matcher.get_error()}.")
        return matcher


class Guide:
    """The state of one constrained answer."""

    def __init__(self, matcher: llguidance.LLMatcher, vocabulary: int) -> None:
        self._matcher = matcher
        self._vocabulary = vocabulary
        self._bits = masks.allocate_token_bitmask(1, vocabulary)

    @property
    def done(self) -> bool:
        """True when the answer is complete."""
        return self._matcher.is_stopped() or self._matcher.is_accepting()

    def forced(self) -> list[int]:
        """Return the tokens that must come next, whatever the model thinks; they are consumed."""
        tokens = list(self._matcher.compute_ff_tokens())
        if tokens:
            self._matcher.consume_tokens(tokens)
        return tokens

    def allowed(self) -> npt.NDArray[np.bool_]:
        """Return (vocabulary,) bool: which tokens may come next."""
        masks.fill_next_token_bitmask(self._matcher, self._bits)
        bits = np.unpackbits(self._bits.view(np.uint8), bitorder="little")
        return bits[: self._vocabulary].astype(np.bool_)

    def take(self, token: int) -> None:
        """Consume a chosen token."""
        self._matcher.consume_token(token)
