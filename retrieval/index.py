"""The vector index: a Chroma collection of item embeddings, rebuilt whenever it is missing, stale or damaged.

Chroma is never the source of truth. Beside it lies `embeddings.npy`, the vectors by row with the hash of the item each was
made from: a rebuild re-embeds only what changed, exact search under a selective filter reads it, and so does diversity.
The only importer of chromadb.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import chromadb
import numpy as np
from chromadb.config import Settings
from chromadb.errors import ChromaError
from tqdm import tqdm

from vouchrec.retrieval.embed import Embedder
from vouchrec.retrieval.types import Embeddings, ItemId, ItemVector, Row, RowMask

log = logging.getLogger(__name__)
COLLECTION = "items"
SELECTIVE = 0.1
"""Fraction of allowed rows under which exact masked search is cheaper than over-fetching from Chroma."""
OVERFETCH = 4
_BATCH = 2_000
_SAVE_EVERY = 2_048


@dataclass(frozen=True, slots=True)
class IndexState:
    """What opening the index had to do: vectors embedded anew, and whether the Chroma collection was rebuilt and why."""

    embedded: int
    rebuilt: bool
    reason: str = ""


class VectorIndex:
    """Item embeddings of one workspace, searchable.

    Args:
        folder: Where the collection and `embeddings.npy` live.
        embedder: Encodes items and queries.
    """

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        self.folder = folder
        self.embedder = embedder
        self._vectors: Embeddings = np.zeros((0, embedder.dimension), np.float32)
        self._hashes: list[str] = []
        self._ids: list[ItemId] = []
        self._client: chromadb.api.ClientAPI | None = None
        self._collection: chromadb.Collection | None = None

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def vectors(self) -> Embeddings:
        """(n_items, d) float32 unit rows, in catalogue row order."""
        return self._vectors[: len(self._ids)]

    # ---- building ---------------------------------------------------------------------------------------------

    def open(
        self,
        hashes: Mapping[ItemId, str],
        text_of: Callable[[Row], str],
        *,
        progress: bool = False,
    ) -> IndexState:
        """Bring the index in line with the store and open it.

        Args:
            hashes: Content hash by item id, in catalogue row order.
            text_of: Text to embed for a row.
            progress: Show progress bars for long work.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        known = self._load_vectors()
        self._ids, self._hashes = list(hashes), list(hashes.values())
        missing = [row for row, content in enumerate(self._hashes) if content not in known]
        with tqdm(total=len(missing), desc="embedding items", disable=not (progress and missing), unit="item") as bar:
            for start in range(0, len(missing), _SAVE_EVERY):
                rows = missing[start : start + _SAVE_EVERY]
                fresh = self.embedder.encode([text_of(row) for row in rows], bar=bar)
                known.update({self._hashes[row]: vector for row, vector in zip(rows, fresh, strict=True)})
                self._save_vectors(known)  # what an interrupted run has embedded is kept for the next one
        shape = (len(self._hashes), self.embedder.dimension)
        self._vectors = np.stack([known[h] for h in self._hashes]) if self._hashes else np.zeros(shape, np.float32)
        reason = self._open_collection()
        if reason:
            self._rebuild(progress)
        return IndexState(len(missing), bool(reason), reason)

    def put(self, item_id: ItemId, row: Row, content: str, vector: Embeddings) -> None:
        """Add one item or replace it; it can be found at once."""
        if row == len(self._ids):
            self._ids.append(item_id)
            self._hashes.append(content)
            if row == len(self._vectors):  # grow by doubling, so that adding items one by one stays linear
                room = np.zeros((max(64, len(self._vectors)), self.embedder.dimension), np.float32)
                self._vectors = np.concatenate([self._vectors, room])
        self._hashes[row] = content
        self._vectors[row] = vector
        self._require().upsert(ids=[item_id], embeddings=vector[None, :], metadatas=[{"row": row}])
        self._require().modify(metadata={"fingerprint": self._fingerprint()})
        self._save_vectors(dict(zip(self._hashes, self.vectors, strict=True)))

    def _load_vectors(self) -> dict[str, Embeddings]:
        try:
            info = json.loads((self.folder / "embeddings.json").read_text(encoding="utf-8"))
            vectors = np.load(self.folder / "embeddings.npy", allow_pickle=False)
            hashes = cast("list[str]", info["hashes"])
            if info["embedder"] != self.embedder.name or vectors.shape != (len(hashes), self.embedder.dimension):
                return {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return {content: vectors[row].astype(np.float32) for row, content in enumerate(hashes)}

    def _save_vectors(self, known: Mapping[str, Embeddings]) -> None:
        info = {"embedder": self.embedder.name, "hashes": list(known)}
        temporary = self.folder / f"embeddings.{os.getpid()}.tmp.npy"
        np.save(temporary, np.stack(list(known.values())))
        temporary.replace(self.folder / "embeddings.npy")
        described = temporary.with_suffix(".json")
        described.write_text(json.dumps(info), encoding="utf-8")
        described.replace(self.folder / "embeddings.json")

    def _fingerprint(self) -> str:
        parts = [self.embedder.name, self._ids, self._hashes]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]

    def _open_collection(self) -> str:
        """Open the collection and return why it has to be rebuilt, or an empty string."""
        fresh = not (self.folder / "chroma").exists()
        try:
            self._client = chromadb.PersistentClient(str(self.folder / "chroma"), Settings(anonymized_telemetry=False))
            found = {c.name for c in self._client.list_collections()}
            if COLLECTION not in found:
                return "made for the first time" if fresh else "the collection was missing"
            self._collection = self._client.get_collection(COLLECTION, embedding_function=None)
            if (self._collection.metadata or {}).get("fingerprint") != self._fingerprint():
                return "the catalogue or the embedder changed"
            if self._collection.count() != len(self._ids):
                return "the collection was incomplete"
            if self._ids:
                probe = self._collection.query(query_embeddings=self._vectors[:1], n_results=1, include=["distances"])
                if not probe["ids"][0]:
                    return "the collection did not answer"
        except (ChromaError, ValueError, RuntimeError, OSError) as error:
            log.warning("The vector index is damaged and will be rebuilt: %s", error)
            return "the collection was damaged"
        except BaseException as error:
            # Chroma's Rust core raises PanicException, a BaseException, on a damaged file.
            if type(error).__name__ != "PanicException":
                raise
            return "the collection was damaged"
        return ""

    def _rebuild(self, progress: bool) -> None:
        if self._client is not None and self._collection is not None:
            self._client.delete_collection(COLLECTION)
        elif self._client is None or not self._usable():
            self._start_afresh()
        client = cast("chromadb.api.ClientAPI", self._client)
        self._collection = client.create_collection(
            COLLECTION, embedding_function=None, configuration={"hnsw": {"space": "cosine", "ef_search": 200}}
        )
        with tqdm(total=len(self._ids), desc="indexing items", disable=not progress, unit="item") as bar:
            for start in range(0, len(self._ids), _BATCH):
                stop = min(start + _BATCH, len(self._ids))
                self._collection.add(
                    ids=self._ids[start:stop],
                    embeddings=self._vectors[start:stop],
                    metadatas=[{"row": row} for row in range(start, stop)],
                )
                bar.update(stop - start)
        # The fingerprint is written last: an interrupted build is seen as stale, never as finished.
        self._collection.modify(metadata={"fingerprint": self._fingerprint()})

    def _usable(self) -> bool:
        try:
            return self._client is not None and COLLECTION not in {c.name for c in self._client.list_collections()}
        except Exception:  # noqa: BLE001 - any failure means: not usable
            return False

    def _start_afresh(self) -> None:
        chromadb.api.client.SharedSystemClient.clear_system_cache()
        shutil.rmtree(self.folder / "chroma", ignore_errors=True)
        self._client = chromadb.PersistentClient(str(self.folder / "chroma"), Settings(anonymized_telemetry=False))

    # ---- searching --------------------------------------------------------------------------------------------

    def search(self, query: Embeddings, allowed: RowMask, n: int) -> list[Row]:
        """Return up to n allowed rows, nearest first by cosine.

        Over-fetches from Chroma and masks; where the filter leaves few rows, or over-fetching did not find enough, searches the
        allowed rows exactly (Chroma's own metadata filter is far slower than either).
        """
        n_allowed = int(allowed.sum())
        if n_allowed == 0 or n <= 0:
            return []
        if n_allowed > SELECTIVE * len(allowed):
            fetch = min(len(self._ids), max(n * OVERFETCH, int(n * len(allowed) / n_allowed * 1.5)))
            rows = [row for row in self._nearest(query, fetch) if allowed[row]]
            if len(rows) >= min(n, n_allowed):
                return rows[:n]
        candidates = np.flatnonzero(allowed)
        scores = self.vectors[candidates] @ query
        order = np.argsort(-scores, kind="stable")[:n]
        return [int(r) for r in candidates[order]]

    def similarities(self, query: Embeddings) -> ItemVector:
        """Return the cosine of every item with a unit query vector, (n_items,) float32."""
        return self.vectors @ query

    def _nearest(self, query: Embeddings, n: int) -> list[Row]:
        found = self._require().query(query_embeddings=query[None, :], n_results=n, include=["metadatas"])
        metadatas = (found["metadatas"] or [[]])[0]
        return [int(cast("int", m["row"])) for m in metadatas]

    def _require(self) -> chromadb.Collection:
        if self._collection is None:
            raise RuntimeError("open() was not called")
        return self._collection

