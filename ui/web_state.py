"""What one open page knows: its conversation and what is on the screen. No markup and no web framework here.

A turn runs as a generator that changes the state and yields whenever there is something new to draw.
"""

from __future__ import annotations

import logging
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from vouchrec.agent.assemble import Agent
from vouchrec.agent.explain import explain_all
from vouchrec.agent.profile import Portrait, build_profile, portrait, record_feedback
from vouchrec.agent.turn import reply, start
from vouchrec.agent.types import Conversation, Done, Event, Reason, Recommended, Sentence, Understood
from vouchrec.retrieval.errors import InputError, RequestError, VouchError
from vouchrec.retrieval.pipeline import recommend
from vouchrec.retrieval.store import EventKind
from vouchrec.retrieval.types import ItemId, Recommendation
from vouchrec.ui.text import clean_message

log = logging.getLogger(__name__)
Phase: TypeAlias = Literal["reading", "writing", "done", "failed"]
Mark: TypeAlias = Literal["", "like", "dislike", "seen"]
FEEDBACK: Mapping[str, EventKind] = {"like": "like", "dislike": "dislike", "seen": "seen", "forget": "forget"}
"""What a card's buttons can say, by the name of the button."""
_USER = re.compile(r"^web-[0-9a-f]{32}$")


@dataclass(slots=True)
class Card:
    """One recommendation on the screen.

    Attributes:
        text: The reason as far as it has arrived.
        reason: The whole reason with its verdict, when the turn is over.
        mark: What the person said of it here.
        fresh: True for a card that took another's place.
    """

    recommendation: Recommendation
    text: str = ""
    reason: Reason | None = None
    mark: Mark = ""
    fresh: bool = False

    @property
    def item(self) -> ItemId:
        """The item's id."""
        return self.recommendation.item.id


@dataclass(slots=True)
class PageTurn:
    """One message and what came of it, in the order of the screen.

    Attributes:
        intro, outro: Sentences before and after the reasons.
        problem, hint: What went wrong and what to do next, for a turn that failed.
    """

    number: int
    message: str
    phase: Phase = "reading"
    cards: list[Card] = field(default_factory=list[Card])
    intro: list[str] = field(default_factory=list[str])
    outro: list[str] = field(default_factory=list[str])
    problem: str = ""
    hint: str = ""

    def card(self, item: ItemId) -> Card | None:
        """Return the card of an item, or None."""
        return next((c for c in self.cards if c.item == item), None)


