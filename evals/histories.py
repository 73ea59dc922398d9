"""Collaborative scorers on held-out histories, with full ranking, intervals and a fair baseline.

``python -m vouchrec.evals.histories --data DATA`` opens the test people and dialogues that the tuning of the built-in
scorer set aside, prints a table, writes ``docs/results-histories.json`` and ``docs/results-histories.md``, and puts the
table into the scorer's card.

Protocol: strong generalisation by person; the oldest part of a held-out history is folded in and the rest is to be
found among all items of the catalogue that are not folded in; every method learns from the same train and validation
histories; baselines get their own settings chosen on the validation histories.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from vouchrec.evals.intervals import Interval, Resample, bootstrap, bootstrap_statistic, paired_bootstrap
from vouchrec.evals.metrics import coverage, mean, ndcg, recall
from vouchrec.retrieval.build import BUILTIN_DATA, builtin_items
from vouchrec.retrieval.collaborative import Ease
from vouchrec.retrieval.datasets import read_shippable
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.ranking import (
    Case,
    HistoryScorer,
    HistorySplit,
    SplitRule,
    rank_cases,
    split_histories,
    weighted_matrix,
)
from vouchrec.retrieval.types import Interaction, Item, ItemId

__all__ = ["Figures", "HistoriesReport", "ItemKnn", "Method", "Popularity", "evaluate_histories", "measure"]

_log = logging.getLogger(__name__)

ScorerFactory: TypeAlias = Callable[[], HistoryScorer]
BOOTSTRAP_SEED = 1
RESAMPLES = 10_000
ALL, OWN = "popularity", "popularity, own source"
"""Popularity among all that every method learns from, and among the group's own histories only."""
NEIGHBOURS = (20, 50, 100, 200)
"""Neighbourhood sizes among which item-kNN's is chosen on validation."""
_MARKED = re.compile(r"(?<=<!-- test figures: begin -->\n).*?(?=<!-- test figures: end -->)", re.DOTALL)


class Popularity:
    """Scores every item by how many people liked it, whoever asks: the baseline that a scorer has to beat."""

    def __init__(self) -> None:
        self._items: tuple[ItemId, ...] = ()
        self._counts: npt.NDArray[np.float32] = np.zeros(0, np.float32)

    @property
    def items(self) -> tuple[ItemId, ...]:
        """Item ids of the columns."""
        return self._items

    def fit(self, interactions: InteractionMatrix) -> None:
        """Count people, each with the weight of the row."""
        self._items = tuple(interactions.items)
        self._counts = np.asarray(interactions.matrix.power(2).sum(axis=0), np.float32).ravel()

    def score(self, history: Mapping[ItemId, float]) -> npt.NDArray[np.float32]:  # noqa: ARG002 - the protocol's form
        """Return (n_columns,) float32 counts."""
        return self._counts


class ItemKnn:
    """Item-based nearest neighbours by cosine: a score is the sum of the history's likenesses to the item.

    Source: Deshpande & Karypis, "Item-based top-N recommendation algorithms", TOIS 2004.

    Args:
        neighbours: Likenesses kept per item, the largest.
    """

    def __init__(self, neighbours: int = 50) -> None:
        self.neighbours = neighbours
        self._items: tuple[ItemId, ...] = ()
        self._column: dict[ItemId, int] = {}
        self._likeness: npt.NDArray[np.float32] = np.zeros((0, 0), np.float32)

    @property
    def items(self) -> tuple[ItemId, ...]:
        """Item ids of the columns."""
        return self._items

    def fit(self, interactions: InteractionMatrix) -> None:
        """Compute the cosines; memory 4 n^2 bytes."""
        gram = np.asarray((interactions.matrix.T @ interactions.matrix).todense(), np.float32)
        norms = np.sqrt(np.maximum(np.diag(gram), 1e-9))
        likeness = (gram / np.outer(norms, norms)).astype(np.float32)
        np.fill_diagonal(likeness, 0.0)
        if self.neighbours < len(likeness):
            least = -np.partition(-likeness, self.neighbours - 1, axis=0)[self.neighbours - 1]
            likeness[likeness < least] = 0.0
        self._items, self._likeness = tuple(interactions.items), likeness
        self._column = {item: index for index, item in enumerate(self._items)}

    def score(self, history: Mapping[ItemId, float]) -> npt.NDArray[np.float32]:
        """Return (n_columns,) float32 scores."""
        known = [(self._column[item], weight) for item, weight in history.items() if item in self._column]
        weights = np.asarray([weight for _, weight in known], np.float32)
        return weights @ self._likeness[[column for column, _ in known]]


