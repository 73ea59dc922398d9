"""Order of likes: the cut of histories, and that the sum of two matrices stays an exact sum over the history."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vouchrec.retrieval.collaborative import Ease
from vouchrec.retrieval.interactions import to_matrix
from vouchrec.retrieval.ordered import OrderedEase, order_histories
from vouchrec.retrieval.types import Interaction

ITEMS = ("a", "b", "c", "d", "nobody")


def likes(rows: list[str]) -> list[Interaction]:
    """Each string is a person's likes, oldest first, listed newest first."""
    return [
        Interaction(f"u{n}", i, 1.0, float(at)) for n, row in enumerate(rows) for at, i in reversed([*enumerate(row)])
    ]


def fitted(rows: list[str], weight: float) -> OrderedEase:
    events = likes(rows)
    scorer = OrderedEase(order_histories(events, ITEMS, older=0.5), l2=1.0, order_l2=1.0, order_weight=weight)
    scorer.fit(to_matrix(events, ITEMS, explicit=False))
    return scorer


def test_a_history_is_cut_by_time_and_neither_part_is_empty():
    found = order_histories(likes(["abcd", "d", "ca", "xb"]), ITEMS, older=0.9)
    assert found.older.toarray().tolist() == [[1, 1, 1, 0, 0], [0, 0, 1, 0, 0]]
    assert found.newer.toarray().tolist() == [[0, 0, 0, 1, 0], [1, 0, 0, 0, 0]]


def test_what_came_after_scores_above_what_came_before():
    rows = ["ab", "ab", "ab", "cd", "cd", "ba"]
    scores = fitted(rows, 2.0)
    assert scores.score({"a": 1.0})[1] > fitted(rows, 0.0).score({"a": 1.0})[1]
    # a led to b three times, b to a once.
    assert scores.score({"a": 1.0})[1] > scores.score({"b": 1.0})[0]


def test_weight_0_is_ease_and_unknown_items_have_no_column():
    rows = ["abc", "abd", "cd"]
    plain = Ease(1.0)
    plain.fit(to_matrix(likes(rows), ITEMS, explicit=False))
    ordered = fitted(rows, 0.0)
    assert ordered.items == plain.items == ("a", "b", "c", "d")
    np.testing.assert_allclose(ordered.score({"a": 1.0, "c": 0.5}), plain.score({"a": 1.0, "c": 0.5}), atol=1e-6)


def test_the_regression_by_hand():
    # Two people, a then b and c then d: centred, a's column is (1/2, -1/2), c's the reverse, b's as a's, d's as c's.
    scorer = fitted(["ab", "cd"], 1.0)
    plain = fitted(["ab", "cd"], 0.0)
    added = scorer.score({"a": 1.0}) - plain.score({"a": 1.0})
    # (G + I) w = (1/2, -1/2) with G = [[1/2, -1/2], [-1/2, 1/2]] gives w = (1/4, -1/4).
    np.testing.assert_allclose(added, [0, 0.25, 0, -0.25], atol=1e-6)


def test_contributions_sum_to_the_score_also_after_the_file(tmp_path: Path):
    scorer = fitted(["abcd", "abdc", "bacd", "dcab"], 2.0)
    scorer.save(tmp_path)
    history = {"a": 1.0, "c": 0.4, "unknown": 1.0}
    for one in (scorer, Ease.load(tmp_path)):
        for column, item in enumerate(one.items):
            assert sum(one.contributions(history, item).values()) == pytest.approx(one.score(history)[column], abs=1e-5)


def test_people_without_two_likes_give_ease():
    rows = ["a", "b"]
    np.testing.assert_allclose(fitted(rows, 2.0).score({"a": 1.0}), fitted(rows, 0.0).score({"a": 1.0}))


def test_other_items_are_refused():
    scorer = OrderedEase(order_histories([], ("a",)), l2=1.0, order_l2=1.0, order_weight=1.0)
    with pytest.raises(ValueError, match="other items"):
        scorer.fit(to_matrix(likes(["ab"]), ITEMS, explicit=False))
