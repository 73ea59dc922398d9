"""Make a workspace from files (`vouch init`), or the built-in demo workspace from packaged data.

Idempotent and resumable: everything is validated before anything is written, the store is written in transactions, embeddings
are saved as they are made, and `vouch.toml` is written last.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from vouchrec.retrieval.catalogue import read_items
from vouchrec.retrieval.domain import Domain, infer_domain, load_domain
from vouchrec.retrieval.embed import BUILTIN, Embedder, SentenceEmbedder
from vouchrec.retrieval.errors import DataFileError, WorkspaceError
from vouchrec.retrieval.index import IndexState
from vouchrec.retrieval.interactions import read_interactions
from vouchrec.retrieval.locks import exclusive
from vouchrec.retrieval.scorers.registry import check_fittable
from vouchrec.retrieval.scorers.select import Choice, check_choice
from vouchrec.retrieval.store import Store
from vouchrec.retrieval.types import Interaction, Item
from vouchrec.retrieval.workspace import (
    SETTINGS_FILE,
    Workspace,
    WorkspaceSettings,
    load_scorer,
    read_settings,
    write_settings,
)

T = TypeVar("T")
BUILTIN_DATA = Path(__file__).parent / "builtin"


@dataclass(frozen=True, slots=True)
class InitReport:
    """What init did.

    Attributes:
        unknown_items: Interactions left out because the catalogue lacks their item.
        fitted: True when a collaborative scorer was fitted.
        choice: Which scorer was fitted now, and the table that it was chosen by; None when none was.
    """

    items: int
    interactions: int
    unknown_items: int
    fitted: bool
    index: IndexState
    choice: Choice | None = None


def init_workspace(
    folder: Path,
    items: Path,
    *,
    interactions: Path | None = None,
    domain: Path | None = None,
    settings: WorkspaceSettings | None = None,
    embedder: Embedder | None = None,
    progress: bool = False,
) -> InitReport:
    """Make or update a workspace from data files; without interactions those of an earlier run stay.

    The files are checked first, then the store is written in one transaction, then the embeddings are made, and `vouch.toml`
    comes last. An interrupted run is taken up where it stopped by running it again.

    Raises:
        DataFileError: A file is wrong; nothing was written.
        ConfigError: The domain file or the settings are wrong; nothing was written.
        ModelError: The embedder or the earlier scorer can't be loaded; nothing was written.
        WorkspaceError: The folder holds a damaged or newer workspace, or can't be written.
    """
    settings = _settled(folder, settings)
    check_choice(settings.scorer)
    check_fittable(settings.scorer)
    known, rows = _read_items(items, load_domain(domain) if domain else None, progress)
    events, unknown = _read_events(interactions, {item.id for item in rows}, progress) if interactions else ([], 0)
    encoder = embedder or SentenceEmbedder(settings.embedder)
    scorer = None if interactions else load_scorer(folder)
    with _building(folder):
        store = Store(settings.store or folder / "store.db")
        try:
            imported = _bar(events, "storing interactions", progress) if interactions else None
            store.replace_content(_bar(rows, "storing items", progress), _as_json(known), imported)
            workspace = Workspace(folder, store, known, encoder, scorer=scorer, progress=progress)
            choice = workspace.fit(settings.scorer, progress=progress) if interactions else None
            fitted = workspace.scorer is not None
            workspace.close()
        finally:
            store.close()
        write_settings(folder, settings)
    return InitReport(len(rows), len(events), unknown, fitted, workspace.index_state, choice)


def _read_items(path: Path, declared: Domain | None, progress: bool) -> tuple[Domain, list[Item]]:
    """Read the items and the domain that they are read by; attributes that nothing declares are inferred."""
    rows = list(_bar(read_items(path, declared), "reading items", progress))
    if declared is not None and declared.attributes:
        return declared, rows
    inferred = infer_domain(rows)
    if declared is not None:
        inferred = replace(declared, attributes=inferred.attributes, recency=inferred.recency)
    # Read again now that the kinds are known: a CSV file has only texts.
    return inferred, list(_bar(read_items(path, inferred), "reading items", progress))


def _settled(folder: Path, given: WorkspaceSettings | None) -> WorkspaceSettings:
    """Return the settings to use: given ones, with the store of the workspace that is there already."""
    there = read_settings(folder) if (folder / SETTINGS_FILE).exists() else WorkspaceSettings()
    return there if given is None else replace(given, store=given.store or there.store)


@contextmanager
def _building(folder: Path) -> Iterator[None]:
    """Make a folder and keep other processes from building in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "Choose a folder that can be made and written."
        raise WorkspaceError(f"{folder} can't be made: {error.strerror}.", hint=hint) from error
    with exclusive(folder / "lock"):
        yield


