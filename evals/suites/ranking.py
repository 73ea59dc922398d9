"""The ranking suite: a workspace's own interactions, held out in several ways, full ranking, beyond accuracy too."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import TypeAlias

import numpy as np

from vouchrec.evals import metrics
from vouchrec.evals.protocols import PROTOCOLS, Part, Split, SplitSettings, check_split, likes_of, make_split
from vouchrec.evals.rankers import METHODS, Answer, Fitted, make_ranker, timed
from vouchrec.evals.runs.engine import Plan
from vouchrec.evals.runs.measures import Curve, Key, Measure, Row
from vouchrec.retrieval.catalogue import item_hash
from vouchrec.retrieval.errors import ConfigError
from vouchrec.retrieval.ranking import Case
from vouchrec.retrieval.types import Interaction, ItemId
from vouchrec.retrieval.workspace import LEAST_INTERACTIONS, Workspace

__all__ = ["RankingSettings", "RankingSuite"]

_log = logging.getLogger(__name__)
_Metric: TypeAlias = Callable[[Sequence[ItemId], Set[ItemId], int], float]
CUTS = (1, 5, 10, 20, 50)
"""Lengths at which recall and NDCG are taken."""
LONGEST = max(CUTS)
_VERSION = 1
_AT_K: Mapping[str, _Metric] = {
    "precision": metrics.precision,
    "f1": metrics.f1,
    "hit": metrics.hit,
    "mrr": metrics.reciprocal_rank,
    "map": metrics.average_precision,
}


@dataclass(frozen=True, slots=True)
class RankingSettings:
    """What is run.

    Attributes:
        protocols, methods: By name; all by default, protocols that the data can't serve are left out with a warning.
        part: `test`, or `validation` while anything is still being chosen.
        k: Length of the lists that people see.
        split: Sizes and seed of the splits.
    """

    protocols: tuple[str, ...] = tuple(PROTOCOLS)
    methods: tuple[str, ...] = tuple(METHODS)
    part: Part = "test"
    k: int = 10
    split: SplitSettings = field(default_factory=SplitSettings)


class RankingSuite:
    """Every method over every protocol.

    Args:
        workspace: With interactions in its store.
        settings: What is run.
        chosen: True where the user named the protocols: one that can't be served is then an error.

    Raises:
        ConfigError: The workspace has too few interactions, a name is unknown, or no protocol can be served.
    """

    def __init__(self, workspace: Workspace, settings: RankingSettings | None = None, *, chosen: bool = False) -> None:
        self._workspace, self._settings = workspace, settings or RankingSettings()
        self._items = [item.id for item in workspace.catalogue.items]
        _check(self._settings)
        likes = likes_of(workspace.store.interactions(), self._items)
        if len(likes) < LEAST_INTERACTIONS:
            problem = f"The workspace has {len(likes)} likes; {LEAST_INTERACTIONS} are the least that can be split."
            raise ConfigError(problem, hint="Give more with `vouch init --interactions FILE`.")
        self._splits = self._make_splits(likes, chosen=chosen)
        self._fitted = Fitted(workspace, self._settings.split.seed)
        self._kinds = _kind_attribute(workspace)
        self._fits: dict[str, float] = {}

    def _make_splits(self, likes: Sequence[Interaction], *, chosen: bool) -> dict[str, Split]:
        found: dict[str, Split] = {}
        for name in self._settings.protocols:
            try:
                found[name] = check_split(make_split(likes, name, self._settings.part, self._settings.split))
            except ConfigError as error:
                if chosen:
                    raise
                _log.warning("%s is left out: %s", name, error)
        if not found:
            raise ConfigError(
                "No protocol can be served by these interactions.", hint="Lower the least number of likes."
            )
        return found

    @property
    def plan(self) -> Plan:
        """All methods over all cases."""
        own, catalogue = self._settings, self._workspace.catalogue
        return Plan(
            suite="ranking",
            title=f"Ranking of {len(self._items)} {self._workspace.domain.plural}",
            about=(
                "Likes are held out and must be found again among all items of the catalogue. Nothing is sampled, no method "
                "learns from what it is asked for, and every split is checked for leaks before anything is fitted."
            ),
            protocol={
                "version": _VERSION,
                "part": own.part,
                "k": own.k,
                "cuts": CUTS,
                "split": asdict(own.split),
                "splits": {name: split.digest() for name, split in self._splits.items()},
                "items": _digest(sorted(self._items)),
            },
            settings={
                "content": _digest(sorted(item_hash(item) for item in catalogue.items)),
                "tuned": asdict(self._workspace.tuned),
            },
            measures=_measures(own.k),
            curves=(
                Curve(
                    "Recall over the length of the list", "length", "recall", tuple((c, f"recall@{c}") for c in CUTS)
                ),
                Curve("NDCG over the length of the list", "length", "NDCG", tuple((c, f"ndcg@{c}") for c in CUTS)),
            ),
            methods=own.methods,
            size=sum(len(split.cases) for split in self._splits.values()) * len(own.methods),
            baseline="popularity" if "popularity" in own.methods else own.methods[0],
        )

    @property
    def facts(self) -> Mapping[str, object]:
        """Sizes, and the time of each fit so far."""
        return {
            "items": len(self._items),
            "likes": {name: len(split.train) for name, split in self._splits.items()},
            "fit_seconds": dict(self._fits),
        }

    def rows(self, done: Set[Key]) -> Iterator[Row]:
        """Yield one row per case and method; a method is fitted only where cases are left."""
        for name, split in self._splits.items():
            known = _Known(self._workspace, split, self._kinds, self._settings.k)
            for method in self._settings.methods:
                group = PROTOCOLS[name]
                left = [case for case in split.cases if (group, method, case.user) not in done]
                if left:
                    yield from self._ask(group, method, split, left, known)

    def _ask(self, group: str, method: str, split: Split, cases: Sequence[Case], known: _Known) -> Iterator[Row]:
        own = self._settings
        ranker = make_ranker(method, self._fitted, k=own.k, longest=LONGEST)
        began = time.perf_counter()
        ranker.fit(split)
        self._fits[method] = round(self._fits.get(method, 0.0) + time.perf_counter() - began, 3)
        for case in cases:
            answer, milliseconds = timed(ranker, case)
            values = known.values(case, answer) | {"ms": milliseconds}
            yield Row(case.user, method, group, values, answer.ranked[: own.k], _detail(case))


def _detail(case: Case) -> dict[str, object]:
    return {"known": len(case.history), "sought": sorted(case.targets)[:20], "last": list(case.history)[-5:]}


class _Known:
    """What beyond-accuracy metrics need of a split: how many people like each item, what everyone would be shown."""

    def __init__(self, workspace: Workspace, split: Split, kinds: str, k: int) -> None:
        self._workspace, self._k, self._kinds = workspace, k, kinds
        pairs = {(event.user, event.item) for event in split.train}
        self._people: dict[ItemId, float] = {}
        for _, item in pairs:
            self._people[item] = self._people.get(item, 0.0) + 1
        self._n_people = len({user for user, _ in pairs})
        # Equal ones in the order of the catalogue, as popularity is ranked.
        self._popular = sorted((i.id for i in workspace.catalogue.items), key=lambda i: -self._people.get(i, 0.0))

    def values(self, case: Case, answer: Answer) -> dict[str, float]:
        """Return every metric of one answer; NaN where a list is too short to have it."""
        ranked, sought, k = answer.ranked, case.targets, self._k
        longest = len(ranked) if answer.scores is None and len(ranked) <= k else LONGEST
        values = {f"{name}@{k}": metric(ranked, sought, k) for name, metric in _AT_K.items()}
        for cut in sorted({*CUTS, k}):
            whole = cut <= max(longest, k)
            values[f"recall@{cut}"] = metrics.recall(ranked, sought, cut) if whole else math.nan
            values[f"ndcg@{cut}"] = metrics.ndcg(ranked, sought, cut) if whole else math.nan
        values["auc"] = self._auc(case, answer)
        return values | self._beyond(case, ranked[:k])

    def _auc(self, case: Case, answer: Answer) -> float:
        if answer.scores is None:
            return math.nan
        rows = self._workspace.catalogue.rows(case.targets)
        relevant = np.zeros(len(answer.scores), np.bool_)
        relevant[rows] = True
        asked = answer.scores > -np.inf
        return metrics.auc(answer.scores[asked], relevant[asked])

    def _beyond(self, case: Case, shown: Sequence[ItemId]) -> dict[str, float]:
        catalogue = self._workspace.catalogue
        vectors = self._workspace.index.vectors[catalogue.rows(shown)]
        obvious = set(islice((item for item in self._popular if item not in case.history), self._k))
        own, listed = (
            metrics.distribution(catalogue.items[row].values(self._kinds) for row in catalogue.rows(items))
            for items in (case.history, shown)
        )
        return {
            "diversity": metrics.intra_list_diversity(vectors),
            "novelty": metrics.novelty(shown, self._people, self._n_people),
            "serendipity": metrics.serendipity(shown, case.targets, obvious, self._k),
            "lift": metrics.popularity_lift(shown, case.history, self._people),
            "calibration": metrics.calibration(own, listed) if self._kinds else math.nan,
        }


def _measures(k: int) -> tuple[Measure, ...]:
    cuts = [
        Measure(f"{name}@{cut}", f"{label}@{cut}", f"{name}@{cut}", main=cut == k, shown=True)
        for name, label in (("ndcg", "NDCG"), ("recall", "Recall"))
        for cut in sorted({*CUTS, k})
    ]
    at_k = [
        Measure(f"{name}@{k}", label, f"{name}@{k}", kind="share" if name == "hit" else "mean", percent=name == "hit")
        for name, label in (
            ("precision", f"Precision@{k}"),
            ("f1", f"F1@{k}"),
            ("hit", f"Hit@{k}: people with something right"),
            ("mrr", f"MRR@{k}"),
            ("map", f"MAP@{k}"),
        )
    ]
    return (
        *cuts,
        *at_k,
        Measure("auc", "AUC", "auc"),
        Measure("coverage", f"Coverage of the catalogue@{k}", kind="coverage", percent=True, main=True),
        Measure("gini", f"Gini of exposure@{k}", kind="gini", better="lower"),
        Measure("diversity", f"Diversity of content@{k}", "diversity", better=""),
        Measure("novelty", f"Novelty@{k} (bits)", "novelty", better=""),
        Measure("serendipity", f"Serendipity@{k}", "serendipity"),
        Measure("lift", f"Popularity lift@{k}", "lift", better=""),
        Measure("calibration", f"Miscalibration@{k} (nats)", "calibration", better="lower"),
        Measure("ms", "Time per person (ms, this machine)", "ms", better=""),
    )


def _check(settings: RankingSettings) -> None:
    for kind, names, known in (("protocol", settings.protocols, PROTOCOLS), ("method", settings.methods, METHODS)):
        unknown = next((name for name in names if name not in known), None)
        if unknown is not None or not names:
            raise ConfigError(f"There is no {kind} '{unknown or ''}'.", hint=f"Known: {', '.join(known)}.")
    if not 1 <= settings.k <= LONGEST:
        raise ConfigError(f"A list of {settings.k} can't be measured.", hint=f"Use 1 to {LONGEST}.")


def _kind_attribute(workspace: Workspace) -> str:
    """Return the attribute that says what kind an item is: the first list of values that are no people; empty without one."""
    found = (a.name for a in workspace.domain.attributes if a.kind == "list" and not a.people)
    return next(found, "")


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
