"""Metrics: values that a reader can recompute, and what must hold for any list."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vouchrec.evals import metrics

RANKED = ["a", "x", "b", "y", "c"]
RELEVANT = {"a", "b", "c", "d"}
RANKING = (
    metrics.recall,
    metrics.precision,
    metrics.hit,
    metrics.reciprocal_rank,
    metrics.average_precision,
    metrics.ndcg,
)
Metric = Callable[[list[str], set[str], int], float]
items = st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=10)
sets = st.sets(st.sampled_from("abcdefghij"), min_size=1)


def log2(number: float) -> float:
    return math.log2(number)


@pytest.mark.parametrize(
    ("metric", "k", "expected"),
    [
        (metrics.recall, 1, 1 / 4),
        (metrics.recall, 3, 2 / 4),
        (metrics.recall, 5, 3 / 4),
        (metrics.recall, 100, 3 / 4),
        (metrics.precision, 1, 1 / 1),
        (metrics.precision, 2, 1 / 2),
        (metrics.precision, 5, 3 / 5),
        (metrics.precision, 10, 3 / 10),
        (metrics.hit, 1, 1),
        (metrics.reciprocal_rank, 5, 1),
        (metrics.average_precision, 1, 1),
        (metrics.average_precision, 3, (1 / 1 + 2 / 3) / 3),
        (metrics.average_precision, 5, (1 / 1 + 2 / 3 + 3 / 5) / 4),
        (metrics.ndcg, 1, 1),
        (metrics.ndcg, 3, (1 + 1 / log2(4)) / (1 + 1 / log2(3) + 1 / log2(4))),
        (metrics.ndcg, 5, (1 + 1 / 2 + 1 / log2(6)) / (1 + 1 / log2(3) + 1 / 2 + 1 / log2(5))),
    ],
)
def test_by_hand(metric: Metric, k: int, expected: float):
    assert metric(RANKED, RELEVANT, k) == pytest.approx(expected)


def test_first_hit_lower_down():
    assert metrics.reciprocal_rank(["x", "y", "a"], {"a"}, 3) == 1 / 3
    assert metrics.reciprocal_rank(["x", "y", "a"], {"a"}, 2) == 0
    assert metrics.hit(["x", "y", "a"], {"a"}, 2) == 0


@pytest.mark.parametrize("metric", RANKING)
def test_empty_inputs(metric: Metric):
    assert metric([], {"a"}, 5) == 0
    assert math.isnan(metric(["a"], set(), 5))


@pytest.mark.parametrize("metric", RANKING)
def test_k_below_1_is_an_error(metric: Metric):
    with pytest.raises(ValueError, match="at least 1"):
        metric(["a"], {"a"}, 0)


@pytest.mark.parametrize("metric", RANKING)
@given(ranked=items, relevant=sets, k=st.integers(1, 12))
def test_range(metric: Metric, ranked: list[str], relevant: set[str], k: int):
    assert 0 <= metric(ranked, relevant, k) <= 1 + 1e-12


@pytest.mark.parametrize("metric", RANKING)
@given(ranked=items, relevant=sets, k=st.integers(1, 12))
def test_what_stands_below_k_does_not_count(metric: Metric, ranked: list[str], relevant: set[str], k: int):
    assert metric(ranked, relevant, k) == metric(ranked[:k], relevant, k)


@pytest.mark.parametrize("metric", [metrics.reciprocal_rank, metrics.average_precision, metrics.ndcg])
@given(relevant=sets, k=st.integers(1, 12))
def test_relevant_items_in_front_are_perfect(metric: Metric, relevant: set[str], k: int):
    assert metric([*sorted(relevant), "z"], relevant, k) == pytest.approx(1)


@pytest.mark.parametrize("metric", RANKING)
@given(ranked=items.filter(lambda r: len(r) > 1), relevant=sets, k=st.integers(1, 12), at=st.integers(0, 8))
def test_moving_a_hit_up_never_hurts(metric: Metric, ranked: list[str], relevant: set[str], k: int, at: int):
    at %= len(ranked) - 1
    if ranked[at] not in relevant and ranked[at + 1] in relevant:
        better = [*ranked[:at], ranked[at + 1], ranked[at], *ranked[at + 2 :]]
        assert metric(better, relevant, k) >= metric(ranked, relevant, k) - 1e-12


@given(ranked=items, target=st.sampled_from("abcdefghij"), k=st.integers(1, 12))
def test_with_one_relevant_item_hit_is_recall_and_map_is_mrr(ranked: list[str], target: str, k: int):
    assert metrics.hit(ranked, {target}, k) == metrics.recall(ranked, {target}, k)
    assert metrics.average_precision(ranked, {target}, k) == metrics.reciprocal_rank(ranked, {target}, k)


def test_auc_by_hand():
    # Relevant 0.9 and 0.4 against 0.5 and 0.1: 0.9 beats both, 0.4 beats one; 3 of 4 pairs.
    scores, relevant = np.asarray([0.9, 0.5, 0.4, 0.1]), np.asarray([True, False, True, False])
    assert metrics.auc(scores, relevant) == 3 / 4
    assert metrics.auc(np.zeros(4), relevant) == 1 / 2
    assert math.isnan(metrics.auc(scores, np.zeros(4, bool)))
    assert math.isnan(metrics.auc(scores, np.ones(4, bool)))


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=12))
def test_auc_is_the_share_of_pairs_in_order(pairs: list[tuple[int, bool]]):
    scores = np.asarray([score for score, _ in pairs], np.float64)
    relevant = np.asarray([flag for _, flag in pairs])
    above = [(a > b) + (a == b) / 2 for a in scores[relevant] for b in scores[~relevant]]
    if above:
        assert metrics.auc(scores, relevant) == pytest.approx(sum(above) / len(above))
        assert metrics.auc(-scores, relevant) == pytest.approx(1 - sum(above) / len(above))


def test_coverage_by_hand():
    assert metrics.coverage([["a", "b"], ["b", "c"]], 4) == 3 / 4
    assert metrics.coverage([], 4) == 0
    assert math.isnan(metrics.coverage([["a"]], 0))


def test_diversity_by_hand():
    # Pairs: same direction 0, right angle 1, right angle 1.
    vectors = np.asarray([[1, 0], [1, 0], [0, 1]], np.float32)
    assert metrics.intra_list_diversity(vectors) == pytest.approx(2 / 3)
    assert metrics.intra_list_diversity(np.asarray([[1, 0], [-1, 0]], np.float32)) == 2
    assert math.isnan(metrics.intra_list_diversity(vectors[:1]))


def test_novelty_by_hand():
    # (1 + 1) / (7 + 1) is 2 bits, (0 + 1) / (7 + 1) is 3 bits, (7 + 1) / (7 + 1) is 0 bits.
    people = {"a": 1.0, "all": 7.0}
    assert metrics.novelty(["a", "unknown"], people, 7) == (2 + 3) / 2
    assert metrics.novelty(["all"], people, 7) == 0
    assert math.isnan(metrics.novelty([], people, 7))


def test_mean_leaves_undefined_cases_out():
    assert metrics.mean([1.0, math.nan, 0.0]) == 1 / 2
    assert math.isnan(metrics.mean([math.nan]))
    assert math.isnan(metrics.mean([]))