@dataclass(frozen=True, slots=True)
class Method:
    """A way to rank, with what it learns from.

    Attributes:
        scorer: Makes an unfitted scorer.
        matrix: What it is fitted on.
    """

    scorer: ScorerFactory
    matrix: InteractionMatrix


@dataclass(frozen=True, slots=True)
class Figures:
    """One method's figures over the same cases, and its difference to the baseline (None for the baseline itself).

    Attributes:
        recall, ndcg: Means over cases of Recall@k and NDCG@k.
        coverage: Part of the catalogue in anyone's first k.
        recall_gain, ndcg_gain, coverage_gain: Paired differences to the baseline.
    """

    recall: Interval
    ndcg: Interval
    coverage: Interval
    recall_gain: Interval | None = None
    ndcg_gain: Interval | None = None
    coverage_gain: Interval | None = None


@dataclass(frozen=True, slots=True)
class HistoriesReport:
    """What was measured.

    Attributes:
        protocol: 16 hex digits; two reports with the same protocol are comparable.
        k: Length of the list that counts.
        rules: Split of histories by group.
        seed: Seed of the bootstrap.
        items: Size of the catalogue, all of which is ranked.
        settings: Settings of each method.
        cases: Number of test histories by group.
        baseline: Name of the baseline by group: the stronger popularity on the validation histories.
        figures: By group and method.
    """

    protocol: str
    k: int
    rules: Mapping[str, SplitRule]
    seed: int
    items: int
    settings: Mapping[str, Mapping[str, float]]
    cases: Mapping[str, int]
    baseline: Mapping[str, str]
    figures: Mapping[str, Mapping[str, Figures]]

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
        return [" ".join(lines)]


def evaluate_histories(
    methods: Mapping[str, Method],
    cases: Sequence[Case],
    items: Sequence[ItemId],
    *,
    k: int,
    baseline: str,
    seed: int,
    progress: bool = False,
) -> dict[str, Figures]:
    """Fit each method and measure it over the same held-out histories.

    Args:
        methods: By name; the baseline among them.
        cases: Held-out histories, at least one.
        items: The catalogue: all of it is ranked.
        k: Length of the list that counts.
        baseline: Name of the method that the others are compared with.
        seed: Seed of the bootstrap.
        progress: Show a bar.

    Raises:
        ValueError: There are no cases.
    """
    lists: dict[str, list[tuple[ItemId, ...]]] = {}
    for name, method in tqdm(methods.items(), desc="ranking", unit="method", disable=not progress):
        scorer = method.scorer()
        scorer.fit(method.matrix)
        lists[name] = rank_cases(scorer, cases, items, k)
    return {
        name: _figures(own, None if name == baseline else lists[baseline], cases, len(items), k, seed)
        for name, own in lists.items()
    }


def _figures(
    own: Sequence[tuple[ItemId, ...]],
    base: Sequence[tuple[ItemId, ...]] | None,
    cases: Sequence[Case],
    n_items: int,
    k: int,
    seed: int,
) -> Figures:
    def covered(lists: Sequence[tuple[ItemId, ...]], sample: Resample) -> float:
        return coverage((lists[index] for index in sample), n_items)

    recalls, ndcgs = _per_case(recall, own, cases, k), _per_case(ndcg, own, cases, k)
    figures = Figures(
        recall=bootstrap(recalls, seed=seed, resamples=RESAMPLES),
        ndcg=bootstrap(ndcgs, seed=seed, resamples=RESAMPLES),
        coverage=bootstrap_statistic(lambda sample: covered(own, sample), len(cases), seed=seed),
    )
    if base is None:
        return figures
    base_recalls, base_ndcgs = _per_case(recall, base, cases, k), _per_case(ndcg, base, cases, k)
    return replace(
        figures,
        recall_gain=paired_bootstrap(recalls, base_recalls, seed=seed, resamples=RESAMPLES),
        ndcg_gain=paired_bootstrap(ndcgs, base_ndcgs, seed=seed, resamples=RESAMPLES),
        coverage_gain=bootstrap_statistic(
            lambda sample: covered(own, sample) - covered(base, sample), len(cases), seed=seed
        ),
    )


