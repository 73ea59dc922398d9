"""The histories suite: `evals.histories` as a run with per-case rows; a fold is fitted only where cases are left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from pathlib import Path

from vouchrec.evals.heldout import bench as benches
from vouchrec.evals.heldout.bench import choose_neighbours, open_bench
from vouchrec.evals.heldout.measure import METHODS, fold_lists, protocol
from vouchrec.evals.metrics import ndcg, recall
from vouchrec.evals.runs.engine import Plan
from vouchrec.evals.runs.measures import Key, Measure, Row
from vouchrec.retrieval.build import BUILTIN_DATA
from vouchrec.retrieval.workspace import Workspace

__all__ = ["HistoriesSuite"]


class HistoriesSuite:
    """The built-in scorer's settings and the product on held-out people of the open rating data.

    Args:
        data: Folder with `movietweetings/` and `redial/`.
        workspace: The built-in films; the scorer is fitted anew for each fold.
        scorer: Folder with `tuning.json`.

    Raises:
        DataFileError: A data file is absent or malformed.
        ConfigError: The scorer was tuned on another split.
    """

    def __init__(self, data: Path, workspace: Workspace, scorer: Path = BUILTIN_DATA / "collaborative") -> None:
        self._workspace = workspace
        self._bench = open_bench(data, scorer, list(workspace.catalogue.items))
        self._k = max(split.rule.k for split in self._bench.splits.values())

    @property
    def plan(self) -> Plan:
        """Every fold's people by every method."""
        cases = {group: sum(len(fold.cases) for fold in folds) for group, folds in self._bench.folds.items()}
        return Plan(
            suite="histories",
            title="Recommendations on held-out histories",
            about=(
                "Everyone is in one of five folds, except the people on whom settings were chosen; every method is fitted "
                "without the people of the fold. The oldest part of a history is folded in, the rest is to be found."
            ),
            protocol={"histories": protocol(self._bench)},
            settings={},
            measures=(
                Measure(f"ndcg@{self._k}", f"NDCG@{self._k}", "ndcg", main=True),
                Measure(f"recall@{self._k}", f"Recall@{self._k}", "recall", main=True),
                Measure("coverage", f"Coverage@{self._k}", kind="coverage", percent=True, main=True),
                Measure("gini", f"Gini of exposure@{self._k}", kind="gini", better="lower"),
            ),
            methods=METHODS,
            size=sum(n * (len(METHODS) if self._timed(group) else len(METHODS) - 2) for group, n in cases.items()),
            baseline=METHODS[0],
        )

    @property
    def facts(self) -> Mapping[str, object]:
        """Size of the catalogue."""
        return {"items": len(self._bench.ids)}

    def rows(self, done: Set[Key]) -> Iterator[Row]:
        """Yield one row per person and method, fold by fold."""
        neighbours: int | None = None
        for number in range(benches.FOLDS):
            if self._finished(number, done):
                continue
            neighbours = neighbours or choose_neighbours(self._bench, progress=False)
            lists = fold_lists(self._bench, number, neighbours, self._workspace)
            for group, by_method in lists.items():
                for method, own in by_method.items():
                    for case, ranked in zip(self._bench.folds[group][number].cases, own, strict=True):
                        if (group, method, case.user) not in done:
                            values = {m.__name__: m(ranked, case.targets, self._k) for m in (ndcg, recall)}
                            yield Row(case.user, method, group, values, ranked)

    def _timed(self, group: str) -> bool:
        return any(event.time is not None for event in self._bench.folds[group][0].train)

    def _finished(self, number: int, done: Set[Key]) -> bool:
        last = METHODS[-1]
        return all(
            (group, last, case.user) in done
            for group, folds in self._bench.folds.items()
            for case in folds[number].cases
        )
