"""What the words of other languages and the signs of a domain mean in its catalogue (`retrieval/vocabulary.py` reads them)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from vouchrec.agent.grammar import alternatives, plain, words_of
from vouchrec.retrieval.catalogue import Catalogue
from vouchrec.retrieval.types import Constraint
from vouchrec.retrieval.vocabulary import Vocabulary, forms

Key = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Lexicon:
    """A domain's words in one language.

    Attributes:
        values: By the words of a name, plain, all that it can mean: attribute and constraints.
        nouns: What an item is called, plain.
        cues: By attribute of people, the words before a name, plain.
    """

    values: Mapping[Key, Sequence[tuple[str, tuple[Constraint, ...]]]]
    nouns: tuple[str, ...]
    cues: Mapping[str, tuple[str, ...]]

    @cached_property
    def longest(self) -> int:
        """Words in the longest name."""
        return max((len(key) for key in self.values), default=0)

    @cached_property
    def noun_pattern(self) -> str:
        """Pattern of a noun; of nothing where the domain names none."""
        return alternatives(";".join(self.nouns))


def lexicon(vocabulary: Vocabulary, catalogue: Catalogue) -> Lexicon:
    """Return the words of a vocabulary with what they mean in a catalogue; attributes that its domain lacks are left out."""
    values: dict[Key, list[tuple[str, tuple[Constraint, ...]]]] = {}
    for attribute, words in vocabulary.values.items():
        if catalogue.domain.attribute(attribute) is None:
            continue
        for value, surfaces in words.items():
            meant = _meaning(attribute, value, catalogue)
            for surface in forms(surfaces):
                own = values.setdefault(key_of(surface), [])
                if all(name != attribute for name, _ in own):
                    own.append((attribute, meant))
    nouns = tuple(dict.fromkeys(plain(noun) for noun in forms(vocabulary.nouns)))
    cues = {name: tuple(plain(cue) for cue in forms(text)) for name, text in vocabulary.cues.items()}
    return Lexicon(values, nouns, cues)


def key_of(surface: str) -> Key:
    """Return the plain words of a name; a sign is a word of its own."""
    return tuple(words_of(plain(surface))) or (surface,)


def _meaning(attribute: str, value: str, catalogue: Catalogue) -> tuple[Constraint, ...]:
    """Return what a value means: one, all of `a+b`, any of `a|b` that the catalogue has."""
    if "+" in value:
        return tuple(Constraint(attribute, "is", part) for part in value.split("+"))
    options = value.split("|")
    held = tuple(option for option in options if catalogue.rows_with(attribute, option))
    if len(held) > 1:
        return (Constraint(attribute, "any_of", held),)
    # A value that the catalogue lacks is still a wish: the answer says that nothing satisfies it.
    return (Constraint(attribute, "is", held[0] if held else options[0]),)