class PageSession:
    """One open page: one person, one conversation, and the turns on the screen.

    Never shared between pages. The lock keeps the clicks of one page in line behind its running turn.
    """

    def __init__(self, agent: Agent, user: str) -> None:
        self.agent = agent
        self.user = user
        self.conversation: Conversation = start(agent, user)
        self.turns: list[PageTurn] = []
        self.lock = threading.Lock()
        self.notice = ""

    def portrait(self) -> Portrait:
        """Return what is known of the person."""
        return portrait(self.agent, self.conversation)

    def say(self, message: str) -> Iterator[None]:
        """Run one turn; yields whenever there is something new to draw. Failures become part of the turn."""
        with self.lock:
            self.notice = ""
            turn = PageTurn(len(self.turns) + 1, _shown(message))
            try:
                cleaned = clean_message(message)
            except RequestError as error:
                self._fail(turn, error)
                yield
                return
            turn.message = cleaned
            self.turns.append(turn)
            yield
            yield from self._run(turn, cleaned)

    def retry(self) -> Iterator[None]:
        """Run the last turn again when it failed."""
        if self.turns and self.turns[-1].phase == "failed":
            failed = self.turns.pop()
            yield from self.say(failed.message)

    def feedback(self, kind: EventKind, item: ItemId, number: int = 0) -> Iterator[None]:
        """Record what the person thinks of an item; in the last list, what they reject makes room for another.

        Args:
            kind: like, dislike, seen, or forget (takes the others back).
            item: An item of the catalogue.
            number: The turn whose card was used; 0 for the panel.

        Raises:
            RequestError: There is no such item.
        """
        with self.lock:
            record_feedback(self.agent, self.conversation, item, kind)
            self._mark(item, "" if kind == "forget" else kind)
            yield
            last = self.turns[-1] if self.turns else None
            if last is not None and number == last.number and last.phase == "done" and kind in ("dislike", "seen"):
                yield from self._replace(last, item)

    def restart(self) -> None:
        """Begin a new conversation with the same person; what is known of them stays."""
        with self.lock:
            self.conversation = start(self.agent, self.user)
            self.turns = []
            self.notice = ""

    def forget(self) -> None:
        """Delete everything that is known of the person, and begin anew."""
        with self.lock:
            self.agent.workspace.store.forget(self.user)
            self.conversation = start(self.agent, self.user)
            self.turns = []
            self.notice = "Everything about you is deleted."

    def _run(self, turn: PageTurn, message: str) -> Iterator[None]:
        try:
            for event in reply(self.agent, self.conversation, message):
                if self._take(turn, event):
                    yield
            turn.phase = "done"
        except VouchError as error:
            self._fail(turn, error)
        except Exception:
            log.exception("a turn failed")
            self._fail(turn, VouchError("Something went wrong on this side.", hint="Try again in a moment."))
        yield

    def _take(self, turn: PageTurn, event: Event) -> bool:
        """Fold one event into the turn; returns whether the screen changes."""
        match event:
            case Understood():
                return False
            case Recommended(recommendations):
                turn.phase = "writing"
                turn.cards = [Card(r) for r in recommendations]
            case Sentence(text, item):
                turn.phase = "writing"
                _place(turn, text, item)
            case Done(done):
                _settle(turn, {e.recommendation.item.id: e.reason for e in done.explained}, done.text)
                if done.understanding.request.act == "restart":
                    self.turns = [turn]
        return True

    def _fail(self, turn: PageTurn, error: VouchError) -> None:
        """Show an error; what the person can mend is a notice above their text, the rest marks the turn as failed."""
        if isinstance(error, InputError) and turn not in self.turns:
            self.notice = str(error)
            return
        turn.phase, turn.problem, turn.hint = "failed", str(error.args[0]), error.hint

    def _mark(self, item: ItemId, mark: str) -> None:
        for turn in self.turns:
            card = turn.card(item)
            if card is not None:
                card.mark = mark if mark in ("like", "dislike", "seen") else ""

    def _replace(self, turn: PageTurn, item: ItemId) -> Iterator[None]:
        """Put the best other item after the rejected one, first the card, then its reason."""
        state = self.conversation.state
        place = next((i for i, c in enumerate(turn.cards) if c.item == item), None)
        if state is None or state.query is None or place is None:
            return
        rejected = turn.cards[place]
        shown = tuple(c.item for c in turn.cards)
        query = replace(state.query, n=1, exclude=(*state.query.exclude, *shown))
        profile = build_profile(self.agent, self.conversation, state.request)
        found = recommend(self.agent.workspace, query, profile)
        if not found:
            return
        card = Card(replace(found[0], rank=rejected.recommendation.rank), fresh=True)
        turn.cards.insert(place + 1, card)
        self.conversation.turns[-1].shown = tuple(c.item for c in turn.cards if c.mark not in ("dislike", "seen"))
        yield
        for explained in explain_all(self.agent, [card.recommendation], query, profile):
            card.text, card.reason = explained.reason.text, explained.reason
        yield


def user_id(claimed: object) -> str:
    """Return the id that a browser kept from an earlier visit, or a new one when it is not one of ours.

    Ids of pages have their own form, long and random: no page can name a user of the command line, nor guess another's.
    """
    return claimed if isinstance(claimed, str) and _USER.match(claimed) else f"web-{secrets.token_hex(16)}"


def _place(turn: PageTurn, text: str, item: ItemId | None) -> None:
    card = turn.card(item) if item is not None else None
    if card is not None:
        # The stream names the item first, for readers without cards.
        reason = text.removeprefix(f"{card.recommendation.item.title}: ")
        card.text = f"{card.text} {reason}".strip()
    elif any(c.text for c in turn.cards):
        turn.outro.append(text)
    else:
        turn.intro.append(text)


def _settle(turn: PageTurn, reasons: dict[ItemId, Reason], text: str) -> None:
    turn.phase = "done"
    for card in turn.cards:
        card.reason = reasons.get(card.item)
        if card.reason is not None:
            card.text = card.reason.text
    if not turn.cards and not turn.intro:
        turn.intro = [text]


def _shown(message: str) -> str:
    return message.strip()[:200]
