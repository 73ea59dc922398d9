"""Figures of ranked lists over the same held-out histories, each with its interval and its gain over a baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from tqdm import tqdm

from vouchrec.evals.intervals import Interval, Resample, bootstrap, bootstrap_statistic, paired_bootstrap
from vouchrec.evals.metrics import coverage, ndcg, recall
from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.pipeline import rank, recommend
from vouchrec.retrieval.ranking import Case, HistoryScorer, rank_cases
from vouchrec.retrieval.types import ItemId, Profile, Query
from vouchrec.retrieval.workspace import Workspace

__all__ = ["RESAMPLES", "Figures", "Method", "evaluate_histories", "evaluate_lists", "per_case", "product_lists"]

ScorerFactory: TypeAlias = Callable[[], HistoryScorer]
RESAMPLES = 10_000


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

    recalls, ndcgs = per_case(recall, own, cases, k), per_case(ndcg, own, cases, k)
    figures = Figures(
        recall=bootstrap(recalls, seed=seed, resamples=RESAMPLES),
        ndcg=bootstrap(ndcgs, seed=seed, resamples=RESAMPLES),
        coverage=bootstrap_statistic(lambda sample: covered(own, sample), len(cases), seed=seed),
    )
    if base is None:
        return figures
    base_recalls, base_ndcgs = per_case(recall, base, cases, k), per_case(ndcg, base, cases, k)
    return replace(
        figures,
        recall_gain=paired_bootstrap(recalls, base_recalls, seed=seed, resamples=RESAMPLES),
        ndcg_gain=paired_bootstrap(ndcgs, base_ndcgs, seed=seed, resamples=RESAMPLES),
        coverage_gain=bootstrap_statistic(
            lambda sample: covered(own, sample) - covered(base, sample), len(cases), seed=seed
        ),
    )


def per_case(
    metric: Callable[[Sequence[ItemId], frozenset[ItemId], int], float],
    lists: Sequence[tuple[ItemId, ...]],
    cases: Sequence[Case],
    k: int,
) -> list[float]:
    """Return a metric of each case's list, in the order of the cases."""
    return [metric(ranked, case.targets, k) for ranked, case in zip(lists, cases, strict=True)]
