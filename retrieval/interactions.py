"""User-item events: read and validate a file, turn it into a sparse matrix, split it for evaluation."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from vouchrec.retrieval.errors import DataFileError
from vouchrec.retrieval.files import read_rows
from vouchrec.retrieval.types import Interaction, ItemId, UserId

REQUIRED = ("user", "item")
DISLIKED = 0.4
"""Part of a rating scale up to which a rating is no like, however harsh its user: 4 of 10, 2 of 5."""


@dataclass(frozen=True, slots=True)
class InteractionReport:
    """What was read: kept rows, and rows whose item the catalogue does not have."""

    kept: int
    unknown_items: int
    first_unknown: tuple[str, int] | None


def read_interactions(path: Path) -> Iterator[tuple[int, Interaction]]:
    """Yield (row number, interaction) of a file with columns `user`, `item` and optionally `value`, `time`.

    `value` is a rating or a count (1.0 when the column is absent); `time` is seconds since 1970 or an ISO date.

    Raises:
        DataFileError: A missing column, an empty id, a value that is not a finite number: with file, row and field.
    """
    for number, row in read_rows(path):
        for name in REQUIRED:
            if name not in row:
                found = ", ".join(sorted(map(str, row))) or "none"
                raise DataFileError(path, "column is missing", row=number, field=name, hint=f"Columns found: {found}.")
            if str(row[name] if row[name] is not None else "").strip() == "":
                raise DataFileError(path, "is empty", row=number, field=name)
        value = _value(path, number, row)
        time = _time(path, number, row.get("time"))
        yield number, Interaction(str(row["user"]).strip(), str(row["item"]).strip(), value, time)


def _value(path: Path, number: int, row: Mapping[str, object]) -> float:
    raw = row.get("value")
    if raw is None or raw == "":
        return 1.0
    try:
        value = float(str(raw))
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise DataFileError(path, f"expected a number from 0 up, found {raw!r:.60}", row=number, field="value")
    return value


def _time(path: Path, number: int, raw: object) -> float | None:
    if raw is None or raw == "" or (isinstance(raw, float) and math.isnan(raw)):
        return None
    if isinstance(raw, dt.datetime):
        return raw.timestamp()
    text = str(raw).strip()
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        problem = f"expected seconds since 1970 or an ISO date, found {text!r:.60}"
        raise DataFileError(path, problem, row=number, field="time") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


@dataclass(frozen=True, slots=True)
class InteractionMatrix:
    """Positive interactions as a matrix.

    Attributes:
        matrix: (n_users, n_items) float32 CSR of weights in (0, 1].
        users: Row names.
        items: Column names.
        explicit: True when the values were ratings on a scale.
    """

    matrix: sp.csr_matrix
    users: tuple[UserId, ...]
    items: tuple[ItemId, ...]
    explicit: bool


def is_explicit(values: Sequence[float]) -> bool:
    """Return whether values look like ratings on a scale: few distinct levels, not all the same, none above 10 (or 100).

    Counts are heavy-tailed: most values small, a few far above ten times the median.
    """
    if not len(values):
        return False
    array = np.asarray(values)
    levels = np.unique(array)
    if len(levels) < 3:
        return False
    top = float(levels[-1])
    return (top <= 10 and len(levels) <= 21) or (top <= 100 and float(np.median(array)) >= 20)


def to_matrix(
    interactions: Sequence[Interaction], items: Sequence[ItemId], *, explicit: bool | None = None
) -> InteractionMatrix:
    """Turn interactions into positive weights.

    Explicit ratings: kept where they reach the user's own mean minus half a level or two thirds of the scale, whichever is
    lower, so that a harsh user still has likes, but never at or below `DISLIKED` of the scale; weight 1. Implicit counts: log(1 + count) scaled by the user's largest.

    Args:
        interactions: Any order; the last of a repeated (user, item) pair counts.
        items: Column names; interactions with other items are left out.
        explicit: Force the reading of values; None looks at them.
    """
    column = {item: index for index, item in enumerate(items)}
    cells: dict[UserId, dict[int, float]] = {}
    for event in interactions:
        if event.item in column:
            cells.setdefault(event.user, {})[column[event.item]] = event.value
    values = [v for row in cells.values() for v in row.values()]
    ratings = is_explicit(values) if explicit is None else explicit
    top = max(values, default=1.0)
    data: list[float] = []
    indices: list[int] = []
    indptr = [0]
    for row in cells.values():
        for index, weight in (_liked(row, top) if ratings else _log_counts(row)).items():
            indices.append(index)
            data.append(weight)
        indptr.append(len(indices))
    matrix = sp.csr_matrix(
        (np.asarray(data, np.float32), np.asarray(indices, np.int64), np.asarray(indptr, np.int64)),
        shape=(len(cells), len(items)),
    )
    return InteractionMatrix(matrix, tuple(cells), tuple(items), ratings)


def _liked(row: Mapping[int, float], top: float) -> dict[int, float]:
    mean = sum(row.values()) / len(row)
    threshold = min(top * 2 / 3, mean - top / 20)
    return {index: 1.0 for index, value in row.items() if value >= threshold and value > top * DISLIKED}


def _log_counts(row: Mapping[int, float]) -> dict[int, float]:
    largest = math.log1p(max(row.values()))
    if largest <= 0:
        return {}
    return {index: math.log1p(value) / largest for index, value in row.items() if value > 0}


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
