"""Interactions cut along time: nothing later than a cut is used before it."""

from __future__ import annotations

from vouchrec.retrieval.timeline import Choice, Proposer, TimeRule, split_timeline
from vouchrec.retrieval.types import Interaction

ITEMS = [f"i{n}" for n in range(12)]


def dated(people: int = 10, length: int = 10) -> list[Interaction]:
    return [
        Interaction(f"u{p}", f"i{(n + p) % 12}", (4.0 + n % 2) if n % 4 else 1.0, time=float(n * 100 + p))
        for p in range(people)
        for n in range(length)
    ]


def test_parts_follow_one_another_in_time() -> None:
    events = dated()
    moment = {(e.user, e.item): e.time or 0.0 for e in events}
    timeline = split_timeline(events, ITEMS, TimeRule(fit=0.5, train=0.2, validation=0.1, least=1))
    assert timeline.order == "time"
    assert timeline.train
    assert timeline.validation
    assert timeline.test
    ends = [max(e.time or 0.0 for e in timeline.fit)]
    for part in (timeline.train, timeline.validation, timeline.test):
        times = [moment[c.user, c.target] for c in part]
        assert min(times) > ends[-1]
        ends.append(max(times))


def test_choice_holds_only_what_came_before_it() -> None:
    events = dated()
    moment = {(e.user, e.item): e.time or 0.0 for e in events}
    value = {(e.user, e.item): e.value for e in events}
    timeline = split_timeline(events, ITEMS, TimeRule(least=2))
    for choice in (*timeline.train, *timeline.validation, *timeline.test):
        before = (*choice.liked, *choice.disliked)
        assert choice.target not in before
        assert all(moment[choice.user, i] < moment[choice.user, choice.target] for i in before)
        assert len(choice.liked) >= 2
        assert all(value[choice.user, i] >= 4.0 for i in (*choice.liked, choice.target))
        assert all(value[choice.user, i] == 1.0 for i in choice.disliked)
        assert [moment[choice.user, i] for i in choice.liked] == sorted(moment[choice.user, i] for i in choice.liked)


def test_undated_interactions_are_cut_by_position() -> None:
    events = [Interaction(f"u{p}", f"i{n}", 1.0) for p in range(3) for n in range(10)]
    timeline = split_timeline(events, ITEMS, TimeRule(fit=0.7, train=0.1, validation=0.1, least=3))
    assert (timeline.order, timeline.cuts) == ("position", ())
    assert {c.target for c in timeline.train} == {"i7"}
    assert {c.target for c in timeline.validation} == {"i8"}
    assert {c.target for c in timeline.test} == {"i9"}
    assert {e.item for e in timeline.fit} == {f"i{n}" for n in range(7)}


def test_one_person_does_not_fill_a_part_and_unknown_items_are_left_out() -> None:
    events = [Interaction("u", f"i{n % 12}", 1.0, time=float(n)) for n in range(12)]
    events.append(Interaction("u", "gone", 1.0, time=99.0))
    timeline = split_timeline(events, ITEMS, TimeRule(fit=0.3, train=0.5, validation=0.1, most=2, least=1))
    assert len(timeline.train) == 2
    assert "gone" not in {c.target for c in timeline.test}
    assert split_timeline([], ITEMS).test == ()


def test_digest_changes_with_a_choice() -> None:
    assert split_timeline(dated(), ITEMS).digest() == split_timeline(dated(), ITEMS).digest()
    assert split_timeline(dated(), ITEMS).digest() != split_timeline(dated(people=9), ITEMS).digest()


def test_proposer_knows_the_past_alone_and_proposes_nothing_touched() -> None:
    fit = [
        Interaction(f"u{p}", i, 1.0) for p in range(8) for i in (("i0", "i1", "i2") if p % 2 else ("i3", "i4", "i5"))
    ]
    proposer = Proposer(fit, l2=1.0)
    assert set(proposer.items) == {"i0", "i1", "i2", "i3", "i4", "i5"}
    proposed = proposer.propose(Choice("new", ("i0", "i9"), ("i2",), "i1"), 3)
    assert proposed[0] == "i1"
    assert not {"i0", "i2"} & set(proposed)
    assert len(proposer.propose(Choice("new", (), (), "i1"), 4)) == 4
