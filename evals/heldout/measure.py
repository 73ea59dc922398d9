"""measure(): `recommend`, the built-in scorer's settings, item-kNN and forms of popularity, by cross-validation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

from tqdm import tqdm

from vouchrec.evals.baselines import ItemKnn
from vouchrec.evals.heldout import bench as benches
from vouchrec.evals.heldout.bench import (
    LATER,
    OWN,
    RECENT,
    Bench,
    choose_baseline,
    choose_neighbours,
    fitted,
    open_bench,
)
from vouchrec.evals.heldout.figures import RESAMPLES, Figures, evaluate_lists, per_case, product_lists
from vouchrec.evals.heldout.report import ALL, HistoriesReport
from vouchrec.evals.intervals import Interval, paired_bootstrap
from vouchrec.evals.metrics import ndcg
from vouchrec.retrieval.blend import Weights
from vouchrec.retrieval.build import BUILTIN_DATA, builtin_items
from vouchrec.retrieval.collaborative import Ease
from vouchrec.retrieval.ranking import rank_cases
from vouchrec.retrieval.types import Item, ItemId
from vouchrec.retrieval.workspace import Workspace

__all__ = ["METHODS", "ORDERED", "PRODUCT", "SCORER", "fold_lists", "measure", "protocol"]

BOOTSTRAP_SEED = 1
SCORER, ORDERED, PRODUCT = "shipped scorer", "recommend(), before diversity", "recommend()"
"""The sum matrix alone, the product's order by score, and the product."""
METHODS = (ALL, OWN, RECENT, LATER, "item-kNN", "EASE", SCORER, ORDERED, PRODUCT)
"""Every method in the order in which a fold measures it; the two forms of popularity before item-kNN need times."""


Lists: TypeAlias = dict[str, dict[str, list[tuple[ItemId, ...]]]]
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
    bench = open_bench(data, scorer, catalogue)
    neighbours = choose_neighbours(bench, progress=progress)
    lists: Lists = {group: {} for group in bench.splits}
    for number in tqdm(range(benches.FOLDS), desc="folds", disable=not progress):
        for group, by_method in fold_lists(bench, number, neighbours, workspace).items():
            for name, own in by_method.items():
                lists[group].setdefault(name, []).extend(own)
    return _report(bench, neighbours, lists)


def fold_lists(bench: Bench, number: int, neighbours: int, workspace: Workspace | None) -> Lists:
    """Fit everything without one fold's people and return their ranked lists."""
    parts = {group: folds[number].train for group, folds in bench.folds.items()}
    matrix = bench.matrix(parts)
    shipped = bench.shipped(parts, matrix)
    shared = {
        "item-kNN": fitted(ItemKnn(neighbours), matrix),
        "EASE": fitted(Ease(bench.tuning.l2), matrix),
        SCORER: shipped,
    }
    product = None
    if workspace is not None:
        product = Workspace(workspace.folder, workspace.store, workspace.domain, workspace.embedder, scorer=shipped)
    lists: Lists = {}
    for group, folds in bench.folds.items():
        cases, k = folds[number].cases, bench.splits[group].rule.k
        methods = {**bench.popularities(parts, group), **shared}
        lists[group] = {name: rank_cases(method, cases, bench.ids, k) for name, method in methods.items()}
        if product is not None:
            lists[group] |= zip((ORDERED, PRODUCT), product_lists(product, cases, k), strict=True)
    return lists


def _report(bench: Bench, neighbours: int, lists: Lists) -> HistoriesReport:
    baselines = {group: choose_baseline(bench, group) for group in bench.splits}
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
        last, first = (per_case(ndcg, own[name], cases[group], k) for name in (list(own)[-1], base))
        fresh[group] = paired_bootstrap(
            [last[i] for i in kept], [first[i] for i in kept], seed=BOOTSTRAP_SEED, resamples=RESAMPLES
        )
        fresh_cases[group] = len(kept)
    return HistoriesReport(
        protocol=protocol(bench),
        k=k,
        rules={group: split.rule for group, split in bench.splits.items()},
        folds=benches.FOLDS,
        fold_seed=benches.FOLD_SEED,
        seed=BOOTSTRAP_SEED,
        items=len(bench.ids),
        settings=_settings(bench.tuning, neighbours),
        cases={group: len(own) for group, own in cases.items()},
        baseline=baselines,
        figures=figures,
        fresh_cases=fresh_cases,
        fresh=fresh,
    )


def _settings(tuning: benches.Tuning, neighbours: int) -> dict[str, dict[str, float]]:
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


def protocol(bench: Bench) -> str:
    """Return 16 hex digits: two reports with the same protocol are comparable."""
    tuning = bench.tuning
    rules = {name: asdict(rule) for name, rule in tuning.rules.items()}
    metrics = ["recall", "ndcg", "coverage"]
    folds = [benches.FOLDS, benches.FOLD_SEED]
    parts = [2, *folds, rules, dict(tuning.digests), sorted(bench.ids), metrics, RESAMPLES, BOOTSTRAP_SEED]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
