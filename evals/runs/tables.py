"""Figures as tables of text cells, which Markdown and the page both show."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from vouchrec.evals.runs.figures import Figure
from vouchrec.evals.runs.measures import Measure
from vouchrec.evals.runs.records import Manifest

__all__ = ["Cell", "Table", "conditions", "details", "duration", "summary", "verdicts"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure in a table.

    Attributes:
        value: The figure.
        interval: Its interval; empty where there is none.
        mark: `best`, `up` (established gain), `down` (established loss), or empty.
    """

    value: str
    interval: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Named rows of cells; None where a figure is undefined."""

    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]


def summary(manifest: Manifest, figures: Sequence[Figure]) -> Table:
    """Return methods against the main measures of one group; the best of each and established differences are marked."""
    measures = [m for m in manifest.measures if m.main and any(f.measure.name == m.name for f in figures)]
    methods = [m for m in manifest.methods if any(f.method == m for f in figures)]
    best = {m.name: _best(figures, m) for m in measures}
    rows = [(method, tuple(_cell(_find(figures, method, m), best[m.name]) for m in measures)) for method in methods]
    return Table("method", tuple(m.label for m in measures), tuple(rows))


def details(manifest: Manifest, figures: Sequence[Figure]) -> Table:
    """Return all shown measures of one group against the methods."""
    methods = [m for m in manifest.methods if any(f.method == m for f in figures)]
    rows: list[tuple[str, tuple[Cell | None, ...]]] = []
    for measure in manifest.measures:
        if measure.shown and any(f.measure.name == measure.name for f in figures):
            best = _best(figures, measure)
            rows.append((_label(measure), tuple(_cell(_find(figures, m, measure), best) for m in methods)))
    return Table("measure", tuple(methods), tuple(rows))


def verdicts(manifest: Manifest, figures: Sequence[Figure]) -> list[str]:
    """Say in words which differences of the main measures to the baseline are established, one sentence per method."""
    found: list[str] = []
    for method in manifest.methods:
        own = [f for f in figures if f.method == method and f.measure.main and f.gain is not None]
        up = [f.measure.label for f in own if f.gain and f.gain.established and _good(f)]
        down = [f.measure.label for f in own if f.gain and f.gain.established and _good(f) is False]
        if not own:
            continue
        parts = [f"above {manifest.baseline} in {', '.join(up)}"] if up else []
        parts += (
            [f"below it in {', '.join(down)}" if up else f"below {manifest.baseline} in {', '.join(down)}"]
            if down
            else []
        )
        found.append(
            f"{method}: {' and '.join(parts)}."
            if parts
            else f"{method}: no difference to {manifest.baseline} is established."
        )
    return found


def conditions(manifest: Manifest) -> list[tuple[str, str]]:
    """Return what a reader must know to repeat a run: name and value."""
    started = dt.datetime.fromtimestamp(manifest.started, dt.UTC)
    listed = [
        ("suite", manifest.suite),
        ("protocol", manifest.hash),
        ("seed", str(manifest.seed)),
        ("rows", str(manifest.rows)),
        ("time", duration(manifest.seconds)),
        ("started", f"{started:%Y-%m-%d %H:%M} UTC"),
    ]
    return [*listed, ("versions", ", ".join(f"{name} {number}" for name, number in manifest.versions.items()))]


def duration(seconds: float) -> str:
    """Return a time span in words: `45 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _label(measure: Measure) -> str:
    arrow = {"higher": " ↑", "lower": " ↓", "": ""}[measure.better]
    return measure.label + arrow


def _find(figures: Sequence[Figure], method: str, measure: Measure) -> Figure | None:
    return next((f for f in figures if f.method == method and f.measure.name == measure.name), None)


def _best(figures: Sequence[Figure], measure: Measure) -> Figure | None:
    own = [f for f in figures if f.measure.name == measure.name]
    if not measure.better or len(own) < 2:
        return None
    sign = 1 if measure.better == "higher" else -1
    return max(own, key=lambda f: sign * f.interval.value)


def _cell(figure: Figure | None, best: Figure | None) -> Cell | None:
    if figure is None:
        return None
    measure, found = figure.measure, figure.interval
    mark = ""
    if figure.gain is not None and figure.gain.established and measure.better:
        mark = "up" if _good(figure) else "down"
    interval = f"[{measure.text(found.low)}, {measure.text(found.high)}]"
    return Cell(measure.text(found.value), interval, f"{mark} best".strip() if figure is best else mark)


def _good(figure: Figure) -> bool | None:
    """Whether the difference to the baseline is for the better; None where neither way is good."""
    if figure.gain is None or not figure.measure.better:
        return None
    return (figure.gain.interval.value > 0) == (figure.measure.better == "higher")
