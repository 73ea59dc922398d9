"""Whether a message gives away what its speaker looks for: by name, by id, or by features that hardly anything else has."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from vouchrec.retrieval.catalogue import Catalogue, fold
from vouchrec.retrieval.types import Constraint, Item, ItemId

__all__ = ["LeakCheck", "tokens"]

_NOT_WORD = re.compile(r"[\W_]+")
_ARTICLES = frozenset(("the", "a", "an"))


def tokens(text: str) -> tuple[str, ...]:
    """Return the words of a text without case, accents and punctuation."""
    return tuple(_NOT_WORD.sub(" ", fold(text)).split())


class LeakCheck:
    """Checks what one person says, message after message.

    Args:
        catalogue: What is searched.
        targets: What is looked for.
        crowd: Items that all that was said must still allow; fewer is a leak.
    """

    def __init__(self, catalogue: Catalogue, targets: Collection[ItemId], crowd: int) -> None:
        self._catalogue, self._crowd = catalogue, crowd
        self._targets = [item for i in sorted(targets) if (item := catalogue.get(i)) is not None]
        self._said: list[tuple[str, ...]] = []
        self._wanted: list[Constraint] = []

    @staticmethod
    def names_item(item: Item, words: Collection[str]) -> bool:
        """Tell whether some name of an item is made of these words alone, so that innocent sentences would name it."""
        return any(set(name) <= set(words) for name in _names(item)) or not _names(item)

    def leaks(self, message: str, wanted: Iterable[Constraint] = ()) -> list[str]:
        """Return what a message would give away, in words; empty when nothing.

        Args:
            message: What would be said next.
            wanted: Conditions that it says and that hold from now on.
        """
        said = tokens(message)
        found = [f"names {item.title}" for item in self._targets if self._is_named(item, said, message)]
        together = [*self._said, said]
        mask = self._catalogue.mask([*self._wanted, *wanted])
        for item in self._targets:
            left = self._allowed(item, together, mask)
            if left is not None and left < self._crowd:
                found.append(f"describes {item.title} so that {left} items are left")
        return found

    def say(self, message: str, wanted: Iterable[Constraint] = ()) -> None:
        """Remember that a message was said."""
        self._said.append(tokens(message))
        self._wanted += wanted

    def _is_named(self, item: Item, said: Sequence[str], message: str) -> bool:
        # An id is looked for as it is written; one that is a plain number or word would be found by chance.
        by_id = not item.id.isalnum() and item.id.casefold() in message.casefold()
        return by_id or any(_within(name, said) for name in _names(item))

    def _allowed(self, item: Item, said: Sequence[Sequence[str]], mask: np.ndarray) -> int | None:
        """Return how many items have all the values of a target that were said; None when none was."""
        row = self._catalogue.row(item.id)
        if not mask[row]:
            return None  # what was said rules the item out: it does not describe it
        left: set[int] | None = None if mask.all() else set(np.flatnonzero(mask).tolist())
        for attribute in self._catalogue.domain.attributes:
            for value in item.values(attribute.name) if attribute.filterable else ():
                words = tokens(value)
                if words and any(_within(words, one) for one in said):
                    rows = self._rows(attribute.name, attribute.kind in ("number", "date"), value)
                    left = rows if left is None else left & rows
        return None if left is None else len(left)

    def _rows(self, attribute: str, is_number: bool, value: str) -> set[int]:
        if is_number:
            number = float(value) if re.fullmatch(r"-?\d+(?:\.\d+)?", value) else np.nan
            return set(np.flatnonzero(self._catalogue.numbers(attribute) == number).tolist())
        return self._catalogue.rows_with(attribute, value)


def _names(item: Item) -> list[tuple[str, ...]]:
    """Return what an item is called: title and aliases, also without an article in front and without a subtitle."""
    found: list[tuple[str, ...]] = []
    for name in (item.title, *item.aliases):
        whole = tokens(name)
        short = tokens(name.split(":")[0])
        for form in (whole, short if len(short) > 1 else (), whole[1:] if whole[:1] and whole[0] in _ARTICLES else ()):
            if form and form not in found:
                found.append(form)
    return found


def _within(words: Sequence[str], text: Sequence[str]) -> bool:
    size = len(words)
    return any(tuple(text[i : i + size]) == tuple(words) for i in range(len(text) - size + 1))
