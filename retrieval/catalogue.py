"""Items: read and validate a file, and hold the open catalogue with its filter indexes in memory."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from vouchrec.retrieval.domain import RESERVED, Attribute, Domain
from vouchrec.retrieval.errors import DataFileError
from vouchrec.retrieval.files import read_rows
from vouchrec.retrieval.types import AttributeValue, Constraint, Item, ItemId, Row, RowMask

LIST_SEPARATOR = "|"
LONGEST_TEXT = 20_000
"""Characters kept of a description; longer ones are an error, since they would silently be cut by any embedder."""


def fold(text: str) -> str:
    """Return text in the form in which values are compared: no case, no accents, single spaces."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(plain.split())


# ---- reading ----------------------------------------------------------------------------------------------------


def read_items(path: Path, domain: Domain | None = None) -> Iterator[Item]:
    """Yield the items of a CSV, JSONL or Parquet file.

    A row needs `id` and `title`; `description` and `aliases` are optional; every other column is an attribute. In CSV
    a list is written with `|` between its values. With a domain, only declared attributes are kept and their kinds checked.

    Raises:
        DataFileError: A missing column, an empty or repeated id, a value of the wrong kind: with file, row and field.
    """
    seen: dict[ItemId, int] = {}
    for number, row in read_rows(path):
        item = _parse_item(path, number, row, domain)
        if item.id in seen:
            raise DataFileError(path, f"id '{item.id}' stands in row {seen[item.id]} too", row=number, field="id")
        seen[item.id] = number
        yield item


def parse_item(row: Mapping[str, object], domain: Domain | None = None, *, where: str = "item") -> Item:
    """Build one item from a mapping, as an API gives it.

    Raises:
        DataFileError: As `read_items`; `where` stands in place of the file.
    """
    return _parse_item(Path(where), None, row, domain)


def _parse_item(path: Path, number: int | None, row: Mapping[str, object], domain: Domain | None) -> Item:
    identifier = _required(path, number, row, "id")
    title = _required(path, number, row, "title")
    description = _text(row.get("description"))
    if len(description) > LONGEST_TEXT:
        problem = f"{len(description)} characters; at most {LONGEST_TEXT} are taken"
        raise DataFileError(path, problem, row=number, field="description")
    attributes: dict[str, AttributeValue] = {}
    for name, raw in row.items():
        if name in RESERVED or _is_missing(raw):
            continue
        declared = domain.attribute(name) if domain else None
        if domain and domain.attributes and declared is None:
            continue
        value = _parse_value(path, number, name, raw, declared)
        if value not in ("", ()):
            attributes[name] = value
    aliases = _list(path, number, "aliases", row.get("aliases"))
    return Item(id=identifier, title=title, description=description, attributes=attributes, aliases=aliases)


def _required(path: Path, number: int | None, row: Mapping[str, object], name: str) -> str:
    if name not in row:
        found = ", ".join(sorted(str(k) for k in row)) or "none"
        raise DataFileError(path, "column is missing", row=number, field=name, hint=f"Columns found: {found}.")
    text = _text(row[name])
    if not text:
        raise DataFileError(path, "is empty", row=number, field=name)
    return text


def _text(value: object) -> str:
    if _is_missing(value):
        return ""
    cleaned = "".join(c if c.isprintable() or c in "\n\t" else " " for c in str(value))
    return unicodedata.normalize("NFC", cleaned).strip()


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _parse_value(path: Path, number: int | None, name: str, raw: object, declared: Attribute | None) -> AttributeValue:
    kind = declared.kind if declared else None
    if kind == "list" or (kind is None and isinstance(raw, Sequence | np.ndarray) and not isinstance(raw, str)):
        return _list(path, number, name, raw)
    if kind == "number" or (kind is None and isinstance(raw, int | float) and not isinstance(raw, bool)):
        return _number(path, number, name, raw)
    if kind == "date":
        return _date(path, number, name, raw)
    if kind is None and isinstance(raw, str) and LIST_SEPARATOR in raw:
        return _list(path, number, name, raw)
    return _text(raw)


def _list(path: Path, number: int | None, name: str, raw: object) -> tuple[str, ...]:
    if _is_missing(raw):
        return ()
    if isinstance(raw, str):
        parts: Iterable[object] = raw.split(LIST_SEPARATOR)
    elif isinstance(raw, Iterable) and not isinstance(raw, Mapping):
        parts = cast("Iterable[object]", raw)
    else:
        raise DataFileError(path, f"expected a list, found {raw!r:.60}", row=number, field=name)
    values = dict.fromkeys(_text(part) for part in parts)
    return tuple(v for v in values if v)


def _number(path: Path, number: int | None, name: str, raw: object) -> float | int:
    try:
        value = float(str(raw).strip())
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataFileError(path, f"expected a number, found {raw!r:.60}", row=number, field=name)
    return int(value) if value.is_integer() else value


def _date(path: Path, number: int | None, name: str, raw: object) -> str:
    if isinstance(raw, dt.date | dt.datetime):
        return raw.isoformat()
    try:
        return dt.date.fromisoformat(str(raw).strip()[:10]).isoformat()
    except ValueError:
        raise DataFileError(path, f"expected a date like 2024-05-31, found {raw!r:.60}", row=number, field=name) from None


# ---- the open catalogue -----------------------------------------------------------------------------------------


