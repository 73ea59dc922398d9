"""Recommendations and collaborative scorers on held-out histories, with full ranking, intervals and a fair baseline.

``python -m vouchrec.evals.histories --data DATA`` measures `recommend` for histories without a wish, prints a table, writes
``docs/results-histories.json`` and ``docs/results-histories.md``, and puts the table into the scorer's card.

Protocol 2: everyone with enough likes is in one of five folds, except the people and dialogues on whom settings were
chosen; everything is fitted on all who are not in a fold. The oldest part of a history is folded in and the rest is to be
found among all items of the catalogue that are not folded in. The baseline is the form of popularity that does best on the
tuning histories.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from vouchrec.evals.intervals import Interval, Resample, bootstrap, bootstrap_statistic, paired_bootstrap
from vouchrec.evals.metrics import coverage, mean, ndcg, recall
from vouchrec.retrieval.blend import Weights
from vouchrec.retrieval.build import BUILTIN_DATA, builtin_items, open_builtin
from vouchrec.retrieval.collaborative import Ease
from vouchrec.retrieval.datasets import read_shippable
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.ordered import OrderedEase, order_histories
from vouchrec.retrieval.pipeline import rank, recommend
from vouchrec.retrieval.ranking import (
    Case,
    Fold,
    HistoryScorer,
    HistorySplit,
    SplitRule,
    cross_folds,
    rank_cases,
    split_histories,
    weighted_matrix,
)
from vouchrec.retrieval.types import Interaction, Item, ItemId, Profile, Query
from vouchrec.retrieval.workspace import Workspace

__all__ = [
    "Figures",
    "HistoriesReport",
    "ItemKnn",
    "Method",
    "Popularity",
    "evaluate_histories",
    "evaluate_lists",
    "measure",
    "product_lists",
]

_log = logging.getLogger(__name__)

ScorerFactory: TypeAlias = Callable[[], HistoryScorer]
BOOTSTRAP_SEED = 1
RESAMPLES = 10_000
ALL, OWN = "popularity", "popularity, own source"
"""Popularity among all that every method learns from, and among the group's own histories only."""
RECENT, LATER = "popularity, own source, last 90 days", "popularity, own source, newest 20% of each history"
"""Popularity that knows what is new; only for a source with times."""
RECENT_SECONDS = 90 * 86_400.0
SCORER, ORDERED, PRODUCT = "shipped scorer", "recommend(), before diversity", "recommend()"
"""The sum matrix alone, the product's order by score, and the product."""
FOLDS, FOLD_SEED = 5, 2
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
    return evaluate_lists(lists, cases, len(items), k=k, baseline=baseline, seed=seed)


def evaluate_lists(
    lists: Mapping[str, Sequence[tuple[ItemId, ...]]],
    cases: Sequence[Case],
    n_items: int,
    *,
    k: int,
    baseline: str,
    seed: int,
) -> dict[str, Figures]:
    """Measure ranked lists, one per case, of several methods.

    Args:
        lists: By method; the baseline among them.
        cases: Held-out histories, at least one.
        n_items: Size of the catalogue.
        k: Length of the list that counts.
        baseline: Name of the method that the others are compared with.
        seed: Seed of the bootstrap.

    Raises:
        ValueError: There are no cases.
    """
    return {
        name: _figures(own, None if name == baseline else lists[baseline], cases, n_items, k, seed)
        for name, own in lists.items()
    }


def product_lists(
    workspace: Workspace, cases: Sequence[Case], k: int
) -> tuple[list[tuple[ItemId, ...]], list[tuple[ItemId, ...]]]:
    """Return what the product ranks first for each history without a wish: by score, and as recommended.

    Args:
        workspace: With the scorer to be measured.
        cases: Held-out histories; every like counts 1.
        k: Length of the lists.
    """
    query = Query(n=k)
    profiles = [Profile(history=dict(case.history)) for case in cases]
    by_score = [tuple(rank(workspace, query, profile)[:k]) for profile in profiles]
    recommended = [tuple(r.item.id for r in recommend(workspace, query, profile)) for profile in profiles]
    return by_score, recommended


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
class _Order:
    """Settings of the regression from older to newer likes."""

    l2: float
    weight: float
    older: float


@dataclass(frozen=True, slots=True)
class _Tuning:
    """What the tuning of the scorer wrote: its settings, and the splits ("rated", "told") that it used."""

    l2: float
    told_weight: float
    order: _Order
    rules: Mapping[str, SplitRule]
    digests: Mapping[str, str]


_Parts: TypeAlias = Mapping[str, Sequence[Interaction]]
"""Interactions to learn from, by group."""


