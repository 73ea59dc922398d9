"""Scorers on histories that were held out: the split, the full ranking, NDCG@10 with its interval, time and memory.

Works on a matrix alone, so that a workspace of any size and domain can be measured when it is made. People are held out
(strong generalisation: their older interactions are folded in, the newer ones are to be found) where there are many;
else everybody's last interaction is (leave-last-out), which wastes none of few people.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from vouchrec.retrieval.collaborative import CollaborativeScorer
from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.ranking import ndcg
from vouchrec.retrieval.scorers.sparse import to_dense
from vouchrec.retrieval.types import ItemId

__all__ = ["HeldOut", "Holdout", "Measured", "hold_out", "interval", "measure", "top_k"]

Holdout: TypeAlias = Literal["people", "last"]
K = 10
"""Length of the list that validation looks at."""
LEAST_HISTORY = 3
"""Interactions that a person needs to be held out."""
MANY_PEOPLE = 400
"""People with enough interactions from which people are held out instead of last interactions."""
MOST_HELD_OUT = 1_000
"""Held-out histories at most: more would narrow the interval little and take longer."""
_RESAMPLES, _SEED = 1_000, 0


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What to learn from, and the histories to complete.

    Attributes:
        how: What was held out.
        train: Interactions to learn from.
        histories: Weight by item, oldest first, never empty.
        targets: Items to be found for each; never empty, disjoint from the history.
    """

    how: Holdout
    train: InteractionMatrix
    histories: tuple[Mapping[ItemId, float], ...]
    targets: tuple[frozenset[ItemId], ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """One scorer on the held-out histories.

    Attributes:
        ndcg: (n_cases,) NDCG@10 by case.
        fit_s: Seconds to fit.
        score_ms: Milliseconds to score and rank one history, mean.
        peak_mb: Megabytes that fitting and scoring took at most, beyond what the process had before.
    """

    ndcg: npt.NDArray[np.float64]
    fit_s: float
    score_ms: float
    peak_mb: float


def hold_out(
    interactions: InteractionMatrix, *, how: Holdout | None = None, most: int = MOST_HELD_OUT, seed: int = 0
) -> HeldOut:
    """Split interactions for validation.

    Args:
        interactions: All of them.
        how: What to hold out; None for `people` where at least `MANY_PEOPLE` have enough interactions, else `last`.
        most: Held-out histories at most.
        seed: Seed of the choice of people, and of the order of a history without times.
    """
    rng = np.random.default_rng(seed)
    sequences = interactions.ordered()
    if interactions.sequences is None:
        sequences = tuple(rng.permutation(row) for row in sequences)
    eligible = np.asarray([r for r, row in enumerate(sequences) if len(row) >= LEAST_HISTORY], np.int64)
    how = how or ("people" if len(eligible) >= MANY_PEOPLE else "last")
    share = len(eligible) // 5 if how == "people" else len(eligible)
    chosen = np.sort(rng.permutation(eligible)[: min(most, share)])
    cuts = {int(r): _cut(len(sequences[r]), how) for r in chosen}
    train = (
        _without_people(interactions, set(cuts)) if how == "people" else _without_last(interactions, sequences, cuts)
    )
    histories = tuple(_history(interactions, r, sequences[r][:cut]) for r, cut in cuts.items())
    targets = tuple(frozenset(interactions.items[i] for i in sequences[r][cut:]) for r, cut in cuts.items())
    return HeldOut(how, train, histories, targets)


def _cut(length: int, how: Holdout) -> int:
    return length - 1 if how == "last" else min(max(1, int(length * 0.8)), length - 1)


def _history(interactions: InteractionMatrix, row: int, columns: npt.NDArray[np.int64]) -> dict[ItemId, float]:
    weights = to_dense(interactions.matrix[[row]]).ravel()
    return {interactions.items[i]: float(weights[i]) for i in columns}


def _without_people(interactions: InteractionMatrix, gone: set[int]) -> InteractionMatrix:
    return interactions.rows([r for r in range(len(interactions.users)) if r not in gone])


def _without_last(
    interactions: InteractionMatrix, sequences: Sequence[npt.NDArray[np.int64]], cuts: Mapping[int, int]
) -> InteractionMatrix:
    """Return the interactions without the last one of each chosen row."""
    rows = np.fromiter(cuts, np.int64, len(cuts))
    columns = np.asarray([sequences[r][cut] for r, cut in cuts.items()], np.int64)
    gone = sp.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=interactions.matrix.shape)
    matrix = sp.csr_matrix(interactions.matrix - interactions.matrix.multiply(gone), dtype=np.float32)
    matrix.eliminate_zeros()
    order = tuple(row[: cuts.get(r, len(row))] for r, row in enumerate(sequences))
    known = order if interactions.sequences is not None else None
    return InteractionMatrix(matrix, interactions.users, interactions.items, interactions.explicit, known)


