"""Word search: BM25 over item texts, by SQLite's FTS5 (porter stemming, accents folded). Rebuildable, incremental.

BM25: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009; https://sqlite.org/fts5.html.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path

from vouchrec.retrieval.types import Item, Row

_WORD = re.compile(r"\w+", re.UNICODE)
# Words that say nothing about an item; FTS5 has no stop list, and they make a query slow.
STOPWORDS = frozenset(
    "a an and any are as at be but by can do for from give good great have i id im in is it its just like lot love me more my "
    "nice no not of ok on or please really recommend show so some something that the them then there this to too very want "
    "was watch we what which with without would you your im looking anything one ones maybe about".split()
)
_COLUMN_WEIGHTS = (4.0, 2.0, 1.0)
"""BM25 weights of title, attributes and description."""


class LexicalIndex:
    """BM25 over title, attributes and description.

    Args:
        path: Database file; None keeps it in memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(":memory:" if path is None else str(path), check_same_thread=False)
        self._db.execute(
            "CREATE VIRTUAL TABLE IF NOT EXISTS texts USING fts5("
            "title, attributes, description, tokenize='porter unicode61 remove_diacritics 2')"
        )

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def build(self, items: Iterable[Item]) -> None:
        """Replace the content; row i of the catalogue gets rowid i + 1."""
        with self._lock, self._db:
            self._db.execute("DELETE FROM texts")
            self._db.executemany(
                "INSERT INTO texts(rowid, title, attributes, description) VALUES (?, ?, ?, ?)",
                ((row + 1, *_columns(item)) for row, item in enumerate(items)),
            )

    def put(self, row: Row, item: Item) -> None:
        """Add or replace one item."""
        with self._lock, self._db:
            self._db.execute("DELETE FROM texts WHERE rowid = ?", (row + 1,))
            self._db.execute(
                "INSERT INTO texts(rowid, title, attributes, description) VALUES (?, ?, ?, ?)", (row + 1, *_columns(item))
            )

    def search(self, text: str, n: int) -> list[tuple[Row, float]]:
        """Return up to n (row, BM25 score) for texts with any of the words, best first; higher is better, above 0."""
        words = list(dict.fromkeys(w.casefold() for w in _WORD.findall(text)))
        wanted = [w for w in words if w not in STOPWORDS and len(w) > 1][:40]
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