@dataclass(frozen=True, slots=True)
class _Bench:
    """Everything that methods are made of: settings, splits, folds and weights by group, the catalogue's ids."""

    tuning: _Tuning
    splits: Mapping[str, HistorySplit]
    folds: Mapping[str, Sequence[Fold]]
    weights: Mapping[str, float]
    ids: tuple[ItemId, ...]

    def matrix(self, parts: _Parts) -> InteractionMatrix:
        """Stack what is learnt from."""
        return weighted_matrix([(events, self.weights[group]) for group, events in parts.items()], self.ids)

    def popularities(self, parts: _Parts, group: str) -> dict[str, HistoryScorer]:
        """Every form of popularity that a group's baseline is chosen from, fitted."""
        own = parts[group]
        matrices = {ALL: self.matrix(parts), OWN: self.matrix({group: own})}
        times = [event.time for event in own if event.time is not None]
        if times:
            since = max(times) - RECENT_SECONDS
            matrices[RECENT] = self.matrix({group: [e for e in own if e.time is not None and e.time >= since]})
            newer = order_histories(own, self.ids, older=self.tuning.order.older).newer
            people = tuple(map(str, range(len(newer.indptr) - 1)))
            matrices[LATER] = InteractionMatrix(newer, people, self.ids, explicit=False)
        return {name: _fitted(Popularity(), matrix) for name, matrix in matrices.items()}

    def shipped(self, parts: _Parts, matrix: InteractionMatrix) -> OrderedEase:
        """The scorer with the shipped settings, fitted on other people."""
        order = self.tuning.order
        timed = [event for events in parts.values() for event in events if event.time is not None]
        histories = order_histories(timed, self.ids, older=order.older)
        scorer = OrderedEase(histories, l2=self.tuning.l2, order_l2=order.l2, order_weight=order.weight)
        scorer.fit(matrix)
        return scorer

    def validate(self, scorer: HistoryScorer, group: str) -> float:
        """Mean NDCG@k of a fitted scorer over a group's tuning histories."""
        split = self.splits[group]
        lists = rank_cases(scorer, split.validation, self.ids, split.rule.k)
        return mean(_per_case(ndcg, lists, split.validation, split.rule.k))


def _fitted(scorer: HistoryScorer, matrix: InteractionMatrix) -> HistoryScorer:
    scorer.fit(matrix)
    return scorer


_Lists: TypeAlias = dict[str, dict[str, list[tuple[ItemId, ...]]]]
"""Ranked lists by group and method, in the order of the folds' cases."""


def measure(
    data: Path,
    *,
    scorer: Path = BUILTIN_DATA / "collaborative",
    items: Sequence[Item] | None = None,
    workspace: Workspace | None = None,
    progress: bool = False,
) -> HistoriesReport:
    """Measure `recommend`, the built-in scorer's settings, item-kNN and several forms of popularity by cross-validation.

    The scorer is fitted anew for each fold, without the fold's people; the shipped weights have seen everyone.

    Args:
        data: Folder with `movietweetings/` and `redial/`.
        scorer: Folder with `tuning.json`.
        items: Catalogue; the workspace's, or the built-in one, by default.
        workspace: Where `recommend` is measured; without one only scorers are. Its own scorer is not used.
        progress: Show bars.

    Raises:
        DataFileError: A data file is absent or malformed.
        ConfigError: The scorer was tuned on another split, so that test histories may have been used for tuning.
    """
    catalogue = items or (list(workspace.catalogue.items) if workspace is not None else builtin_items())
    bench = _open_bench(data, scorer, catalogue)
    neighbours = _choose_neighbours(bench, progress=progress)
    lists: _Lists = {group: {} for group in bench.splits}
    for number in tqdm(range(FOLDS), desc="folds", disable=not progress):
        _measure_fold(bench, number, neighbours, workspace, lists)
    return _report(bench, neighbours, lists)


def _measure_fold(bench: _Bench, number: int, neighbours: int, workspace: Workspace | None, lists: _Lists) -> None:
    """Fit everything without one fold's people and add their ranked lists."""
    parts = {group: folds[number].train for group, folds in bench.folds.items()}
    matrix = bench.matrix(parts)
    shipped = bench.shipped(parts, matrix)
    shared = {
        "item-kNN": _fitted(ItemKnn(neighbours), matrix),
        "EASE": _fitted(Ease(bench.tuning.l2), matrix),
        SCORER: shipped,
    }
    product = None
    if workspace is not None:
        product = Workspace(workspace.folder, workspace.store, workspace.domain, workspace.embedder, scorer=shipped)
    for group, folds in bench.folds.items():
        cases, k = folds[number].cases, bench.splits[group].rule.k
        for name, method in {**bench.popularities(parts, group), **shared}.items():
            lists[group].setdefault(name, []).extend(rank_cases(method, cases, bench.ids, k))
        if product is not None:
            for name, own in zip((ORDERED, PRODUCT), product_lists(product, cases, k), strict=True):
                lists[group].setdefault(name, []).extend(own)


