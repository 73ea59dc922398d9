"""Word search: BM25 over item texts, by SQLite's FTS5 (porter stemming, accents folded). In memory, built on every start.

BM25: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009; https://sqlite.org/fts5.html.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import unicodedata
from collections.abc import Iterable, Sequence

from vouchrec.retrieval.types import Item, Row

_WORD = re.compile(r"[^\W_]+")
_LONGEST_QUERY = 40
"""Words of a query that are searched, the first ones."""
_INSERT = "INSERT INTO texts(rowid, title, attributes, description) VALUES (?, ?, ?, ?)"
_STOPWORDS = (
    "a an and any are as at be but by can do for from give good great have i id im in is it its just like lot love me more my "
    "nice no not of ok on or please really recommend show so some something that the them then there this to too very want "
    "was watch we what which with without would you your looking anything one ones maybe about"
)
STOPWORDS = frozenset(_STOPWORDS.split())
"""Words that say nothing about an item; FTS5 has no stop list, and they make a query slow."""
_COLUMN_WEIGHTS = (2.0, 1.0, 1.0)
"""BM25 weights of title, attributes and description. A title that is meant as one is linked before; in a wish its words are only
words, and a larger weight lists titles in which they happen to stand ("a silent film": A Silent Voice)."""


class LexicalIndex:
    """BM25 over title, attributes and description. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self._db.execute(
            "CREATE VIRTUAL TABLE texts USING fts5("
            "title, attributes, description, tokenize='porter unicode61 remove_diacritics 2')"
        )

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def build(self, items: Iterable[Item]) -> None:
        """Replace the content; row i of the catalogue gets rowid i + 1."""
        with self._lock, self._db:
            self._db.execute("DELETE FROM texts")
            self._db.executemany(_INSERT, ((row + 1, *_columns(item)) for row, item in enumerate(items)))

    def put(self, rows: Sequence[Row], items: Sequence[Item]) -> None:
        """Add or replace items."""
        with self._lock, self._db:
            self._db.executemany("DELETE FROM texts WHERE rowid = ?", ((row + 1,) for row in rows))
            self._db.executemany(_INSERT, ((r + 1, *_columns(item)) for r, item in zip(rows, items, strict=True)))

    def search(self, text: str, n: int) -> list[tuple[Row, float]]:
        """Return up to n (row, BM25 score) for texts with any of the words, best first; higher is better, above 0."""
        words = dict.fromkeys(w.lower() for w in _WORD.findall(unicodedata.normalize("NFC", text)))
        wanted = [w for w in words if w not in STOPWORDS and len(w) > 1][:_LONGEST_QUERY]
        if not wanted:
            return []
        match = " OR ".join(f'"{w}"' for w in wanted)
        ranked = "SELECT rowid, bm25(texts, ?, ?, ?) AS score FROM texts WHERE texts MATCH ? ORDER BY score LIMIT ?"
        with self._lock:
            rows = self._db.execute(ranked, (*_COLUMN_WEIGHTS, match, n)).fetchall()
        return [(int(rowid) - 1, -float(score)) for rowid, score in rows]


def _columns(item: Item) -> tuple[str, str, str]:
    attributes = " ; ".join(" , ".join(item.values(name)) for name in item.attributes)
    return " / ".join((item.title, *item.aliases)), attributes, item.description
