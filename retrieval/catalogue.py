"""Items: read and validate a file, and hold the open catalogue with its filter indexes in memory."""

from __future__ import annotations

import calendar
import datetime as dt
import hashlib
import json
import math
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn, cast

import numpy as np
import numpy.typing as npt

from vouchrec.retrieval.domain import RESERVED, Attribute, Domain, Kind, attribute_name
from vouchrec.retrieval.errors import DataFileError
from vouchrec.retrieval.files import clean_text, is_missing, read_rows
from vouchrec.retrieval.types import AttributeValue, Constraint, Item, ItemId, Row, RowMask

LIST_SEPARATOR = "|"
LONGEST_ID = 500
"""Characters of an id: what PostgreSQL can index."""
LONGEST_TITLE = 1_000
LONGEST_TEXT = 20_000
"""Characters kept of a description; longer ones are an error, since they would silently be cut by any embedder."""


def fold(text: str) -> str:
    """Return text in the form in which values are compared: no case, no accents, single spaces."""
    if text.isascii():
        return " ".join(text.lower().split())
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(plain.split())


# ---- reading ----------------------------------------------------------------------------------------------------


class _Place:
    """Where a value stands, for the error message."""

    def __init__(self, path: Path, row: int | None, field: str | None = None) -> None:
        self.path, self.row, self.field = path, row, field

    def of(self, field: str) -> _Place:
        return _Place(self.path, self.row, field)

    def fail(self, problem: str, hint: str = "") -> NoReturn:
        raise DataFileError(self.path, problem, row=self.row, field=self.field, hint=hint)


def read_items(path: Path, domain: Domain | None = None) -> Iterator[Item]:
    """Yield the items of a CSV, JSONL or Parquet file.

    A row needs `id` and `title`; `description` and `aliases` are optional; every other column is an attribute, named as
    `attribute_name` says. In CSV a list is written with `|` between its values. With a domain that declares attributes, only
    those are kept and their kinds checked.

    Raises:
        DataFileError: A missing column, an empty or repeated id, a value of the wrong kind: with file, row and field.
    """
    seen: dict[ItemId, int] = {}
    for number, row in read_rows(path):
        place = _Place(path, number)
        item = _parse_item(place, row, domain)
        if item.id in seen:
            place.of("id").fail(f"id '{item.id}' stands in row {seen[item.id]} too")
        seen[item.id] = number
        yield item


def parse_item(row: Mapping[str, object], domain: Domain | None = None, *, where: str = "item") -> Item:
    """Build one item from a mapping, as an API gives it.

    Raises:
        DataFileError: As `read_items`; `where` stands in place of the file.
    """
    return _parse_item(_Place(Path(where), None), row, domain)


def _parse_item(place: _Place, row: Mapping[str, object], domain: Domain | None) -> Item:
    cells = _by_attribute(place, row)
    for name in ("id", "title"):
        if name not in cells:
            place.of(name).fail("column is missing", f"Columns found: {', '.join(sorted(row)) or 'none'}.")
    identifier = _line(place.of("id"), cells["id"], LONGEST_ID)
    title = _line(place.of("title"), cells["title"], LONGEST_TITLE)
    description = _text(place.of("description"), cells.get("description"))
    if len(description) > LONGEST_TEXT:
        place.of("description").fail(f"{len(description)} characters; at most {LONGEST_TEXT} are taken")
    attributes: dict[str, AttributeValue] = {}
    for name, raw in cells.items():
        if name in RESERVED or is_missing(raw):
            continue
        declared = domain.attribute(name) if domain else None
        if domain and domain.attributes and declared is None:
            continue
        value = _parse_value(place.of(name), raw, declared)
        if value not in ("", ()):
            attributes[name] = value
    aliases = _list(place.of("aliases"), cells.get("aliases"))
    return Item(id=identifier, title=title, description=description, attributes=attributes, aliases=aliases)


def _by_attribute(place: _Place, row: Mapping[str, object]) -> dict[str, object]:
    """Return the row by attribute name."""
    cells: dict[str, object] = {}
    for column, value in row.items():
        name = attribute_name(column)
        if not name:
            place.of(column).fail("this column has no usable name", "Rename it: a letter, then letters, digits and _.")
        if name in cells:
            place.of(column).fail(f"two columns stand for '{name}'", "Rename or drop one.")
        cells[name] = value
    return cells


