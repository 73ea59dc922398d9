"""The source of truth of a workspace: items, users, events, turns, in SQL (SQLite in WAL mode, or PostgreSQL by URL)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, cast, get_args

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DatabaseError

from vouchrec.retrieval.catalogue import item_hash
from vouchrec.retrieval.errors import WorkspaceError
from vouchrec.retrieval.types import AttributeValue, Interaction, Item, ItemId, UserId

EventKind: TypeAlias = Literal["rating", "like", "dislike", "seen", "forget"]
EVENT_KINDS: tuple[EventKind, ...] = get_args(EventKind)
SCHEMA_VERSION = 1
_BATCH = 500

metadata = sa.MetaData()
meta_table = sa.Table("meta", metadata, sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Text))
item_table = sa.Table(
    "items",
    metadata,
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=True),
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
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("user_id", sa.Text, nullable=False, index=True),
    sa.Column("item_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("time", sa.Float),
)
turn_table = sa.Table(
    "turns",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
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
    """The SQL store of one workspace. Safe to use from several threads.

    Args:
        url: An SQLAlchemy URL, or a path to an SQLite file.

    Raises:
        WorkspaceError: The database can't be opened, is damaged, or was made by a newer version.
    """

    def __init__(self, url: str | Path) -> None:
        self.url = f"sqlite:///{url}" if isinstance(url, Path) else url
        self._engine = sa.create_engine(self.url, pool_pre_ping=not self.url.startswith("sqlite"))
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _sqlite_settings)
        try:
            self._migrate()
        except DatabaseError as error:
            self._engine.dispose()
            hint = "Restore it from a backup, or make the workspace again with `vouch init`."
            raise WorkspaceError(f"The store {_shown(self.url)} can't be opened: {error.orig}.", hint=hint) from error

    def _migrate(self) -> None:
        with self._engine.begin() as connection:
            tables = sa.inspect(connection).get_table_names()
            version = 0
            if "meta" in tables:
                found = connection.scalar(sa.select(meta_table.c.value).where(meta_table.c.key == "schema_version"))
                version = int(found or 0)
            if version > SCHEMA_VERSION:
                problem = f"The store {_shown(self.url)} has schema {version}; this version of Vouch knows {SCHEMA_VERSION}."
                raise WorkspaceError(problem, hint="Install a newer Vouch.")
            for step in MIGRATIONS[version:]:
                step(connection)
            if version != SCHEMA_VERSION:
                self._put_meta(connection, "schema_version", str(SCHEMA_VERSION))

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    # ---- meta -------------------------------------------------------------------------------------------------

    def get_meta(self, key: str) -> str | None:
        """Return a stored setting, or None."""
        with self._engine.connect() as connection:
            return connection.scalar(sa.select(meta_table.c.value).where(meta_table.c.key == key))

    def set_meta(self, key: str, value: str) -> None:
        """Store a setting."""
        with self._engine.begin() as connection:
            self._put_meta(connection, key, value)

    def _put_meta(self, connection: sa.Connection, key: str, value: str) -> None:
        connection.execute(self._upsert(meta_table, ["key"], ["value"]), [{"key": key, "value": value}])

    # ---- items ------------------------------------------------------------------------------------------------

    def put_items(self, items: Iterable[Item]) -> int:
        """Add or replace items in one transaction and return how many; on any error nothing is written."""
        with self._engine.begin() as connection:
            return len(self._upsert_items(connection, items))

    def replace_items(self, items: Iterable[Item]) -> int:
        """Make these the only items, in one transaction, and return how many; on any error nothing is written."""
        with self._engine.begin() as connection:
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
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(item_table).order_by(item_table.c.position))
            return [_item(row) for row in rows]

    def item_hashes(self) -> dict[ItemId, str]:
        """Return id to content hash, in item order."""
        with self._engine.connect() as connection:
            columns = sa.select(item_table.c.id, item_table.c.hash).order_by(item_table.c.position)
            return {row.id: row.hash for row in connection.execute(columns)}

    # ---- events -----------------------------------------------------------------------------------------------

    def add_events(self, events: Iterable[Event]) -> int:
        """Append events in one transaction and return how many."""
        count = 0
        with self._engine.begin() as connection:
            for batch in _batches((_event_row(event) for event in events), _BATCH * 4):
                connection.execute(sa.insert(event_table), batch)
                count += len(batch)
        return count

    def events(self, user: UserId) -> list[Event]:
        """Return a user's events, oldest first."""
        with self._engine.connect() as connection:
            chosen = sa.select(event_table).where(event_table.c.user_id == user).order_by(event_table.c.number)
            return [_event(row) for row in connection.execute(chosen)]

    def interactions(self) -> list[Interaction]:
        """Return all imported ratings and counts, in file order."""
        chosen = sa.select(event_table).where(event_table.c.kind == "rating").order_by(event_table.c.number)
        with self._engine.connect() as connection:
            return [Interaction(r.user_id, r.item_id, r.value, r.time) for r in connection.execute(chosen)]

    def count_events(self) -> int:
        """Return the number of stored events."""
        with self._engine.connect() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(event_table)) or 0

    def replace_interactions(self, interactions: Iterable[Interaction]) -> int:
        """Replace all imported interactions in one transaction; likes, dislikes and seen marks stay."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(event_table).where(event_table.c.kind == "rating"))
            count = 0
            rows = (_event_row(Event(i.user, i.item, "rating", i.value, i.time)) for i in interactions)
            for batch in _batches(rows, _BATCH * 4):
                connection.execute(sa.insert(event_table), batch)
                count += len(batch)
        return count

    # ---- turns ------------------------------------------------------------------------------------------------

    def add_turn(self, user: UserId, conversation: str, message: str, record: Mapping[str, object]) -> None:
        """Store one turn of conversation."""
        row = {
            "user_id": user,
            "conversation": conversation,
            "time": time.time(),
            "message": message,
            "record": json.dumps(record, ensure_ascii=False),
        }
        with self._engine.begin() as connection:
            connection.execute(sa.insert(turn_table), [row])

    def turns(self, user: UserId) -> list[dict[str, object]]:
        """Return the stored turn records of a user, oldest first."""
        chosen = sa.select(turn_table.c.record).where(turn_table.c.user_id == user).order_by(turn_table.c.number)
        with self._engine.connect() as connection:
            return [cast("dict[str, object]", json.loads(row.record)) for row in connection.execute(chosen)]

    def forget(self, user: UserId) -> None:
        """Delete everything stored about a user."""
        with self._engine.begin() as connection:
            for table in (event_table, turn_table):
                connection.execute(sa.delete(table).where(table.c.user_id == user))

    def _upsert(self, table: sa.Table, keys: Sequence[str], columns: Sequence[str]) -> sa.Executable:
        insert = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        statement = insert(table)
        return statement.on_conflict_do_update(
            index_elements=list(keys), set_={name: statement.excluded[name] for name in columns}
        )


def _sqlite_settings(connection: object, _record: object) -> None:
    execute = cast("Callable[[str], object]", getattr(connection, "execute"))  # noqa: B009 - a DB-API object has no type
    execute("PRAGMA journal_mode=WAL")
    execute("PRAGMA synchronous=NORMAL")
    execute("PRAGMA busy_timeout=10000")


def _shown(url: str) -> str:
    return sa.make_url(url).render_as_string(hide_password=True)


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
