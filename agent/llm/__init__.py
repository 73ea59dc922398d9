"""The language-model seam: one protocol, a local and a remote implementation."""

from vouchrec.agent.llm.base import Completion, JsonSchema, LanguageModel, Message

__all__ = ["Completion", "JsonSchema", "LanguageModel", "Message"]