def _line(place: _Place, raw: object, longest: int) -> str:
    """One line of text that must not be empty."""
    text = " ".join(_text(place, raw).split())
    if not text:
        place.fail("is empty")
    if len(text) > longest:
        place.fail(f"{len(text)} characters; at most {longest} are taken")
    return text


def _text(place: _Place, value: object) -> str:
    try:
        return clean_text(value)
    except ValueError as error:
        place.fail(str(error))


def _parse_value(place: _Place, raw: object, declared: Attribute | None) -> AttributeValue:
    if declared is not None:
        return _READERS[declared.kind](place, raw)
    if isinstance(raw, str):
        return _list(place, raw) if LIST_SEPARATOR in raw else _text(place, raw)
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return _number(place, raw)
    if isinstance(raw, dt.date):
        return _date(place, raw)
    return _list(place, raw) if isinstance(raw, Sequence | np.ndarray) else _text(place, raw)


def _list(place: _Place, raw: object) -> tuple[str, ...]:
    if is_missing(raw):
        return ()
    if isinstance(raw, str):
        parts: Iterable[object] = raw.split(LIST_SEPARATOR)
    elif isinstance(raw, Iterable) and not isinstance(raw, Mapping | bytes):
        parts = cast("Iterable[object]", raw)
    else:
        place.fail(f"expected a list, found {raw!r:.60}")
    values = dict.fromkeys(map(partial(_text, place), parts))
    return tuple(v for v in values if v)


def _number(place: _Place, raw: object) -> float | int:
    try:
        value = float(str(raw).strip())
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        place.fail(f"expected a number, found {raw!r:.60}")
    return int(value) if value.is_integer() else value


def _date(place: _Place, raw: object) -> str:
    if isinstance(raw, dt.datetime):
        return raw.date().isoformat()
    if isinstance(raw, dt.date):
        return raw.isoformat()
    try:
        return dt.datetime.fromisoformat(str(raw).strip()).date().isoformat()
    except ValueError:
        place.fail(f"expected a date like 2024-05-31, found {raw!r:.60}")


_READERS: dict[Kind, Callable[[_Place, object], AttributeValue]] = {
    "text": _text,
    "number": _number,
    "list": _list,
    "date": _date,
}


# ---- the open catalogue -----------------------------------------------------------------------------------------


def item_text(item: Item) -> str:
    """Return the text that stands for an item when it is embedded or searched by word: title, description, attributes.

    An encoder reads the beginning of a long text only, and what an item is about tells more than its cast.
    """
    parts = [item.title, *item.aliases, *([item.description] if item.description else [])]
    for name, value in item.attributes.items():
        joined = ", ".join(value) if isinstance(value, tuple) else str(value)
        parts.append(f"{name}: {joined}")
    return ". ".join(parts)


def item_hash(item: Item) -> str:
    """Return a hash of all that is known of an item; it changes when any field does."""
    record = [item.id, item.title, item.description, dict(sorted(item.attributes.items())), item.aliases]
    return hashlib.sha256(json.dumps(record, ensure_ascii=False, default=list).encode()).hexdigest()[:16]


