"""What a run measures: figures that are made of per-case rows, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeAlias, cast

from vouchrec.retrieval.types import ItemId

MeasureKind: TypeAlias = Literal["mean", "share", "ratio", "coverage", "gini"]
Better: TypeAlias = Literal["higher", "lower", ""]
Key: TypeAlias = tuple[str, str, str]
"""Group, method and case: what tells one row from all others."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a run.

    Attributes:
        name: What runs are compared by; unique within a suite.
        label: How a report calls it.
        column: The rows' value that it is made of; for `coverage` and `gini` not used.
        over: For a ratio, the value that it is divided by: sum(column) / sum(over).
        kind: `mean` of the defined values, `share` of those that are 1 among those that are 0 or 1, `ratio` of two sums, or a
            figure of all lists together.
        better: Which way is good; empty where neither is (novelty).
        percent: Shown as a percentage.
        main: Shown in the summary and drawn; the others stand in the table only.
        shown: False for points of a curve, which stand in no table.
    """

    name: str
    label: str
    column: str = ""
    over: str = ""
    kind: MeasureKind = "mean"
    better: Better = "higher"
    percent: bool = False
    main: bool = False
    shown: bool = True

    def text(self, value: float, *, signed: bool = False) -> str:
        """Return a figure of this measure in words, as a report shows it."""
        scaled = value * 100 if self.percent else value
        digits = 1 if self.percent or abs(scaled) >= 100 else 2 if abs(scaled) >= 10 else 3
        return f"{scaled:{'+' if signed else ''}.{digits}f}{'%' if self.percent else ''}"


@dataclass(frozen=True, slots=True)
class Curve:
    """A figure that is drawn over something: recall over the length of the list, success over turns.

    Attributes:
        points: Name of the measure at each x, ascending.
    """

    title: str
    x: str
    y: str
    points: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one case with one method.

    Attributes:
        case: Who or what: a person, a conversation, a message.
        method: What was measured.
        group: Part of the suite that the case belongs to (a protocol, a set of cases); empty where there is one.
        values: Numbers by name; NaN where undefined.
        items: The ranked list, best first, where there is one.
        detail: What a person needs to look into the case, JSON-ready; never averaged.
    """

    case: str
    method: str
    group: str = ""
    values: Mapping[str, float] = field(default_factory=dict[str, float])
    items: tuple[ItemId, ...] = ()
    detail: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def key(self) -> Key:
        """What tells this row from all others of a run."""
        return self.group, self.method, self.case


def measure_record(measure: Measure) -> dict[str, object]:
    """Return a measure as JSON."""
    return asdict(measure)


def read_measures(raw: object) -> tuple[Measure, ...]:
    """Return measures from their JSON.

    Raises:
        TypeError: It is no list of measures.
    """
    return tuple(Measure(**cast("dict[str, str]", one)) for one in cast("Sequence[object]", raw))  # type: ignore[arg-type]


def read_curves(raw: object) -> tuple[Curve, ...]:
    """Return curves from their JSON.

    Raises:
        KeyError, TypeError, ValueError: It is no list of curves.
    """
    found: list[Curve] = []
    for one in cast("Sequence[Mapping[str, object]]", raw):
        points = tuple((float(x), str(name)) for x, name in cast("Sequence[tuple[float, str]]", one["points"]))
        found.append(Curve(str(one["title"]), str(one["x"]), str(one["y"]), points))
    return tuple(found)
