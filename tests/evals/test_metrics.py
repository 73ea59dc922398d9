"""Metrics: values that a reader can recompute, and what must hold for any list."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vouchrec.evals import metrics

RANKED = ["a", "x", "b", "y", "c"]
RELEVANT = {"a", "b", "c", "d"}
RANKING = (
    metrics.recall,
    metrics.precision,
    metrics.f1,
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
        (metrics.f1, 3, 4 / 7),
        (metrics.f1, 5, 6 / 9),
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


def test_roc_by_hand():
    # 0.9 is right, then 0.5 wrong and 0.4 right, and two of score 0.1 pass together, one of them right.
    scores = np.asarray([0.1, 0.9, 0.4, 0.5, 0.1])
    false, true = metrics.roc(scores, np.asarray([True, True, True, False, False]))
    assert false.tolist() == [0, 0, 1 / 2, 1 / 2, 1]
    assert true.tolist() == [0, 1 / 3, 1 / 3, 2 / 3, 1]
    with pytest.raises(ValueError, match="irrelevant"):
        metrics.roc(scores, np.ones(5, bool))


@given(st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=2, max_size=15))
def test_area_under_the_roc_curve_is_auc(pairs: list[tuple[int, bool]]):
    scores = np.asarray([score for score, _ in pairs], np.float64)
    relevant = np.asarray([flag for _, flag in pairs])
    if 0 < relevant.sum() < len(pairs):
        false, true = metrics.roc(scores, relevant)
        assert np.trapezoid(true, false) == pytest.approx(metrics.auc(scores, relevant))
        assert (np.diff(false) >= 0).all()
        assert (np.diff(true) >= 0).all()


@given(ranked=items, relevant=sets, k=st.integers(1, 12))
def test_f1_is_the_harmonic_mean(ranked: list[str], relevant: set[str], k: int):
    p, r = metrics.precision(ranked, relevant, k), metrics.recall(ranked, relevant, k)
    assert metrics.f1(ranked, relevant, k) == pytest.approx(2 * p * r / (p + r) if p + r else 0)


@settings(deadline=None, max_examples=60)
@given(ranked=items.filter(bool), relevant=sets, k=st.integers(1, 12))
def test_as_an_independent_implementation_has_it(ranked: list[str], relevant: set[str], k: int):
    ir_measures = pytest.importorskip("ir_measures")
    oracle = {
        ir_measures.R @ k: metrics.recall,
        ir_measures.P @ k: metrics.precision,
        ir_measures.Success @ k: metrics.hit,
        ir_measures.RR @ k: metrics.reciprocal_rank,
        ir_measures.nDCG @ k: metrics.ndcg,
    }
    if k >= len(relevant):  # it divides by all that is relevant, ours by what k places can hold
        oracle[ir_measures.AP @ k] = metrics.average_precision
    gold = [ir_measures.Qrel("q", item, 1) for item in relevant]
    run = [ir_measures.ScoredDoc("q", item, float(-rank)) for rank, item in enumerate(ranked)]
    for measure, value in ir_measures.calc_aggregate(list(oracle), gold, run).items():
        assert oracle[measure](ranked, relevant, k) == pytest.approx(value), measure


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


# ---- beyond accuracy ----------------------------------------------------------------------------------------------


def test_user_coverage_by_hand():
    assert metrics.user_coverage([0.0, 0.5, math.nan, 1.0]) == 2 / 3
    assert math.isnan(metrics.user_coverage([math.nan]))


def test_serendipity_by_hand():
    # a and b are right, a is what everyone is shown.
    assert metrics.serendipity(["a", "b", "x", "y"], {"a", "b"}, {"a", "x"}, 4) == 1 / 4
    assert metrics.serendipity(["a", "b"], {"a", "b"}, {"a"}, 1) == 0
    assert metrics.serendipity([], {"a"}, set(), 3) == 0
    assert math.isnan(metrics.serendipity(["a"], set(), set(), 3))
    with pytest.raises(ValueError, match="at least 1"):
        metrics.serendipity(["a"], {"a"}, set(), 0)


@given(ranked=items, relevant=sets, expected=sets, k=st.integers(1, 12))
def test_serendipity_is_at_most_precision(ranked: list[str], relevant: set[str], expected: set[str], k: int):
    found = metrics.serendipity(ranked, relevant, expected, k)
    assert 0 <= found <= metrics.precision(ranked, relevant, k)
    assert metrics.serendipity(ranked, relevant, set(), k) == metrics.precision(ranked, relevant, k)


def test_gini_by_hand():
    # Ascending 0, 1, 3 of 3 items: (-2 * 0 + 0 * 1 + 2 * 3) / (3 * 4).
    assert metrics.gini(np.asarray([1, 0, 3])) == 6 / 12
    assert metrics.gini(np.asarray([2, 2, 2])) == 0
    assert metrics.gini(np.asarray([0, 0, 0, 9])) == 3 / 4
    assert math.isnan(metrics.gini(np.zeros(3, np.int64)))


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20).filter(any), st.integers(1, 5))
def test_gini_knows_neither_order_nor_scale(counts: list[int], factor: int):
    found = metrics.gini(np.asarray(counts))
    assert 0 <= found < 1
    assert metrics.gini(np.asarray(counts[::-1]) * factor) == pytest.approx(found)
    pairs = sum(abs(a - b) for a in counts for b in counts)  # half the relative mean absolute difference
    assert found == pytest.approx(pairs / (2 * len(counts) * sum(counts)))


def test_popularity_lift_by_hand():
    people = {"hit": 9.0, "rare": 3.0}
    assert metrics.popularity_lift(["hit", "rare"], ["rare"], people) == 6 / 3 - 1
    assert metrics.popularity_lift(["unknown"], ["hit"], people) == -1
    assert math.isnan(metrics.popularity_lift([], ["hit"], people))
    assert math.isnan(metrics.popularity_lift(["hit"], ["unknown"], people))


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6))
def test_a_list_like_its_history_lifts_nothing(history: list[str]):
    people = {name: float(ord(name)) for name in "abcdef"}
    assert metrics.popularity_lift(history, history, people) == pytest.approx(0)


def test_calibration_by_hand():
    wanted = metrics.distribution([("war",), ("war", "love"), ()])
    assert wanted == {"war": 3 / 4, "love": 1 / 4}
    assert metrics.distribution([("war",), ("love",)], [3.0, 1.0]) == wanted
    only_war = {"war": 1.0}
    expected = 3 / 4 * math.log((3 / 4) / (0.99 + 0.01 * 3 / 4)) + 1 / 4 * math.log((1 / 4) / (0.01 / 4))
    assert metrics.calibration(wanted, only_war) == pytest.approx(expected)
    assert math.isnan(metrics.calibration({}, only_war))
    assert math.isnan(metrics.calibration(wanted, metrics.distribution([()])))


parts = st.dictionaries(st.sampled_from("abcd"), st.floats(0.01, 1), min_size=1)


@given(parts, parts)
def test_calibration_is_a_divergence(one: dict[str, float], other: dict[str, float]):
    p, q = ({kind: part / sum(x.values()) for kind, part in x.items()} for x in (one, other))
    assert metrics.calibration(p, p) == pytest.approx(0, abs=1e-9)
    assert 0 <= metrics.calibration(p, q) <= math.log(100) + 1e-9


# ---- values -------------------------------------------------------------------------------------------------------


def test_errors_of_ratings_by_hand():
    predicted, actual = [3.0, 4.0, 5.0], [4.0, 4.0, 2.0]
    assert metrics.mse(predicted, actual) == pytest.approx(10 / 3)
    assert metrics.rmse(predicted, actual) == pytest.approx(math.sqrt(10 / 3))
    assert metrics.mae(predicted, actual) == pytest.approx(4 / 3)
    assert all(math.isnan(metric([], [])) for metric in (metrics.mse, metrics.rmse, metrics.mae, metrics.accuracy))
    for metric in (metrics.mse, metrics.mae):
        with pytest.raises(ValueError, match="1 predictions against 2"):
            metric([1.0], [1.0, 2.0])


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5)), min_size=1, max_size=20))
def test_rmse_is_never_below_mae(pairs: list[tuple[float, float]]):
    predicted, actual = [p for p, _ in pairs], [a for _, a in pairs]
    assert metrics.rmse(predicted, actual) >= metrics.mae(predicted, actual) - 1e-9
    assert metrics.mae(actual, predicted) == metrics.mae(predicted, actual)


def test_accuracy_by_hand():
    assert metrics.accuracy([True, False, True], [True, True, True]) == 2 / 3
    assert metrics.accuracy(["ask"], ["ask"]) == 1
    with pytest.raises(ValueError, match="2 predictions against 1"):
        metrics.accuracy([1, 2], [1])
