"""Ranks of the targets among all films, and the figures with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vouchrec.evals.intervals import Interval, bootstrap_statistic
from vouchrec.evals.redial.features import Catalogue, Floats
from vouchrec.evals.redial.protocol import CUTS, PROTOCOLS, Case, Protocol, targets_of

__all__ = ["Row", "figures", "mean_reciprocal_rank", "rank_targets", "recalls", "repeat_scores"]

RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Row:
    """One target of one turn.

    Attributes:
        method, protocol: Of the run.
        dialogue, turn, target: Which.
        rank: From 1 among all films that may be ranked; ties count half.
        mentioned: Films that were mentioned before.
    """

    method: str
    protocol: Protocol
    dialogue: str
    turn: int
    target: str
    rank: float
    mentioned: int


def rank_targets(
    method: str, scores: Floats, cases: Sequence[Case], catalogue: Catalogue, protocol: Protocol
) -> list[Row]:
    """Return one row per target.

    A rank is 1 + the films with a higher score + half of the other films with the same score, so that a constant score gains
    nothing. Targets of one turn are ranked against each other, as in the published protocols.

    Args:
        method: Name for the rows.
        scores: (n cases, n films).
        cases: In the same order.
        catalogue: Films.
        protocol: Dedup leaves what was mentioned out of the ranking.
    """
    rows: list[Row] = []
    for case, own in zip(cases, scores, strict=True):
        masked = own
        if protocol == "dedup" and case.mentioned:
            masked = own.copy()
            masked[[catalogue.column[film] for film in case.mentioned]] = -np.inf
        for target in targets_of(case, protocol):
            score = masked[catalogue.column[target]]
            rank = 1 + float((masked > score).sum()) + (float((masked == score).sum()) - 1) / 2
            rows.append(Row(method, protocol, case.dialogue, case.turn, target, rank, len(case.mentioned)))
    return rows


def repeat_scores(cases: Sequence[Case], catalogue: Catalogue) -> Floats:
    """Return scores that repeat what was mentioned, the latest first, and nothing else: the baseline of the standard protocol."""
    scores = np.zeros((len(cases), len(catalogue)), np.float32)
    for row, case in enumerate(cases):
        for place, film in enumerate(case.mentioned, start=1):
            scores[row, catalogue.column[film]] = place
    return scores


def recalls(rows: Sequence[Row], cuts: Sequence[int] = CUTS) -> tuple[float, ...]:
    """Return Recall@k over targets: the part with a rank of k or better. NaN without targets."""
    if not rows:
        return tuple(float("nan") for _ in cuts)
    ranks = np.array([row.rank for row in rows])
    return tuple(float((ranks <= cut).mean()) for cut in cuts)


def mean_reciprocal_rank(rows: Sequence[Row]) -> float:
    """Return the mean of 1 / rank over targets. NaN without targets."""
    return float(np.mean([1 / row.rank for row in rows])) if rows else float("nan")


def figures(
    rows: Sequence[Row], baseline: Sequence[Row] | None, *, seed: int
) -> tuple[dict[str, Interval], dict[str, Interval]]:
    """Return Recall@k with 95% intervals, and its differences to a baseline over the same targets.

    Whole dialogues are drawn: the targets of one conversation are not independent.

    Args:
        rows: Of one method and protocol.
        baseline: Of another method over the same targets; None for no differences.
        seed: Of the resampling.

    Raises:
        ValueError: There are no rows, or the baseline has other targets.
    """
    if not rows:
        raise ValueError("no targets")
    own = _hits(rows)
    gains: dict[str, Interval] = {}
    if baseline is not None:
        if [(r.dialogue, r.turn, r.target) for r in baseline] != [(r.dialogue, r.turn, r.target) for r in rows]:
            raise ValueError("the baseline has other targets")
        gains = _intervals(own - _hits(baseline), rows, seed)
    return _intervals(own, rows, seed), gains


def by_protocol(rows: Sequence[Row]) -> Mapping[Protocol, list[Row]]:
    """Return the rows of each protocol."""
    return {protocol: [row for row in rows if row.protocol == protocol] for protocol in PROTOCOLS}


def _hits(rows: Sequence[Row]) -> np.ndarray:
    ranks = np.array([row.rank for row in rows])[:, None]
    return (ranks <= np.array(CUTS)).astype(np.float64)


def _intervals(values: np.ndarray, rows: Sequence[Row], seed: int) -> dict[str, Interval]:
    names = list(dict.fromkeys(row.dialogue for row in rows))
    place = {name: number for number, name in enumerate(names)}
    owner = np.array([place[row.dialogue] for row in rows])
    sizes = np.bincount(owner, minlength=len(names)).astype(np.float64)
    out: dict[str, Interval] = {}
    for column, cut in enumerate(CUTS):
        sums = np.bincount(owner, weights=values[:, column], minlength=len(names))

        def statistic(sample: np.ndarray, sums: np.ndarray = sums) -> float:
            return float(sums[sample].sum() / sizes[sample].sum())

        out[f"R@{cut}"] = bootstrap_statistic(statistic, len(names), seed=seed, resamples=RESAMPLES)
    return out
