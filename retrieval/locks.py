"""Two locks: one between processes that build the same folder, one between threads that share an open workspace."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vouchrec.retrieval.errors import WorkspaceError

LONGEST_WAIT_S = 3_600.0
"""How long a process waits for another one that builds the same folder; embedding a large catalogue takes minutes."""


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file that one process or thread has at a time; the end of its process frees it.

    The lock is SQLite's own on an empty database: it works on every system, and a crash leaves nothing behind.

    Raises:
        WorkspaceError: The file can't be written, or another process held it for an hour.
    """
    try:
        connection = sqlite3.connect(path, timeout=LONGEST_WAIT_S, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        hint = "Check that the folder can be written and that no other process builds it."
        raise WorkspaceError(f"{path} can't be locked: {error}.", hint=hint) from error
    try:
        yield
    finally:
        connection.close()


class ReadWriteLock:
    """Many readers or one writer; a waiting writer goes before new readers. Not re-entrant."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._readers = 0
        self._waiting_writers = 0
        self._writing = False

    @contextmanager
    def read(self) -> Iterator[None]:
        """Hold the lock as one of several readers."""
        with self._condition:
            self._condition.wait_for(lambda: not self._writing and not self._waiting_writers)
            self._readers += 1
        try:
            yield
        finally:
            with self._condition:
                self._readers -= 1
                self._condition.notify_all()

    @contextmanager
    def write(self) -> Iterator[None]:
        """Hold the lock alone."""
        with self._condition:
            self._waiting_writers += 1
            self._condition.wait_for(lambda: not self._writing and not self._readers)
            self._waiting_writers -= 1
            self._writing = True
        try:
            yield
        finally:
            with self._condition:
                self._writing = False
                self._condition.notify_all()
