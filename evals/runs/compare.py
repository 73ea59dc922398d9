"""compare(): two runs of one protocol, measure by measure over the cases that both have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vouchrec.evals.runs.figures import Difference, differences, figures
from vouchrec.evals.runs.measures import Measure, Row
from vouchrec.evals.runs.records import Manifest, read_run
from vouchrec.retrieval.errors import ConfigError

__all__ = ["Compared", "compare", "compared_lines"]


@dataclass(frozen=True, slots=True)
class Compared:
    """One measure of two runs.

    Attributes:
        method: Name of the method, or `A against B` where the runs call it differently.
        before, after: Figure of the first and of the second run, each over its own cases.
        difference: Second minus first over the cases that both have.
    """

    group: str
    method: str
    measure: Measure
    before: float
    after: float
    difference: Difference


def compare(first: Path, second: Path, *, seed: int = 0) -> tuple[Manifest, Manifest, list[Compared]]:
    """Compare the second run with the first.

    Args:
        first, second: Folders of whole runs.
        seed: Seed of resamples and swaps.

    Raises:
        ConfigError: One is no run or not whole, their protocols differ, or they have no method or no case in common.
    """
    (one, rows_a), (two, rows_b) = _whole(first), _whole(second)
    if one.hash != two.hash:
        problem = f"{first} has protocol {one.hash} ({one.suite}) and {second} has {two.hash} ({two.suite})."
        raise ConfigError(problem, hint="Only runs over the same cases, judged alike, can be compared.")
    found: list[Compared] = []
    for before, after in _methods(one, two):
        own = [row for row in rows_b if row.method == after]
        found += _compare_method(one, two, [r for r in rows_a if r.method == before], own, _name(before, after), seed)
    if not found:
        raise ConfigError(f"{first} and {second} have no case in common.", hint="Compare runs of the same cases.")
    return one, two, found


def _whole(folder: Path) -> tuple[Manifest, list[Row]]:
    manifest, rows = read_run(folder)
    if manifest.finished is None:
        raise ConfigError(
            f"The run in {folder} is not whole.", hint="Run its command again: it goes on where it stood."
        )
    return manifest, rows


def _methods(one: Manifest, two: Manifest) -> list[tuple[str, str]]:
    """Pair methods by name; the only method of one run is also paired with the only one of the other."""
    common = [(method, method) for method in one.methods if method in two.methods]
    if common:
        return common
    if len(one.methods) == len(two.methods) == 1:
        return [(one.methods[0], two.methods[0])]
    raise ConfigError(
        f"The runs have no method in common: {', '.join(one.methods)} and {', '.join(two.methods)}.",
        hint="Run both with the same --method.",
    )


def _name(before: str, after: str) -> str:
    return before if before == after else f"{after} against {before}"


def _compare_method(
    one: Manifest, two: Manifest, before: Sequence[Row], after: Sequence[Row], name: str, seed: int
) -> list[Compared]:
    n_items = int(str(two.facts.get("items", 0)))
    found: list[Compared] = []
    for group in dict.fromkeys(row.group for row in after):
        old, new = ([row for row in rows if row.group == group] for rows in (before, after))
        values = [_values(manifest, rows) for manifest, rows in ((one, old), (two, new))]
        for measure_name, difference in differences(two.measures, new, old, seed, n_items).items():
            measure = next(m for m in two.measures if m.name == measure_name)
            if measure.shown:
                pair = (values[0][measure_name], values[1][measure_name])
                found.append(Compared(group, name, measure, *pair, difference))
    return found


def _values(manifest: Manifest, rows: Sequence[Row]) -> dict[str, float]:
    return {f.measure.name: f.interval.value for f in figures(manifest, rows)}


def compared_lines(one: Manifest, two: Manifest, found: Sequence[Compared]) -> list[str]:
    """Return a comparison as Markdown: a table per group and method, established differences marked."""
    lines = [f"{two.title}: protocol `{two.hash}`, second run less first, 95% intervals, p corrected by Holm."]
    lines += _changed(one, two)
    for group, method in dict.fromkeys((c.group, c.method) for c in found):
        own = [c for c in found if (c.group, c.method) == (group, method)]
        lines += [
            "",
            f"### {' · '.join(part for part in (group, method) if part)} ({own[0].difference.cases} cases)",
            "",
        ]
        lines += ["| measure | first | second | difference | p | |", "|---|---:|---:|---:|---:|---|", *map(_line, own)]
    return lines


def _changed(one: Manifest, two: Manifest) -> list[str]:
    """Say in which settings the runs differ."""
    keys = [k for k in {**one.settings, **two.settings} if one.settings.get(k) != two.settings.get(k)]
    return [f"Setting {key}: {one.settings.get(key)!r} then {two.settings.get(key)!r}." for key in keys]


def _line(one: Compared) -> str:
    measure, interval, p = one.measure, one.difference.interval, one.difference.adjusted
    low, high = (measure.text(v, signed=True) for v in (interval.low, interval.high))
    cells = [
        measure.label,
        measure.text(one.before),
        measure.text(one.after),
        f"{measure.text(interval.value, signed=True)} [{low}, {high}]",
        "" if math.isnan(p) else "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0"),
        _verdict(one),
    ]
    return f"| {' | '.join(cells)} |"


def _verdict(one: Compared) -> str:
    if not one.difference.established:
        return ""
    if not one.measure.better:
        return "differs"
    better = (one.difference.interval.value > 0) == (one.measure.better == "higher")
    return "▲ better" if better else "▼ worse"
