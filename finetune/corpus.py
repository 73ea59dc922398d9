"""The pre-training corpus: documents of every allowed source, tokenised once into shards on disk.

Each source becomes one file of token ids (``<source>.bin``, little-endian uint16) and one held-out file; the mix is
decided at training time by sampling weights, so that a small source is repeated rather than a large one stored often.
"""

import json
import logging
import random
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np
import numpy.typing as npt
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast

from vouchrec.finetune import formats, sources
from vouchrec.finetune.sources import Document, Film, OfficialTest, plain_document
from vouchrec.finetune.tokenizer import SPECIAL_TOKENS, VOCAB_SIZE, train_tokenizer

__all__ = ["FOLDERS", "WEIGHTS", "Shards", "build_shards", "documents", "load_shards", "train_corpus_tokenizer"]

_log = logging.getLogger(__name__)

WEIGHTS: Final[Mapping[str, float]] = {
    "redial": 0.20,
    "sgd": 0.08,
    "topical": 0.07,
    "films": 0.27,
    "streaming": 0.08,
    "books": 0.14,
    "plans": 0.11,
    "spans": 0.05,
}
"""Share of each source in a training batch: 35% dialogue, 35% film text, 14% prose, 16% our own format."""

FOLDERS: Final = (
    "redial",
    "sgd",
    "topical-chat",
    "wikipedia-movies",
    "streaming",
    "public-domain-books",
)
"""The data sets used, as folders: all of a licence that allows weights trained on them to be shipped."""

_HELD_OUT: Final = 100
"""One document in so many is held out."""


@dataclass(frozen=True)
class Shards:
    """Token ids on disk, read through memory maps.

    Attributes:
        train: source name to its training tokens, shape (tokens,).
        held_out: source name to its held-out tokens.
    """

    train: Mapping[str, npt.NDArray[np.uint16]]
    held_out: Mapping[str, npt.NDArray[np.uint16]]


def documents(data: Path, *, seed: int = 0) -> dict[str, Callable[[], Iterator[Document]]]:
    """Every source as a function that streams its documents.

    Args:
        data: folder of data sets.
        seed: of the random choices in the format documents.
    """

    def redial() -> Iterator[Document]:
        """Dialogues with titles in place."""
        return sources.read_redial_text(data, OfficialTest.read(data))

    def plans() -> Iterator[Document]:
        """Leads with references."""
        return formats.plan_documents(list(sources.read_films(data)), random.Random(seed))

    def spans() -> Iterator[Document]:
        """Dialogues with spans."""
        dialogues = sources.read_redial_labelled(data, OfficialTest.read(data))
        return formats.span_documents(dialogues, formats.read_people(data), random.Random(seed))

    return {
        "redial": redial,
        "sgd": lambda: sources.read_sgd(data),
        "topical": lambda: sources.read_topical_chat(data),
        "films": lambda: map(_film_document, sources.read_films(data)),
        "streaming": lambda: sources.read_streaming(data),
        "books": lambda: sources.read_books(data),
        "plans": plans,
        "spans": spans,
    }


def _film_document(film: Film) -> Document:
    """A lead; every second one after a line of facts, so that facts and prose are tied together."""
    facts = f"{film.title} ({film.year}). {', '.join(film.genres)}. With {', '.join(film.cast)}.\n"
    return plain_document(facts + film.lead if _hash(film.title) % 2 and film.cast else film.lead, film.title)


def _hash(key: str) -> int:
    """A number that is the same in every process, unlike `hash`."""
    return zlib.crc32(key.encode())


def train_corpus_tokenizer(
    data: Path, *, limit: int = 4_000_000, vocab_size: int = VOCAB_SIZE
) -> PreTrainedTokenizerFast:
    """Train the tokenizer on the sources written by people.

    Args:
        data: folder of data sets.
        limit: characters used of each source; of the old prose half as many.
        vocab_size: number of ids in all.

    Raises:
        FileNotFoundError: if a data set is missing.
    """
    _require(data)

    def texts() -> Iterator[str]:
        """As much of each source as the limit allows."""
        for name, stream in documents(data).items():
            left = limit // 2 if name == "books" else limit
            for document in () if name in ("plans", "spans") else stream():
                left -= len(document.text)
                yield from _without_reserved(document.text)
                if left < 0:
                    break

    return train_tokenizer(texts(), vocab_size=vocab_size)


