"""Item embeddings on disk, by the hash of the content that each was made from; an item that has not changed is never embedded anew.

::

    embeddings.npy     (n, d) float32 (the packaged ones: float16)
    embeddings.json    embedder, hash by row, checksum of the rows
    embeddings.db      SQLite: what was embedded since, one row each, until it is merged into the other two

The first two are fast to read and packaged with the built-in catalogue; the third makes adding one item cheap, and is what an
interrupted run leaves behind.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import cast

import numpy as np

from vouchrec.retrieval.types import Embeddings

_SCHEMA = "CREATE TABLE IF NOT EXISTS vectors (hash TEXT, embedder TEXT, vector BLOB, PRIMARY KEY (hash, embedder))"


class VectorFiles:
    """The embeddings of one index folder, made by one embedder; those of another are ignored.

    Args:
        folder: An existing folder.
        embedder: Name of the embedder.
        dimension: Length of a vector.
    """

    def __init__(self, folder: Path, embedder: str, dimension: int) -> None:
        self._folder, self._embedder, self._dimension = folder, embedder, dimension
        self._added = folder / "embeddings.db"

    def load(self) -> tuple[list[str], Embeddings]:
        """Return the known hashes and their unit vectors, (n, d) float32; what is damaged counts as absent."""
        hashes, vectors = self._load_merged()
        added_hashes, added = self._load_added()
        return hashes + added_hashes, np.concatenate([vectors, added])

    def append(self, hashes: Sequence[str], vectors: Embeddings) -> None:
        """Store vectors beside the merged ones; durable when this returns."""
        rows = [(h, self._embedder, v.astype(np.float32).tobytes()) for h, v in zip(hashes, vectors, strict=True)]
        try:
            self._insert(rows)
        except sqlite3.DatabaseError:
            self._added.unlink(missing_ok=True)
            self._insert(rows)

    def has_added(self) -> bool:
        """Return whether there are vectors to merge."""
        return self._added.exists()

    def merge(self, hashes: Sequence[str], vectors: Embeddings) -> None:
        """Make these the stored vectors."""
        temporary = self._folder / f"embeddings.{os.getpid()}.tmp.npy"
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        np.save(temporary, rows)
        temporary.replace(self._folder / "embeddings.npy")
        info = {"embedder": self._embedder, "hashes": list(hashes), "checksum": zlib.crc32(rows.data)}
        described = temporary.with_suffix(".json")
        described.write_text(json.dumps(info), encoding="utf-8")
        described.replace(self._folder / "embeddings.json")
        self._added.unlink(missing_ok=True)

    def _insert(self, rows: list[tuple[str, str, bytes]]) -> None:
        with closing(sqlite3.connect(self._added)) as connection, connection:
            connection.execute(_SCHEMA)
            connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)

    def _load_merged(self) -> tuple[list[str], Embeddings]:
        nothing = [], np.zeros((0, self._dimension), np.float32)
        try:
            info = cast("dict[str, object]", json.loads((self._folder / "embeddings.json").read_text(encoding="utf-8")))
            stored = np.load(self._folder / "embeddings.npy", allow_pickle=False)
            hashes = [str(h) for h in cast("list[object]", info["hashes"])]
            checksum = info.get("checksum")
            fits = info["embedder"] == self._embedder and stored.shape == (len(hashes), self._dimension)
            if not fits or (checksum is not None and checksum != zlib.crc32(np.ascontiguousarray(stored).data)):
                return nothing
        except (OSError, ValueError, KeyError, TypeError, EOFError):
            return nothing
        return hashes, _unit(stored)

    def _load_added(self) -> tuple[list[str], Embeddings]:
        found: list[tuple[str, bytes]] = []
        if self._added.exists():
            wanted = "SELECT hash, vector FROM vectors WHERE embedder = ? AND length(vector) = ?"
            try:
                with closing(sqlite3.connect(self._added)) as connection:
                    found = connection.execute(wanted, (self._embedder, 4 * self._dimension)).fetchall()
            except sqlite3.DatabaseError:
                found = []
        vectors = np.frombuffer(b"".join(blob for _, blob in found), np.float32).reshape(-1, self._dimension)
        return [content for content, _ in found], vectors


def _unit(stored: np.ndarray) -> Embeddings:
    """Return stored rows as float32; those of lower precision are brought back to unit length."""
    vectors = stored.astype(np.float32)
    if stored.dtype == np.float32:
        return vectors
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(norms > 0, norms, 1.0)).astype(np.float32)
