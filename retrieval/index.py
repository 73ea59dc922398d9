"""The vector index: a Chroma collection of item embeddings, rebuilt whenever it is missing, stale or damaged.

Chroma is never the source of truth. It is made anew in a folder of its own, and `chroma.json` names that folder once all of it is
written: an interrupted build is never taken for a whole one, and nothing that Chroma keeps open is deleted under it. The vectors
themselves are kept by `vouchrec.retrieval.vectors`: a rebuild re-embeds only what changed, and exact search, diversity and
similarity read them from memory. The only importer of chromadb.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import chromadb
import numpy as np
from chromadb.api.client import Client
from chromadb.config import Settings
from tqdm import tqdm

from vouchrec.retrieval.embed import Embedder
from vouchrec.retrieval.errors import ModelError, WorkspaceError
from vouchrec.retrieval.locks import exclusive
from vouchrec.retrieval.types import Embeddings, ItemId, ItemVector, Row, RowMask
from vouchrec.retrieval.vectors import VectorFiles

log = logging.getLogger(__name__)
COLLECTION = "items"
SELECTIVE = 0.1
"""Fraction of allowed rows under which exact masked search is cheaper than over-fetching from Chroma."""
OVERFETCH = 4
_POINTER = "chroma.json"
_BATCH = 2_000
_PROBES = 16
_SAVE_EVERY = 2_048
SAME = 0.99
"""Cosine from which Chroma's answer to a stored vector counts as that vector."""


class _ChromaError(Exception):
    """Chroma could not do what it was asked to."""


@dataclass(frozen=True, slots=True)
class IndexState:
    """What opening the index had to do: vectors embedded anew, and whether the Chroma collection was rebuilt and why."""

    embedded: int
    rebuilt: bool
    reason: str = ""


