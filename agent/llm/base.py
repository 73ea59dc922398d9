"""What the agent asks of a language model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

JsonSchema: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled answer.

    Attributes:
        text: What the model wrote, without special tokens.
        logprob: Mean log-probability per token, at most 0; 0.0 when the server does not say.
        mass: Under a constraint: the smallest probability that the unconstrained model gave to the allowed tokens at a real
            choice, in [0, 1]. A model that does not know the format has little of it. 1.0 without a constraint or when unknown.
        finished: False when the token limit cut the text.
    """

    text: str
    logprob: float = 0.0
    mass: float = 1.0
    finished: bool = True


class LanguageModel(Protocol):
    """A chat model. Implementations are safe to call from several threads."""

    @property
    def name(self) -> str:
        """What replies and reports call the model."""
        ...

    @property
    def specialist(self) -> bool:
        """True when the model was trained on Vouch's own prompts and needs no instructions in them."""
        ...

    def generate(
        self,
        messages: Sequence[Message],
        *,
        constraint: JsonSchema | None = None,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Iterator[str]:
        """Yield the answer in pieces as it is written.

        Raises:
            ModelError: The model or its server failed.
        """
        ...

    def complete(
        self,
        batch: Sequence[Sequence[Message]],
        *,
        n: int = 1,
        constraint: JsonSchema | None = None,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[list[Completion]]:
        """Return n answers for each of several prompts; a constraint holds for all of them.

        Raises:
            ModelError: The model or its server failed.
        """
        ...

    def score(self, messages: Sequence[Message], choices: Sequence[str]) -> list[float]:
        """Return the total log-probability of each choice as the answer.

        Raises:
            ModelError: The model or its server failed, or the server gives no log-probabilities.
        """
        ...

    def tokens(self, messages: Sequence[Message]) -> int:
        """Return the length of a prompt in tokens."""
        ...