def _report(bench: _Bench, neighbours: int, lists: _Lists) -> HistoriesReport:
    baselines = {group: _choose_baseline(bench, group) for group in bench.splits}
    cases = {group: [case for fold in folds for case in fold.cases] for group, folds in bench.folds.items()}
    k = max(split.rule.k for split in bench.splits.values())
    figures: dict[str, dict[str, Figures]] = {}
    fresh: dict[str, Interval] = {}
    fresh_cases: dict[str, int] = {}
    for group, own in lists.items():
        base = baselines[group]
        figures[group] = evaluate_lists(own, cases[group], len(bench.ids), k=k, baseline=base, seed=BOOTSTRAP_SEED)
        opened = {case.user for case in bench.splits[group].test}
        kept = [index for index, case in enumerate(cases[group]) if case.user not in opened]
        last, first = (_per_case(ndcg, own[name], cases[group], k) for name in (list(own)[-1], base))
        fresh[group] = paired_bootstrap(
            [last[i] for i in kept], [first[i] for i in kept], seed=BOOTSTRAP_SEED, resamples=RESAMPLES
        )
        fresh_cases[group] = len(kept)
    return HistoriesReport(
        protocol=_protocol(bench.tuning, bench.ids),
        k=k,
        rules={group: split.rule for group, split in bench.splits.items()},
        folds=FOLDS,
        fold_seed=FOLD_SEED,
        seed=BOOTSTRAP_SEED,
        items=len(bench.ids),
        settings=_settings(bench.tuning, neighbours),
        cases={group: len(own) for group, own in cases.items()},
        baseline=baselines,
        figures=figures,
        fresh_cases=fresh_cases,
        fresh=fresh,
    )


def _settings(tuning: _Tuning, neighbours: int) -> dict[str, dict[str, float]]:
    weights = Weights.for_history()
    return {
        "EASE": {"l2": tuning.l2, "weight of a dialogue": tuning.told_weight},
        SCORER: {"regression l2": tuning.order.l2, "weight": tuning.order.weight, "older part": tuning.order.older},
        "item-kNN": {"neighbours": neighbours},
        PRODUCT: {
            "collaborative": weights.collaborative,
            "neighbours": weights.neighbours,
            "popularity": weights.popularity,
            "recency": weights.recency,
        },
    }


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
    folds = {
        part.name: cross_folds(part.likes, splits[part.name].rule, folds=FOLDS, seed=FOLD_SEED)
        for part in (rated, told)
    }
    return _Bench(tuning, splits, folds, weights, tuple(item.id for item in catalogue))


def _choose_neighbours(bench: _Bench, *, progress: bool) -> int:
    matrix = bench.matrix({group: split.train for group, split in bench.splits.items()})

    def score(neighbours: int) -> float:
        scorer = ItemKnn(neighbours)
        scorer.fit(matrix)
        return mean(bench.validate(scorer, group) for group in bench.splits)

    return max(tqdm(NEIGHBOURS, desc="choosing neighbours", disable=not progress), key=score)


def _choose_baseline(bench: _Bench, group: str) -> str:
    """Return the form of popularity with the largest NDCG over a group's tuning histories."""
    train = {name: split.train for name, split in bench.splits.items()}
    scores = {name: bench.validate(scorer, group) for name, scorer in bench.popularities(train, group).items()}
    return max(scores, key=lambda name: scores[name])


def _read_tuning(path: Path) -> _Tuning:
    try:
        data = cast("dict[str, object]", json.loads(path.read_text(encoding="utf-8")))
        splits = cast("dict[str, dict[str, object]]", data["splits"])
        rules = {name: SplitRule(**cast("dict[str, int]", splits[name]["rule"])) for name in ("rated", "told")}
        digests = {name: str(splits[name]["digest"]) for name in ("rated", "told")}
        order = cast("dict[str, float]", data["order"])
        return _Tuning(
            l2=float(cast("float", data["l2"])),
            told_weight=float(cast("float", data["told_weight"])),
            order=_Order(float(order["l2"]), float(order["weight"]), float(order["older"])),
            rules=rules,
            digests=digests,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "Run `python -m vouchrec.finetune.scorer --data DATA` first."
        raise ConfigError(f"{path} can't be read: {error}.", hint=hint) from error


def _protocol(tuning: _Tuning, ids: Sequence[ItemId]) -> str:
    rules = {name: asdict(rule) for name, rule in tuning.rules.items()}
    metrics = ["recall", "ndcg", "coverage"]
    parts = [2, FOLDS, FOLD_SEED, rules, dict(tuning.digests), sorted(ids), metrics, RESAMPLES, BOOTSTRAP_SEED]
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


def main() -> None:
    """Measure the product and the built-in scorer's settings on held-out histories."""
    parser = argparse.ArgumentParser(prog="python -m vouchrec.evals.histories", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with movietweetings/ and redial/")
    parser.add_argument("--scorer", type=Path, default=BUILTIN_DATA / "collaborative", help="folder with tuning.json")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder for the results")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with tempfile.TemporaryDirectory() as folder:
        workspace = open_builtin(Path(folder))
        report = measure(arguments.data, scorer=arguments.scorer, workspace=workspace, progress=True)
        workspace.close()
    write_report(report, arguments.out, arguments.scorer / "CARD.md")
    _log.info("%s", _body(report))


if __name__ == "__main__":
    main()