class VectorIndex:
    """Item embeddings of one workspace, searchable.

    Several threads may search; `open`, `put` and `close` are for one at a time.

    Args:
        folder: Where the collection and the embeddings live.
        embedder: Encodes items and queries.
    """

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        self.folder = folder
        self.embedder = embedder
        self._files = VectorFiles(folder, embedder.name, embedder.dimension)
        self._vectors: Embeddings = np.zeros((0, embedder.dimension), np.float32)
        self._hashes: list[str] = []
        self._ids: list[ItemId] = []
        self._row_of: dict[ItemId, Row] = {}
        self._sum = 0
        self._path = folder
        self._client: Client | None = None
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
        """Bring the index in line with the store and open it; another process that does so now is waited for.

        Args:
            hashes: Content hash by item id, in catalogue row order.
            text_of: Text to embed for a row.
            progress: Show progress bars for long work.

        Raises:
            ModelError: The embedder gave something else than finite vectors of its dimension.
            WorkspaceError: The folder can't be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with exclusive(self.folder / "lock"):
            self._ids, self._hashes = list(hashes), list(hashes.values())
            self._row_of = {identifier: row for row, identifier in enumerate(self._ids)}
            self._sum = sum(_mark(i, h) for i, h in hashes.items())
            embedded = self._fill_vectors(text_of, progress)
            reason = self._open_collection()
            if reason:
                self._rebuild(progress)
        return IndexState(embedded, bool(reason), reason)

    def close(self) -> None:
        """Let go of Chroma's files; searching goes on without them."""
        client, self._client, self._collection = self._client, None, None
        if client is not None:
            with suppress(_ChromaError), _translated():
                client.close()

    def put(self, ids: Sequence[ItemId], rows: Sequence[Row], hashes: Sequence[str], vectors: Embeddings) -> None:
        """Add items or replace them; they can be found when this returns.

        Should Chroma fail, they are found by exact search, and the next start rebuilds it.

        Args:
            ids: Distinct items.
            rows: Their catalogue rows; new ones follow the last row without a gap.
            hashes: Their content hashes.
            vectors: (len(ids), d) float32 unit rows.
        """
        self._check(vectors, len(ids))
        self._files.append(hashes, vectors)
        self._reserve(max(rows, default=-1) + 1)
        for identifier, row, content, vector in zip(ids, rows, hashes, vectors, strict=True):
            self._vectors[row] = vector
            if row == len(self._ids):
                self._ids.append(identifier)
                self._hashes.append(content)
                self._row_of[identifier] = row
            else:
                self._sum -= _mark(identifier, self._hashes[row])
                self._hashes[row] = content
            self._sum += _mark(identifier, content)
        self._upsert(ids, vectors)

    def _upsert(self, ids: Sequence[ItemId], vectors: Embeddings) -> None:
        if self._collection is None:
            return
        try:
            for start in range(0, len(ids), _BATCH):
                stop = start + _BATCH
                with _translated():
                    self._collection.upsert(ids=list(ids[start:stop]), embeddings=vectors[start:stop])
        except _ChromaError as error:
            log.warning("The vector index could not be updated and will be rebuilt on the next start: %s", error)
            self._collection = None
            return
        if self._pointer().get("folder") == self._path.name:  # else another process has rebuilt it, from what it knew
            self._write_pointer()

    def _reserve(self, size: int) -> None:
        """Grow by an eighth at least, so that adding items one by one stays linear."""
        if size > len(self._vectors):
            room = np.zeros(
                (max(size - len(self._vectors), 64, len(self._vectors) // 8), self.embedder.dimension), np.float32
            )
            self._vectors = np.concatenate([self._vectors, room])

    def _fill_vectors(self, text_of: Callable[[Row], str], progress: bool) -> int:
        """Take known vectors from the files, embed the rest, and return how many those were."""
        known, stored = self._files.load()
        position = {content: i for i, content in enumerate(known)}
        source = np.asarray([position.get(content, -1) for content in self._hashes], dtype=np.int64)
        self._vectors = np.zeros((len(source), self.embedder.dimension), np.float32)
        self._vectors[source >= 0] = stored[source[source >= 0]]
        missing = np.flatnonzero(source < 0)
        with tqdm(
            total=len(missing), desc="embedding items", disable=not (progress and len(missing)), unit="item"
        ) as bar:
            for start in range(0, len(missing), _SAVE_EVERY):
                rows = missing[start : start + _SAVE_EVERY]
                fresh = self.embedder.encode([text_of(int(row)) for row in rows], bar=bar)
                self._check(fresh, len(rows))
                self._vectors[rows] = fresh
                # What an interrupted run has embedded is kept for the next one.
                self._files.append([self._hashes[row] for row in rows], fresh)
        if self._files.has_added():
            self._files.merge(self._hashes, self._vectors)
        return len(missing)

    def _check(self, vectors: Embeddings, count: int) -> None:
        if vectors.shape != (count, self.embedder.dimension) or not np.isfinite(vectors).all():
            problem = f"Embedder '{self.embedder.name}' gave an array of shape {vectors.shape} or with values that are no numbers"
            raise ModelError(f"{problem}; expected {count} vectors of length {self.embedder.dimension}.")

    # ---- the collection ---------------------------------------------------------------------------------------

    def _fingerprint(self) -> str:
        """Identify what the collection should hold; order does not matter, so that adding an item costs one step."""
        return f"{self.embedder.name} {len(self._ids)} {self._sum % 2**128:032x}"

    def _pointer(self) -> dict[str, object]:
        try:
            found: object = json.loads((self.folder / _POINTER).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return cast("dict[str, object]", found) if isinstance(found, dict) else {}

    def _write_pointer(self) -> None:
        temporary = self.folder / f"{_POINTER}.{os.getpid()}.tmp"
        temporary.write_text(
            json.dumps({"folder": self._path.name, "fingerprint": self._fingerprint()}), encoding="utf-8"
        )
        temporary.replace(self.folder / _POINTER)

    def _open_collection(self) -> str:
        """Open the collection and return why it has to be rebuilt, or an empty string."""
        pointer = self._pointer()
        if not pointer:
            return "the last build was interrupted" if self._chroma_folders() else "made for the first time"
        self._path = self.folder / str(pointer.get("folder", ""))
        if self._path not in self._chroma_folders():
            return "the collection was missing"
        if pointer.get("fingerprint") != self._fingerprint():
            return "the catalogue or the embedder changed"
        try:
            with _translated():
                self._client = _connect(self._path)
                self._collection = self._client.get_collection(COLLECTION, embedding_function=None)
                return self._examine(self._collection)
        except _ChromaError as error:
            log.warning("The vector index is damaged and will be rebuilt: %s", error)
            return "the collection was damaged"

    def _examine(self, collection: chromadb.Collection) -> str:
        """Return what is wrong with a collection: its size, or its answers to some of its own vectors."""
        if collection.count() != len(self._ids):
            return "the collection was incomplete"
        if not self._ids:
            return ""
        probes = np.unique(np.linspace(0, len(self._ids) - 1, _PROBES, dtype=np.int64))
        found = collection.query(query_embeddings=self._vectors[probes], n_results=1, include=[])["ids"]
        nearest = [self._row_of.get(ids[0], -1) if ids else -1 for ids in found]
        cosines = np.einsum("ij,ij->i", self._vectors[probes], self._vectors[nearest])
        # The search is approximate: one missed neighbour is no damage.
        wrong = int(((np.asarray(nearest) < 0) | (cosines < SAME)).sum())
        return "the collection gave wrong answers" if wrong > len(probes) // 4 else ""

    def _chroma_folders(self) -> list[Path]:
        return [path for path in self.folder.glob("chroma*") if path.is_dir()]

    def _rebuild(self, progress: bool) -> None:
        self.close()
        (self.folder / _POINTER).unlink(missing_ok=True)
        for old in self._chroma_folders():
            shutil.rmtree(old, ignore_errors=True)
        self._path = self.folder / f"chroma-{secrets.token_hex(4)}"
        try:
            with _translated():
                self._client = _connect(self._path)
                self._collection = self._fill(self._client, progress)
        except _ChromaError as error:
            hint = "Check that the disk has room and that the folder can be written."
            raise WorkspaceError(f"The vector index in {self.folder} can't be built: {error}.", hint=hint) from error
        self._write_pointer()

    def _fill(self, client: Client, progress: bool) -> chromadb.Collection:
        collection = client.create_collection(
            COLLECTION, embedding_function=None, configuration={"hnsw": {"space": "cosine", "ef_search": 200}}
        )
        with tqdm(total=len(self._ids), desc="indexing items", disable=not progress, unit="item") as bar:
            for start in range(0, len(self._ids), _BATCH):
                stop = min(start + _BATCH, len(self._ids))
                collection.add(ids=self._ids[start:stop], embeddings=self._vectors[start:stop])
                bar.update(stop - start)
        return collection

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
            rows = [row for row in self._nearest(query, fetch) if row < len(allowed) and allowed[row]]
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
        """Return the rows that Chroma finds, or none when it fails: another process may have rebuilt it."""
        collection = self._collection
        if collection is None:
            return []
        try:
            with _translated():
                found = collection.query(query_embeddings=query[None, :], n_results=n, include=[])
        except _ChromaError as error:
            log.warning("The vector index does not answer; searching exactly until the next start: %s", error)
            self._collection = None
            return []
        return [self._row_of[i] for i in found["ids"][0] if i in self._row_of]


def _mark(item_id: ItemId, content: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{content} {item_id}".encode(), digest_size=16).digest(), "big")


def _connect(path: Path) -> Client:
    return cast("Client", chromadb.PersistentClient(str(path), Settings(anonymized_telemetry=False)))


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what Chroma raises into one error; its Rust core raises PanicException, a BaseException, on a damaged file."""
    try:
        yield
    except Exception as error:
        raise _ChromaError(str(error)) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise _ChromaError(str(error)) from error
