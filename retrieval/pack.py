"""Make the packaged embeddings of the built-in catalogue: `python -m vouchrec.retrieval.pack`.

Run after any change to the catalogue; a test compares the hashes. Vectors are stored as float16: their cosines change by less
than 0.001, and the package stays small.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np

from vouchrec.retrieval.build import BUILTIN_DATA, builtin_items
from vouchrec.retrieval.catalogue import item_hash, item_text
from vouchrec.retrieval.embed import Embedder, SentenceEmbedder
from vouchrec.retrieval.index import VectorIndex


def pack_embeddings(target: Path, embedder: Embedder) -> int:
    """Embed the built-in catalogue into `target` and return the number of items."""
    items = builtin_items()
    with tempfile.TemporaryDirectory() as folder:
        index = VectorIndex(Path(folder), embedder)
        index.open({i.id: item_hash(i) for i in items}, lambda row: item_text(items[row]), progress=True)
        target.mkdir(parents=True, exist_ok=True)
        np.save(target / "embeddings.npy", index.vectors.astype(np.float16))
        index.close()
    info = {"embedder": embedder.name, "hashes": [item_hash(i) for i in items]}
    (target / "embeddings.json").write_text(json.dumps(info), encoding="utf-8")
    return len(items)


if __name__ == "__main__":
    pack_embeddings(BUILTIN_DATA / "index", SentenceEmbedder())
