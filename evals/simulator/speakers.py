"""Who words what an agenda wants said: templates, or a language model that is told the move and never the target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from vouchrec.agent.llm.base import LanguageModel, Message
from vouchrec.evals.simulator.agenda import Move
from vouchrec.evals.simulator.phrases import PHRASES, REGISTERS
from vouchrec.retrieval.catalogue import Catalogue

__all__ = ["ModelSpeaker", "Speaker", "TemplateSpeaker"]

_LONGEST = 300
"""Characters of a model's message; longer ones are no chat message, and are not said."""
_DIRECTIONS = {
    "open": "Ask for {fact}.",
    "open_like": "Say that you like {title} and ask for something similar.",
    "add": "Say that what you want is {fact}.",
    "change": "Say that you have changed your mind: not {old}, but {fact}.",
    "like": "Say that you like {title}.",
    "dislike": "Say that you did not like {title}, which was suggested.",
    "seen": "Say that you have already {consumed} {title}, which was suggested.",
    "more": "Ask for other suggestions.",
    "again": "Point out that the suggestions are not {fact}, which you asked for.",
}
_MANNERS = {
    "plain": "plainly, in one sentence",
    "terse": "in as few words as possible, without a full sentence",
    "chatty": "chattily, like to a friend, in one or two sentences",
    "polite": "very politely and a little old-fashioned",
    "texting": "like a text message: lower case, short, abbreviations",
}


class Speaker(Protocol):
    """Words moves."""

    @property
    def name(self) -> str:
        """What a report calls it."""
        ...

    def candidates(self, move: Move, register: str, seed: int) -> Iterator[tuple[str, bool]]:
        """Yield ways to say a move, each with whether a model worded it; the first that leaks nothing is said."""
        ...


class TemplateSpeaker:
    """Words moves by templates: those of the person's register first, in an order that the seed decides, then the others.

    Args:
        catalogue: For titles and the words of the domain.
    """

    name = "templates"

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def candidates(self, move: Move, register: str, seed: int) -> Iterator[tuple[str, bool]]:
        """Yield every way to say a move."""
        rng = np.random.default_rng(seed)
        for own in (register, *(r for r in REGISTERS if r != register)):
            ways = PHRASES[own][move.kind]
            for index in rng.permutation(len(ways)):
                yield filled(ways[index], move, self._catalogue), False


class ModelSpeaker:
    """Words moves by a language model; templates follow, so that there is always something to say.

    The model is told the move alone: what it does not know it can't give away. Its words are checked all the same.

    Args:
        model: Any implementation of the language-model seam.
        catalogue: For titles and the words of the domain.
        tries: Wordings that are asked for.
    """

    def __init__(self, model: LanguageModel, catalogue: Catalogue, *, tries: int = 2) -> None:
        self._model, self._catalogue, self._tries = model, catalogue, tries
        self._templates = TemplateSpeaker(catalogue)
        self.name = f"{model.name} as the person"

    def candidates(self, move: Move, register: str, seed: int) -> Iterator[tuple[str, bool]]:
        """Yield the model's wordings that hold what must be said, then every template.

        Raises:
            ModelError: The model or its server failed.
        """
        direction = filled(_DIRECTIONS[move.kind], move, self._catalogue)
        prompt = [
            Message("system", f"You play a person who talks to a recommender of {self._catalogue.domain.plural}."),
            Message("user", f"{direction} Speak {_MANNERS[register]}. Add no other wish, no name and no explanation."),
        ]
        for number in range(self._tries):
            answer = self._model.complete([prompt], max_tokens=80, temperature=0.8, seed=seed + number)[0][0]
            text = " ".join(answer.text.split()).strip("\"'“” ")
            if text and len(text) <= _LONGEST and self._says(move, text):
                yield text, True
        yield from self._templates.candidates(move, register, seed)

    def _says(self, move: Move, text: str) -> bool:
        """Tell whether a wording names the item that it is about, without which it says something else."""
        item = self._catalogue.get(move.item) if move.item is not None else None
        return item is None or item.title.casefold() in text.casefold()


def filled(way: str, move: Move, catalogue: Catalogue) -> str:
    """Return a template with what it speaks of."""
    domain = catalogue.domain
    item = catalogue.get(move.item) if move.item is not None else None
    return way.format(
        fact=move.fact.words if move.fact else "",
        bare=move.fact.bare if move.fact else "",
        old=move.old.words if move.old else "",
        none=move.old.bare if move.old else "",
        title=item.title if item else "",
        noun=domain.noun,
        plural=domain.plural,
        consume=domain.consume,
        consumed=domain.consumed,
    )
