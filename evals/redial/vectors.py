"""Sentence vectors of contexts and films, embedded once and kept in a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from tqdm import tqdm

from vouchrec.evals.redial.features import Catalogue, Floats, Matrix, titled
from vouchrec.evals.redial.protocol import Case
from vouchrec.retrieval.embed import Embedder

__all__ = ["ContextVectors", "nearest"]

CONTEXT_WORDS = 40
PLOT_WORDS = 40
"""Words that are embedded: the last of a context, the first of a plot."""
_STEP = 1024


class ContextVectors:
    """Vectors of the last two turns of a context, with titles in place of ids, and of title, genres and plot of films.

    Args:
        catalogue: Films.
        embedder: Turns texts into vectors.
        folder: Where vectors are kept, by the texts' hashes; made when absent.
    """

    def __init__(self, catalogue: Catalogue, embedder: Embedder, folder: Path) -> None:
        self._embedder, self._folder = embedder, folder
        self._names = {film.id: film.title for film in catalogue.films}
        self._film_texts = [
            f"{film.title}. {', '.join(film.genres)}. {' '.join(film.plot.split()[:PLOT_WORDS])}"
            for film in catalogue.films
        ]
        self._vectors = self._load()

    def prepare(self, cases: Sequence[Case], *, progress: bool = False) -> None:
        """Embed the films and these contexts, as far as they are not known; kept on disk after every thousand."""
        texts = dict.fromkeys([*self._film_texts, *(self._text(case) for case in cases)])
        missing = sorted((text for text in texts if _key(text) not in self._vectors), key=len)
        bar = tqdm(total=len(missing), desc="embedding", unit="text", disable=not progress)
        for number, start in enumerate(range(0, len(missing), _STEP), start=1):
            part = missing[start : start + _STEP]
            rows = self._embedder.encode(part).astype(np.float16)
            self._vectors.update({_key(text): row for text, row in zip(part, rows, strict=True)})
            bar.update(len(part))
            if number % 4 == 0 or start + _STEP >= len(missing):
                self._save()
        bar.close()

    def films(self) -> Floats:
        """Return (n films, d) float32."""
        return self._rows(self._film_texts)

    def contexts(self, cases: Sequence[Case]) -> Floats:
        """Return (n cases, d) float32; the cases must have been prepared."""
        return self._rows([self._text(case) for case in cases])

    def _text(self, case: Case) -> str:
        said = " ".join(titled(turn.text, self._names) for turn in case.context[-2:])
        return " ".join(said.split()[-CONTEXT_WORDS:])

    def _rows(self, texts: Sequence[str]) -> Floats:
        rows = [self._vectors[_key(text)] for text in texts]
        return np.stack(rows).astype(np.float32) if rows else np.zeros((0, self._embedder.dimension), np.float32)

    def _path(self) -> Path:
        return self._folder / f"vectors-{hashlib.sha256(self._embedder.name.encode()).hexdigest()[:8]}.npz"

    def _load(self) -> dict[str, np.ndarray]:
        if not self._path().is_file():
            return {}
        with np.load(self._path(), allow_pickle=False) as file:
            return dict(zip(json.loads(str(file["keys"])), file["rows"], strict=True))

    def _save(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._path().with_suffix(".partial.npz")
        np.savez(partial, keys=np.array(json.dumps(list(self._vectors))), rows=np.stack(list(self._vectors.values())))
        partial.replace(self._path())


def nearest(queries: Floats, known: Floats, kept: int, *, temperature: float = 0.05) -> Matrix:
    """Return (n queries, n known): softmax weights of the nearest vectors, rows that sum to 1.

    Args:
        queries, known: Rows of unit length.
        kept: How many count.
        temperature: Of the softmax over cosines.
    """
    kept = min(kept, len(known))
    rows: list[np.ndarray] = []
    columns: list[np.ndarray] = []
    values: list[np.ndarray] = []
    for start in range(0, len(queries), 512):
        likeness = queries[start : start + 512] @ known.T
        best = np.argpartition(-likeness, kept - 1, axis=1)[:, :kept]
        chosen = np.take_along_axis(likeness, best, axis=1)
        weights = np.exp((chosen - chosen.max(axis=1, keepdims=True)) / temperature)
        rows.append(np.repeat(np.arange(start, start + len(best)), kept))
        columns.append(best.ravel())
        values.append((weights / weights.sum(axis=1, keepdims=True)).ravel())
    shape = (len(queries), len(known))
    triple = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return sp.csr_matrix(triple, shape=shape, dtype=np.float32)


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