def measure(scorer: CollaborativeScorer, held: HeldOut, *, k: int = K, fit: bool = True) -> Measured:
    """Fit a scorer and measure it on the held-out histories, all items of the catalogue ranked.

    Args:
        scorer: Any.
        held: What to learn from and to complete.
        k: Length of the list that counts.
        fit: False for a scorer that is fitted on `held.train` already.

    Raises:
        ModelError: It can't be fitted.
    """
    memory = _Memory()
    started = time.perf_counter()
    if fit:
        scorer.fit(held.train)
    fitted = time.perf_counter()
    lists = list(top_k(scorer, held.histories, held.train.items, k))
    done = time.perf_counter()
    found = [ndcg(ranked, targets, k) for ranked, targets in zip(lists, held.targets, strict=True)]
    each = (done - fitted) * 1e3 / max(1, len(lists))
    return Measured(np.asarray(found, np.float64), fitted - started, each, memory.grown())


def top_k(
    scorer: CollaborativeScorer, histories: Iterable[Mapping[ItemId, float]], items: Sequence[ItemId], k: int
) -> Iterator[list[ItemId]]:
    """Yield each history's k best items, best first, the history left out; equal scores keep the order of `items`.

    Items that the scorer has no column for score 0.
    """
    row = {item: index for index, item in enumerate(items)}
    columns = np.asarray([c for c, item in enumerate(scorer.items) if item in row], np.int64)
    rows = np.asarray([row[scorer.items[int(c)]] for c in columns], np.int64)
    for history in histories:
        scores = np.zeros(len(items), np.float32)
        scores[rows] = scorer.score(history)[columns]
        scores[[row[item] for item in history if item in row]] = -np.inf
        yield [items[int(i)] for i in _best(scores, k) if scores[i] > -np.inf]


def _best(scores: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
    """Return the positions of the k largest, largest first, equal ones by position."""
    if len(scores) > k:
        least = -np.partition(-scores, k - 1)[k - 1]
        candidates = np.flatnonzero(scores >= least)
    else:
        candidates = np.arange(len(scores))
    return candidates[np.argsort(-scores[candidates], kind="stable")][:k]


def interval(values: npt.NDArray[np.float64], *, seed: int = _SEED) -> tuple[float, float]:
    """Return the 95% percentile bootstrap interval of the mean, 1,000 resamples."""
    if not len(values):
        return 0.0, 0.0
    rng = np.random.default_rng(seed)
    means = [float(values[rng.integers(len(values), size=len(values))].mean()) for _ in range(_RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


class _Memory:
    """The largest resident memory since it was made, in megabytes above what there was then.

    Linux can start its high-water mark anew; elsewhere only growth beyond the process's largest so far is seen.
    """

    def __init__(self) -> None:
        try:
            _REFS.write_text("5", encoding="ascii")
            self._before = _status_mb("VmRSS")
        except (OSError, KeyError):
            self._before = None
            self._largest = _largest_mb()

    def grown(self) -> float:
        """Return the megabytes."""
        if self._before is None:
            return max(0.0, _largest_mb() - self._largest)
        return max(0.0, _status_mb("VmHWM") - self._before)


_REFS, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def _status_mb(name: str) -> float:
    lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    return float(dict(line.split(":", 1) for line in lines if ":" in line)[name].split()[0]) * 1024 / 1e6


def _largest_mb() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
