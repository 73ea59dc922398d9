"""Which base an adapter belongs to: a fingerprint of a model's weights, cheap to take and independent of where they lie."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import cast

from safetensors import SafetensorError, safe_open
from transformers.utils.hub import cached_file

_SAMPLED = 6
"""Tensors of which a row is looked at; names and shapes count for all."""


def fingerprint(base: str) -> str:
    """Return 16 hex digits of a model's weights; empty where they are not safetensors or are absent.

    Names and shapes of all tensors count, and the first row of a few: two fine-tunings of one base differ in these.
    """
    try:
        folder = model_folder(base)
        files = _weight_files(folder) if folder else []
        return _digest(files) if files else ""
    except (OSError, ValueError, KeyError, SafetensorError):
        return ""


def model_folder(base: str) -> Path | None:
    """Return the folder in which a model's files lie on this machine, or None."""
    path = Path(base).expanduser()
    if path.is_dir():
        return path
    found = cached_file(base, "config.json", local_files_only=True, _raise_exceptions_for_missing_entries=False)
    return Path(found).parent if found else None


def _weight_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = cast("dict[str, str]", json.loads(index.read_text(encoding="utf-8"))["weight_map"])
        return [folder / name for name in sorted(set(names.values()))]
    single = folder / "model.safetensors"
    return [single] if single.is_file() else []


def _digest(files: list[Path]) -> str:
    hashed = hashlib.sha256()
    shapes: dict[str, list[int]] = {}
    where: dict[str, Path] = {}
    for path in files:
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118  (no mapping)
                shapes[name] = list(file.get_slice(name).get_shape())
                where[name] = path
    hashed.update(json.dumps(sorted(shapes.items())).encode())
    matrices = sorted(name for name, shape in shapes.items() if len(shape) == 2)
    for name in matrices[:: max(1, len(matrices) // _SAMPLED)]:
        with safe_open(where[name], framework="pt") as file:  # NumPy has no bfloat16
            hashed.update(file.get_slice(name)[:1].float().numpy().tobytes())
    return hashed.hexdigest()[:16]