def _read_events(path: Path, known: set[str], progress: bool) -> tuple[list[Interaction], int]:
    kept: list[Interaction] = []
    unknown, first = 0, (0, "")
    for number, event in _bar(read_interactions(path), "reading interactions", progress):
        if event.item in known:
            kept.append(event)
        else:
            first = first if unknown else (number, event.item)
            unknown += 1
    if unknown and not kept:
        problem = f"none of the {unknown} interactions is about an item of the catalogue (first: '{first[1]}')"
        raise DataFileError(path, problem, row=first[0], field="item", hint="Check that both files use the same ids.")
    return kept, unknown


def open_builtin(folder: Path, *, embedder: Embedder | None = None, progress: bool = False) -> Workspace:
    """Open the demo workspace, making it from packaged files on first use or when they changed.

    What users did in it (likes, dislikes, seen marks, conversations) is kept across updates; items added to it are not.

    Raises:
        WorkspaceError: The folder can't be written, or what is in it is damaged.
        ModelError: The embedder can't be loaded.
    """
    try:
        with _building(folder):
            if not (folder / SETTINGS_FILE).exists() or _builtin_stamp(folder) != builtin_version():
                _make_builtin(folder)
        return Workspace.open(folder, embedder=embedder, progress=progress)
    except WorkspaceError as error:
        hint = f"{error.hint} Or delete {folder}: the demo is made again, without what was remembered in it."
        raise WorkspaceError(error.message, hint=hint) from error


def builtin_version() -> str:
    """Return a hash of the packaged catalogue, domain and weights: a demo workspace made from others is brought up to date."""
    digest = hashlib.sha256()
    words = sorted(path.name for path in BUILTIN_DATA.glob("films.*.toml"))
    for name in ("films.jsonl", "films.toml", *words, "collaborative/scorer.json", "collaborative/scorer.safetensors"):
        digest.update((BUILTIN_DATA / name).read_bytes())
    return digest.hexdigest()[:16]


def builtin_items() -> list[Item]:
    """Return the packaged catalogue."""
    return list(read_items(BUILTIN_DATA / "films.jsonl", builtin_domain()))


def builtin_domain() -> Domain:
    """Return the packaged domain."""
    return load_domain(BUILTIN_DATA / "films.toml")


def _builtin_stamp(folder: Path) -> str | None:
    store = Store(read_settings(folder).store or folder / "store.db")
    try:
        return store.get_meta("builtin")
    finally:
        store.close()


def _make_builtin(folder: Path) -> None:
    store = Store(folder / "store.db")
    try:
        store.replace_content(builtin_items(), _as_json(builtin_domain()), None)
        for source, target in (("collaborative", "models/collaborative"), ("index", "index")):
            _copy(BUILTIN_DATA / source, folder / target)
        store.set_meta("builtin", builtin_version())
    finally:
        store.close()
    write_settings(folder, WorkspaceSettings(embedder=BUILTIN))


def _copy(source: Path, target: Path) -> None:
    """Copy packaged files one by one, each through a rename, so that another process never reads half a file."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        if path.is_file() and path.suffix in {".json", ".npy", ".safetensors"}:
            temporary = target / f"{path.name}.{os.getpid()}.tmp"
            shutil.copyfile(path, temporary)
            temporary.replace(target / path.name)


def _as_json(domain: Domain) -> str:
    return json.dumps(domain.to_dict(), ensure_ascii=False)


def _bar(rows: Iterable[T], title: str, progress: bool) -> Iterator[T]:
    return iter(tqdm(rows, desc=title, disable=not progress, unit="row", leave=False))


__all__ = [
    "BUILTIN_DATA",
    "InitReport",
    "builtin_domain",
    "builtin_items",
    "builtin_version",
    "init_workspace",
    "open_builtin",
]
