"""A workspace: one folder with the store, the index and the models of one catalogue, opened for use.

::

    vouch.toml      what made it: version, embedder, store URL
    store.db        the source of truth (or PostgreSQL, by the URL in vouch.toml)
    index/          Chroma collection and embeddings; rebuilt from the store whenever they disagree
    models/         the collaborative scorer
    tuned.toml      what `vouch tune --apply` chose for it; absent otherwise
"""

from __future__ import annotations

import itertools
import json
import shutil
import threading
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from vouchrec.retrieval.catalogue import Catalogue, item_hash, item_text
from vouchrec.retrieval.collaborative import CollaborativeScorer
from vouchrec.retrieval.domain import Domain
from vouchrec.retrieval.embed import BUILTIN, Embedder, SentenceEmbedder
from vouchrec.retrieval.errors import ConfigError, WorkspaceError
from vouchrec.retrieval.evidence import contributions
from vouchrec.retrieval.index import IndexState, VectorIndex
from vouchrec.retrieval.interactions import to_matrix
from vouchrec.retrieval.lexical import LexicalIndex
from vouchrec.retrieval.locks import ReadWriteLock
from vouchrec.retrieval.scorers import registry
from vouchrec.retrieval.scorers.content import ColdItems, ItemContents
from vouchrec.retrieval.scorers.select import AUTO, Candidate, Choice, check_choice, choose
from vouchrec.retrieval.store import Store
from vouchrec.retrieval.tuned import Tuned, read_tuned, write_tuned
from vouchrec.retrieval.types import Contribution, Item, ItemId, ItemVector, Row

VERSION = 1
SETTINGS_FILE = "vouch.toml"
LEAST_INTERACTIONS = 100
"""Positive interactions below which no collaborative scorer is fitted."""
LEAST_USERS = 5
CHOICE_FILE = "choice.json"
"""The table from which the scorer was chosen, beside it."""


@dataclass(frozen=True, slots=True)
class WorkspaceSettings:
    """What `vouch.toml` holds.

    Attributes:
        embedder: Name or path of the sentence-transformers model.
        store: SQLAlchemy URL; empty for `store.db` in the folder.
        scorer: `auto` or `all` to choose the collaborative scorer by validation at each fit, or the name of one.
    """

    version: int = VERSION
    embedder: str = BUILTIN
    store: str = ""
    scorer: str = AUTO


