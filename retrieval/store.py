"""The source of truth of a workspace: items, users, events, turns, in SQL (SQLite in WAL mode, or PostgreSQL by URL)."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, cast, get_args

import sqlalchemy as sa
from sqlalchemy import event as sql_events
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError

from vouchrec.retrieval.catalogue import item_hash
from vouchrec.retrieval.errors import ConfigError, WorkspaceError
from vouchrec.retrieval.types import AttributeValue, Interaction, Item, ItemId, UserId

EventKind: TypeAlias = Literal["rating", "like", "dislike", "seen", "forget"]
EVENT_KINDS: tuple[EventKind, ...] = get_args(EventKind)
SCHEMA_VERSION = 1
_BATCH = 500
_LONGEST_WAIT_S = 10.0
"""How long a connection waits for another one that writes."""
_MIGRATION_LOCK = 0x766F756368
"""Key of the PostgreSQL advisory lock under which one process at a time makes or changes the tables."""
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""SQLite makes only an INTEGER column its row number."""

metadata = sa.MetaData()
meta_table = sa.Table("meta", metadata, sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Text))
item_table = sa.Table(
    "items",
    metadata,
    sa.Column("position", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("attributes", sa.Text, nullable=False),
    sa.Column("aliases", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)
event_table = sa.Table(
    "events",
    metadata,
    sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("user_id", sa.Text, nullable=False, index=True),
    sa.Column("item_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("time", sa.Float),
)
turn_table = sa.Table(
    "turns",
    metadata,
    sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("user_id", sa.Text, nullable=False, index=True),
    sa.Column("conversation", sa.Text, nullable=False, index=True),
    sa.Column("time", sa.Float, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("record", sa.Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing a user did: a rating (value on the file's scale), a like, a dislike, seen, or forget (undoes the others)."""

    user: UserId
    item: ItemId
    kind: EventKind
    value: float = 1.0
    time: float | None = None


def _migrate_to_1(connection: sa.Connection) -> None:
    metadata.create_all(connection)


MIGRATIONS: tuple[Callable[[sa.Connection], None], ...] = (_migrate_to_1,)
"""Step i brings a store from schema version i to i + 1; steps are never edited, only added."""


class Store:
    """The SQL store of one workspace. Safe to use from several threads and processes.

    Every method that writes does so in one transaction: on any error nothing is written. Any method raises
    `WorkspaceError` when the database turns out to be damaged or can't be reached.

    Args:
        url: An SQLAlchemy URL, or a path to an SQLite file.

    Raises:
        ConfigError: The URL is malformed, or its database driver is not installed.
        WorkspaceError: The database can't be opened, is damaged, or was made by a newer version.
    """

    def __init__(self, url: str | Path) -> None:
        self._url = _parse_url(url)
        self.name = self._url.render_as_string(hide_password=True)
        self._engine = _make_engine(self._url)
        self._writer = self._engine.execution_options(writes=True)
        try:
            self._migrate()
        except BaseException:
            self.close()
            raise

    def _migrate(self) -> None:
        with self._writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            version = self._version(connection)
            if version > SCHEMA_VERSION:
                problem = f"The store {self.name} has schema {version}; this version of Vouch knows {SCHEMA_VERSION}."
                raise WorkspaceError(problem, hint="Install a newer Vouch.")
            for step in MIGRATIONS[version:]:
                step(connection)
            if version != SCHEMA_VERSION:
                self._put_meta(connection, "schema_version", str(SCHEMA_VERSION))

    def _version(self, connection: sa.Connection) -> int:
        if "meta" not in sa.inspect(connection).get_table_names():
            return 0
        found = connection.scalar(sa.select(meta_table.c.value).where(meta_table.c.key == "schema_version"))
        if not (found or "0").isdecimal():
            raise self._damaged(f"schema version '{found}'")
        return int(found or 0)

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._translated(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self._damaged(error.orig) from error

    def _damaged(self, problem: object) -> WorkspaceError:
        hint = "If it is damaged, restore it from a backup, or make the workspace again with `vouch init`."
        return WorkspaceError(f"The store {self.name} can't be used: {problem}.", hint=hint)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    # ---- meta -------------------------------------------------------------------------------------------------

    def get_meta(self, key: str) -> str | None:
        """Return a stored setting, or None."""
        with self._reading() as connection:
            return connection.scalar(sa.select(meta_table.c.value).where(meta_table.c.key == key))

    def set_meta(self, key: str, value: str) -> None:
        """Store a setting."""
        with self._writing() as connection:
            self._put_meta(connection, key, value)

    def _put_meta(self, connection: sa.Connection, key: str, value: str) -> None:
        connection.execute(self._upsert(meta_table, ["key"], ["value"]), [{"key": key, "value": value}])

    # ---- items ------------------------------------------------------------------------------------------------

    def put_items(self, items: Iterable[Item]) -> int:
        """Add or replace items and return how many."""
        with self._writing() as connection:
            return len(self._upsert_items(connection, items))

    def replace_items(self, items: Iterable[Item]) -> int:
        """Make these the only items and return how many."""
        with self._writing() as connection:
            return self._replace_items(connection, items)

    def replace_content(self, items: Iterable[Item], domain: str, interactions: Iterable[Interaction] | None) -> None:
        """Make these the only items, with their domain as JSON; replace the imported interactions too unless None."""
        with self._writing() as connection:
            self._replace_items(connection, items)
            self._put_meta(connection, "domain", domain)
            if interactions is not None:
                _replace_interactions(connection, interactions)

    def _replace_items(self, connection: sa.Connection, items: Iterable[Item]) -> int:
        before = {row.id for row in connection.execute(sa.select(item_table.c.id))}
        kept = self._upsert_items(connection, items)
        for batch in _batches(({"gone": identifier} for identifier in before - kept), _BATCH):
            connection.execute(sa.delete(item_table).where(item_table.c.id == sa.bindparam("gone")), batch)
        return len(kept)

    def _upsert_items(self, connection: sa.Connection, items: Iterable[Item]) -> set[ItemId]:
        statement = self._upsert(item_table, ["id"], ["title", "description", "attributes", "aliases", "hash"])
        ids: set[ItemId] = set()
        for batch in _batches((_item_row(item) for item in items), _BATCH):
            connection.execute(statement, batch)
            ids.update(str(row["id"]) for row in batch)
        return ids

    def items(self) -> list[Item]:
        """Return all items in the order in which they were first added."""
        return [item for item, _ in self.hashed_items()]

    def hashed_items(self) -> list[tuple[Item, str]]:
        """Return all items in the order in which they were first added, each with the hash of its content."""
        with self._reading() as connection:
            rows = connection.execute(sa.select(item_table).order_by(item_table.c.position))
            try:
                return [(_item(row), row.hash) for row in rows]
            except (ValueError, TypeError, AttributeError) as error:
                raise self._damaged(f"an item can't be read: {error}") from error

    # ---- events -----------------------------------------------------------------------------------------------

    def add_events(self, events: Iterable[Event]) -> int:
        """Append events and return how many."""
        with self._writing() as connection:
            return _insert_events(connection, events)

    def events(self, user: UserId) -> list[Event]:
        """Return a user's events, oldest first."""
        chosen = sa.select(event_table).where(event_table.c.user_id == user).order_by(event_table.c.number)
        with self._reading() as connection:
            return [_event(row) for row in connection.execute(chosen)]

    def interactions(self) -> list[Interaction]:
        """Return all imported ratings and counts, in file order."""
        columns = event_table.c
        chosen = (
            sa.select(columns.user_id, columns.item_id, columns.value, columns.time)
            .where(columns.kind == "rating")
            .order_by(columns.number)
            .execution_options(yield_per=10_000)
        )
        names: dict[str, str] = {}  # one string per user and item, not one per row
        with self._reading() as connection:
            return [
                Interaction(names.setdefault(user, user), names.setdefault(item, item), value, moment)
                for user, item, value, moment in connection.execute(chosen)
            ]

    def count_events(self) -> int:
        """Return the number of stored events of all users."""
        with self._reading() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(event_table)) or 0

    def replace_interactions(self, interactions: Iterable[Interaction]) -> int:
        """Replace all imported interactions and return how many; likes, dislikes and seen marks stay."""
        with self._writing() as connection:
            return _replace_interactions(connection, interactions)

    # ---- turns ------------------------------------------------------------------------------------------------

    def add_turn(self, user: UserId, conversation: str, message: str, record: Mapping[str, object]) -> None:
        """Store one turn of conversation."""
        row = {
            "user_id": user,
            "conversation": conversation,
            "time": time.time(),
            "message": _storable(message),
            "record": _storable(json.dumps(record, ensure_ascii=False)),
        }
        with self._writing() as connection:
            connection.execute(sa.insert(turn_table), [row])

    def turns(self, user: UserId) -> list[dict[str, object]]:
        """Return the stored turn records of a user, oldest first."""
        chosen = sa.select(turn_table.c.record).where(turn_table.c.user_id == user).order_by(turn_table.c.number)
        with self._reading() as connection:
            return [cast("dict[str, object]", json.loads(row.record)) for row in connection.execute(chosen)]

    def forget(self, user: UserId) -> None:
        """Delete everything stored about a user."""
        with self._writing() as connection:
            for table in (event_table, turn_table):
                connection.execute(sa.delete(table).where(table.c.user_id == user))

    def _upsert(self, table: sa.Table, keys: Sequence[str], columns: Sequence[str]) -> sa.Executable:
        insert = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        statement = insert(table)
        return statement.on_conflict_do_update(
            index_elements=list(keys), set_={name: statement.excluded[name] for name in columns}
        )


def _parse_url(url: str | Path) -> sa.URL:
    if isinstance(url, Path):
        return sa.URL.create("sqlite", database=str(url))
    try:
        parsed = sa.make_url(url)
    except ArgumentError:
        # The text may hold a password: it is not repeated.
        raise ConfigError("The store is not a URL like postgresql://user@host/name.") from None
    # psycopg 3 is the driver that the extra `postgres` installs, whatever this SQLAlchemy takes by default.
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername in ("postgresql", "postgres") else parsed


def _make_engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise ConfigError(f"A store on '{url.get_backend_name()}' is not supported.", hint="Use SQLite or PostgreSQL.")
    try:
        engine = sa.create_engine(url, pool_pre_ping=url.get_backend_name() != "sqlite")
    except (ArgumentError, ImportError) as error:
        hint = "Install it with `pip install 'vouchrec[postgres]'`."
        raise ConfigError(f"The database driver of {url.drivername} is missing: {error}.", hint=hint) from error
    if engine.dialect.name == "sqlite":
        sql_events.listen(engine, "connect", _sqlite_settings)
        sql_events.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_settings(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where `_sqlite_begin` says, not where the driver guesses
    connection.execute(f"PRAGMA busy_timeout={int(_LONGEST_WAIT_S * 1000)}")
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous=NORMAL")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turn on the write-ahead log.

    Two that first open a new file together each hold a read lock that the other would have to give up. SQLite then refuses at
    once, without the busy timeout, so that waiting is ours to do.
    """
    until = time.monotonic() + _LONGEST_WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(random.uniform(0.002, 0.02))
        else:
            return


def _sqlite_begin(connection: sa.Connection) -> None:
    """Take the write lock at once for a transaction that writes: one that reads first could not wait for it later."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


def _insert_events(connection: sa.Connection, events: Iterable[Event]) -> int:
    count = 0
    for batch in _batches((_event_row(event) for event in events), _BATCH * 4):
        connection.execute(sa.insert(event_table), batch)
        count += len(batch)
    return count


def _replace_interactions(connection: sa.Connection, interactions: Iterable[Interaction]) -> int:
    connection.execute(sa.delete(event_table).where(event_table.c.kind == "rating"))
    return _insert_events(connection, (Event(i.user, i.item, "rating", i.value, i.time) for i in interactions))


def _storable(text: str) -> str:
    """Return text without what no database takes: zero characters and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _batches(rows: Iterable[dict[str, object]], size: int) -> Iterator[list[dict[str, object]]]:
    batch: list[dict[str, object]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _item_row(item: Item) -> dict[str, object]:
    return {
        "id": item.id,
        "title": item.title,
        "description": item.description,
        "attributes": json.dumps(dict(item.attributes), ensure_ascii=False),
        "aliases": json.dumps(item.aliases, ensure_ascii=False),
        "hash": item_hash(item),
    }


def _item(row: sa.Row[tuple[object, ...]]) -> Item:
    raw = cast("dict[str, AttributeValue | list[str]]", json.loads(row.attributes))
    attributes = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
    return Item(row.id, row.title, row.description, attributes, tuple(json.loads(row.aliases)))


def _event_row(event: Event) -> dict[str, object]:
    return {
        "user_id": event.user,
        "item_id": event.item,
        "kind": event.kind,
        "value": event.value,
        "time": event.time,
    }


def _event(row: sa.Row[tuple[object, ...]]) -> Event:
    return Event(row.user_id, row.item_id, cast("EventKind", row.kind), row.value, row.time)


__all__ = ["EVENT_KINDS", "SCHEMA_VERSION", "Event", "EventKind", "Store"]