class Catalogue:
    """All items of an open workspace, in row order, with inverted indexes for filters.

    Rows never move: a new item takes the next row, a changed item keeps its row. One thread may call `put` at a time, and
    whole-catalogue answers (masks, columns) are for readers that `Workspace.reading` keeps apart from it.
    """

    def __init__(self, items: Iterable[Item], domain: Domain) -> None:
        self.domain = domain
        self.items: list[Item] = []
        self._rows: dict[ItemId, Row] = {}
        self._postings: dict[str, dict[str, set[Row]]] = {}
        self._ranged: dict[str, Kind] = {a.name: a.kind for a in domain.attributes if a.kind in ("number", "date")}
        self._numbers: dict[str, list[float]] = {name: [] for name in self._ranged}
        self._unposted = {*self._ranged, *(a.name for a in domain.attributes if a.kind == "text" and not a.filterable)}
        self._columns: dict[str, npt.NDArray[np.float64]] = {}
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
            self.items.append(item)
            self._rows[item.id] = row  # after the item: another thread that finds the row finds the item
            for column in self._numbers.values():
                column.append(math.nan)
        else:
            self._unpost(row, self.items[row])
            self.items[row] = item
        self._post(row, item)
        self._columns.clear()
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
        """Return whether one item satisfies one constraint, as `mask` does for all."""
        kind = self._ranged.get(constraint.attribute)
        if kind is not None:
            return bool(_within(np.asarray([self._numbers[constraint.attribute][row]]), constraint, kind)[0])
        if constraint.op in ("min", "max"):
            return False
        hit = any(row in self.rows_with(constraint.attribute, v) for v in constraint.values())
        return hit if constraint.op in ("is", "any_of") else not hit

    def numbers(self, attribute: str) -> npt.NDArray[np.float64]:
        """Return a number or date attribute as (n_items,) float64, NaN where absent; dates count days. Not to be written to."""
        column = self._columns.get(attribute)
        if column is None:
            known = self._numbers.get(attribute)
            column = np.full(len(self.items), np.nan) if known is None else np.asarray(known, dtype=np.float64)
            self._columns[attribute] = column
        return column

    def _holds(self, constraint: Constraint) -> RowMask:
        kind = self._ranged.get(constraint.attribute)
        if kind is not None:
            return _within(self.numbers(constraint.attribute), constraint, kind)
        hit = np.zeros(len(self.items), dtype=np.bool_)
        if constraint.op in ("min", "max"):
            return hit
        for value in constraint.values():
            hit[list(self.rows_with(constraint.attribute, value))] = True
        return hit if constraint.op in ("is", "any_of") else ~hit

    def _post(self, row: Row, item: Item) -> None:
        for name, value in item.attributes.items():
            if name in self._ranged:
                bounds = value_range(value, self._ranged[name])
                self._numbers[name][row] = bounds[0] if bounds else math.nan
            if name not in self._unposted:
                table = self._postings.setdefault(name, {})
                for text in item.values(name):
                    table.setdefault(fold(text), set()).add(row)

    def _unpost(self, row: Row, item: Item) -> None:
        for name in item.attributes:
            if name in self._ranged:
                self._numbers[name][row] = math.nan
            table = self._postings.get(name, {})
            for text in map(fold, item.values(name)):
                rows = table.get(text, set())
                rows.discard(row)
                if not rows:
                    table.pop(text, None)


def value_range(value: AttributeValue, kind: Kind) -> tuple[float, float] | None:
    """Return the least and the greatest number that a value stands for, or None when it stands for none.

    A number stands for itself. A date is counted in days and may be a whole year (1999, "1999") or month ("1999-05").
    """
    if isinstance(value, tuple):
        return None
    if kind == "date" and isinstance(value, str):
        return _days(value)
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    return _days(f"{number:g}") if kind == "date" else (number, number)


def _days(text: str) -> tuple[float, float] | None:
    parts = text.strip()[:10].split("-")
    try:
        year, month, day = (int(parts[i]) if i < len(parts) else 1 for i in range(3))
        first = last = dt.date(year, month, day)
        if len(parts) == 1:
            last = dt.date(year, 12, 31)
        elif len(parts) == 2:
            last = dt.date(year, month, calendar.monthrange(year, month)[1])
    except (ValueError, OverflowError):
        return None
    return float(first.toordinal()), float(last.toordinal())


def _within(column: npt.NDArray[np.float64], constraint: Constraint, kind: Kind) -> RowMask:
    """Return where a column of numbers satisfies a constraint; a bound that is no number is satisfied by nothing."""
    wanted = constraint.value if isinstance(constraint.value, tuple) else (constraint.value,)
    ranges = [found for value in wanted if (found := value_range(value, kind)) is not None]
    hit = np.zeros(len(column), dtype=np.bool_)
    for low, high in ranges:
        if constraint.op == "min":
            hit |= column >= low
        elif constraint.op == "max":
            hit |= column <= high
        else:
            hit |= (column >= low) & (column <= high)
    return ~hit if constraint.op in ("is_not", "none_of") else hit
