"""The collaborative scorer: a tool behind one protocol, with exact contributions where the method allows it.

EASE: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019 (arXiv 1905.03375). A user's score for an item is
the sum over the history of weight times B[i, j], so every contribution is exact and a new like is folded in by one addition.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from scipy.linalg import get_lapack_funcs

from vouchrec.retrieval.errors import ModelError, NotFittedError
from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.types import ItemId

EASE_LIMIT = 20_000
"""Items above which EASE's dense inverse (n^2 memory, n^3 time) is not sensible; it then keeps the most popular items."""


class CollaborativeScorer(Protocol):
    """Scores items from a history. Items are its own columns; `items` maps them to ids."""

    @property
    def exact(self) -> bool:
        """True when contributions sum to the score by algebra."""
        ...

    @property
    def items(self) -> Sequence[ItemId]:
        """Item ids of the columns."""
        ...

    def fit(self, interactions: InteractionMatrix) -> None:
        """Learn from positive interactions."""
        ...

    def score(self, history: Mapping[ItemId, float]) -> npt.NDArray[np.float32]:
        """Return (n_columns,) float32 scores for a history of item id to weight; unknown ids count nothing."""
        ...

    def contributions(self, history: Mapping[ItemId, float], item: ItemId) -> dict[ItemId, float]:
        """Return the part of `item`'s score that each history item brings; the parts sum to it."""
        ...

    @property
    def popularity(self) -> npt.NDArray[np.float32]:
        """(n_columns,) float32 number of users per item."""
        ...

    def save(self, folder: Path) -> None:
        """Write safetensors and JSON."""
        ...