def read_settings(folder: Path) -> WorkspaceSettings:
    """Read a workspace's settings.

    Raises:
        WorkspaceError: No workspace there, or one made by a newer version.
        ConfigError: `vouch.toml` is malformed.
    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        hint = "Make one with `vouch init --items FILE --workspace DIR`."
        raise WorkspaceError(f"{folder} is not a workspace: it has no {SETTINGS_FILE}.", hint=hint)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}.") from error
    for key, value in data.items():
        expected = {"version": int, "embedder": str, "store": str, "scorer": str}.get(key)
        if expected is None:
            raise ConfigError(f"{path}: unknown key '{key}'.", hint="Known: embedder, scorer, store, version.")
        if type(value) is not expected:
            raise ConfigError(f"{path}: '{key}' must be of type {expected.__name__}, found {value!r:.60}.")
    settings = WorkspaceSettings(**data)
    check_choice(settings.scorer)
    if settings.version > VERSION:
        raise WorkspaceError(f"{folder} was made by a newer version of Vouch.", hint="Install a newer Vouch.")
    return settings


def write_settings(folder: Path, settings: WorkspaceSettings) -> None:
    """Write `vouch.toml`, last of all that init does: a folder with it is a whole workspace."""
    lines = [f"version = {settings.version}", f"embedder = {json.dumps(settings.embedder)}"]
    if settings.store:
        lines.append(f"store = {json.dumps(settings.store)}")
    if settings.scorer != AUTO:
        lines.append(f"scorer = {json.dumps(settings.scorer)}")
    temporary = folder / f"{SETTINGS_FILE}.tmp"
    temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    temporary.replace(folder / SETTINGS_FILE)


_MUCH_ESTEEM = 2
"""Values of esteem from which an item is as well thought of as any."""


class Workspace:
    """An open workspace: everything `recommend` needs, shared by all conversations of a process.

    Safe to share between threads: `recommend` and its like hold `reading()`, and a change waits for them.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        domain: Domain,
        embedder: Embedder,
        *,
        scorer: CollaborativeScorer | None = None,
        tuned: Tuned | None = None,
        progress: bool = False,
    ) -> None:
        self.tuned = tuned or Tuned()
        self.folder, self.store, self.domain, self.embedder, self.scorer = folder, store, domain, embedder, scorer
        stored = store.hashed_items()
        self.catalogue = Catalogue((item for item, _ in stored), domain)
        self._lock = ReadWriteLock()
        self._writers = threading.Lock()
        self.index = VectorIndex(folder / "index", embedder)
        self.index_state: IndexState = self.index.open(
            {item.id: content for item, content in stored},
            lambda row: item_text(self.catalogue.items[row]),
            progress=progress,
        )
        self.lexical = LexicalIndex()
        self.lexical.build(self.catalogue.items)
        self._column_rows = np.zeros(0, np.int64)
        self.popularity: ItemVector = np.zeros(0, np.float32)
        self.recency: ItemVector = np.zeros(0, np.float32)
        self.standing: ItemVector = np.zeros(0, np.float32)
        self._align()

    @staticmethod
    def open(folder: Path, *, embedder: Embedder | None = None, progress: bool = False) -> Workspace:
        """Open a workspace; a missing, stale or damaged index is rebuilt from the store.

        Raises:
            WorkspaceError: No workspace there, or its store is absent or damaged.
            ConfigError: Its `vouch.toml` or `tuned.toml` is malformed.
            ModelError: Its embedder or scorer can't be loaded.
        """
        settings = read_settings(folder)
        if not settings.store and not (folder / "store.db").is_file():
            hint = "Restore it from a backup, or make the workspace again with `vouch init`."
            raise WorkspaceError(f"{folder} has lost its store.db.", hint=hint)
        store = Store(settings.store or folder / "store.db")
        try:
            domain = load_store_domain(store)
            chosen = embedder or SentenceEmbedder(settings.embedder)
            scorer, tuned = load_scorer(folder), read_tuned(folder)
            return Workspace(folder, store, domain, chosen, scorer=scorer, tuned=tuned, progress=progress)
        except BaseException:
            store.close()
            raise

    def close(self) -> None:
        """Close the store and the indexes."""
        self.index.close()
        self.lexical.close()
        self.store.close()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep the catalogue, the indexes and the scorer as they are until the block ends. Not re-entrant."""
        with self._lock.read():
            yield

    def add_items(self, items: Iterable[Item]) -> int:
        """Add or change items; each can be recommended when this returns. Returns how many.

        The store is written first, in one transaction; the indexes follow it. Of several with one id the last counts.
        """
        batch = list({item.id: item for item in items}.values())
        if not batch:
            return 0
        vectors = self.embedder.encode([item_text(item) for item in batch])
        with self._writers:
            self.store.put_items(batch)
            with self._lock.write():
                rows = self._rows_for(batch)
                # What can fail comes first: rows that the catalogue has are in every index.
                self.index.put([item.id for item in batch], rows, [item_hash(item) for item in batch], vectors)
                self.lexical.put(rows, batch)
                for item in batch:
                    self.catalogue.put(item)
                if isinstance(self.scorer, ColdItems):
                    self.scorer.extend(ItemContents(tuple(item.id for item in batch), vectors))
                self._align()
        return len(batch)

    def use(self, tuned: Tuned, note: str = "") -> None:
        """Keep tuned settings in `tuned.toml`, fit the scorer with them, and use both from now on."""
        write_tuned(self.folder, tuned, note)
        with self._writers, self._lock.write():
            self.tuned = tuned
        self.fit()

    def fit(self, scorer: str = AUTO, *, progress: bool = False) -> Choice | None:
        """Choose a collaborative scorer, fit it on the stored interactions and save it with the table of the choice.

        Returns None when there are too few interactions; a scorer of earlier ones is then removed.

        Args:
            scorer: `auto` or `all` to choose by validation, or the name of one.
            progress: Show a bar.

        Raises:
            ConfigError: There is no such scorer, or it needs a library that is not installed.
            ModelError: It can't be fitted.
        """
        check_choice(scorer)
        matrix = to_matrix(self.store.interactions(), [item.id for item in self.catalogue.items])
        folder = _scorer_folder(self.folder)
        fitted, choice = None, None
        if matrix.matrix.nnz >= LEAST_INTERACTIONS and len(matrix.users) >= LEAST_USERS:
            contents = self._contents()
            tuned = self._tuned_choice() if scorer == AUTO else None
            choice = tuned or choose(scorer, matrix, contents=contents, progress=progress)
            unfitted = choice.candidate.make(contents)
            unfitted.fit(matrix)
            made = folder.with_name(f"{folder.name}.new")
            shutil.rmtree(made, ignore_errors=True)
            unfitted.save(made)
            choice.save(made / CHOICE_FILE)
            shutil.rmtree(folder, ignore_errors=True)
            made.replace(folder)
            fitted = registry.load_scorer(folder)  # rounded as it is saved, so that the next start scores alike
        else:
            shutil.rmtree(folder, ignore_errors=True)
        with self._writers, self._lock.write():
            self.scorer = fitted
            self._align()
        return choice

    def _tuned_choice(self) -> Choice | None:
        """Return the scorer that `vouch tune` settled on; None without one."""
        if self.tuned.l2 is None:
            return None
        return Choice(Candidate("ease", {"l2": self.tuned.l2}), AUTO, None, 0, "As tuned; nothing was compared.")

    def _contents(self) -> ItemContents:
        return ItemContents(tuple(item.id for item in self.catalogue.items), self.index.vectors)

    def collaborative_scores(self, history: Mapping[ItemId, float]) -> ItemVector:
        """Return the scorer's scores by catalogue row, 0 for items it does not know, (n_items,) float32."""
        scores = np.zeros(len(self.catalogue), np.float32)
        if self.scorer is not None and history:
            known = self._column_rows >= 0
            scores[self._column_rows[known]] = self.scorer.score(history)[known]
        return scores

    def contributions(self, history: Mapping[ItemId, float], item: ItemId, factor: float) -> tuple[Contribution, ...]:
        """Return the parts of an item's collaborative score, multiplied by `factor` as the score was."""
        return contributions(self.scorer, self.catalogue, history, item, factor) if self.scorer else ()

    def _rows_for(self, batch: Sequence[Item]) -> list[Row]:
        """Return the rows that the catalogue has or will give to these items."""
        free = itertools.count(len(self.catalogue))
        return [self.catalogue.row(i.id) if i.id in self.catalogue else next(free) for i in batch]

    def _standing(self) -> ItemVector:
        """Popularity, or where the domain names values of esteem its mean with the share of them, (n_items,) float32 in [0, 1].

        Ratings are of their years: what was new while they were collected is popular. Esteem is not.
        """
        esteem = self.domain.esteem
        if not any(esteem.values()):
            return self.popularity
        held = np.zeros(len(self.catalogue), np.float32)
        for attribute, values in esteem.items():
            for value in values:
                held[list(self.catalogue.rows_with(attribute, value))] += 1
        return (0.5 * self.popularity + 0.5 * np.minimum(held / _MUCH_ESTEEM, 1.0)).astype(np.float32)

    def _align(self) -> None:
        """Bring row-aligned vectors in line with the catalogue."""
        size = len(self.catalogue)
        rows = [self.catalogue.row(i) if i in self.catalogue else -1 for i in self.scorer.items] if self.scorer else []
        self._column_rows = np.asarray(rows, np.int64)
        popularity = np.zeros(size, np.float32)
        if self.scorer is not None and rows:
            known = self._column_rows >= 0
            popularity[self._column_rows[known]] = np.log1p(self.scorer.popularity[known])
        self.popularity = popularity / max(float(popularity.max(initial=0)), 1.0)
        self.standing = self._standing()
        self.recency = (
            _ranks(self.catalogue.numbers(self.domain.recency)) if self.domain.recency else np.zeros(size, np.float32)
        )