def _per_case(
    metric: Callable[[Sequence[ItemId], frozenset[ItemId], int], float],
    lists: Sequence[tuple[ItemId, ...]],
    cases: Sequence[Case],
    k: int,
) -> list[float]:
    return [metric(ranked, case.targets, k) for ranked, case in zip(lists, cases, strict=True)]


# ---- the built-in scorer ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Tuning:
    """What the tuning of the scorer wrote: its settings, and the splits ("rated", "told") that it used."""

    l2: float
    told_weight: float
    rules: Mapping[str, SplitRule]
    digests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Bench:
    """Everything that methods are made of: settings, splits by group, weight of each group, the catalogue's ids."""

    tuning: _Tuning
    splits: Mapping[str, HistorySplit]
    weights: Mapping[str, float]
    ids: tuple[ItemId, ...]

    def matrix(self, *groups: str, final: bool) -> InteractionMatrix:
        """Stack what is learnt from; with `final` the validation histories too."""
        parts: list[tuple[Sequence[Interaction], float]] = []
        for group in groups or self.splits:
            split = self.splits[group]
            events = (*split.train, *split.validation_events) if final else split.train
            parts.append((events, self.weights[group]))
        return weighted_matrix(parts, self.ids)

    def validate(self, method: Method, group: str) -> float:
        """Mean NDCG@k over a group's validation histories."""
        split = self.splits[group]
        scorer = method.scorer()
        scorer.fit(method.matrix)
        lists = rank_cases(scorer, split.validation, self.ids, split.rule.k)
        return mean(_per_case(ndcg, lists, split.validation, split.rule.k))


def measure(
    data: Path,
    *,
    scorer: Path = BUILTIN_DATA / "collaborative",
    items: Sequence[Item] | None = None,
    progress: bool = False,
) -> HistoriesReport:
    """Measure the built-in scorer's settings, popularity and item-kNN on the test histories.

    EASE is fitted again without the test histories; the shipped weights have seen them.

    Args:
        data: Folder with `movietweetings/` and `redial/`.
        scorer: Folder with `tuning.json`.
        items: Catalogue; the built-in one by default.
        progress: Show bars.

    Raises:
        DataFileError: A data file is absent or malformed.
        ConfigError: The scorer was tuned on another split, so that test histories may have been used for tuning.
    """
    bench = _open_bench(data, scorer, list(items) if items is not None else builtin_items())
    tuning = bench.tuning
    neighbours = _choose_neighbours(bench, progress=progress)
    baselines = {group: _choose_baseline(bench, group) for group in bench.splits}
    figures: dict[str, dict[str, Figures]] = {}
    for group, split in bench.splits.items():
        everything = bench.matrix(final=True)
        methods = {
            ALL: Method(Popularity, everything),
            OWN: Method(Popularity, bench.matrix(group, final=True)),
            "item-kNN": Method(lambda: ItemKnn(neighbours), everything),
            "EASE": Method(lambda: Ease(tuning.l2), everything),
        }
        figures[group] = evaluate_histories(
            methods,
            split.test,
            bench.ids,
            k=split.rule.k,
            baseline=baselines[group],
            seed=BOOTSTRAP_SEED,
            progress=progress,
        )
    return HistoriesReport(
        protocol=_protocol(tuning, bench.ids),
        k=max(split.rule.k for split in bench.splits.values()),
        rules={group: split.rule for group, split in bench.splits.items()},
        seed=BOOTSTRAP_SEED,
        items=len(bench.ids),
        settings={
            "EASE": {"l2": tuning.l2, "weight of a dialogue": tuning.told_weight},
            "item-kNN": {"neighbours": neighbours},
        },
        cases={group: len(split.test) for group, split in bench.splits.items()},
        baseline=baselines,
        figures=figures,
    )


def _open_bench(data: Path, scorer: Path, catalogue: Sequence[Item]) -> _Bench:
    tuning = _read_tuning(scorer / "tuning.json")
    rated, told = read_shippable(data, catalogue)
    splits = {
        rated.name: split_histories(rated.likes, tuning.rules["rated"]),
        told.name: split_histories(told.likes, tuning.rules["told"]),
    }
    digests = {"rated": splits[rated.name].digest(), "told": splits[told.name].digest()}
    if digests != tuning.digests:
        raise ConfigError(
            f"{scorer} was tuned on another split than this catalogue and data give.",
            hint="Run `python -m vouchrec.finetune.scorer --data DATA` first.",
        )
    weights = {rated.name: 1.0, told.name: tuning.told_weight}
    return _Bench(tuning, splits, weights, tuple(item.id for item in catalogue))


