"""What a page does on messages and clicks, without a browser."""

from __future__ import annotations

import threading

import pytest

from vouchrec.agent.assemble import Agent
from vouchrec.retrieval.errors import RequestError
from vouchrec.ui.web_state import PageSession, user_id

from .conftest import FakeModel


@pytest.fixture
def page(agent: Agent) -> PageSession:
    return PageSession(agent, user_id(None))


def run(steps: object) -> int:
    return sum(1 for _ in steps)  # pyright: ignore


def test_cards_come_before_words(page: PageSession) -> None:
    first_cards = first_words = None
    for step, _ in enumerate(page.say("something like Alien but funny")):
        turn = page.turns[0]
        first_cards = step if turn.cards and first_cards is None else first_cards
        first_words = step if (turn.intro or any(c.text for c in turn.cards)) and first_words is None else first_words
    assert first_cards is not None
    assert first_words is not None
    assert first_cards < first_words
    turn = page.turns[0]
    assert turn.phase == "done"
    assert all(c.text and c.reason for c in turn.cards)
    assert not any(c.text.startswith(f"{c.recommendation.item.title}: ") for c in turn.cards)


@pytest.mark.parametrize("kind", ["dislike", "seen"])
def test_a_rejected_item_makes_room_at_once_and_never_comes_back(page: PageSession, kind: str) -> None:
    run(page.say("a comedy"))
    turn = page.turns[0]
    gone, before = turn.cards[1].item, len(turn.cards)
    run(page.feedback(kind, gone, 1))  # pyright: ignore
    assert turn.cards[1].mark == kind
    assert len(turn.cards) == before + 1
    fresh = turn.cards[2]
    assert fresh.fresh
    assert fresh.text
    assert page.conversation.shown[1] == fresh.item
    assert gone not in page.conversation.shown
    run(page.say("show me others"))
    assert gone not in {c.item for c in page.turns[-1].cards}


def test_like_and_undo(page: PageSession) -> None:
    run(page.say("a comedy"))
    item = page.turns[0].cards[0].item
    run(page.feedback("like", item, 1))
    assert page.turns[0].cards[0].mark == "like"
    assert [i.id for i in page.portrait().liked] == [item]
    run(page.feedback("forget", item, 0))
    assert page.turns[0].cards[0].mark == ""
    assert page.portrait().liked == ()


def test_what_is_known_survives_a_new_chat_and_a_new_page_but_not_forgetting(page: PageSession, agent: Agent) -> None:
    run(page.say("I loved Alien"))
    page.restart()
    assert page.turns == []
    assert [i.title for i in page.portrait().liked] == ["Alien"]
    later = PageSession(agent, page.user)
    assert [i.title for i in later.portrait().liked] == ["Alien"]
    later.forget()
    assert later.portrait().liked == ()
    assert later.notice


def test_a_message_too_long_is_a_notice_and_no_turn(page: PageSession) -> None:
    run(page.say("a" * 20_000))
    assert page.turns == []
    assert "20,000 characters" in page.notice
    run(page.say("a comedy"))
    assert page.notice == ""


def test_a_failing_model_is_shown_and_can_be_tried_again(page: PageSession, fake: FakeModel) -> None:
    fake.broken = True
    try:
        run(page.say("a comedy"))
    finally:
        fake.broken = False
    assert page.turns[0].phase == "failed"
    assert page.turns[0].hint
    run(page.retry())
    assert [t.phase for t in page.turns] == ["done"]


def test_two_people_at_once_do_not_mix(agent: Agent) -> None:
    ann, bob = PageSession(agent, user_id(None)), PageSession(agent, user_id(None))
    wishes = {
        ann: ["I loved Alien, something like it", "nothing from before 1990"],
        bob: ["I loved Heat, a crime film", "shorter"],
    }

    def talk(page: PageSession) -> None:
        for wish in wishes[page]:
            run(page.say(wish))

    threads = [threading.Thread(target=talk, args=(p,)) for p in (ann, bob)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [i.title for i in ann.portrait().liked] == ["Alien"]
    assert [i.title for i in bob.portrait().liked] == ["Heat"]
    assert [t.message for t in ann.turns] == wishes[ann]
    assert [t.message for t in bob.turns] == wishes[bob]
    assert ann.user != bob.user


def test_clicks_wait_for_the_running_turn(page: PageSession, fake: FakeModel) -> None:
    run(page.say("a comedy"))
    item = page.turns[0].cards[0].item
    fake.gate.clear()
    talking = threading.Thread(target=lambda: run(page.say("a drama")))
    talking.start()
    liking = threading.Thread(target=lambda: run(page.feedback("like", item, 1)))
    liking.start()
    fake.gate.set()
    talking.join(timeout=60)
    liking.join(timeout=60)
    assert page.turns[1].phase == "done"
    assert page.turns[0].cards[0].mark == "like"


@pytest.mark.parametrize("claimed", [None, "", "ann", "web-", "web-" + "g" * 32, 3, "web-" + "a" * 33])
def test_a_page_can_not_claim_to_be_someone(claimed: object) -> None:
    assert user_id(claimed) != claimed
    assert user_id(user_id(None)) != user_id(None)


def test_feedback_on_nothing(page: PageSession) -> None:
    with pytest.raises(RequestError):
        run(page.feedback("like", "no-such-item", 0))
