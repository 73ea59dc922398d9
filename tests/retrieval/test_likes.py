"""Which ratings count as likes."""

from __future__ import annotations

from vouchrec.retrieval.interactions import to_matrix
from vouchrec.retrieval.types import Interaction

ITEMS = ("a", "b", "c")


def liked(*ratings: tuple[str, str, float]) -> dict[str, set[str]]:
    found = to_matrix([Interaction(*rating) for rating in ratings], ITEMS, explicit=True)
    rows = (set(found.matrix[n].indices.tolist()) for n in range(len(found.users)))
    return {user: {ITEMS[index] for index in row} for user, row in zip(found.users, rows, strict=True)}


def test_a_clearly_bad_rating_is_no_like_of_anyone():
    found = liked(("pleased", "a", 10), ("harsh", "a", 1), ("other", "b", 4), ("other", "c", 3))
    assert found == {"pleased": {"a"}, "harsh": set(), "other": set()}


def test_a_harsh_user_still_has_likes():
    assert liked(("pleased", "a", 10), ("harsh", "a", 6), ("harsh", "b", 2)) == {"pleased": {"a"}, "harsh": {"a"}}


def test_the_scale_is_that_of_the_data():
    assert liked(("u", "a", 5), ("u", "b", 4), ("v", "c", 2), ("w", "c", 2.5)) == {
        "u": {"a", "b"},
        "v": set(),
        "w": {"c"},
    }
