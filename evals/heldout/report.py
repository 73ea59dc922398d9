"""The report on held-out histories: tables, verdicts in words, and the files that hold them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from vouchrec.evals.heldout.figures import Figures
from vouchrec.evals.intervals import Interval
from vouchrec.retrieval.ranking import SplitRule

__all__ = ["ALL", "HistoriesReport", "body", "write_report"]

ALL = "popularity"
"""Popularity among all that every method learns from; the names of its other forms begin with it."""
_MARKED = re.compile(r"(?<=<!-- test figures: begin -->\n).*?(?=<!-- test figures: end -->)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class HistoriesReport:
    """What was measured.

    Attributes:
        protocol: 16 hex digits; two reports with the same protocol are comparable.
        k: Length of the list that counts.
        rules: Split of histories by group.
        folds: Number of folds.
        fold_seed: Seed of the folds.
        seed: Seed of the bootstrap.
        items: Size of the catalogue, all of which is ranked.
        settings: Settings of each method.
        cases: Number of test histories by group.
        baseline: Name of the baseline by group: the strongest popularity on the tuning histories.
        figures: By group and method.
        fresh_cases: Of the test histories, those that no earlier protocol had opened.
        fresh: NDCG gain of the last method over these alone, by group.
    """

    protocol: str
    k: int
    rules: Mapping[str, SplitRule]
    folds: int
    fold_seed: int
    seed: int
    items: int
    settings: Mapping[str, Mapping[str, float]]
    cases: Mapping[str, int]
    baseline: Mapping[str, str]
    figures: Mapping[str, Mapping[str, Figures]]
    fresh_cases: Mapping[str, int]
    fresh: Mapping[str, Interval]

    def table(self) -> str:
        """Return the figures as Markdown tables, one per group."""
        return "\n\n".join(self._group_table(group) for group in self.figures)

    def _group_table(self, group: str) -> str:
        k, base = self.k, self.baseline[group]
        names = [f"Recall@{k}", f"NDCG@{k}", f"coverage@{k}", "Recall gain", "NDCG gain"]
        lines = [
            f"{group}: {self.cases[group]} held-out histories, {self.items} items ranked; gains are against {base}.",
            "",
            f"| method | {' | '.join(names)} |",
            f"|---|{'---|' * len(names)}",
        ]
        for name, own in self.figures[group].items():
            cells = [own.recall, own.ndcg, own.coverage, own.recall_gain, own.ndcg_gain]
            lines.append(f"| {name} | {' | '.join(_text(cell) for cell in cells)} |")
        return "\n".join([*lines, "", *self._verdicts(group)])

    def _verdicts(self, group: str) -> list[str]:
        """Say in words which NDCG gains the intervals establish."""
        lines: list[str] = []
        for name, own in self.figures[group].items():
            if own.ndcg_gain is not None and not name.startswith(ALL):
                better = "above" if own.ndcg_gain.value > 0 else "below"
                verdict = f"is {better} it" if own.ndcg_gain.excludes_zero else "can't be told apart from it"
                lines.append(f"{name} {verdict} in NDCG@{self.k} at 95%.")
        last = list(self.figures[group])[-1]
        fresh = (
            f"Over the {self.fresh_cases[group]} histories that no earlier test had opened, the NDCG gain of {last} is "
        )
        return [" ".join(lines), "", f"{fresh}{_text(self.fresh[group])}."]


def _text(interval: Interval | None) -> str:
    if interval is None:
        return "baseline"
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def write_report(report: HistoriesReport, folder: Path, card: Path | None = None) -> None:
    """Write `results-histories.json` and `.md` into a folder, and the tables into the marked place of a card."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(report), indent=1, ensure_ascii=False, default=str)
    (folder / "results-histories.json").write_text(text + "\n", encoding="utf-8")
    (folder / "results-histories.md").write_text(_PAGE.format(body=body(report)), encoding="utf-8")
    if card is not None and card.is_file():
        filled = _MARKED.sub(lambda _: body(report) + "\n", card.read_text(encoding="utf-8"))
        card.write_text(filled, encoding="utf-8")


def body(report: HistoriesReport) -> str:
    """Return what the page and the card say: conditions, settings and tables."""
    settings = "; ".join(
        f"{name} " + ", ".join(f"{key} {value:g}" for key, value in own.items())
        for name, own in report.settings.items()
    )
    seeds = ", ".join(sorted({str(rule.seed) for rule in report.rules.values()}))
    return (
        f"Protocol `{report.protocol}`: {report.folds} folds, seed {report.fold_seed}; tuning histories by seed {seeds};\n"
        f"bootstrap seed {report.seed}. {settings}.\n\n"
        "Means with 95% bootstrap intervals over the held-out histories; gains are paired differences.\n\n"
        f"{report.table()}"
    )


_PAGE = """# Recommendations on held-out histories

Written by `python -m vouchrec.evals.histories --data DATA`; not edited by hand. Every method is fitted without the people
of the fold that it is measured on; the oldest part of a history is folded in, and the rest is to be found among all other
items of the built-in catalogue. `recommend()` gets a profile with the folded-in likes and an empty wish. Settings were
chosen on other people (`docs/log.md`).

{body}
"""
