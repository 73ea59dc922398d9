"""rerank(): the language model orders the best candidates by what a person liked, in one prefill. Off unless it was shown to help.

The candidates stand under letters in the order of their scores; the model is asked for the letter that the person would choose,
and the log-probabilities of all letters are read off at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from vouchrec.agent.llm.base import LanguageModel
from vouchrec.agent.prompts import LETTERS, rerank_prompt
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.domain import Domain
from vouchrec.retrieval.errors import ModelError
from vouchrec.retrieval.types import Item, ItemId, Profile, Recommendation

CANDIDATES = 20
"""Candidates that the model orders: one letter each."""
SHOWN_HISTORY = 12
"""Newest liked items that the prompt names."""
_VALUES = 2


def in_words(item: Item, domain: Domain) -> str:
    """Return an item as the prompt names it: its title with two values of its first category."""
    category = next((a for a in domain.attributes if a.kind == "list" and not a.people and a.filterable), None)
    values = item.values(category.name)[:_VALUES] if category else ()
    return f"{item.title} ({', '.join(values)})" if values else item.title


def named(ids: Iterable[ItemId], catalogue: Catalogue) -> list[str]:
    """Return items of the catalogue in words; ids that it does not have are left out."""
    found = (catalogue.get(i) for i in ids)
    return [in_words(item, catalogue.domain) for item in found if item is not None]


def letter_scores(model: LanguageModel, liked: Sequence[str], candidates: Sequence[str]) -> list[float]:
    """Return the log-probability of each candidate's letter, in their order.

    Raises:
        ModelError: The model failed, or its server gives no log-probabilities.
    """
    prompt = rerank_prompt(liked[-SHOWN_HISTORY:], candidates, specialist=model.specialist)
    return model.score(prompt, LETTERS[: len(candidates)])


def rerank(
    model: LanguageModel, catalogue: Catalogue, recommendations: Sequence[Recommendation], profile: Profile, n: int
) -> tuple[list[Recommendation], str]:
    """Return n recommendations, the first `CANDIDATES` in the model's order, and why it failed (empty when it did not).

    Without a history there is nothing to go by; the order then stays. Scores and evidence stay those of the retrieval side.
    """
    head, tail = list(recommendations[:CANDIDATES]), recommendations[CANDIDATES:]
    liked = named(list(profile.history)[-SHOWN_HISTORY:], catalogue)
    if len(head) < 2 or not liked:
        return list(recommendations[:n]), ""
    try:
        scores = letter_scores(model, liked, [in_words(r.item, catalogue.domain) for r in head])
    except ModelError:
        return list(recommendations[:n]), "rerank:model_error"
    order = [head[i] for i in sorted(range(len(head)), key=lambda i: -scores[i])]
    return [replace(r, rank=rank) for rank, r in enumerate([*order, *tail][:n], start=1)], ""
