"""What is remembered of a person: the last word counts, newer likes weigh more, and nothing of one leaks to another."""

from __future__ import annotations

import pytest

from vouchrec.agent.assemble import Agent
from vouchrec.agent.profile import (
    HISTORY_LENGTH,
    OLDEST_WEIGHT,
    build_profile,
    portrait,
    record_feedback,
    remember_request,
)
from vouchrec.agent.turn import start
from vouchrec.agent.types import Request
from vouchrec.retrieval.errors import RequestError
from vouchrec.retrieval.store import Event, EventKind

A, B, C = "alien-1979", "big-1988", "heat-1995"


@pytest.mark.parametrize("user", ["ann", None])
@pytest.mark.parametrize(
    ("kinds", "liked", "disliked", "seen"),
    [
        (["like"], True, False, False),
        (["like", "dislike"], False, True, False),
        (["dislike", "like"], True, False, False),
        (["like", "seen"], True, False, True),
        (["seen", "dislike"], False, True, True),
        (["like", "seen", "forget"], False, False, False),
        (["dislike", "forget", "like"], True, False, False),
    ],
)
def test_last_word_counts(
    agent: Agent, user: str | None, kinds: list[EventKind], liked: bool, disliked: bool, seen: bool
) -> None:
    talk = start(agent, user)
    for kind in kinds:
        record_feedback(agent, talk, A, kind)
    profile = build_profile(agent, talk)
    assert (A in profile.history, A in profile.disliked, A in profile.seen) == (liked, disliked, seen)
    if user:  # and another conversation of the same person knows it from the store
        assert build_profile(agent, start(agent, user)) == profile


def test_newer_likes_weigh_more(agent: Agent) -> None:
    talk = start(agent, likes=[A, B, C, A, "nothing-2000"])
    history = build_profile(agent, talk).history
    assert list(history) == [A, B, C]
    assert list(history.values()) == pytest.approx([OLDEST_WEIGHT, 0.65, 1.0])
    record_feedback(agent, talk, A, "like")
    assert list(build_profile(agent, talk).history) == [B, C, A]
    assert build_profile(agent, start(agent, likes=[A])).history == {A: 1.0}


def test_history_has_a_length(agent: Agent) -> None:
    items = [item.id for item in agent.workspace.catalogue.items]
    events = [Event("ann", f"x{n}", "like") for n in range(HISTORY_LENGTH)] + [Event("ann", i, "like") for i in items]
    agent.workspace.store.add_events(events)
    history = build_profile(agent, start(agent, "ann")).history
    assert len(history) == HISTORY_LENGTH
    assert list(history)[-len(items) :] == items


def test_request_of_the_moment_counts_before_it_is_stored(agent: Agent) -> None:
    talk = start(agent, likes=[A])
    profile = build_profile(agent, talk, Request("feedback", disliked=(A,), seen=(B,), liked=(C,)))
    assert (profile.history, profile.disliked, profile.seen) == ({C: 1.0}, {A}, {B})
    assert build_profile(agent, talk).history == {A: 1.0}


def test_requests_are_remembered_once(agent: Agent) -> None:
    talk = start(agent, "ann")
    for _ in range(3):
        remember_request(agent, talk, Request("recommend", liked=(A,), disliked=(B,), seen=(C,)))
    assert [(e.item, e.kind) for e in agent.workspace.store.events("ann")] == [
        (C, "seen"),
        (A, "like"),
        (B, "dislike"),
    ]


def test_explicit_ratings(agent: Agent) -> None:
    assert agent.explicit_ratings
    events = [Event("ann", A, "rating", 5), Event("ann", B, "rating", 1), Event("ann", C, "rating", 4)]
    agent.workspace.store.add_events(events)
    profile = build_profile(agent, start(agent, "ann"))
    assert list(profile.history) == [A, C]
    assert profile.history[A] > profile.history[C] * 0.3
    assert (profile.seen, profile.disliked) == ({A, B, C}, frozenset())
    agent.workspace.store.add_events([Event("ann", A, "rating", 1)])
    assert list(build_profile(agent, start(agent, "ann")).history) == [C]


def test_counts(agent: Agent) -> None:
    agent.explicit_ratings = False
    agent.workspace.store.add_events([Event("ann", A, "rating", 1), Event("ann", B, "rating", 100)])
    profile = build_profile(agent, start(agent, "ann"))
    assert profile.history[B] == 1.0
    assert 0 < profile.history[A] < 0.2
    assert profile.seen == frozenset()


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("values", [[0.0], [-1.0, -2.0], [0.0, -3.0]])
def test_ratings_of_nothing_are_no_likes(agent: Agent, explicit: bool, values: list[float]) -> None:
    agent.explicit_ratings = explicit
    agent.workspace.store.add_events([Event("ann", i, "rating", v) for i, v in zip((A, B), values, strict=False)])
    assert build_profile(agent, start(agent, "ann")).history == {}


def test_anonymous_people_leave_nothing(agent: Agent) -> None:
    talk = start(agent, likes=[B])
    record_feedback(agent, talk, A, "like")
    remember_request(agent, talk, Request("recommend", seen=(C,)))
    assert agent.workspace.store.events(talk.user) == []
    assert set(build_profile(agent, talk).history) == {A, B}


def test_conversations_do_not_mix(agent: Agent) -> None:
    first, second, nobody, other = start(agent, "ann"), start(agent, "bob"), start(agent), start(agent)
    assert nobody.user != other.user
    record_feedback(agent, first, A, "like")
    record_feedback(agent, nobody, B, "dislike")
    for talk in (second, other):
        profile = build_profile(agent, talk)
        assert (profile.history, profile.disliked, profile.seen) == ({}, frozenset(), frozenset())


def test_unknown_item(agent: Agent) -> None:
    talk = start(agent, "ann")
    with pytest.raises(RequestError, match="no item 'x'"):
        record_feedback(agent, talk, "x", "like")
    assert agent.workspace.store.events("ann") == []


def test_portrait(agent: Agent) -> None:
    talk = start(agent, likes=["alien-1979", "aliens-1986", "the-thing-1982"])
    record_feedback(agent, talk, B, "dislike")
    record_feedback(agent, talk, B, "seen")
    record_feedback(agent, talk, C, "seen")
    known = portrait(agent, talk)
    assert [i.id for i in known.liked] == ["the-thing-1982", "aliens-1986", "alien-1979"]
    assert ([i.id for i in known.disliked], [i.id for i in known.seen]) == ([B], [C])
    assert ("genre", "science fiction") in [(label, value) for label, value, _ in known.tastes]
    weights = [weight for _, _, weight in known.tastes]
    assert weights[0] == 1.0
    assert weights == sorted(weights, reverse=True)
    assert portrait(agent, start(agent)).tastes == ()