def load_store_domain(store: Store) -> Domain:
    """Return the domain that a store was made with.

    Raises:
        WorkspaceError: The store has none, or one that can't be read: init never finished.
    """
    raw = store.get_meta("domain")
    if raw is None:
        raise WorkspaceError(f"The store {store.name} is empty.", hint="Run `vouch init` to the end.")
    try:
        return Domain.from_dict(cast("dict[str, object]", json.loads(raw)), where="stored domain")
    except (ValueError, AttributeError, ConfigError) as error:
        hint = "Run `vouch init` again with the domain file."
        raise WorkspaceError(f"The domain in the store {store.name} can't be read: {error}.", hint=hint) from error


def load_scorer(folder: Path) -> CollaborativeScorer | None:
    """Return the collaborative scorer of a workspace folder, or None when it has none.

    Raises:
        ModelError: It can't be read.
    """
    own = _scorer_folder(folder)
    return registry.load_scorer(own) if (own / "scorer.json").exists() else None


def _scorer_folder(folder: Path) -> Path:
    return folder / "models" / "collaborative"


def _ranks(values: npt.NDArray[np.float64]) -> ItemVector:
    """Return each value's rank scaled to [0, 1], equal values sharing their mean rank; 0 where absent."""
    result = np.zeros(len(values), np.float32)
    known = np.flatnonzero(~np.isnan(values))
    if len(known) > 1:
        ordered = np.sort(values[known])
        first, after = (np.searchsorted(ordered, values[known], side=side) for side in ("left", "right"))
        result[known] = (first + after - 1) / 2 / (len(known) - 1)
    return result
