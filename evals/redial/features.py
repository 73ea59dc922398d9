"""Contexts and films as sparse numbers: which films and words a context has, and which genres, people and words a film has."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from vouchrec.evals.redial.data import Dialogue, Film, Message, mentions
from vouchrec.evals.redial.protocol import Case, turns_of

__all__ = [
    "Catalogue",
    "Vocabulary",
    "bare",
    "dialogue_matrix",
    "events_of",
    "film_features",
    "joined",
    "mention_matrix",
    "target_matrix",
    "titled",
    "words",
]

Matrix: TypeAlias = sp.csr_matrix
Floats: TypeAlias = npt.NDArray[np.float32]
_WORD = re.compile(r"[a-z0-9][a-z0-9']+")
_MENTION = re.compile(r"@(\d+)")
RECENT = 0.7
"""How much less each earlier mention counts than the next, where recency counts."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The films in their fixed order, which is that of every array's columns.

    Attributes:
        films: All films that are ranked.
        column: Position by id.
    """

    films: tuple[Film, ...]
    column: Mapping[str, int]

    @classmethod
    def of(cls, films: Sequence[Film]) -> Catalogue:
        """Return the catalogue of films in the given order."""
        return cls(tuple(films), {film.id: number for number, film in enumerate(films)})

    def __len__(self) -> int:
        """Return the number of films."""
        return len(self.films)


class Vocabulary:
    """Words by frequency, for weighted bags of words of unit length.

    Args:
        texts: Where words are counted, one bag each.
        least: Bags that a word must occur in.
    """

    def __init__(self, texts: Iterable[Sequence[str]], least: int) -> None:
        counts: Counter[str] = Counter()
        total = 0
        for text in texts:
            counts.update(set(text))
            total += 1
        kept = sorted(word for word, count in counts.items() if count >= least)
        self.index = {word: number for number, word in enumerate(kept)}
        self.rarity = np.array([np.log((total + 1) / counts[word]) for word in kept], np.float32)

    def __len__(self) -> int:
        """Return the number of words."""
        return len(self.index)

    def matrix(self, texts: Sequence[Sequence[str]]) -> Matrix:
        """Return (len(texts), len(self)) float32: a word's rarity where it occurs, rows of unit length (or empty)."""
        rows = [sorted({self.index[word] for word in text if word in self.index}) for text in texts]
        weighted = [[(column, float(self.rarity[column])) for column in row] for row in rows]
        return unit_rows(_matrix(weighted, len(self)))


def words(text: str) -> list[str]:
    """Return the lower-case words of a text without the films in it."""
    return _WORD.findall(_MENTION.sub(" ", text).lower())


def bare(context: Iterable[Message]) -> list[str]:
    """Return the words of some turns without the films in them."""
    return [word for turn in context for word in words(turn.text)]


def titled(text: str, names: Mapping[str, str]) -> str:
    """Return a text on one line with titles in place of ids."""
    return " ".join(_MENTION.sub(lambda found: names.get(found[1], ""), text).split())


def events_of(dialogues: Iterable[Dialogue], films: Mapping[str, int]) -> list[Case]:
    """Return one case per turn of either person that names a film for the first time: what models learn from."""
    found: list[Case] = []
    for dialogue in dialogues:
        context: list[Message] = []
        mentioned: dict[str, None] = {}
        for number, turn in enumerate(turns_of(dialogue)):
            named = [film for film in mentions(turn.text) if film in films]
            new = tuple(film for film in named if film not in mentioned)
            if new:
                found.append(Case(dialogue.id, number, tuple(context), tuple(mentioned), new))
            context.append(turn)
            mentioned.update(dict.fromkeys(named))
    return found


def dialogue_matrix(dialogues: Sequence[Dialogue], catalogue: Catalogue, *, recommender: bool = False) -> Matrix:
    """Return (n dialogues, n films) of 1 where a dialogue names a film, optionally by the recommender only."""
    rows: list[list[tuple[int, float]]] = []
    for dialogue in dialogues:
        said = (message for message in dialogue.messages if not (recommender and message.seeker))
        named = dict.fromkeys(film for message in said for film in mentions(message.text))
        rows.append([(catalogue.column[film], 1.0) for film in named if film in catalogue.column])
    return _matrix(rows, len(catalogue))


def mention_matrix(cases: Sequence[Case], catalogue: Catalogue, *, decay: float = 1.0) -> Matrix:
    """Return (n cases, n films): 1 for the film mentioned last, `decay` less for each film before; 0 keeps the last one."""
    rows: list[list[tuple[int, float]]] = []
    for case in cases:
        weighted = [(catalogue.column[film], decay**age) for age, film in enumerate(reversed(case.mentioned))]
        rows.append([(film, weight) for film, weight in weighted if weight > 0])
    return _matrix(rows, len(catalogue))


def target_matrix(cases: Sequence[Case], catalogue: Catalogue) -> Matrix:
    """Return (n cases, n films) of 1 for targets that were not mentioned before."""
    rows = [[(catalogue.column[film], 1.0) for film in case.targets if film not in case.mentioned] for case in cases]
    return _matrix(rows, len(catalogue))


def film_features(catalogue: Catalogue) -> dict[str, Matrix]:
    """Return per kind (genres, years, people, title, plot) a matrix (n films, n features), rows of unit length or empty."""
    films = catalogue.films
    kinds: dict[str, tuple[list[list[str]], int]] = {
        "genres": ([list(film.genres) for film in films], 5),
        "years": ([[f"{film.year // 10}", f"{film.year // 4}y"] if film.year else [] for film in films], 5),
        "people": ([list(film.people) for film in films], 2),
        "title": ([words(film.title) for film in films], 2),
        "plot": ([words(film.plot) for film in films], 5),
    }
    return {kind: Vocabulary(texts, least).matrix(texts) for kind, (texts, least) in kinds.items()}


def joined(features: Mapping[str, Matrix]) -> Matrix:
    """Return all kinds side by side."""
    return sp.csr_matrix(sp.hstack(list(features.values()), format="csr"), dtype=np.float32)


def unit_rows(matrix: Matrix) -> Matrix:
    """Return the matrix with rows of unit length; empty rows stay empty."""
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return sp.csr_matrix(sp.diags_array(1.0 / np.maximum(lengths, 1e-9)) @ matrix, dtype=np.float32)


def _matrix(rows: Sequence[Sequence[tuple[int, float]]], width: int) -> Matrix:
    ends = np.cumsum([0, *(len(row) for row in rows)])
    columns = np.array([column for row in rows for column, _ in row], np.int32)
    values = np.array([value for row in rows for _, value in row], np.float32)
    return sp.csr_matrix((values, columns, ends), shape=(len(rows), width), dtype=np.float32)
