"""Held-out histories: who is held out, what is folded in, and the full ranking."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vouchrec.retrieval.interactions import InteractionMatrix
from vouchrec.retrieval.ranking import Case, SplitRule, ndcg, rank_cases, split_histories, weighted_matrix
from vouchrec.retrieval.types import Interaction

ITEMS = [f"i{n}" for n in range(12)]
EVENTS = [Interaction(f"u{u}", f"i{n}", 1.0, float(100 - n)) for u in range(40) for n in range(2 + u % 9)]


class Fixed:
    """Scores three of the items, whatever the history."""

    items = ("i3", "elsewhere", "i1", "i0")

    def fit(self, interactions: InteractionMatrix) -> None:
        raise AssertionError("not fitted here")

    def score(self, history: object) -> np.ndarray:
        return np.asarray([0.5, 9.0, -0.5, 0.7], np.float32)


def test_everyone_is_on_one_side():
    split = split_histories(EVENTS, SplitRule())
    sides = [
        {event.user for event in split.train},
        {case.user for case in split.validation},
        {case.user for case in split.test},
    ]
    assert set.union(*sides) == {f"u{u}" for u in range(40)}
    assert sum(map(len, sides)) == 40
    assert {event.user for event in split.validation_events} == sides[1]


def test_short_histories_always_train():
    split = split_histories(EVENTS, SplitRule(least=5))
    for case in (*split.validation, *split.test):
        assert len(case.history) + len(case.targets) >= 5


def test_sizes_are_parts_of_the_eligible_people():
    eligible = sum(2 + u % 9 >= 5 for u in range(40))
    split = split_histories(EVENTS, SplitRule(least=5, validation=0.25, test=0.25))
    assert len(split.test) == round(eligible * 0.25)
    assert len(split.validation) == pytest.approx(eligible * 0.25, abs=1)


def test_the_oldest_are_folded_in():
    # Times fall with the number of the item, so the targets are the items of the lowest numbers.
    for case in split_histories(EVENTS, SplitRule(least=5)).test:
        size = len(case.history) + len(case.targets)
        assert len(case.history) == math.floor(size * 0.8)
        assert case.targets == {f"i{n}" for n in range(size - len(case.history))}


def test_a_history_without_times_keeps_its_order():
    events = [Interaction(f"u{u}", f"i{n}") for u in range(10) for n in range(5)]
    assert all(case.targets == {"i4"} for case in split_histories(events, SplitRule()).test)


@given(order=st.permutations(range(len(EVENTS))), seed=st.integers(0, 3))
def test_the_split_does_not_depend_on_the_order_of_the_file(order: list[int], seed: int):
    rule = SplitRule(seed=seed)
    shuffled = split_histories([EVENTS[n] for n in order], rule)
    assert shuffled.digest() == split_histories(EVENTS, rule).digest()


def test_the_digest_changes_with_the_seed_and_with_the_data():
    digest = split_histories(EVENTS, SplitRule()).digest()
    assert split_histories(EVENTS, SplitRule(seed=1)).digest() != digest
    assert split_histories(EVENTS[:-1], SplitRule()).digest() != digest


def test_a_weight_multiplies_the_squares():
    one, two = [Interaction("u", "i0"), Interaction("u", "i1")], [Interaction("v", "i1")]
    stacked = weighted_matrix([(one, 1.0), (two, 4.0)], ["i0", "i1"])
    assert stacked.users == ("u", "v")
    assert stacked.matrix.toarray().tolist() == [[1, 1], [0, 2]]
    assert (stacked.matrix.T @ stacked.matrix).toarray().tolist() == [[1, 1], [1, 5]]


def test_a_part_of_weight_0_is_left_out():
    kept = weighted_matrix([([Interaction("u", "i0")], 1.0), ([Interaction("v", "i0")], 0.0)], ["i0"])
    assert kept.users == ("u",)
    assert weighted_matrix([([Interaction("v", "i0")], 0.0)], ["i0"]).matrix.shape == (0, 1)


def test_the_whole_catalogue_is_ranked_without_the_history():
    # i0 0.7 is folded in; i3 0.5; items without a column score 0 in catalogue order; i1 is below 0.
    case = Case("u", {"i0": 1.0, "gone": 1.0}, frozenset({"i2"}))
    assert rank_cases(Fixed(), [case], ITEMS[:5], 3) == [("i3", "i2", "i4")]
    assert rank_cases(Fixed(), [case], ITEMS[:5], 10) == [("i3", "i2", "i4", "i1")]


def test_ndcg_by_hand():
    ideal = 1 + 1 / math.log2(3)
    assert ndcg(["a", "x", "b"], {"a", "b"}, 3) == pytest.approx((1 + 1 / 2) / ideal)
    assert ndcg(["a", "x", "b"], {"a", "b"}, 2) == pytest.approx(1 / ideal)
    assert ndcg(["b", "a"], {"a", "b", "c"}, 2) == pytest.approx(1)
    assert ndcg([], {"a"}, 2) == 0
    assert math.isnan(ndcg(["a"], set(), 2))
