"""Choices to learn from: which of twenty candidates a person liked next, and whether they liked an item at all.

Candidates come from the collaborative scorer of the time before every choice, so that a choice was not seen by what proposes it.
A choice that the scorer does not propose is put in a random candidate's place: what is learned is to tell it from the others.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from vouchrec.agent.llm.base import Message
from vouchrec.agent.prompts import LETTERS, preference_prompt, rerank_prompt
from vouchrec.agent.rerank import CANDIDATES, SHOWN_HISTORY, in_words, named
from vouchrec.finetune.examples import Example
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.timeline import Choice, Proposer
from vouchrec.retrieval.types import ItemId

SHOWN_DISLIKED = 6
Answer = Literal["Yes", "No"]


def rerank_examples(
    choices: Sequence[Choice], proposer: Proposer, catalogue: Catalogue, *, count: int, seed: int
) -> list[Example]:
    """Return up to `count` examples of picking the next item from the candidates, by its letter."""
    rng = random.Random(seed)
    found: list[Example] = []
    for number, choice in enumerate(choices[:count]):
        candidates = with_target(proposer.propose(choice, CANDIDATES), choice.target, rng)
        if len(candidates) < 2:
            continue
        prompt = choice_prompt(choice, candidates, catalogue)
        found.append(Example("rerank", f"choice:{number}", tuple(prompt), LETTERS[candidates.index(choice.target)]))
    return found


def choice_prompt(choice: Choice, candidates: Sequence[ItemId], catalogue: Catalogue) -> list[Message]:
    """Return the prompt of one choice."""
    return rerank_prompt(named(choice.liked[-SHOWN_HISTORY:], catalogue), named(candidates, catalogue))


def with_target(candidates: Sequence[ItemId], target: ItemId, rng: random.Random) -> list[ItemId]:
    """Return the candidates with the target among them."""
    found = list(candidates)
    if target not in found:
        if len(found) < CANDIDATES:
            found.insert(rng.randint(0, len(found)), target)
        else:
            found[rng.randrange(len(found))] = target
    return found


def preference_examples(
    choices: Sequence[Choice], popular: Sequence[ItemId], catalogue: Catalogue, *, count: int, seed: int
) -> list[Example]:
    """Return up to `count` examples of judging one item, as many Yes as No.

    What a person rated low is a No; where nothing was, an item that others liked and they did not touch.

    Args:
        popular: Ids of items with likes, from which untouched ones are drawn.
    """
    rng = random.Random(seed)
    found: list[Example] = []
    for number, choice in enumerate(choices[: (count + 1) // 2]):
        against = choice.disliked[-1:] or _untouched(choice, popular, rng)
        pairs: tuple[tuple[ItemId, Answer], ...] = ((choice.target, "Yes"), *((i, "No") for i in against))
        for item_id, answer in pairs:
            found.append(_judged(choice, item_id, answer, catalogue, f"choice:{number}"))
    return found[:count]


def _judged(choice: Choice, item_id: ItemId, answer: Answer, catalogue: Catalogue, group: str) -> Example:
    liked = named((i for i in choice.liked[-SHOWN_HISTORY:] if i != item_id), catalogue)
    disliked = named((i for i in choice.disliked[-SHOWN_DISLIKED:] if i != item_id), catalogue)
    item = catalogue.items[catalogue.row(item_id)]
    prompt = preference_prompt(liked, disliked, in_words(item, catalogue.domain))
    return Example("prefer", group, tuple(prompt), answer)


def _untouched(choice: Choice, popular: Sequence[ItemId], rng: random.Random) -> tuple[ItemId, ...]:
    gone = {*choice.liked, *choice.disliked, choice.target}
    for _ in range(20):
        drawn = rng.choice(popular) if popular else choice.target
        if drawn not in gone:
            return (drawn,)
    return ()
