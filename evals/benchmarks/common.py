"""What the benchmarks share: cases, a full ranking, rows with intervals and times, a protocol hash, and the two files."""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from vouchrec.evals.intervals import Interval, bootstrap, paired_bootstrap
from vouchrec.evals.metrics import ndcg, recall
from vouchrec.evals.runs.records import versions
from vouchrec.retrieval.collaborative import CollaborativeScorer
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.scorers.validation import top_k
from vouchrec.retrieval.types import ItemId, UserId

__all__ = ["Case", "Method", "Report", "Row", "arguments", "data_folder", "digest", "run_methods", "write_report"]

BOOTSTRAP_SEED = 1


@dataclass(frozen=True, slots=True)
class Case:
    """A person to recommend to.

    Attributes:
        user: Who.
        history: Weight by item, oldest first where the data know an order.
        targets: Items to be found; never empty, disjoint from the history.
    """

    user: UserId
    history: Mapping[ItemId, float]
    targets: frozenset[ItemId]


@dataclass(frozen=True, slots=True)
class Method:
    """A way to rank.

    Attributes:
        name: Name of the row.
        fit: Fits and returns a scorer; what it takes is the fitting time.
        settings: What it was made with, for the record.
    """

    name: str
    fit: Callable[[], CollaborativeScorer]
    settings: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Row:
    """One method's figures.

    Attributes:
        figures: Interval by metric.
        gain: Paired difference of the main metric to the first method; None for the first.
        fit_s: Seconds to fit.
        score_ms: Milliseconds to score and rank one person, mean.
        exact: Whether contributions sum to the score.
    """

    name: str
    settings: Mapping[str, object]
    figures: Mapping[str, Interval]
    gain: Interval | None
    fit_s: float
    score_ms: float
    exact: bool


@dataclass(frozen=True, slots=True)
class Report:
    """A table with all that is needed to make it again.

    Attributes:
        name: Module that makes it.
        title: What is measured, in one line.
        protocol: What decides which figures are comparable.
        hash: 16 hex digits of the protocol and the cases.
        cases: Number of people.
        items: Number of items, all of which are ranked.
        rows: One per method; the first is what the others are compared with.
        versions: Of the libraries.
    """

    name: str
    title: str
    protocol: Mapping[str, object]
    hash: str
    cases: int
    items: int
    rows: Sequence[Row]
    versions: Mapping[str, str] = field(default_factory=versions)

    def markdown(self) -> str:
        """Return the table with its protocol."""
        metrics = list(self.rows[0].figures) if self.rows else []
        gained = f"gain in {metrics[0]}" if metrics else "gain"
        lines = [
            f"{self.title} {self.cases:,} people, {self.items:,} items ranked, protocol `{self.hash}`,"
            f" bootstrap seed {BOOTSTRAP_SEED}.",
            "",
            f"| method | {' | '.join(metrics)} | {gained} over {self.rows[0].name} | fit, s | per person, ms | parts |",
            f"|---|{'---|' * len(metrics)}---|---:|---:|---|",
        ]
        lines += [_line(row) for row in self.rows]
        return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    cells = [_interval(found) for found in row.figures.values()]
    gain = _interval(row.gain, signed=True) if row.gain is not None else ""
    parts = "exact" if row.exact else "approximate"
    return f"| {row.name} | {' | '.join(cells)} | {gain} | {row.fit_s:.1f} | {row.score_ms:.2f} | {parts} |"


def _interval(found: Interval, *, signed: bool = False) -> str:
    form = "+.4f" if signed else ".4f"
    return f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"


def run_methods(
    methods: Sequence[Method], cases: Sequence[Case], items: Sequence[ItemId], *, ks: Sequence[int]
) -> list[Row]:
    """Fit each method and measure NDCG and Recall at each k over the same people, the whole catalogue ranked.

    Args:
        methods: The first is what the others are compared with, by NDCG at the first k.
        cases: At least one.
        items: The catalogue.
        ks: Lengths of lists; the first is the main one.
    """
    rows: list[Row] = []
    base: npt.NDArray[np.float64] | None = None
    for method in tqdm(methods, desc="methods", unit="method"):
        started = time.perf_counter()
        scorer = method.fit()
        fitted = time.perf_counter()
        bar = tqdm((case.history for case in cases), desc=method.name, total=len(cases), unit="person", leave=False)
        lists = list(top_k(scorer, bar, items, max(ks)))
        done = time.perf_counter()
        values = {f"NDCG@{k}": _per_case(ndcg, lists, cases, k) for k in ks}
        values |= {f"Recall@{k}": _per_case(recall, lists, cases, k) for k in ks}
        main = values[f"NDCG@{ks[0]}"]
        gain = None if base is None else paired_bootstrap(main.tolist(), base.tolist(), seed=BOOTSTRAP_SEED)
        base = main if base is None else base
        figures = {name: bootstrap(found.tolist(), seed=BOOTSTRAP_SEED) for name, found in values.items()}
        each = (done - fitted) * 1e3 / len(cases)
        rows.append(Row(method.name, method.settings, figures, gain, fitted - started, each, scorer.exact))
        tqdm.write(_line(rows[-1]))
    return rows


def _per_case(
    metric: Callable[[Sequence[ItemId], frozenset[ItemId], int], float],
    lists: Sequence[Sequence[ItemId]],
    cases: Sequence[Case],
    k: int,
) -> npt.NDArray[np.float64]:
    return np.asarray([metric(own, case.targets, k) for own, case in zip(lists, cases, strict=True)], np.float64)


def digest(protocol: Mapping[str, object], cases: Sequence[Case]) -> str:
    """Return 16 hex digits that change with the protocol or with any case."""
    content = [dict(protocol), [[c.user, list(c.history.items()), sorted(c.targets)] for c in cases]]
    text = json.dumps(content, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_report(report: Report, folder: Path) -> None:
    """Write NAME.json and NAME.md into a folder, each whole and then renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, text in (("json", json.dumps(asdict(report), indent=1)), ("md", report.markdown())):
        temporary = folder / f"{report.name}.{suffix}.tmp"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(folder / f"{report.name}.{suffix}")


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with what every benchmark takes: `--data`, `--out`, `--seed`, `--validate`."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the public data sets")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the table into")
    parser.add_argument("--seed", type=int, default=0, help="seed of the methods")
    parser.add_argument("--validate", action="store_true", help="measure on a validation part of the training data")
    return parser


def data_folder(data: Path, name: str, file: str) -> Path:
    """Return the folder of a data set.

    Raises:
        ConfigError: It lacks the file.
    """
    folder = data / name
    if not (folder / file).is_file():
        raise ConfigError(f"{folder} has no {file}.", hint=f"Put the public data set {name} there.")
    return folder