def _without_reserved(text: str) -> Iterator[str]:
    """The text between reserved tokens, which would otherwise become merges of their own."""
    return (part for part in re.split("|".join(map(re.escape, SPECIAL_TOKENS)), text) if part)


def build_shards(data: Path, out: Path, tokenizer: PreTrainedTokenizerFast, *, seed: int = 0) -> Path:
    """Tokenise every source once.

    Args:
        data: folder of data sets (see `FOLDERS`).
        out: folder for the shards; those of the same tokenizer and seed are kept as they are.
        tokenizer: its ids must fit 16 bits.
        seed: of the format documents and of the document order.

    Returns:
        ``out``, holding ``<source>.bin``, ``<source>.held_out.bin`` and ``corpus.json`` (token and document counts).

    Raises:
        FileNotFoundError: if a data set is missing.
        ValueError: if the tokenizer has more than 65,536 ids.
    """
    if len(tokenizer) > 1 << 16:
        raise ValueError(f"shards hold 16-bit ids, but the tokenizer has {len(tokenizer)}")
    made_of = {"vocabulary": _hash(json.dumps(sorted(tokenizer.get_vocab().items()))), "seed": seed}
    index = out / "corpus.json"
    if index.is_file() and json.loads(index.read_text()).get("made_of") == made_of:
        return out
    _require(data)
    out.mkdir(parents=True, exist_ok=True)
    index.unlink(missing_ok=True)
    counts: dict[str, dict[str, int]] = {}
    for name, stream in tqdm(documents(data, seed=seed).items(), desc="tokenising", unit="source", disable=None):
        every = list(stream())
        random.Random(seed).shuffle(every)
        counts[name] = _split(every, out / name, tokenizer)
        _log.info("%s: %s", name, counts[name])
    # Written last: its presence says that the shards are whole.
    index.write_text(json.dumps({"made_of": made_of, "sources": counts}, indent=2) + "\n")
    return out


def _require(data: Path) -> None:
    """Check that every data set is there before minutes of work."""
    missing = [name for name in FOLDERS if not (data / name).is_dir()]
    if missing:
        raise FileNotFoundError(f"the folder of data sets {data} lacks: {', '.join(missing)}")


def _split(every: list[Document], stem: Path, tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    """Write one source's training and held-out shard; returns its counts."""
    held = [document.text for document in every if _hash(document.key) % _HELD_OUT == 0]
    kept = [document.text for document in every if _hash(document.key) % _HELD_OUT]
    return {
        "documents": len(kept),
        "tokens": _write(kept, stem.with_suffix(".bin"), tokenizer),
        "held_out_tokens": _write(held, stem.with_suffix(".held_out.bin"), tokenizer),
    }


def _write(texts: list[str], path: Path, tokenizer: PreTrainedTokenizerFast) -> int:
    """Append the ids of all texts to one file; returns their number."""
    total = 0
    with path.open("wb") as stream:
        for start in range(0, len(texts), 1000):
            for ids in _encode(texts[start : start + 1000], tokenizer):
                stream.write(np.asarray(ids, dtype="<u2").tobytes())
                total += len(ids)
    return total


def _encode(texts: list[str], tokenizer: PreTrainedTokenizerFast) -> Iterable[list[int]]:
    """Ids of every text; `verbose` would warn of documents longer than the context, which are cut into windows."""
    return cast(list[list[int]], tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"])


def load_shards(folder: Path) -> Shards:
    """Map the shards of a finished corpus folder.

    Raises:
        FileNotFoundError: if the folder has no ``corpus.json``.
    """
    if not (folder / "corpus.json").is_file():
        raise FileNotFoundError(f"{folder} holds no finished corpus (corpus.json): build it first")
    names = json.loads((folder / "corpus.json").read_text())["sources"]
    return Shards(
        train={name: _map(folder / f"{name}.bin") for name in names},
        held_out={name: _map(folder / f"{name}.held_out.bin") for name in names},
    )


def _map(path: Path) -> npt.NDArray[np.uint16]:
    """The ids of one shard, read as they are used."""
    empty = not path.stat().st_size  # an empty file cannot be mapped
    return np.zeros(0, dtype=np.uint16) if empty else np.memmap(path, dtype="<u2", mode="r")
