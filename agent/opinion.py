"""A second reader's opinion of a reading: where it is sure of something else, its word counts.

The language model reads first. A small decoder mistakes what stands far from a name ("A was dull, B on the other hand"), an encoder
less so; where the two differ, the encoder is right more often the surer it is (docs/log.md has the curve).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from vouchrec.agent.types import Opinion, Reading, Role, Span

T = TypeVar("T", bound=str)
SURE = 0.5
"""Probability from which the second reader's choice replaces the model's."""
SURE_OF_NOTHING = 0.99
"""Probability from which it may pass over what the model reads as said: a wish that is lost is worse than one too many."""


class SecondReader(Protocol):
    """Gives its opinion of a linked message. Implementations are safe to call from several threads."""

    def read(self, text: str, spans: Sequence[Span], shown: int, before: str) -> Opinion:
        """Return the probabilities of acts and roles."""
        ...


def corrected(reading: Reading, opinion: Opinion) -> Reading:
    """Return the reading with each choice replaced of which the second reader is sure that it is another."""
    roles: tuple[Role, ...] = tuple(
        [_settled(role, shares) for role, shares in zip(reading.roles, opinion.roles, strict=True)]
    )
    return Reading(_settled(reading.act, opinion.acts), roles)


def likeliest(opinion: Opinion) -> Reading:
    """Return the second reader's own reading: it stands in where the model has none."""
    act = max(opinion.acts, key=lambda a: opinion.acts[a])
    roles: tuple[Role, ...] = tuple([max(r, key=lambda x: r[x]) if r else "ignore" for r in opinion.roles])
    return Reading(act, roles)


def _settled(said: T, shares: Mapping[T, float]) -> T:
    best = max(shares, key=lambda choice: shares[choice], default=said)
    return best if shares.get(best, 0.0) >= (SURE_OF_NOTHING if best == "ignore" else SURE) else said
