"""Interactions: reading a file, telling ratings from counts, what counts as a like, splitting people."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vouchrec.retrieval.errors import DataFileError
from vouchrec.retrieval.interactions import is_explicit, read_interactions, split_users, to_matrix
from vouchrec.retrieval.types import Interaction

DATA = Path(__file__).parents[1] / "data"


def write(tmp_path: Path, content: str, name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_text(content)
    return path


def liked(values: dict[str, dict[str, float]], *, explicit: bool | None = True) -> dict[str, dict[str, float]]:
    """Weights by user and item, for values by user and item."""
    items = sorted({item for row in values.values() for item in row})
    found = to_matrix(
        [Interaction(u, i, v) for u, row in values.items() for i, v in row.items()], items, explicit=explicit
    )
    dense = found.matrix.toarray()
    return {
        user: {item: float(dense[r, c]) for c, item in enumerate(items) if dense[r, c]}
        for r, user in enumerate(found.users)
    }


# ---- reading ------------------------------------------------------------------------------------------------------


def test_the_test_ratings_read():
    events = [event for _, event in read_interactions(DATA / "ratings.csv")]
    assert len(events) == 400
    assert len({event.user for event in events}) == 40
    assert is_explicit([event.value for event in events])


def test_columns_may_be_left_out_and_times_take_two_forms(tmp_path: Path):
    path = write(
        tmp_path, "item,user,time\n 7 ,ann,1500000000\n8,bob,2017-07-14\n9,cy,2017-07-14T04:40:00+02:00\n10,di,\n"
    )
    times = {event.item: event.time for _, event in read_interactions(path)}
    assert times == {"7": 1.5e9, "8": 1499990400.0, "9": 1.5e9, "10": None}
    assert {event.value for _, event in read_interactions(path)} == {1.0}


def test_parquet_times_without_a_zone_are_utc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    moment = dt.datetime(2017, 7, 14, 2, 40)
    pq.write_table(pa.table({"user": [1.0], "item": [2], "time": [moment]}), tmp_path / "a.parquet")
    (found,) = read_interactions(tmp_path / "a.parquet")
    monkeypatch.undo()
    time.tzset()
    assert found == (1, Interaction("1", "2", 1.0, 1.5e9))


def test_ids_are_cleaned_as_those_of_items_are(tmp_path: Path):
    path = write(tmp_path, '{"user": "ann", "item": " Ame\\u0301lie\\u0000 2 "}\n', "a.jsonl")
    ((_, event),) = read_interactions(path)
    assert event.item == "Amélie 2"


@pytest.mark.parametrize(
    ("content", "row", "field", "said"),
    [
        ("user,value\nann,3\n", 2, "item", "column is missing Columns found: user, value."),
        ("user,item\nann,7\n,8\n", 3, "user", "is empty"),
        ("user,item\nann,\n", 2, "item", "is empty"),
        ("user,item,value\nann,7,good\n", 2, "value", "expected a number from 0 up, found 'good'"),
        ("user,item,value\nann,7,\n", 2, "value", "expected a number from 0 up, found ''"),
        ("user,item,value\nann,7,-1\n", 2, "value", "expected a number from 0 up, found '-1'"),
        ("user,item,value\nann,7,1\nbob,7,nan\n", 3, "value", "expected a number from 0 up, found 'nan'"),
        ("user,item,value\nann,7,inf\n", 2, "value", "expected a number from 0 up"),
        (
            "user,item,time\nann,7,yesterday\n",
            2,
            "time",
            "expected seconds since 1970 or an ISO date, found 'yesterday'",
        ),
        ("user,item,time\nann,7,nan\n", 2, "time", "expected seconds since 1970 or an ISO date"),
        ("user,item\n", None, None, "no rows"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: str, row: int | None, field: str | None, said: str):
    path = write(tmp_path, content)
    with pytest.raises(DataFileError) as caught:
        list(read_interactions(path))
    assert said in str(caught.value)
    assert (caught.value.path, caught.value.row, caught.value.field) == (path, row, field)


def test_a_list_is_no_id(tmp_path: Path):
    path = write(tmp_path, '{"user": ["ann"], "item": 1}\n', "a.jsonl")
    with pytest.raises(DataFileError, match=r"row 1, field 'user': expected text, found \['ann'\]"):
        list(read_interactions(path))


# ---- ratings or counts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [[5, 4, 3, 4, 1], [0.5, 3.5, 4, 5], [10, 7, 8, 3], [80, 60, 95, 30], list(range(1, 6))],
)
def test_ratings(values: list[float]):
    assert is_explicit(values)


@pytest.mark.parametrize(
    "values",
    [[], [1, 1, 1], [0, 1, 1], [1, 1, 1, 1, 2, 8], [1, 2, 1, 3, 900], [1, 1, 2, 40], [150, 200, 180, 120]],
)
def test_counts_and_plain_events(values: list[float]):
    assert not is_explicit(values)


# ---- weights ------------------------------------------------------------------------------------------------------


def test_likes_reach_two_thirds_of_the_scale_or_the_users_own_mean():
    weights = liked({"usual": {"a": 5, "b": 4, "c": 3.4, "d": 3}, "harsh": {"a": 3, "b": 2.5, "c": 2.1, "d": 2}})
    assert set(weights["usual"]) == {"a", "b", "c"}  # 3.4 is two thirds of 5
    assert set(weights["harsh"]) == {"a", "b"}  # mean 2.4, less a twentieth of the scale: 2.15
    assert set(weights["usual"].values()) == {1.0}


def test_a_low_rating_is_never_a_like():
    weights = liked({"one": {"a": 1}, "grim": {"a": 2, "b": 2, "c": 1}, "top": {"a": 5}})
    assert {user: set(row) for user, row in weights.items()} == {"one": set(), "grim": set(), "top": {"a"}}


def test_counts_are_weighed_by_their_logarithm():
    weights = liked({"u": {"a": 99, "b": 9, "c": 0}, "v": {"a": 0}}, explicit=False)
    assert weights["u"] == pytest.approx({"a": 1.0, "b": 0.5}, abs=1e-6)
    assert weights["v"] == {}


def test_small_counts_are_not_taken_for_a_scale():
    events = [Interaction(f"u{n}", "a", 1.0) for n in range(20)] + [
        Interaction("u0", "b", 8.0),
        Interaction("u1", "b", 3.0),
    ]
    found = to_matrix(events, ["a", "b"])
    assert not found.explicit
    assert found.matrix.nnz == 22


def test_the_last_of_a_pair_counts_and_unknown_items_do_not():
    events = [Interaction("u", "b", 5), Interaction("u", "a", 5), Interaction("v", "z", 5), Interaction("u", "b", 1)]
    found = to_matrix(events, ["a", "b", "c"], explicit=True)
    assert (found.users, found.items, found.explicit) == (("u",), ("a", "b", "c"), True)
    np.testing.assert_array_equal(found.matrix.toarray(), [[1, 0, 0]])


def test_nothing_gives_an_empty_matrix():
    assert to_matrix([], ["a"]).matrix.shape == (0, 1)
    assert to_matrix([Interaction("u", "z")], ["a"]).matrix.shape == (0, 1)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("uvw"), st.sampled_from("abcd"), st.floats(0, 1e6)), max_size=30),
    st.sampled_from([True, False, None]),
)
def test_weights_are_in_range(events: list[tuple[str, str, float]], explicit: bool | None):
    found = to_matrix([Interaction(u, i, v) for u, i, v in events], ["a", "b", "c"], explicit=explicit)
    assert found.matrix.shape == (len({u for u, i, _ in events if i != "d"}), 3)
    assert found.matrix.dtype == np.float32
    assert ((found.matrix.data > 0) & (found.matrix.data <= 1)).all()


def test_people_are_split_alike_whatever_their_order():
    users = [f"u{n}" for n in range(100)]
    train, test = split_users(users, held_out=0.2, seed=3)
    assert (len(train), len(test), train & test) == (80, 20, set())
    assert split_users(users[::-1], held_out=0.2, seed=3) == (train, test)
    assert split_users(users, held_out=0.2, seed=4) != (train, test)
