"""User-item events: read and validate a file, turn it into a sparse matrix, split it for evaluation."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from vouchrec.retrieval.errors import DataFileError
from vouchrec.retrieval.files import clean_text, is_missing, read_rows
from vouchrec.retrieval.types import Interaction, ItemId, UserId

REQUIRED = ("user", "item")
DISLIKED = 0.4
"""Part of a rating scale up to which a rating is no like, however harsh its user: 4 of 10, 2 of 5."""
_PLAIN_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


def read_interactions(path: Path) -> Iterator[tuple[int, Interaction]]:
    """Yield (row number, interaction) of a file with columns `user`, `item` and optionally `value`, `time`.

    `value` is a rating or a count (1.0 when the column is absent); `time` is seconds since 1970 or an ISO date, in UTC
    unless it says otherwise.

    Raises:
        DataFileError: A missing column, an empty id, a value that is not a finite number: with file, row and field.
    """
    names: dict[str, str] = {}  # one string per user and item, not one per row
    for number, row in read_rows(path):
        user, item = (_identifier(path, number, row, name) for name in REQUIRED)
        value, time = _value(path, number, row), _time(path, number, row.get("time"))
        yield number, Interaction(names.setdefault(user, user), names.setdefault(item, item), value, time)


def _identifier(path: Path, number: int, row: Mapping[str, object], name: str) -> str:
    if name not in row:
        found = ", ".join(sorted(map(str, row))) or "none"
        raise DataFileError(path, "column is missing", row=number, field=name, hint=f"Columns found: {found}.")
    try:
        text = " ".join(clean_text(row[name]).split())
    except ValueError as error:
        raise DataFileError(path, str(error), row=number, field=name) from error
    if not text:
        raise DataFileError(path, "is empty", row=number, field=name)
    return text


def _value(path: Path, number: int, row: Mapping[str, object]) -> float:
    if "value" not in row:
        return 1.0
    raw = row["value"]
    try:
        value = float(str(raw))
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise DataFileError(path, f"expected a number from 0 up, found {raw!r:.60}", row=number, field="value")
    return value


def _time(path: Path, number: int, raw: object) -> float | None:
    if is_missing(raw):
        return None
    try:
        if isinstance(raw, dt.datetime):
            return _seconds(raw)
        text = str(raw).strip()
        seconds = float(text) if _PLAIN_NUMBER.fullmatch(text) else _seconds(dt.datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        problem = f"expected seconds since 1970 or an ISO date, found {raw!r:.60}"
        raise DataFileError(path, problem, row=number, field="time") from None
    return seconds


def _seconds(moment: dt.datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


@dataclass(frozen=True, slots=True)
class InteractionMatrix:
    """Positive interactions as a matrix.

    Attributes:
        matrix: (n_users, n_items) float32 CSR of weights in (0, 1].
        users: Row names.
        items: Column names.
        explicit: True when the values were ratings on a scale.
        sequences: Columns of each row, oldest first, as int64 arrays; None where no interaction has a time.
    """

    matrix: sp.csr_matrix
    users: tuple[UserId, ...]
    items: tuple[ItemId, ...]
    explicit: bool
    sequences: tuple[npt.NDArray[np.int64], ...] | None = None

    def ordered(self) -> tuple[npt.NDArray[np.int64], ...]:
        """Return the columns of each row, oldest first; in the order of the columns where no time is known."""
        if self.sequences is not None:
            return self.sequences
        rows = np.split(np.asarray(self.matrix.indices, np.int64), self.matrix.indptr[1:-1])
        return tuple(rows[: len(self.users)])

    def rows(self, chosen: Sequence[int] | npt.NDArray[np.int64]) -> InteractionMatrix:
        """Return the same columns with these rows only, in this order."""
        order = self.sequences
        return InteractionMatrix(
            sp.csr_matrix(self.matrix[chosen], dtype=np.float32),
            tuple(self.users[i] for i in chosen),
            self.items,
            self.explicit,
            None if order is None else tuple(order[i] for i in chosen),
        )


def is_explicit(values: Sequence[float]) -> bool:
    """Return whether values look like ratings on a scale: at least three levels, none above 10 (or 100), the usual one not low.

    Counts are heavy-tailed: most values are small beside the largest, so their median is below `DISLIKED` of it.
    """
    if not len(values):
        return False
    array = np.asarray(values)
    levels = np.unique(array)
    top = float(levels[-1])
    on_scale = (top <= 10 and len(levels) <= 21) or 10 < top <= 100
    return len(levels) >= 3 and on_scale and float(np.median(array)) >= top * DISLIKED


def to_matrix(
    interactions: Sequence[Interaction], items: Sequence[ItemId], *, explicit: bool | None = None
) -> InteractionMatrix:
    """Turn interactions into positive weights.

    Explicit ratings: kept where they reach the user's own mean minus half a level or two thirds of the scale, whichever is
    lower, so that a harsh user still has likes, but never at or below `DISLIKED` of the scale; weight 1. Half a level is
    a twentieth of the scale. Implicit counts: log(1 + count) scaled by the user's largest.

    Args:
        interactions: Any order; the last of a repeated (user, item) pair counts.
        items: Column names; interactions with other items are left out.
        explicit: Force the reading of values; None looks at them.
    """
    column = {item: index for index, item in enumerate(items)}
    known = [event for event in interactions if event.item in column]
    users: dict[UserId, int] = {}
    rows = np.fromiter((users.setdefault(e.user, len(users)) for e in known), np.int64, len(known))
    columns = np.fromiter((column[e.item] for e in known), np.int64, len(known))
    values = np.fromiter((e.value for e in known), np.float64, len(known))
    last = _last_of_each(rows * len(items) + columns)
    rows, columns, values = rows[last], columns[last], values[last]
    ratings = is_explicit(cast("Sequence[float]", values)) if explicit is None else explicit
    weigh = _liked if ratings else _log_counts
    weights = weigh(rows, values, len(users)).astype(np.float32)
    kept = weights > 0
    cells = (weights[kept], (rows[kept], columns[kept]))
    matrix = sp.csr_matrix(cells, shape=(len(users), len(items)))
    times = np.fromiter((-math.inf if e.time is None else e.time for e in known), np.float64, len(known))[last][kept]
    sequences = _sequences(rows[kept], columns[kept], times, len(users))
    return InteractionMatrix(matrix, tuple(users), tuple(items), ratings, sequences)


def _sequences(
    rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], times: npt.NDArray[np.float64], n_users: int
) -> tuple[npt.NDArray[np.int64], ...] | None:
    """Return each row's columns by time, equal times by column; None where there is no time at all."""
    if not np.isfinite(times).any():
        return None
    order = np.lexsort((columns, times, rows))
    starts = np.cumsum(np.bincount(rows, minlength=n_users))[:-1]
    return tuple(np.split(columns[order], starts))


