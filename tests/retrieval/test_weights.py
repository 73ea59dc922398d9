"""Which table of weights a request gets."""

from __future__ import annotations

import pytest

from vouchrec.retrieval.blend import Weights
from vouchrec.retrieval.types import Profile, Query

LIKES = Profile(history={"a": 1.0})


@pytest.mark.parametrize(
    ("query", "profile", "expected"),
    [
        (Query(), LIKES, Weights.for_history()),
        (Query(wish="  "), LIKES, Weights.for_history()),
        (Query(wish="a western"), LIKES, Weights()),
        (Query(similar_to=("b",)), LIKES, Weights.for_reference()),
        (Query(), Profile(), Weights()),
    ],
)
def test_the_history_has_its_own_table_only_where_it_speaks_alone(query: Query, profile: Profile, expected: Weights):
    assert Weights.of_request(query, profile) == expected


def test_the_tables_differ_only_in_what_was_tuned():
    ours, other = Weights.for_history(), Weights()
    assert (ours.collaborative, ours.match, ours.semantic) == (other.collaborative, other.match, other.semantic)
    assert ours != other
