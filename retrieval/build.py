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
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from vouchrec.retrieval.catalogue import read_items
from vouchrec.retrieval.domain import Domain, infer_domain, load_domain
from vouchrec.retrieval.embed import BUILTIN, Embedder
from vouchrec.retrieval.errors import DataFileError
from vouchrec.retrieval.index import IndexState
from vouchrec.retrieval.interactions import read_interactions
from vouchrec.retrieval.store import Store
from vouchrec.retrieval.types import Interaction, Item
from vouchrec.retrieval.workspace import SETTINGS_FILE, Workspace, WorkspaceSettings, read_settings, write_settings

T = TypeVar("T")
BUILTIN_DATA = Path(__file__).parent / "builtin"


@dataclass(frozen=True, slots=True)
class InitReport:
    """What init did.

    Attributes:
        unknown_items: Interactions left out because the catalogue lacks their item.
        fitted: True when a collaborative scorer was fitted.
    """

    items: int
    interactions: int
    unknown_items: int
    fitted: bool
    index: IndexState


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
    """Make or update a workspace from data files.

    Raises:
        DataFileError: A file is wrong; nothing was written.
        ConfigError: The domain file is wrong; nothing was written.
        WorkspaceError: The folder holds a damaged or newer workspace.
    """
    declared = load_domain(domain) if domain else None
    rows = list(_bar(read_items(items, declared), "reading items", progress))
    events, unknown = _read_events(interactions, {item.id for item in rows}, progress) if interactions else ([], 0)
    if settings is None:
        settings = read_settings(folder) if (folder / SETTINGS_FILE).exists() else WorkspaceSettings()
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(settings.store or folder / "store.db")
    store.replace_items(_bar(rows, "storing items", progress))
    store.set_meta("domain", json.dumps((declared or infer_domain(rows)).to_dict(), ensure_ascii=False))
    if interactions:
        store.replace_interactions(_bar(events, "storing interactions", progress))
    store.close()
    write_settings(folder, settings)
    workspace = Workspace.open(folder, embedder=embedder, progress=progress)
    fitted = workspace.fit() if interactions else workspace.scorer is not None
    report = InitReport(len(rows), len(events), unknown, fitted, workspace.index_state)
    workspace.close()
    return report


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

    What users did in it (likes, dislikes, seen marks, conversations) is kept across updates.
    """
    if not (folder / SETTINGS_FILE).exists() or _builtin_stamp(folder) != builtin_version():
        _make_builtin(folder)
    return Workspace.open(folder, embedder=embedder, progress=progress)


def builtin_version() -> str:
    """Return a hash of the packaged catalogue, domain and weights: a demo workspace made from others is brought up to date."""
    digest = hashlib.sha256()
    for name in ("films.jsonl", "films.toml", "collaborative/scorer.json", "collaborative/scorer.safetensors"):
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
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(folder / "store.db")
    store.replace_items(builtin_items())
    store.set_meta("domain", json.dumps(builtin_domain().to_dict(), ensure_ascii=False))
    for source, target in (("collaborative", "models/collaborative"), ("index", "index")):
        _copy(BUILTIN_DATA / source, folder / target)
    store.set_meta("builtin", builtin_version())
    store.close()
    write_settings(folder, WorkspaceSettings(embedder=BUILTIN))


def _copy(source: Path, target: Path) -> None:
    """Copy packaged files one by one, each through a rename, so that a second process never reads half a file."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        if path.is_file() and path.suffix in {".json", ".npy", ".safetensors"}:
            temporary = target / f"{path.name}.{os.getpid()}.tmp"
            shutil.copyfile(path, temporary)
            temporary.replace(target / path.name)


def _bar(rows: Iterable[T], title: str, progress: bool) -> Iterator[T]:
    return iter(tqdm(rows, desc=title, disable=not progress, unit="row", leave=False))


__all__ = ["BUILTIN_DATA", "InitReport", "builtin_domain", "builtin_items", "builtin_version", "init_workspace", "open_builtin"]