def _last_of_each(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the position of the last occurrence of every distinct key."""
    _, from_end = np.unique(keys[::-1], return_index=True)
    return len(keys) - 1 - from_end


def _liked(rows: npt.NDArray[np.int64], values: npt.NDArray[np.float64], n_users: int) -> npt.NDArray[np.float64]:
    top = float(values.max(initial=0.0))
    mean = np.bincount(rows, values, n_users) / np.maximum(np.bincount(rows, minlength=n_users), 1)
    threshold = np.minimum(top * 2 / 3, mean - top / 20)[rows]
    return ((values >= threshold) & (values > top * DISLIKED)).astype(np.float64)


def _log_counts(rows: npt.NDArray[np.int64], values: npt.NDArray[np.float64], n_users: int) -> npt.NDArray[np.float64]:
    logs = np.log1p(values)
    largest = np.zeros(n_users)
    np.maximum.at(largest, rows, logs)
    return logs / np.where(largest > 0, largest, 1.0)[rows]


def split_users(users: Collection[UserId], *, held_out: float, seed: int) -> tuple[set[UserId], set[UserId]]:
    """Split users at random into (train, held out) for strong generalisation.

    Args:
        held_out: Fraction in (0, 1).
        seed: Seed of the permutation; the same users and seed give the same split whatever their order.
    """
    ordered = sorted(users)
    order = np.random.default_rng(seed).permutation(len(ordered))
    cut = round(len(ordered) * held_out)
    test = {ordered[i] for i in order[:cut]}
    return set(ordered) - test, test
