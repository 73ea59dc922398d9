"""The report on a catalogue's facts: all checks, what exceptions settle, tables, and the list of disagreements."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vouchrec.evals.facts.compare import NOTE, Check, best_match, cast_notes, compare
from vouchrec.evals.facts.names import item_titles, title_key
from vouchrec.evals.facts.own import SELF_CHECKS, CopyFinder, check_catalogue
from vouchrec.evals.facts.sources import SourceFilm, read_sources
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.files import read_rows
from vouchrec.retrieval.types import Item

__all__ = ["ATTRIBUTES", "Report", "check_facts", "markdown", "read_exceptions", "write_disagreements"]

ATTRIBUTES = ("year", "genres", "directors", "cast", "runtime", "countries", "languages")


@dataclass(frozen=True, slots=True)
class Report:
    """All checks of a catalogue.

    Attributes:
        items: Number of records.
        checks: Facts held against sources, notes on single cast names, and the failed checks of the catalogue itself.
        matched: Records found, by source.
        exceptions: Reasons by item, attribute and our value.
    """

    items: int
    checks: tuple[Check, ...]
    matched: Mapping[str, int]
    exceptions: Mapping[tuple[str, str, str], str]

    @property
    def disagreements(self) -> list[Check]:
        """Failed checks, adjudicated or not, without the notes."""
        return [c for c in self.checks if not c.agreed and c.attribute != NOTE]

    @property
    def open(self) -> list[Check]:
        """Disagreements that no exception covers."""
        return [c for c in self.disagreements if c.key not in self.exceptions]

    @property
    def notes(self) -> list[Check]:
        """Single cast names of ours that a long cast list lacks."""
        return [c for c in self.checks if c.attribute == NOTE and c.key not in self.exceptions]


def check_facts(
    items: Sequence[Item], data: Path, exceptions: Mapping[tuple[str, str, str], str] | None = None
) -> Report:
    """Check a catalogue against the sources under a data folder.

    Raises:
        ConfigError: The folder has none of the sources.
    """
    wanted = {key for item in items for key in item_titles(item)}
    films: dict[str, dict[str, list[SourceFilm]]] = defaultdict(lambda: defaultdict(list))
    copies = CopyFinder(items)
    for film in read_sources(data):
        copies.see(film)
        for key in {title_key(t) for t in film.titles} & wanted:
            films[film.source][key].append(film)
    checks: list[Check] = [*check_catalogue(items), *copies.checks()]
    matched: dict[str, int] = {}
    for source, by_title in films.items():
        matched[source] = 0
        for item in items:
            film = best_match(item, (f for key in item_titles(item) for f in by_title.get(key, ())))
            if film:
                matched[source] += 1
                checks += compare(item, film) + cast_notes(item, film)
    return Report(len(items), tuple(checks), matched, exceptions or {})


def read_exceptions(path: Path) -> dict[tuple[str, str, str], str]:
    """Return the reasons of the adjudicated disagreements by item, attribute and our value; none when there is no file.

    Raises:
        ConfigError: An entry without a reason.
    """
    found: dict[tuple[str, str, str], str] = {}
    for number, row in read_rows(path) if path.is_file() and path.stat().st_size else ():
        reason = str(row.get("reason", "")).strip()
        if not reason:
            raise ConfigError(f"{path}, row {number}: an exception needs a reason.")
        found[str(row.get("item")), str(row.get("attribute")), str(row.get("ours"))] = reason
    return found


def markdown(report: Report) -> str:
    """Return the report as Markdown tables."""
    lines = [f"Records: {report.items}.", ""]
    lines += [*_attribute_table(report), "", *_source_table(report), "", *_self_table(report)]
    used = {c.key for c in report.checks if not c.agreed}
    lines += ["", f"Cast names that a long cast list lacks (notes): {len(report.notes)}."]
    lines += [f"Exceptions without a disagreement: {sum(key not in used for key in report.exceptions)}."]
    lines += [f"Disagreements left open: {len(report.open)}."]
    return "\n".join(lines) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return ["| " + " | ".join(map(str, row)) + " |" for row in (head, rule, *rows)]


def _attribute_table(report: Report) -> list[str]:
    rows: list[Sequence[object]] = []
    for attribute in ATTRIBUTES:
        checks = [c for c in report.checks if c.attribute == attribute]
        checked = {c.item for c in checks}
        differing = {c.item for c in checks if not c.agreed}
        left = {c.item for c in checks if not c.agreed and c.key not in report.exceptions}
        counts = (len(checked), len(checked) - len(differing), len(differing) - len(left), len(left))
        rows.append((attribute, *counts, report.items - len(checked)))
    return _table(("attribute", "checked", "agreed", "adjudicated", "disagreed", "not checkable"), rows)


def _source_table(report: Report) -> list[str]:
    facts = Counter(c.source for c in report.checks if c.attribute in ATTRIBUTES)
    differing = Counter(c.source for c in report.disagreements if c.attribute in ATTRIBUTES)
    rows = [(s, report.matched[s], facts[s], differing[s]) for s in sorted(report.matched)]
    return _table(("source", "records found", "facts compared", "differing"), rows)


def _self_table(report: Report) -> list[str]:
    found = Counter(c.attribute for c in report.disagreements)
    left = Counter(c.attribute for c in report.open)
    return _table(
        ("check of the catalogue", "found", "left"), [(name, found[name], left[name]) for name in SELF_CHECKS]
    )


def write_disagreements(report: Report, path: Path) -> None:
    """Write the disagreements and notes as JSONL: item, attribute, source, ours, theirs, an exception's reason."""
    with path.open("w", encoding="utf-8") as file:
        for check in (*report.disagreements, *report.notes):
            row: dict[str, object] = {k: v for k, v in asdict(check).items() if k != "agreed"}
            if check.key in report.exceptions:
                row["reason"] = report.exceptions[check.key]
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
