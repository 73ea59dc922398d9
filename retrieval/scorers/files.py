"""A fitted scorer on disk: `scorer.safetensors` and `scorer.json`, each written whole and then renamed; never pickle.

The JSON names the kind, the settings that make an unfitted scorer of it, the items, and a checksum of the other file, so
that two files of different scorers are noticed.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from vouchrec.retrieval.errors import ModelError
from vouchrec.retrieval.types import ItemId

__all__ = ["INFO", "Json", "SavedScorer", "Tensors", "read_kind", "read_scorer", "unreadable", "write_scorer"]

Json: TypeAlias = str | int | float | bool | None
Tensors: TypeAlias = dict[str, npt.NDArray[np.generic]]
TENSORS, INFO = "scorer.safetensors", "scorer.json"
_DAMAGED = (OSError, ValueError, KeyError, TypeError, SafetensorError)


@dataclass(frozen=True, slots=True)
class SavedScorer:
    """What the two files hold.

    Attributes:
        settings: Arguments of the scorer's class.
        items: Item ids of the columns.
        tensors: Arrays by name.
    """

    settings: Mapping[str, Json]
    items: tuple[ItemId, ...]
    tensors: Tensors


def write_scorer(folder: Path, kind: str, saved: SavedScorer) -> None:
    """Write both files, the JSON last."""
    folder.mkdir(parents=True, exist_ok=True)
    content = save({name: np.ascontiguousarray(values) for name, values in saved.tensors.items()})
    _write(folder / TENSORS, content)
    info = {
        "kind": kind,
        "settings": dict(saved.settings),
        "items": list(saved.items),
        "checksum": zlib.crc32(content),
    }
    _write(folder / INFO, json.dumps(info, ensure_ascii=False).encode())


def read_scorer(folder: Path, kind: str) -> SavedScorer:
    """Read what `write_scorer` wrote.

    Raises:
        ModelError: A file is absent, damaged, of another scorer or of another kind.
    """
    try:
        info = _info(folder)
        if info["kind"] != kind:
            raise ValueError(f"it is of kind {info['kind']!r}, not {kind!r}")
        path = folder / TENSORS
        if info["checksum"] != zlib.crc32(path.read_bytes()):
            raise ValueError("its two files are not of one scorer")
        tensors = cast("Tensors", load_file(path))
        items = tuple(str(item) for item in cast("list[object]", info["items"]))
        return SavedScorer(cast("dict[str, Json]", info["settings"]), items, tensors)
    except _DAMAGED as error:
        raise unreadable(folder, error) from error


def read_kind(folder: Path) -> str:
    """Return the kind that a folder's `scorer.json` names.

    Raises:
        ModelError: It is absent or damaged.
    """
    try:
        return str(_info(folder)["kind"])
    except _DAMAGED as error:
        raise unreadable(folder, error) from error


def unreadable(folder: Path, error: Exception) -> ModelError:
    """Return the error of a scorer that can't be read."""
    hint = "Fit it again with `vouch init`."
    return ModelError(f"The collaborative scorer in {folder} can't be read: {error}.", hint=hint)


def _info(folder: Path) -> dict[str, object]:
    found: object = json.loads((folder / INFO).read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError(f"{INFO} holds no object")
    return cast("dict[str, object]", found)


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