def _choose_neighbours(bench: _Bench, *, progress: bool) -> int:
    matrix = bench.matrix(final=False)

    def score(neighbours: int) -> float:
        method = Method(lambda: ItemKnn(neighbours), matrix)
        return mean(bench.validate(method, group) for group in bench.splits)

    return max(tqdm(NEIGHBOURS, desc="choosing neighbours", disable=not progress), key=score)


def _choose_baseline(bench: _Bench, group: str) -> str:
    scores = {
        ALL: bench.validate(Method(Popularity, bench.matrix(final=False)), group),
        OWN: bench.validate(Method(Popularity, bench.matrix(group, final=False)), group),
    }
    return max(scores, key=lambda name: scores[name])


def _read_tuning(path: Path) -> _Tuning:
    try:
        data = cast("dict[str, object]", json.loads(path.read_text(encoding="utf-8")))
        splits = cast("dict[str, dict[str, object]]", data["splits"])
        rules = {name: SplitRule(**cast("dict[str, int]", splits[name]["rule"])) for name in ("rated", "told")}
        digests = {name: str(splits[name]["digest"]) for name in ("rated", "told")}
        return _Tuning(float(cast("float", data["l2"])), float(cast("float", data["told_weight"])), rules, digests)
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "Run `python -m vouchrec.finetune.scorer --data DATA` first."
        raise ConfigError(f"{path} can't be read: {error}.", hint=hint) from error


def _protocol(tuning: _Tuning, ids: Sequence[ItemId]) -> str:
    rules = {name: asdict(rule) for name, rule in tuning.rules.items()}
    parts = [rules, dict(tuning.digests), sorted(ids), ["recall", "ndcg", "coverage"], RESAMPLES, BOOTSTRAP_SEED]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _text(interval: Interval | None) -> str:
    if interval is None:
        return "baseline"
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


# ---- writing ----------------------------------------------------------------------------------------------------


def write_report(report: HistoriesReport, folder: Path, card: Path | None = None) -> None:
    """Write `results-histories.json` and `.md` into a folder, and the tables into the marked place of a card."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(report), indent=1, ensure_ascii=False, default=str)
    (folder / "results-histories.json").write_text(text + "\n", encoding="utf-8")
    (folder / "results-histories.md").write_text(_PAGE.format(body=_body(report)), encoding="utf-8")
    if card is not None and card.is_file():
        filled = _MARKED.sub(lambda _: _body(report) + "\n", card.read_text(encoding="utf-8"))
        card.write_text(filled, encoding="utf-8")


def _body(report: HistoriesReport) -> str:
    settings = "; ".join(
        f"{name} " + ", ".join(f"{key} {value:g}" for key, value in own.items())
        for name, own in report.settings.items()
    )
    seeds = ", ".join(sorted({str(rule.seed) for rule in report.rules.values()}))
    return (
        f"Protocol `{report.protocol}`; split seed {seeds}, bootstrap seed {report.seed}; {settings}.\n"
        "Means with 95% bootstrap intervals over the held-out histories; gains are paired differences.\n\n"
        f"{report.table()}"
    )


_PAGE = """# Collaborative scorers on held-out histories

Written by `python -m vouchrec.evals.histories --data DATA`; not edited by hand. Every method is fitted without the test
histories; the oldest part of a test history is folded in, and the rest is to be found among all other items of the
built-in catalogue.

{body}
"""


def main() -> None:
    """Measure the built-in scorer's settings on the test histories."""
    parser = argparse.ArgumentParser(prog="python -m vouchrec.evals.histories", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with movietweetings/ and redial/")
    parser.add_argument("--scorer", type=Path, default=BUILTIN_DATA / "collaborative", help="folder with tuning.json")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder for the results")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    report = measure(arguments.data, scorer=arguments.scorer, progress=True)
    write_report(report, arguments.out, arguments.scorer / "CARD.md")
    _log.info("%s", _body(report))


if __name__ == "__main__":
    main()
