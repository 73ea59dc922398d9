"""Protocols: hand-made histories of which every split can be checked by eye, and planted leaks that must be found."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from vouchrec.evals.protocols import PROTOCOLS, Split, SplitSettings, check_split, leaks, likes_of, make_split
from vouchrec.retrieval.errors import ConfigError, LeakError
from vouchrec.retrieval.ranking import Case
from vouchrec.retrieval.types import Interaction

ITEMS = [f"i{n}" for n in range(20)]


def liked(user: str, *items: str, start: float = 0.0) -> list[Interaction]:
    return [Interaction(user, item, 1.0, start + n) for n, item in enumerate(items)]


ANN = liked("ann", "i0", "i1", "i2", "i3", "i4")
BEN = liked("ben", "i1", "i2", "i3", "i4", "i5", start=10)
CAT = liked("cat", "i7", "i8")
CROWD = [e for n in range(20) for e in liked(f"u{n}", *(ITEMS[(n + k) % 20] for k in range(6)), start=n)]
SMALL = SplitSettings(least=5)


def case_of(split: Split, user: str) -> Case:
    return next(case for case in split.cases if case.user == user)


def test_leave_one_out_by_hand():
    split = make_split(ANN + BEN + CAT, "leave-one-out", settings=SMALL)
    assert [case.user for case in split.cases] == ["ann", "ben"]  # cat has too few
    assert list(case_of(split, "ann").history) == ["i0", "i1", "i2", "i3"]
    assert case_of(split, "ann").targets == {"i4"}
    assert {(e.user, e.item) for e in split.train} == {
        *(("ann", f"i{n}") for n in range(4)),
        *(("ben", f"i{n}") for n in range(1, 5)),
        ("cat", "i7"),
        ("cat", "i8"),
    }


def test_validation_never_sees_the_test():
    split = make_split(ANN + BEN, "leave-one-out", "validation", SMALL)
    assert case_of(split, "ann").targets == {"i3"}
    assert ("ann", "i4") not in {(e.user, e.item) for e in split.train}
    for protocol in PROTOCOLS:
        test, validation = (make_split(CROWD, protocol, part, SMALL) for part in ("test", "validation"))
        sought = {(case.user, item) for case in test.cases for item in case.targets}
        assert not sought & {(e.user, e.item) for e in validation.train}, protocol
        assert not sought & {(case.user, item) for case in validation.cases for item in case.targets}, protocol


def test_strong_generalisation_by_hand():
    split = make_split(CROWD, "strong", settings=SplitSettings(least=5, people=0.25, known=0.5))
    asked = {case.user for case in split.cases}
    assert len(asked) == 5
    assert asked.isdisjoint(e.user for e in split.train)
    assert asked | {e.user for e in split.train} == {f"u{n}" for n in range(20)}
    for case in split.cases:
        first = int(case.user[1:])
        assert list(case.history) == [ITEMS[(first + k) % 20] for k in range(3)]  # the older half
        assert case.targets == {ITEMS[(first + k) % 20] for k in range(3, 6)}


def test_temporal_by_hand():
    # Moments 0 to 4 and 10 to 14: from the ninth on is 80%.
    split = make_split(ANN + BEN, "temporal", settings=SMALL)
    assert split.moment == 13
    assert [case.user for case in split.cases] == ["ben"]
    assert case_of(split, "ben").targets == {"i4", "i5"}
    assert max(e.time for e in split.train) < 13


def test_temporal_needs_times():
    bare = [replace(event, time=None) for event in CROWD]
    with pytest.raises(ConfigError, match="time of every interaction"):
        make_split(bare, "temporal", settings=SMALL)
    with pytest.raises(ConfigError, match="time of every interaction"):
        make_split([replace(event, time=5.0) for event in CROWD], "temporal", settings=SMALL)


def test_cold_users_know_the_first_like_only():
    for case in make_split(CROWD, "cold-users", settings=SMALL).cases:
        first = int(case.user[1:])
        assert list(case.history) == [ITEMS[first]]
        assert case.targets == {ITEMS[(first + k) % 20] for k in range(1, 6)}


def test_cold_items_are_known_from_nobody():
    split = make_split(CROWD, "cold-items", settings=SMALL)
    assert len(split.unknown) == 2
    assert split.unknown.isdisjoint(e.item for e in split.train)
    for case in split.cases:
        assert case.targets <= split.unknown
        assert split.unknown.isdisjoint(case.history)


def test_counts_are_scaled_by_what_is_known():
    # The largest count comes last and is to be found: nothing of it may show in the weights of the others.
    counts = [1.0, 3.0, 7.0, 3.0, 1_000_000.0]
    events = [Interaction("ann", f"i{n}", value, float(n)) for n, value in enumerate(counts)]
    history = case_of(make_split(events, "leave-one-out", settings=SMALL), "ann").history
    assert history == pytest.approx({"i0": 1 / 3, "i1": 2 / 3, "i2": 1.0, "i3": 2 / 3})  # log2 of 2, 4, 8 and 4


def test_the_order_of_a_file_is_no_order_of_time():
    # A file that lists the best first: its last line must not always be what is to be found.
    bare = [Interaction(f"u{n}", item, 1.0) for n in range(40) for item in ITEMS[:8]]
    split = make_split(bare, "leave-one-out", settings=SMALL)
    assert len({next(iter(case.targets)) for case in split.cases}) > 3
    assert make_split(bare[::-1], "leave-one-out", settings=SMALL).digest() == split.digest()


def test_likes_of_ratings_and_counts():
    ratings = [Interaction("ann", f"i{n}", v) for n, v in enumerate((5, 4, 1, 5, 2, 4))]
    ratings += [Interaction("ben", "i0", 1), Interaction("ben", "i0", 5), Interaction("ben", "elsewhere", 5)]
    found = likes_of(ratings, ITEMS)
    assert [(e.user, e.item, e.value) for e in found] == [("ann", i, 1.0) for i in ("i0", "i1", "i3", "i5")] + [
        ("ben", "i0", 1.0)
    ]
    counts = [Interaction("ann", f"i{n}", v) for n, v in enumerate((900.0, 3.0, 0.0, 12.0))]
    assert [(e.item, e.value) for e in likes_of(counts, ITEMS)] == [("i0", 900.0), ("i1", 3.0), ("i3", 12.0)]


def test_at_most_so_many_are_asked():
    few = make_split(CROWD, "leave-one-out", settings=SplitSettings(most=7))
    assert len(few.cases) == 7
    assert few.digest() == make_split(CROWD, "leave-one-out", settings=SplitSettings(most=7)).digest()
    assert few.digest() != make_split(CROWD, "leave-one-out", settings=SplitSettings(most=7, seed=1)).digest()


def test_unknown_protocol_and_nobody_to_ask():
    with pytest.raises(ConfigError, match="no protocol 'lucky'"):
        make_split(CROWD, "lucky")
    with pytest.raises(ConfigError, match="Nobody can be asked"):
        make_split(CAT, "leave-one-out")


people = st.lists(
    st.lists(st.tuples(st.sampled_from(ITEMS), st.integers(0, 30)), min_size=1, max_size=8, unique_by=lambda x: x[0]),
    min_size=8,
    max_size=16,
)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("part", ["test", "validation"])
@hypothesis_settings(deadline=None, max_examples=15)
@given(histories=people, seed=st.integers(0, 9))
def test_no_split_leaks(protocol: str, part, histories, seed: int):
    events = [Interaction(f"u{n}", item, 1.0, float(t)) for n, own in enumerate(histories) for item, t in own]
    try:
        split = make_split(events, protocol, part, SplitSettings(seed=seed, least=3, people=0.3, items=0.2))
    except ConfigError:
        return  # nobody can be asked
    assert list(leaks(split)) == []
    assert len({case.user for case in split.cases}) == len(split.cases)


# ---- planted leaks: each must be found, and found by name -----------------------------------------------------------


def with_training(split: Split, *events: Interaction) -> Split:
    return replace(split, train=(*split.train, *events))


def with_case(split: Split, **changes: object) -> Split:
    first, *rest = split.cases
    return replace(split, cases=(replace(first, **changes), *rest))


def planted() -> dict[str, tuple[Split, str]]:
    loo, strong, temporal, cold = (
        make_split(CROWD, p, settings=SMALL) for p in ("leave-one-out", "strong", "temporal", "cold-items")
    )
    case, stranger = loo.cases[0], strong.cases[0]
    target = next(iter(case.targets))
    late = Interaction("u3", "i19", 1.0, temporal.moment)
    newer = Interaction(case.user, "i19", 1.0, loo.until[case.user] + 1)
    new = next(iter(cold.unknown))
    return {
        "target learnt from": (with_training(loo, Interaction(case.user, target)), "which is learnt from"),
        "target in the history": (with_case(loo, history={**case.history, target: 1.0}), "known of them"),
        "newer like learnt from": (with_training(loo, newer), "newer than what is to be found"),
        "history from elsewhere": (with_case(loo, history={**case.history, "i19": 1.0}), "not learnt from"),
        "stranger learnt from": (with_training(strong, Interaction(stranger.user, "i19")), "is a stranger"),
        "after the moment": (with_training(temporal, late), "after the moment"),
        "without a time": (with_training(temporal, replace(late, time=None)), "after the moment"),
        "cold item learnt from": (with_training(cold, Interaction("u3", new)), "nobody may know it"),
        "cold item in a history": (with_case(cold, history={new: 1.0}), "nobody may know it"),
        "asked twice": (replace(loo, cases=(*loo.cases, case)), "asked 2 times"),
        "nothing to be found": (with_case(loo, targets=frozenset()), "nothing to be found"),
    }


@pytest.mark.parametrize("name", planted())
def test_a_planted_leak_is_found(name: str):
    split, words = planted()[name]
    assert any(words in leak for leak in leaks(split))
    with pytest.raises(LeakError, match="leaks in"):
        check_split(split)