class Ease:
    """EASE with closed-form fit and fold-in.

    Args:
        l2: Ridge strength lambda; larger for sparser data.
        balance: Each person's row is divided by the number of its items to this power, 0 to 0.5, so that people with
            long histories don't outvote the others; `l2` is brought to the same scale. 0 is plain EASE.
    """

    exact = True

    def __init__(self, l2: float = 200.0, balance: float = 0.0) -> None:
        self.l2, self.balance = l2, balance
        self.items: tuple[ItemId, ...] = ()
        self._weights: npt.NDArray[np.float32] | None = None
        self._popularity: npt.NDArray[np.float32] = np.zeros(0, np.float32)
        self._column: dict[ItemId, int] = {}

    def fit(self, interactions: InteractionMatrix) -> None:
        """Learn B = I - P diag(1 / P), P the inverse of (X'X + l2 I), with a zero diagonal.

        Memory 12 n^2 bytes for a moment, 4 n^2 kept; items no user has touched are left out, and above `EASE_LIMIT` items only
        the most popular stay.

        Raises:
            ModelError: The ridge strength is too small for these data.
        """
        counts = np.asarray(interactions.matrix.getnnz(axis=0)).ravel()
        kept = np.flatnonzero(counts > 0)
        if len(kept) > EASE_LIMIT:
            kept = np.sort(kept[np.argsort(-counts[kept], kind="stable")[:EASE_LIMIT]])
        x = sp.csc_matrix(interactions.matrix[:, kept], dtype=np.float64)
        x, scale = _balanced(x, self.balance)
        weights = _ease_weights(x, len(kept), self.l2 * scale)
        self._set(tuple(interactions.items[i] for i in kept), weights, counts[kept].astype(np.float32))

    def _set(
        self, items: tuple[ItemId, ...], weights: npt.NDArray[np.float32], popularity: npt.NDArray[np.float32]
    ) -> None:
        self.items, self._weights, self._popularity = items, weights, popularity
        self._column = {item: i for i, item in enumerate(items)}

    @property
    def popularity(self) -> npt.NDArray[np.float32]:
        """(n_columns,) float32 number of users per item."""
        return self._popularity

    def score(self, history: Mapping[ItemId, float]) -> npt.NDArray[np.float32]:
        """Return (n_columns,) float32 scores.

        Raises:
            NotFittedError: Before fit() or load().
        """
        weights = self._require()
        columns, values = self._fold(history)
        return values @ weights[columns] if len(columns) else np.zeros(len(self.items), np.float32)

    def contributions(self, history: Mapping[ItemId, float], item: ItemId) -> dict[ItemId, float]:
        """Return weight times B[i, item] for each known history item.

        Raises:
            NotFittedError: Before fit() or load().
        """
        weights = self._require()
        target = self._column.get(item)
        if target is None:
            return {}
        return {i: float(w * weights[self._column[i], target]) for i, w in history.items() if i in self._column}

    def save(self, folder: Path) -> None:
        """Write `scorer.safetensors` (float16 weights, float32 popularity) and `scorer.json`.

        Raises:
            NotFittedError: Before fit() or load().
        """
        weights = np.ascontiguousarray(self._require(), dtype=np.float16)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "scorer.safetensors"
        _write(path, save({"weights": weights, "popularity": self._popularity}))
        info = {
            "kind": "ease",
            "l2": self.l2,
            "balance": self.balance,
            "items": list(self.items),
            "checksum": _checksum(path),
        }
        _write(folder / "scorer.json", json.dumps(info, ensure_ascii=False).encode())

    @staticmethod
    def load(folder: Path) -> Ease:
        """Read what `save` wrote.

        Raises:
            ModelError: A file is absent, damaged or of another kind.
        """
        try:
            info = cast("dict[str, object]", json.loads((folder / "scorer.json").read_text(encoding="utf-8")))
            tensors = load_file(folder / "scorer.safetensors")
            items = tuple(cast("list[str]", info["items"]))
            scorer = Ease(float(cast("float", info["l2"])), float(cast("float", info.get("balance", 0.0))))
            weights = tensors["weights"].astype(np.float32)
            if info["kind"] != "ease" or weights.shape != (len(items), len(items)):
                raise ValueError(f"kind {info['kind']}, shape {weights.shape}, {len(items)} items")
            if "checksum" in info and info["checksum"] != _checksum(folder / "scorer.safetensors"):
                raise ValueError("its two files are not of one scorer")
            scorer._set(items, weights, tensors["popularity"].astype(np.float32))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            hint = "Fit it again with `vouch init`."
            raise ModelError(f"The collaborative scorer in {folder} can't be read: {error}.", hint=hint) from error
        return scorer

    def _fold(self, history: Mapping[ItemId, float]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        known = [(self._column[i], w) for i, w in history.items() if i in self._column]
        columns = np.asarray([c for c, _ in known], dtype=np.int64)
        return columns, np.asarray([w for _, w in known], dtype=np.float32)

    def _require(self) -> npt.NDArray[np.float32]:
        if self._weights is None:
            raise NotFittedError("Ease")
        return self._weights


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def _checksum(path: Path) -> int:
    found = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            found = zlib.crc32(chunk, found)
    return found


_BLOCK = 1_024
"""Rows handled at once where all of them would need a second matrix."""


def _balanced(x: sp.csc_matrix, balance: float) -> tuple[sp.csc_matrix, float]:
    """Return rows divided by their number of entries to a power, and by how much that shrinks the sum of all squares."""
    if not balance or not x.nnz:
        return x, 1.0
    entries = np.maximum(np.asarray(x.getnnz(axis=1), np.float64), 1.0)
    divided = sp.csc_matrix(sp.diags_array(entries**-balance) @ x, dtype=np.float64)
    return divided, float(divided.power(2).sum() / x.power(2).sum())


def _ease_weights(x: sp.csc_matrix, n: int, l2: float) -> npt.NDArray[np.float32]:
    """Return EASE's B for an (n_users, n) float64 matrix, with one (n, n) float64 matrix beside it."""
    weights = np.zeros((n, n), np.float32)
    if n == 0:
        return weights
    inverse = _inverse_gram(x, n, l2)
    scale = -1.0 / np.diag(inverse)
    for start in range(0, n, _BLOCK):
        stop = min(start + _BLOCK, n)
        # Only the part below the diagonal was computed; the rest mirrors it.
        weights[start:stop, :start] = inverse[start:stop, :start]
        weights[start:stop, stop:] = inverse[stop:, start:stop].T
        corner = np.tril(inverse[start:stop, start:stop])
        weights[start:stop, start:stop] = corner + np.tril(corner, -1).T
        weights[start:stop] *= scale.astype(np.float32)
    np.fill_diagonal(weights, 0.0)
    return weights


def _inverse_gram(x: sp.csc_matrix, n: int, l2: float) -> npt.NDArray[np.float64]:
    """Return the lower triangle of (X'X + l2 I)^-1, by Cholesky in place (LAPACK potrf, potri)."""
    gram = np.zeros((n, n), np.float64, order="F")
    for start in range(0, n, _BLOCK):
        stop = min(start + _BLOCK, n)
        gram[:, start:stop] = (x.T @ x[:, start:stop]).toarray()
    gram[np.diag_indices(n)] += l2
    factorise, invert = get_lapack_funcs(("potrf", "potri"), dtype=np.float64)
    factor, failed = factorise(gram, lower=1, overwrite_a=1, clean=0)
    if not failed:
        factor, failed = invert(factor, lower=1, overwrite_c=1)
    if failed:
        raise ModelError(f"EASE can't be fitted with l2 = {l2:g}: the matrix is singular.", hint="Use a larger l2.")
    return factor
