"""What held-out histories are measured with: settings from tuning, splits, folds, and every method fitted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

from tqdm import tqdm

from vouchrec.evals.baselines import ItemKnn, Popularity
from vouchrec.evals.heldout.figures import per_case
from vouchrec.evals.heldout.report import ALL
from vouchrec.evals.metrics import mean, ndcg
from vouchrec.retrieval.datasets import read_shippable
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.ordered import OrderedEase, order_histories
from vouchrec.retrieval.ranking import (
    Fold,
    HistoryScorer,
    HistorySplit,
    SplitRule,
    cross_folds,
    rank_cases,
    split_histories,
    weighted_matrix,
)
from vouchrec.retrieval.types import Interaction, Item, ItemId

__all__ = [
    "FOLDS",
    "FOLD_SEED",
    "Bench",
    "Parts",
    "Tuning",
    "choose_baseline",
    "choose_neighbours",
    "fitted",
    "open_bench",
]

OWN = "popularity, own source"
"""Popularity among the group's own histories only."""
RECENT, LATER = "popularity, own source, last 90 days", "popularity, own source, newest 20% of each history"
"""Popularity that knows what is new; only for a source with times."""
RECENT_SECONDS = 90 * 86_400.0
FOLDS, FOLD_SEED = 5, 2
NEIGHBOURS = (20, 50, 100, 200)
"""Neighbourhood sizes among which item-kNN's is chosen on validation."""


@dataclass(frozen=True, slots=True)
class Order:
    """Settings of the regression from older to newer likes."""

    l2: float
    weight: float
    older: float


@dataclass(frozen=True, slots=True)
class Tuning:
    """What the tuning of the scorer wrote: its settings, and the splits ("rated", "told") that it used."""

    l2: float
    told_weight: float
    order: Order
    rules: Mapping[str, SplitRule]
    digests: Mapping[str, str]


Parts: TypeAlias = Mapping[str, Sequence[Interaction]]
"""Interactions to learn from, by group."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that methods are made of: settings, splits, folds and weights by group, the catalogue's ids."""

    tuning: Tuning
    splits: Mapping[str, HistorySplit]
    folds: Mapping[str, Sequence[Fold]]
    weights: Mapping[str, float]
    ids: tuple[ItemId, ...]

    def matrix(self, parts: Parts) -> InteractionMatrix:
        """Stack what is learnt from."""
        return weighted_matrix([(events, self.weights[group]) for group, events in parts.items()], self.ids)

    def popularities(self, parts: Parts, group: str) -> dict[str, HistoryScorer]:
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
        return {name: fitted(Popularity(), matrix) for name, matrix in matrices.items()}

    def shipped(self, parts: Parts, matrix: InteractionMatrix) -> OrderedEase:
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
        return mean(per_case(ndcg, lists, split.validation, split.rule.k))


def fitted(scorer: HistoryScorer, matrix: InteractionMatrix) -> HistoryScorer:
    """Fit a scorer and return it."""
    scorer.fit(matrix)
    return scorer


def open_bench(data: Path, scorer: Path, catalogue: Sequence[Item]) -> Bench:
    """Read the settings and the data, and split them as the tuning did.

    Raises:
        DataFileError: A data file is absent or malformed.
        ConfigError: The scorer was tuned on another split, so that test histories may have been used for tuning.
    """
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
    return Bench(tuning, splits, folds, weights, tuple(item.id for item in catalogue))


def choose_neighbours(bench: Bench, *, progress: bool) -> int:
    """Return the neighbourhood size of item-kNN with the largest NDCG over the tuning histories."""
    matrix = bench.matrix({group: split.train for group, split in bench.splits.items()})

    def score(neighbours: int) -> float:
        scorer = ItemKnn(neighbours)
        scorer.fit(matrix)
        return mean(bench.validate(scorer, group) for group in bench.splits)

    return max(tqdm(NEIGHBOURS, desc="choosing neighbours", disable=not progress), key=score)


def choose_baseline(bench: Bench, group: str) -> str:
    """Return the form of popularity with the largest NDCG over a group's tuning histories."""
    train = {name: split.train for name, split in bench.splits.items()}
    scores = {name: bench.validate(scorer, group) for name, scorer in bench.popularities(train, group).items()}
    return max(scores, key=lambda name: scores[name])


def _read_tuning(path: Path) -> Tuning:
    try:
        data = cast("dict[str, object]", json.loads(path.read_text(encoding="utf-8")))
        splits = cast("dict[str, dict[str, object]]", data["splits"])
        rules = {name: SplitRule(**cast("dict[str, int]", splits[name]["rule"])) for name in ("rated", "told")}
        digests = {name: str(splits[name]["digest"]) for name in ("rated", "told")}
        order = cast("dict[str, float]", data["order"])
        return Tuning(
            l2=float(cast("float", data["l2"])),
            told_weight=float(cast("float", data["told_weight"])),
            order=Order(float(order["l2"]), float(order["weight"]), float(order["older"])),
            rules=rules,
            digests=digests,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "Run `python -m vouchrec.finetune.scorer --data DATA` first."
        raise ConfigError(f"{path} can't be read: {error}.", hint=hint) from error
