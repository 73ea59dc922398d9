"""All signals about what a context makes likely, from one set of dialogues, in one fixed order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from vouchrec.evals.redial.data import Dialogue, mentions
from vouchrec.evals.redial.features import (
    Catalogue,
    Floats,
    Matrix,
    Vocabulary,
    bare,
    dialogue_matrix,
    events_of,
    film_features,
    joined,
    mention_matrix,
    target_matrix,
    unit_rows,
    words,
)
from vouchrec.evals.redial.linear import CoMention, ContextRidge, RidgeSettings
from vouchrec.evals.redial.protocol import Case, Protocol, targets_of
from vouchrec.evals.redial.tower import Tower, TowerSettings
from vouchrec.evals.redial.vectors import ContextVectors, nearest

__all__ = ["COUNT_GROUPS", "Signals", "group_of", "mask_of", "wanted_of"]

COUNT_GROUPS = 3
"""Contexts that mention no film, one or two, and more: what is known of the taste differs, and so may the weights."""
NEIGHBOURS = 300
"""Training contexts that count as near."""
RIDGES = {
    "ridge": RidgeSettings(l2=100.0),
    "ridge_broad": RidgeSettings(l2=600.0, turns=20),
}
"""Ridges by name: the broad one is held back more, which is better further down the list."""
TOWERS = (
    TowerSettings(seed=0),
    TowerSettings(seed=1, width=96, dropout=0.45, turns=20),
    TowerSettings(seed=2, width=96, dropout=0.45, turns=20),
    TowerSettings(seed=3),
    TowerSettings(seed=4, width=128, dropout=0.5, turns=20),
)
"""Towers whose logits are averaged: the start and the order of training are chance."""
FLOOR = 1e-5
"""Least probability whose logarithm is taken."""


class Signals:
    """Learns from dialogues and scores contexts.

    Args:
        catalogue: Films.
        vectors: Sentence vectors of contexts and films; None leaves out the signals that need them.
    """

    def __init__(self, catalogue: Catalogue, vectors: ContextVectors | None = None) -> None:
        self._catalogue, self._vectors = catalogue, vectors
        self._features = film_features(catalogue)
        self._all = unit_rows(joined(self._features))
        films = catalogue.films
        texts = [[*words(film.title), *words(film.plot), *words(" ".join(film.people)), *film.genres] for film in films]
        self._film_words = Vocabulary(texts, 1)
        self._film_texts = self._film_words.matrix(texts)
        years = np.array([film.year or np.nan for film in films], np.float32)
        self._years = np.where(np.isnan(years), np.nanmedian(years) if len(years) else 0, years).astype(np.float32)

    def fit(self, dialogues: Sequence[Dialogue]) -> None:
        """Learn from dialogues."""
        catalogue = self._catalogue
        all_mentions = dialogue_matrix(dialogues, catalogue)
        self._shares = _shares(all_mentions)
        self._recommended = _shares(dialogue_matrix(dialogues, catalogue, recommender=True))
        self._pairs = CoMention(all_mentions, self._shares)
        self._events = events_of(dialogues, catalogue.column)
        self._wanted = target_matrix(self._events, catalogue)
        self._ridges = {name: ContextRidge(catalogue, own) for name, own in RIDGES.items()}
        for ridge in self._ridges.values():
            ridge.fit(self._events, self._shares)
        films = self._film_vectors()
        self._towers = [Tower(catalogue, self._all, films, settings) for settings in TOWERS]
        for tower in self._towers:
            tower.fit(self._events, self._context_vectors(self._events))
        self._near_words = Vocabulary((bare(case.context) for case in self._events), 3)
        self._near = self._near_inputs(self._events)

    def score(self, cases: Sequence[Case]) -> dict[str, Floats]:
        """Return per signal (n cases, n films) float32."""
        mentioned = mention_matrix(cases, self._catalogue)
        last = mention_matrix(cases, self._catalogue, decay=0.0)
        n = len(cases)
        found: dict[str, Floats] = {
            "popularity": np.broadcast_to(np.log(self._shares), (n, len(self._shares))),
            "recommended": np.broadcast_to(np.log(self._recommended), (n, len(self._shares))),
            "together": _log(self._pairs.score(mentioned)),
            "together_last": _log(self._pairs.score(last)),
        }
        for name, ridge in self._ridges.items():
            raw = ridge.score(cases)
            found[name] = 10 * raw
            found[f"{name}_log"] = _log(np.maximum(raw + self._shares, 0.0), 1e-4)
            if name == "ridge":
                found["ridge_spread"] = self._spread(raw)
        logits = [tower.score(cases, self._context_vectors(cases)) for tower in self._towers]
        found["tower"] = np.mean([own - own.mean(axis=1, keepdims=True) for own in logits], axis=0)
        found |= self._content(cases, mentioned)
        found["near_words"] = _log(self._near_score(cases) + 0.1 * self._shares)
        if self._vectors is not None:
            found["meaning"] = self._vectors.contexts(cases) @ self._vectors.films().T
            weights = nearest(self._vectors.contexts(cases), self._vectors.contexts(self._events), NEIGHBOURS)
            found["near_meaning"] = _log(_dense(weights @ self._wanted) + 0.1 * self._shares)
        found |= self._again(cases)
        return {name: np.ascontiguousarray(values, np.float32) for name, values in found.items()}

    def _again(self, cases: Sequence[Case]) -> dict[str, Floats]:
        """What was mentioned before, by whom and when: only the standard protocol can use it."""
        shape = (len(cases), len(self._catalogue))
        found = {name: np.zeros(shape, np.float32) for name in ("again", "again_seeker", "again_turn", "again_age")}
        for row, case in enumerate(cases):
            columns = [self._catalogue.column[film] for film in case.mentioned]
            found["again"][row, columns] = 1.0
            found["again_age"][row, columns] = [1 / (1 + age) for age in reversed(range(len(columns)))]
            for name, turns in (
                ("again_seeker", [t for t in case.context if t.seeker]),
                ("again_turn", case.context[-1:]),
            ):
                said = {film for turn in turns for film in mentions(turn.text)}
                found[name][row, [self._catalogue.column[film] for film in case.mentioned if film in said]] = 1.0
        return found

    def _context_vectors(self, cases: Sequence[Case]) -> Floats:
        return np.zeros((len(cases), 1), np.float32) if self._vectors is None else self._vectors.contexts(cases)

    def _film_vectors(self) -> Floats:
        return np.zeros((len(self._catalogue), 1), np.float32) if self._vectors is None else self._vectors.films()

    def _spread(self, raw: Floats) -> Floats:
        """What the ridge says of films alike in content: the way to films that were seldom named."""
        likely = sp.csr_matrix(np.where(raw > 1e-3, raw, 0.0))
        spread = _dense((likely @ self._all) @ self._all.T)
        return np.log(spread + 1e-3)

    def _content(self, cases: Sequence[Case], mentioned: Matrix) -> dict[str, Floats]:
        means = unit_rows(mentioned)
        found = {f"same_{kind}": _dense(unit_rows(means @ own) @ own.T) for kind, own in self._features.items()}
        said = self._film_words.matrix([bare(case.context[-6:]) for case in cases])
        found["said"] = _dense(said @ self._film_texts.T)
        found["said_genres"] = _dense(self._genre_words(cases) @ self._features["genres"].T)
        counts = np.maximum(np.asarray(mentioned.sum(axis=1)).reshape(-1, 1), 1e-9)
        middle = np.asarray(mentioned @ self._years).reshape(-1, 1) / counts
        there = np.asarray(mentioned.sum(axis=1)).reshape(-1, 1) > 0
        found["years_apart"] = np.where(there, np.minimum(np.abs(self._years - middle) / 10, 3.0), 0.0)
        return found

    def _genre_words(self, cases: Sequence[Case]) -> Matrix:
        texts = [list(film.genres) for film in self._catalogue.films]
        vocabulary = Vocabulary(texts, 5)
        return vocabulary.matrix([_genres_said(bare(case.context[-6:])) for case in cases])

    def _near_inputs(self, cases: Sequence[Case]) -> Matrix:
        films = unit_rows(mention_matrix(cases, self._catalogue, decay=0.8))
        said = self._near_words.matrix([bare(case.context) for case in cases])
        return unit_rows(sp.csr_matrix(sp.hstack([1.5 * films, said], format="csr")))

    def _near_score(self, cases: Sequence[Case]) -> Floats:
        likeness = _dense(self._near_inputs(cases) @ self._near.T)
        return _dense(_sharpened(likeness, NEIGHBOURS) @ self._wanted)


SAID_GENRES = {
    "scary": "horror",
    "spooky": "horror",
    "creepy": "horror",
    "funny": "comedy",
    "comedies": "comedy",
    "laugh": "comedy",
    "humor": "comedy",
    "scifi": "sci-fi",
    "sci": "sci-fi",
    "science": "sci-fi",
    "space": "sci-fi",
    "romantic": "romance",
    "rom": "romance",
    "love": "romance",
    "romcom": "romance",
    "animated": "animation",
    "cartoon": "animation",
    "cartoons": "animation",
    "pixar": "animation",
    "disney": "animation",
    "kids": "family",
    "children": "family",
    "thrillers": "thriller",
    "suspense": "thriller",
    "suspenseful": "thriller",
    "dramas": "drama",
    "dramatic": "drama",
    "documentaries": "documentary",
    "musicals": "musical",
    "westerns": "western",
    "superhero": "action",
    "marvel": "action",
    "mysteries": "mystery",
    "historical": "history",
}
"""Words that people use for the genres of the facts."""


def _genres_said(said: Sequence[str]) -> list[str]:
    return [SAID_GENRES.get(word, word) for word in said]


def group_of(cases: Sequence[Case]) -> npt.NDArray[np.int64]:
    """Return (n,) the group of each context, below `COUNT_GROUPS`."""
    counts = np.array([len(case.mentioned) for case in cases], np.int64)
    return np.where(counts == 0, 0, np.where(counts < 3, 1, 2)).astype(np.int64)


def mask_of(cases: Sequence[Case], catalogue: Catalogue) -> npt.NDArray[np.bool_]:
    """Return (n, n films) bool: what was mentioned before."""
    return mention_matrix(cases, catalogue).toarray() > 0


def wanted_of(cases: Sequence[Case], catalogue: Catalogue, protocol: Protocol) -> npt.NDArray[np.bool_]:
    """Return (n, n films) bool: the targets."""
    wanted = np.zeros((len(cases), len(catalogue)), bool)
    for row, case in enumerate(cases):
        wanted[row, [catalogue.column[film] for film in targets_of(case, protocol)]] = True
    return wanted


def _shares(dialogues: Matrix) -> Floats:
    counts = np.asarray(dialogues.sum(axis=0), np.float64).ravel() + 0.1
    return (counts / counts.sum()).astype(np.float32)


def _log(values: npt.NDArray[np.floating], floor: float = FLOOR) -> Floats:
    return np.log(np.maximum(values, floor)).astype(np.float32)


def _dense(matrix: sp.spmatrix | sp.sparray) -> Floats:
    return np.asarray(sp.csr_matrix(matrix).todense(), np.float32)


def _sharpened(likeness: Floats, kept: int) -> Matrix:
    """Return the largest likenesses of each row, raised to a power, with rows that sum to 1 (or to 0)."""
    kept = min(kept, likeness.shape[1])
    least = np.partition(likeness, -kept, axis=1)[:, -kept][:, None] if kept else 0.0
    weights = np.where((likeness >= least) & (likeness > 0), likeness, 0.0) ** 3
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    return sp.csr_matrix(weights, dtype=np.float32)
