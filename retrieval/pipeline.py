"""recommend(): a query and a profile in, ranked items with evidence out. The lower half of the main path.

candidates (semantic, lexical, collaborative, neighbours) -> hard constraints -> scores -> blend -> diversity -> evidence
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from vouchrec.retrieval import evidence as facts
from vouchrec.retrieval.blend import Weights, blend, semantic_scale, source_shares, unit_scale
from vouchrec.retrieval.catalogue import value_range
from vouchrec.retrieval.diversify import mmr, overlap
from vouchrec.retrieval.errors import RequestError
from vouchrec.retrieval.likeness import attribute_likeness
from vouchrec.retrieval.narrow import narrow
from vouchrec.retrieval.types import (
    Constraint,
    Embeddings,
    Evidence,
    Item,
    ItemId,
    ItemVector,
    Op,
    Profile,
    Query,
    Recommendation,
    Row,
    RowMask,
    Source,
)
from vouchrec.retrieval.workspace import Workspace

P = ParamSpec("P")
T = TypeVar("T")
CANDIDATES = 150
"""Candidates taken from each source."""
RERANKED = 40
"""Best-scored candidates among which diversity chooses."""
MOST = 50
DISLIKE_PENALTY = 0.8
"""Part of its likeness to a disliked item that a candidate loses in `neighbours`."""


@dataclass(frozen=True, slots=True)
class _Signals:
    """Vectors over the whole catalogue, computed once per call; each is (n_items,) float32."""

    semantic: ItemVector
    lexical: ItemVector
    collaborative: ItemVector
    factor: float
    neighbours: ItemVector
    history: Mapping[ItemId, float]


def _undisturbed(function: Callable[Concatenate[Workspace, P], T]) -> Callable[Concatenate[Workspace, P], T]:
    """Keep the workspace from changing while the function runs."""

    @wraps(function)
    def held(workspace: Workspace, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with workspace.reading():
            return function(workspace, *args, **kwargs)

    return held


@_undisturbed
def recommend(
    workspace: Workspace, query: Query, profile: Profile, *, weights: Weights | None = None
) -> list[Recommendation]:
    """Return up to `query.n` items, best first, none of which breaks a hard constraint or was seen, disliked or excluded.

    Returns fewer, or none, when the catalogue has no more that satisfy the query; `relax` then says what to give up.

    Raises:
        RequestError: n is not within 1 and 50, or a constraint names an attribute that the domain does not have, or a
            value that the attribute can't have.
    """
    _check(workspace, query)
    weights = weights or workspace.tuned.weights.of_request(query, profile)
    allowed = allowed_rows(workspace, query, profile)
    if not allowed.any():
        return []
    allowed = narrow(workspace.catalogue, query.constraints, allowed, query.n)
    signals = _signals(workspace, query, profile)
    rows, total = _ranked(workspace, query, signals, allowed, weights)
    best = np.arange(min(len(rows), max(RERANKED, query.n)))
    picks = mmr(total[best], _likeness(workspace, [rows[i] for i in best]), query.n)
    chosen = sorted((int(best[p]) for p in picks), key=lambda i: -total[i])
    return _with_evidence(workspace, query, signals, [rows[i] for i in chosen], weights)


@_undisturbed
def rank(workspace: Workspace, query: Query, profile: Profile, *, weights: Weights | None = None) -> list[ItemId]:
    """Return all candidates in the order of their scores: the list among whose first `RERANKED` `recommend` diversifies.

    Raises:
        RequestError: As `recommend`.
    """
    _check(workspace, query)
    allowed = narrow(workspace.catalogue, query.constraints, allowed_rows(workspace, query, profile), query.n)
    weights = weights or workspace.tuned.weights.of_request(query, profile)
    rows, _ = _ranked(workspace, query, _signals(workspace, query, profile), allowed, weights)
    return [workspace.catalogue.items[row].id for row in rows]


@_undisturbed
def assess(
    workspace: Workspace, query: Query, profile: Profile, items: Sequence[ItemId], *, weights: Weights | None = None
) -> list[Recommendation]:
    """Return scores and evidence of given items, in the given order, whether or not they would be recommended.

    Raises:
        RequestError: An item is not in the catalogue, or the query is invalid.
    """
    _check(workspace, query)
    unknown = [i for i in items if i not in workspace.catalogue]
    if unknown:
        raise RequestError(f"There is no item '{unknown[0]}'.", hint="Use an id of this catalogue.")
    rows = workspace.catalogue.rows(items)
    weights = weights or workspace.tuned.weights.of_request(query, profile)
    return _with_evidence(workspace, query, _signals(workspace, query, profile), rows, weights) if rows else []


def _ranked(
    workspace: Workspace, query: Query, signals: _Signals, allowed: RowMask, weights: Weights
) -> tuple[list[Row], npt.NDArray[np.float32]]:
    """Candidates, best first, with their blended scores."""
    rows = _candidates(workspace, query, signals, allowed)
    if not rows:
        return [], np.zeros(0, np.float32)
    total = blend(_scores(workspace, query, signals, rows), weights)
    order = np.argsort(-total, kind="stable")
    return [rows[i] for i in order], total[order]


def _with_evidence(
    workspace: Workspace, query: Query, signals: _Signals, rows: list[Row], weights: Weights
) -> list[Recommendation]:
    scores = _scores(workspace, query, signals, rows)
    total = blend(scores, weights)
    result: list[Recommendation] = []
    for i, row in enumerate(rows):
        own: dict[Source, float] = {source: float(values[i]) for source, values in scores.items()}
        evidence = _evidence(workspace, query, signals, row, source_shares(own, weights))
        result.append(Recommendation(i + 1, workspace.catalogue.items[row], float(total[i]), own, evidence))
    return result


def allowed_rows(workspace: Workspace, query: Query, profile: Profile) -> RowMask:
    """Return which rows may be recommended: hard constraints hold, not seen, disliked, excluded or a reference item."""
    allowed = workspace.catalogue.mask(c for c in query.constraints if c.strength == "hard")
    gone = {*query.similar_to, *query.unlike, *query.exclude, *profile.disliked, *profile.seen, *profile.history}
    allowed[workspace.catalogue.rows(gone)] = False
    return allowed


@_undisturbed
def relax(workspace: Workspace, query: Query, profile: Profile) -> list[tuple[Constraint, int]]:
    """Return, for a query without results, each hard constraint with the number of items if it alone were given up.

    Most helpful first; constraints whose loss helps nothing are left out.
    """
    hard = [c for c in query.constraints if c.strength == "hard"]
    found: list[tuple[Constraint, int]] = []
    for dropped in hard:
        rest = tuple(c for c in query.constraints if c is not dropped)
        count = int(allowed_rows(workspace, replace(query, constraints=rest), profile).sum())
        if count:
            found.append((dropped, count))
    return sorted(found, key=lambda pair: -pair[1])


def _check(workspace: Workspace, query: Query) -> None:
    if not 1 <= query.n <= MOST:
        raise RequestError(f"n is {query.n}.", hint=f"Ask for 1 to {MOST} items.")
    for constraint in query.constraints:
        _check_constraint(workspace, constraint)


def _check_constraint(workspace: Workspace, constraint: Constraint) -> None:
    name, domain = constraint.attribute, workspace.catalogue.domain
    attribute = domain.attribute(name)
    if attribute is None:
        known = ", ".join(a.name for a in domain.attributes)
        raise RequestError(f"There is no attribute '{name}'.", hint=f"Attributes: {known}.")
    if constraint.op not in get_args(Op):
        raise RequestError(f"There is no condition '{constraint.op}'.", hint=f"Use one of {', '.join(get_args(Op))}.")
    ranged = attribute.kind in ("number", "date")
    if constraint.op in ("min", "max") and not ranged:
        raise RequestError(f"'{name}' has no order, so it can't have a '{constraint.op}'.", hint="Use is or is_not.")
    if attribute.kind == "text" and not attribute.filterable:
        raise RequestError(f"'{name}' is a text to search in, not one to filter by.", hint="Say it in the wish.")
    values = constraint.value if isinstance(constraint.value, tuple) else (constraint.value,)
    wrong = next((v for v in values if ranged and value_range(v, attribute.kind) is None), None)
    if wrong is not None or (isinstance(constraint.value, tuple) and constraint.op in ("min", "max")):
        raise RequestError(f"{constraint.value!r:.60} is no {attribute.kind} for '{name}'.", hint="Give one value.")


def _signals(workspace: Workspace, query: Query, profile: Profile) -> _Signals:
    size = len(workspace.catalogue)
    semantic, lexical = np.zeros(size, np.float32), np.zeros(size, np.float32)
    if query.wish.strip():
        semantic = semantic_scale(workspace.index.similarities(workspace.embedder.encode([query.wish])[0]))
        for row, score in workspace.lexical.search(query.words or query.wish, CANDIDATES * 4):
            lexical[row] = score
        lexical, _ = unit_scale(lexical)
    history = _weighed_history(workspace, query, profile)
    collaborative, factor = unit_scale(workspace.collaborative_scores(history))
    neighbours = _neighbours(workspace, query, profile, history)
    return _Signals(semantic, lexical, collaborative, factor, neighbours, history)


def _weighed_history(workspace: Workspace, query: Query, profile: Profile) -> dict[ItemId, float]:
    """History and reference items that the catalogue has, with their weights.

    What is asked for now weighs as much as all of the history: a request is about this evening.
    """
    asked = dict.fromkeys((i for i in query.similar_to if i in workspace.catalogue), 1.0)
    others = {i: w for i, w in profile.history.items() if i in workspace.catalogue and i not in asked}
    total = sum(others.values())
    shrink = min(1.0, len(asked) / total) if asked and total else 1.0
    return {**{i: w * shrink for i, w in others.items()}, **asked}


def _neighbours(workspace: Workspace, query: Query, profile: Profile, history: Mapping[ItemId, float]) -> ItemVector:
    """Likeness in content to the liked items, less likeness to the disliked ones.

    For items named in the request half of it is likeness in attributes: "like X but funny" asks for X's kind, not its plot.
    """
    liked = _mean_vector(workspace, history)
    disliked = _mean_vector(workspace, dict.fromkeys([*query.unlike, *profile.disliked], 1.0))
    score = np.zeros(len(workspace.catalogue), np.float32)
    if liked is not None:
        score += semantic_scale(workspace.index.similarities(liked))
    if query.similar_to:
        score = (score + attribute_likeness(workspace.catalogue, query.similar_to)) * np.float32(0.5)
    if disliked is not None:
        score -= np.float32(DISLIKE_PENALTY) * semantic_scale(workspace.index.similarities(disliked))
    return score


def _mean_vector(workspace: Workspace, weights: Mapping[ItemId, float]) -> Embeddings | None:
    known = [(workspace.catalogue.row(i), w) for i, w in weights.items() if i in workspace.catalogue]
    if not known:
        return None
    rows, values = zip(*known, strict=True)
    mean = np.asarray(values, np.float32) @ workspace.index.vectors[list(rows)]
    norm = float(np.linalg.norm(mean))
    return (mean / norm).astype(np.float32) if norm > 0 else None


def _candidates(workspace: Workspace, query: Query, signals: _Signals, allowed: RowMask) -> list[Row]:
    """Union of the best allowed rows of every source; popular ones too where they are few or nothing was wished for."""
    rows: dict[Row, None] = {}
    if query.wish.strip():
        vector = workspace.embedder.encode([query.wish])[0]
        rows.update(dict.fromkeys(workspace.index.search(vector, allowed, CANDIDATES)))
    for signal in (signals.lexical, signals.collaborative, signals.neighbours):
        if signal.any():
            rows.update(dict.fromkeys(_top(signal, allowed, CANDIDATES, positive=True)))
    soft = [c for c in query.constraints if c.strength == "soft"]
    if soft:
        rows.update(dict.fromkeys(_top(_match(workspace, soft), allowed, CANDIDATES, positive=True)))
    if len(rows) < CANDIDATES or not query.wish.strip():
        rows.update(dict.fromkeys(_top(workspace.standing, allowed, CANDIDATES, positive=False)))
    return list(rows)


def _top(signal: ItemVector, allowed: RowMask, n: int, *, positive: bool) -> list[Row]:
    candidates = np.flatnonzero(allowed & (signal > 0) if positive else allowed)
    if len(candidates) > n:
        candidates = candidates[np.argpartition(-signal[candidates], n - 1)[:n]]
    return [int(r) for r in candidates]


def _match(workspace: Workspace, soft: list[Constraint]) -> ItemVector:
    """Mean over soft constraints of 1 where it holds, (n_items,) float32."""
    return np.mean([workspace.catalogue.mask([c]) for c in soft], axis=0).astype(np.float32)


def _scores(
    workspace: Workspace, query: Query, signals: _Signals, rows: list[Row]
) -> dict[Source, npt.NDArray[np.float32]]:
    soft = [c for c in query.constraints if c.strength == "soft"]
    match = _match(workspace, soft)[rows] if soft else np.zeros(len(rows), np.float32)
    popularity = workspace.popularity if query.is_silent and signals.history else workspace.standing
    return {
        "semantic": signals.semantic[rows],
        "lexical": signals.lexical[rows],
        "collaborative": signals.collaborative[rows],
        "neighbours": signals.neighbours[rows],
        "match": match,
        "popularity": popularity[rows],
        "recency": workspace.recency[rows],
    }


def _likeness(workspace: Workspace, rows: list[Row]) -> Callable[[int, int], float]:
    vectors = np.clip(workspace.index.vectors[rows] @ workspace.index.vectors[rows].T, 0.0, 1.0)
    people = [[v for a in workspace.domain.people for v in workspace.catalogue.items[r].values(a.name)] for r in rows]

    def likeness(a: int, b: int) -> float:
        return 0.7 * float(vectors[a, b]) + 0.3 * min(1.0, 2 * overlap(people[a], people[b]))

    return likeness


def _evidence(workspace: Workspace, query: Query, signals: _Signals, row: Row, shares: dict[Source, float]) -> Evidence:
    catalogue = workspace.catalogue
    item = catalogue.items[row]
    parts = workspace.contributions(signals.history, item.id, signals.factor)
    contributors = [c.item for c in parts if c.value > 0]
    liked = [i for i in _liked_items(workspace, query, contributors, signals.history) if i.id != item.id]
    similar = [
        (other, float(workspace.index.vectors[catalogue.row(other.id)] @ workspace.index.vectors[row]))
        for other in liked
    ]
    return Evidence(
        contributions=parts,
        exact=workspace.scorer.exact if workspace.scorer else True,
        shares=shares,
        collaborative_share=shares.get("collaborative", 0.0),
        matched=facts.matched(catalogue, query.constraints, row),
        shared=facts.shared_facts(catalogue, item, liked),
        similar=tuple(sorted(((o, s) for o, s in similar if s >= facts.MIN_SIMILARITY), key=lambda pair: -pair[1])),
    )


def _liked_items(
    workspace: Workspace, query: Query, contributors: list[Item], history: Mapping[ItemId, float]
) -> list[Item]:
    """Items of this request first, then the top contributors, then the rest of the history; at most 12."""
    asked = [i for q in query.similar_to if (i := workspace.catalogue.get(q)) is not None]
    rest = [i for h in sorted(history, key=lambda h: -history[h]) if (i := workspace.catalogue.get(h)) is not None]
    unique = {item.id: item for item in [*asked, *contributors, *rest]}
    return list(unique.values())[:12]