def item_text(item: Item) -> str:
    """Return the text that stands for an item when it is embedded or searched by word: title, attributes, description."""
    parts = [item.title, *item.aliases]
    for name, value in item.attributes.items():
        joined = ", ".join(value) if isinstance(value, tuple) else str(value)
        parts.append(f"{name}: {joined}")
    return ". ".join(parts) + (f". {item.description}" if item.description else "")


def item_hash(item: Item) -> str:
    """Return a hash of all that is known of an item; it changes when any field does."""
    record = [item.id, item.title, item.description, dict(sorted(item.attributes.items())), item.aliases]
    return hashlib.sha256(json.dumps(record, ensure_ascii=False, default=list).encode()).hexdigest()[:16]


class Catalogue:
    """All items of an open workspace, in row order, with inverted indexes for filters.

    Rows never move: a new item takes the next row, a changed item keeps its row.
    """

    def __init__(self, items: Iterable[Item], domain: Domain) -> None:
        self.domain = domain
        self.items: list[Item] = []
        self._rows: dict[ItemId, Row] = {}
        self._postings: dict[str, dict[str, set[Row]]] = {}
        self._numbers: dict[str, list[float]] = {
            a.name: [] for a in domain.attributes if a.kind == "number" or a.kind == "date"
        }
        for item in items:
            self.put(item)

    def __len__(self) -> int:
        return len(self.items)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._rows

    def row(self, item_id: ItemId) -> Row:
        """Return an item's row.

        Raises:
            KeyError: No such item.
        """
        return self._rows[item_id]

    def rows(self, item_ids: Iterable[ItemId]) -> list[Row]:
        """Return rows of those ids that exist, in order."""
        return [self._rows[i] for i in item_ids if i in self._rows]

    def get(self, item_id: ItemId) -> Item | None:
        """Return an item, or None."""
        row = self._rows.get(item_id)
        return None if row is None else self.items[row]

    def put(self, item: Item) -> Row:
        """Add an item, or replace the one with its id, and return its row."""
        row = self._rows.get(item.id)
        if row is None:
            row = len(self.items)
            self._rows[item.id] = row
            self.items.append(item)
            for column in self._numbers.values():
                column.append(math.nan)
        else:
            self._unpost(row, self.items[row])
            self.items[row] = item
        self._post(row, item)
        return row

    def values(self, attribute: str) -> dict[str, int]:
        """Return the folded values of an attribute with the number of items that have each."""
        return {value: len(rows) for value, rows in self._postings.get(attribute, {}).items()}

    def rows_with(self, attribute: str, value: str) -> set[Row]:
        """Return the rows whose attribute has the value (compared without case and accents)."""
        return self._postings.get(attribute, {}).get(fold(value), set())

    def mask(self, constraints: Iterable[Constraint]) -> RowMask:
        """Return True where all given constraints hold; an absent value fails a positive or numeric constraint."""
        allowed = np.ones(len(self.items), dtype=np.bool_)
        for constraint in constraints:
            allowed &= self._holds(constraint)
        return allowed

    def satisfied(self, constraint: Constraint, row: Row) -> bool:
        """Return whether one item satisfies one constraint."""
        item = self.items[row]
        if constraint.op in ("min", "max"):
            number = _as_number(item.attributes.get(constraint.attribute))
            bound = _as_number(constraint.value)
            if number is None or bound is None:
                return False
            return number >= bound if constraint.op == "min" else number <= bound
        mine = {fold(v) for v in item.values(constraint.attribute)}
        hit = any(fold(v) in mine for v in constraint.values())
        return hit if constraint.op in ("is", "any_of") else not hit

    def numbers(self, attribute: str) -> np.ndarray:
        """Return a numeric or date attribute as (n_items,) float64, NaN where absent; dates count days."""
        return np.asarray(self._numbers.get(attribute, [math.nan] * len(self.items)), dtype=np.float64)

    def _holds(self, constraint: Constraint) -> RowMask:
        if constraint.op in ("min", "max"):
            column, bound = self.numbers(constraint.attribute), _as_number(constraint.value)
            if bound is None:
                return np.zeros(len(self.items), dtype=np.bool_)
            with np.errstate(invalid="ignore"):
                return column >= bound if constraint.op == "min" else column <= bound
        hit = np.zeros(len(self.items), dtype=np.bool_)
        for value in constraint.values():
            rows = self.rows_with(constraint.attribute, value)
            hit[list(rows)] = True
        return hit if constraint.op in ("is", "any_of") else ~hit

    def _post(self, row: Row, item: Item) -> None:
        for name, value in item.attributes.items():
            if name in self._numbers:
                number = _as_number(value)
                self._numbers[name][row] = math.nan if number is None else number
            table = self._postings.setdefault(name, {})
            for text in item.values(name):
                table.setdefault(fold(text), set()).add(row)

    def _unpost(self, row: Row, item: Item) -> None:
        for name in item.attributes:
            for text in item.values(name):
                self._postings.get(name, {}).get(fold(text), set()).discard(row)
            if name in self._numbers:
                self._numbers[name][row] = math.nan


def _as_number(value: AttributeValue | None) -> float | None:
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        try:
            return float(dt.date.fromisoformat(value[:10]).toordinal())
        except ValueError:
            try:
                return float(value)
            except ValueError:
                return None
    return None
