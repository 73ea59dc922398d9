"""Several scorers as one: the weighted sum of their scores, each brought to the same spread first.

A score of a part is divided by the standard deviation of that part's scores for the same history, one number for all
items, so that contributions are divided by it too and still sum to the score where those of every part do.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from vouchrec.retrieval.collaborative import CollaborativeScorer
from vouchrec.retrieval.errors import NotFittedError
from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.scorers.files import INFO, Json, SavedScorer, read_scorer, unreadable, write_scorer
from vouchrec.retrieval.types import ItemId

__all__ = ["BlendScorer"]


class BlendScorer:
    """A weighted sum of scorers that are fitted on the same interactions.

    Args:
        parts: Scorers, at least one.
        weights: One weight per scorer.
    """

    kind = "blend"

    def __init__(self, parts: Sequence[CollaborativeScorer], weights: Sequence[float]) -> None:
        if not parts or len(parts) != len(weights):
            raise ValueError(f"{len(parts)} scorers, {len(weights)} weights")
        self.parts, self.weights = tuple(parts), tuple(float(w) for w in weights)
        self.items: tuple[ItemId, ...] = ()
        self._column: dict[ItemId, int] = {}
        self._places: tuple[npt.NDArray[np.int64], ...] = ()
        self._popularity: npt.NDArray[np.float32] = np.zeros(0, np.float32)
        self._fitted = False

    @staticmethod
    def of_fitted(parts: Sequence[CollaborativeScorer], weights: Sequence[float]) -> BlendScorer:
        """Return the sum of scorers that are fitted already."""
        blend = BlendScorer(parts, weights)
        blend._align()
        return blend

    @property
    def exact(self) -> bool:
        """True when those of every part are."""
        return all(part.exact for part in self.parts)

    @property
    def popularity(self) -> npt.NDArray[np.float32]:
        """(n_columns,) float32 number of users per item."""
        return self._popularity

    def fit(self, interactions: InteractionMatrix) -> None:
        """Fit every part."""
        for part in self.parts:
            part.fit(interactions)
        self._align()

    def _align(self) -> None:
        """Give every item that any part knows a column."""
        self.items = tuple(dict.fromkeys(item for part in self.parts for item in part.items))
        self._column = {item: index for index, item in enumerate(self.items)}
        self._places = tuple(np.asarray([self._column[i] for i in part.items], np.int64) for part in self.parts)
        self._popularity = np.zeros(len(self.items), np.float32)
        for part, places in zip(self.parts, self._places, strict=True):
            np.maximum.at(self._popularity, places, part.popularity)
        self._fitted = True

    def score(self, history: Mapping[ItemId, float]) -> npt.NDArray[np.float32]:
        """Return (n_columns,) float32 scores.

        Raises:
            NotFittedError: Before fit() or load().
        """
        self._require()
        total = np.zeros(len(self.items), np.float32)
        for part, places, weight in zip(self.parts, self._places, self.weights, strict=True):
            own = part.score(history)
            total[places] += np.float32(weight * _factor(own)) * own
        return total

    def contributions(self, history: Mapping[ItemId, float], item: ItemId) -> dict[ItemId, float]:
        """Return the sum of the parts' contributions, each multiplied as its scores are.

        Raises:
            NotFittedError: Before fit() or load().
        """
        self._require()
        total: dict[ItemId, float] = {}
        for part, weight in zip(self.parts, self.weights, strict=True):
            factor = weight * _factor(part.score(history))
            for source, value in part.contributions(history, item).items():
                total[source] = total.get(source, 0.0) + factor * value
        return total

    def save(self, folder: Path) -> None:
        """Write each part into a folder of its own, then the weights.

        Raises:
            NotFittedError: Before fit() or load().
        """
        self._require()
        settings: dict[str, Json] = {"parts": len(self.parts)}
        for number, (part, weight) in enumerate(zip(self.parts, self.weights, strict=True)):
            part.save(folder / f"part{number}")
            settings |= {f"weight{number}": weight, f"checksum{number}": _checksum(folder / f"part{number}")}
        write_scorer(folder, self.kind, SavedScorer(settings, self.items, {"popularity": self._popularity}))

    @staticmethod
    def load(folder: Path, load_part: Callable[[Path], CollaborativeScorer]) -> BlendScorer:
        """Read what `save` wrote.

        Args:
            folder: Where it was saved.
            load_part: Reads a scorer of any kind.

        Raises:
            ModelError: A file is absent, damaged or of another kind.
        """
        saved = read_scorer(folder, BlendScorer.kind)
        try:
            numbers = range(int(cast("int", saved.settings["parts"])))
            if any(saved.settings[f"checksum{n}"] != _checksum(folder / f"part{n}") for n in numbers):
                raise ValueError("its parts are of another blend")
            weights = [float(cast("float", saved.settings[f"weight{n}"])) for n in numbers]
            blend = BlendScorer.of_fitted([load_part(folder / f"part{n}") for n in numbers], weights)
            if blend.items != saved.items:
                raise ValueError("its parts know other items")
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise unreadable(folder, error) from error
        return blend

    def _require(self) -> None:
        if not self._fitted:
            raise NotFittedError("BlendScorer")


def _factor(scores: npt.NDArray[np.float32]) -> float:
    spread = float(scores.std()) if len(scores) else 0.0
    return 1.0 / spread if spread > 1e-12 else 0.0


def _checksum(folder: Path) -> int:
    """Return a number that changes with the saved scorer: its JSON holds a checksum of the rest."""
    return zlib.crc32((folder / INFO).read_bytes())
